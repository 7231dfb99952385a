"""Scenario files: what is accepted, and how refusals read."""

from pathlib import Path
from typing import get_args

import pytest

from hokusai_probe.sandbox import SandboxError, load_scenario, scenario_names
from hokusai_probe.sandbox.faults import Edge
from hokusai_probe.sandbox.scenario import (
    BEHAVIOURS,
    PRESETS,
    AwsStep,
    Scenario,
    ScenarioError,
    parse_scenario,
)

_HEAD = 'name = "mine"\nsummary = "s"\n'


def _refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SandboxError) as caught:
        load_scenario(path)
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_loads_and_is_named_as_its_file(name: str) -> None:
    """A scenario is found by the name that it carries."""
    assert load_scenario(name).name == name


def test_a_scenario_is_read_whole(tmp_path: Path) -> None:
    """Every part of the contract's example arrives where it belongs."""
    path = tmp_path / "mine.toml"
    path.write_text(
        _HEAD + 'preset = "2025-08"\nbehaviours = ["route-missing"]\n'
        "seed_registry = { experiments = 3, models = 4 }\n"
        '[given]\nkey = "expired"\naws = "none"\n'
        '[[step]]\nkind = "aws"\nservice = "elbv2"\ncall = "describe_rules"\n'
        'params = { ListenerArn = "{listener.auth.https}" }\nsave = "rules"\n'
        '[expect]\ncauses = ["a"]\ncomponents = ["auth"]\naccept = { a = ["b"] }\n'
        'without_aws = { causes = [], undecided = ["a"] }\n'
    )
    loaded = load_scenario(path)
    step = loaded.step[0]
    assert isinstance(step, AwsStep)
    assert (step.call, step.params, step.save) == (
        "describe_rules",
        {"ListenerArn": "{listener.auth.https}"},
        "rules",
    )
    assert loaded.switched_on == (*PRESETS["2025-08"], "route-missing")
    assert loaded.accepted == PRESETS["2025-08"]
    assert loaded.expect.model_dump() == {
        "causes": ("a",),
        "components": ("auth",),
        "undecided": (),
        "unseen": (),
        "unexplained": False,
        "accept": {"a": ("b",)},
        "without_aws": {"causes": (), "undecided": ("a",), "unseen": (), "unexplained": False},
    }


def test_a_scenario_is_frozen() -> None:
    """Nobody changes a scenario after it was checked."""
    assert Scenario.model_config["frozen"] is True


_AWS = '[[step]]\nkind = "aws"\nservice = "s3"\ncall = "list_buckets"\n'
_FAULT = '[[step]]\nkind = "fault"\nedge = "gateway->mlflow"\n'
_DEPLOY = '[[step]]\nkind = "service"\naction = "deploy"\n'
_STOP = '[[step]]\nkind = "service"\naction = "stop"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            _HEAD + '[[step]]\nkind = "aws"\nsevice = "ecs"\ncall = "x"\n',
            (
                ":5: step 1: unknown key 'sevice'; did you mean 'service'?"
                " (allowed: call, kind, params, save, service)"
            ),
        ),
        (
            _HEAD + "behavours = []\n",
            (
                ":3: unknown key 'behavours'; did you mean 'behaviours'? (allowed: backends, behaviours,"
                " expect, given, name, preset, seed_registry, step, summary)"
            ),
        ),
        (
            _HEAD + _AWS + _FAULT + 'evry = 3\ndo = { drop = true }\n',
            ":10: step 2: unknown key 'evry' in a fault; did you mean 'every'?",
        ),
        (
            _HEAD + _FAULT + '[step.do]\ndrop = true\n[step.match]\n\npth = "*"\n',
            ":10: step 1: unknown key 'match.pth' in a fault; did you mean 'path'?",
        ),
        (
            _HEAD + 'behaviours = ["cache-off",\n  "cach-off"]\n',
            ":4: behaviours: unknown behaviour 'cach-off'; did you mean 'cache-off'?",
        ),
        (_HEAD + 'preset = "2024"\n', ":3: preset: unknown preset '2024' (allowed: 2025-08)"),
        (
            _HEAD + '[given]\nkey = "stale"\n',
            (
                ":4: given: key: Input should be 'valid', 'admin', 'read-only', 'other-service', 'unknown',"
                " 'expired', 'malformed' or 'none', not 'stale'"
            ),
        ),
        (_HEAD + "given.clock_offset_s = true\n", ":3: given: clock_offset_s: must be a number"),
        (_HEAD + 'given = { clock_offset_s = "3" }\n', ":3: given: clock_offset_s: must be a number"),
        (_HEAD + "\n\nstep = 3\n", ":5: step: must be an array"),
        (_HEAD + "expect = 3\n", ":3: expect: must be a table"),
        (_HEAD + 'expect = { unexplained = "no" }\n', ":3: expect: unexplained: must be true or false"),
        (_HEAD + "[seed_registry]\nmodels = 1.5\n", ":4: seed_registry: models: must be an integer"),
        ('summary = "s"\n', ":1: name: is missing"),
        ('name = "A b"\nsummary = "s"\n',
         ":1: name: 'A b' is no name: lower-case letters, digits, '.' and '-'"),
        (
            _HEAD + '[[step]]\nkind = "awss"\n',
            ":4: step 1: unknown kind 'awss'; did you mean 'aws'? (allowed: aws, fault, service)",
        ),
        (
            _HEAD + '[[step]]\nedge = "x"\n',
            ":3: step 1: the key 'kind' is missing (allowed: aws, fault, service)",
        ),
        (
            _HEAD + _AWS + 'params = { A = [\n  "{cluster}", # {x}\n  "{clutser}" ] }\n',
            ":9: step 1: params: A: unknown name {clutser}; did you mean {cluster}?",
        ),
        (
            _HEAD + _DEPLOY + 'service = "auth"\n[step.env]\nA = "b"\nB = """\n{zon}"""\n',
            ":9: step 1: env: B: unknown name {zon}; did you mean {zone}?",
        ),
        (
            _HEAD + _AWS + 'params = { A = "{saved.a.B}" }\n',
            ":7: step 1: params: A: {saved.a...} is used, but no earlier step saves that",
        ),
        (
            _HEAD + _AWS + 'params = { A = "{bucket.artifacts}" }\n',
            ':7: step 1: params: A: {bucket.artifacts} exists only with backends = { storage = "s3" }',
        ),
        (
            _HEAD + _AWS + 'params = { A = "/#{path}", B = "{Cluster}" }\n',
            ":7: step 1: params: B: unknown name {Cluster}; did you mean {cluster}?",
        ),
        (
            _HEAD + _FAULT + 'do = { drop = true }\nmatch = { path = "/{ host.auth }" }\n',
            ":7: step 1: match: path: unknown name { host.auth }; did you mean {host.auth}?",
        ),
        (
            _HEAD + _AWS + 'save = "a"\n' + _AWS + '[step.params]\nA = "{saved.a}"\n',
            (
                ":13: step 2: params: A: {saved.a} is no name: what a step saved is {saved.NAME.JMESPATH},"
                " a JMESPath without braces"
            ),
        ),
        (
            _HEAD + _AWS + 'save = "a"\n' + _AWS + '[step.params]\nA = "{saved.a.B[}"\n',
            (
                ":13: step 2: params: A: {saved.a.B[} is not a JMESPath: Invalid jmespath expression:"
                ' Incomplete expression: "B[" ^'
            ),
        ),
        (
            _HEAD + _AWS.replace("s3", "elbv3"),
            ":5: step 1: service: AWS has no service 'elbv3'; did you mean 'elbv2'?",
        ),
        (
            _HEAD + _AWS.replace("list_buckets", "list_bucket"),
            ":6: step 1: call: s3 has no call 'list_bucket'; did you mean 'list_buckets'?",
        ),
        (
            _HEAD + "[seed_registry]\nexperiments = 150\nmodels = 151\n",
            (
                ":3: seed_registry: at most 300 experiments and models together, not 301:"
                " MLflow makes one at a time, and 300 take up to 20 s"
            ),
        ),
        (
            _HEAD + _DEPLOY + 'service = "auth"\nenv = { A = "b" }\nsecrets = { A = "c" }\n',
            ":8: step 1: 'A' is in env and in secrets; ECS allows a name in one of them",
        ),
        (
            _HEAD + _STOP + 'service = "gateway"\nenv = { A = "b" }\n',
            ":7: step 1: env, unset, secrets, unset_secrets, image go with deploy and restart only",
        ),
        (
            _HEAD + _STOP + 'service = "storage"\n',
            ':6: step 1: service: nothing goes there without backends = { storage = "s3" }',
        ),
        (
            _HEAD + _FAULT.replace("gateway->mlflow", "mlflow->database") + "do = { drop = true }\n",
            ':5: step 1: edge: nothing goes there without backends = { database = "postgres" }',
        ),
        (
            _HEAD + _DEPLOY + 'service = "database"\n',
            ":5: step 1: the database is no ECS service; it knows restart, stop, crash and hang alone",
        ),
        (_HEAD + 'a = "b\n', ":3: not TOML at column 7: Illegal character '\\n'"),
        ('name = "x"\nsummary = \n', ":2: not TOML at column 11: Invalid value"),
        ("name = [1,\n\n", ":2: not TOML: Invalid value"),
    ],
)  # fmt: skip
def test_a_refusal_says_where_what_and_what_is_allowed(tmp_path: Path, text: str, sentence: str) -> None:
    """The file, the line, and one sentence that the scenario's author can act on."""
    assert _refusal(tmp_path, text) == sentence


def test_a_step_that_cannot_be_applied_is_named_with_file_and_line() -> None:
    """Whoever applies the steps knows their numbers only."""
    loaded = parse_scenario(_HEAD + _AWS + _STOP + 'service = "auth"\n', "x.toml")
    refused = ScenarioError("step 2: not today")
    with pytest.raises(ScenarioError) as caught, loaded.at_step(2):
        raise refused
    assert str(caught.value) == "x.toml:7: step 2: not today"


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A scenario is UTF-8."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(SandboxError) as caught:
        load_scenario(path)
    assert str(caught.value) == f"{path}: not UTF-8: invalid start byte at byte 8"


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_every_behaviour_of_the_contract_can_be_switched_on(name: str) -> None:
    """By its name alone."""
    assert parse_scenario(f'{_HEAD}behaviours = ["{name}"]\n', "x").switched_on == (name,)


def test_the_behaviours_are_those_of_the_contract() -> None:
    """No more, no less."""
    behaviours = {
        "outage-as-401", "cache-off", "health-status-500", "breaker-open-500", "breaker-stuck-open",
        "breaker-reset-open",
        "is-valid-ignored", "invalid-key-accepted", "mlflow-open-from-outside", "public-paths-need-key",
        "preflight-needs-key", "no-scope-check", "admin-only", "route-missing", "artifact-path-untranslated",
        "api-2.0-mount-strips-prefix", "auth-header-dropped", "key-sent-in-body", "event-loop-blocked",
        "ready-200-when-not", "health-constant", "health-uses-other-tls", "webhook-secret-wrong",
        "artifacts-disabled", "artifacts-on-task-disk", "file-store",
    }  # fmt: skip
    assert behaviours == BEHAVIOURS


def test_everything_that_the_contract_shows_is_accepted() -> None:
    """Stores, situations, actions and edges; what a store's fault needs is there."""
    text = _HEAD + 'backends = { database = "postgres", storage = "s3" }\n'
    text += '[given]\naws = "refused"\nclock_offset_s = -3600\n'
    for service in ("cache", "database", "storage"):
        for action in ("stop", "crash", "hang", "restart"):
            text += f'[[step]]\nkind = "service"\nservice = "{service}"\naction = "{action}"\n'
    for edge in get_args(Edge):
        text += f'[[step]]\nkind = "fault"\nedge = "{edge}"\nevery = 3\ndo = {{ drop = true }}\n'
    loaded = parse_scenario(text, "x")
    assert (loaded.backends.database, loaded.given.aws, loaded.given.clock_offset_s) == (
        "postgres",
        "refused",
        -3600,
    )
    assert len(loaded.step) == 12 + 14


def test_a_registry_may_hold_three_hundred_things() -> None:
    """The limit itself is allowed, however they are divided."""
    seed = parse_scenario(f"{_HEAD}seed_registry = {{ models = 300 }}\n", "x").seed_registry
    assert (seed.experiments, seed.models) == (0, 300)


def test_a_name_that_does_not_ship_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """Neither a shipped name nor a file."""
    with pytest.raises(SandboxError) as caught:
        load_scenario("helthy")
    assert str(caught.value) == (
        "no scenario 'helthy'; did you mean 'healthy'? `hokusai-probe scenarios` lists them"
    )


def test_a_shipped_name_wins_over_a_directory_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the command is called does not change what a name means."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "healthy").mkdir()
    assert load_scenario("healthy").name == "healthy"


def test_the_seed_day_of_august_is_made_of_aws_calls_alone() -> None:
    """What broke that day was configuration; the services ran."""
    loaded = load_scenario("2025-08-05")
    assert {step.kind for step in loaded.step} == {"aws"}
    assert loaded.expect.causes == (
        "target-port-mismatch",
        "listener-rule-wrong-target-group",
        "listener-rules-only-on-http",
    )
