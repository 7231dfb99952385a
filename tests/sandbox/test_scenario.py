"""Scenario files: what is accepted, and how refusals read."""

from pathlib import Path

import pytest

from hokusai_probe.sandbox import SandboxError, load_scenario, scenario_names
from hokusai_probe.sandbox.scenario import PRESETS, AwsStep, Scenario

_HEAD = 'name = "mine"\nsummary = "s"\n'


def _refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SandboxError) as caught:
        load_scenario(path)
    return str(caught.value).removeprefix(f"{path}: ")


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


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            _HEAD + '[[step]]\nkind = "aws"\nsevice = "ecs"\ncall = "x"\n',
            "step 1: unknown key 'sevice'; did you mean 'service'? (allowed: call, kind, params",
        ),
        (
            _HEAD + "behavours = []\n",
            "unknown key 'behavours'; did you mean 'behaviours'? (allowed: backends, behaviours, expect",
        ),
        (
            _HEAD + 'behaviours = ["cach-off"]\n',
            "behaviours: unknown behaviour 'cach-off'; did you mean 'cache-off'?",
        ),
        (
            _HEAD + 'behaviours = ["admin-only"]\n',
            "behaviours: the behaviour 'admin-only' is not in this version",
        ),
        (_HEAD + 'preset = "2024"\n', "preset: unknown preset '2024' (allowed: 2025-08)"),
        (
            _HEAD + '[given]\nkey = "stale"\n',
            "given: key: Input should be 'valid', 'admin', 'read-only', 'other-service', 'unknown'",
        ),
        (
            _HEAD + '[given]\naws = "refused"\n',
            "given: aws = 'refused' is not in this version; use full, none or missing",
        ),
        (
            _HEAD + 'backends = { database = "postgres" }\n',
            "backends: database: the database 'postgres' is not in this version; use 'sqlite'",
        ),
        (
            _HEAD + '[[step]]\nkind = "aws"\nservice = "ecs"\ncall = "x"\nparams = { A = "{clutser}" }\n',
            "step 1: unknown name {clutser}; did you mean {cluster}?",
        ),
        (
            _HEAD + '[[step]]\nkind = "aws"\nservice = "ecs"\ncall = "x"\nparams = { A = "{saved.a.B}" }\n',
            "step 1 uses {saved.a...}, but no earlier step saves that",
        ),
        (
            _HEAD
            + '[[step]]\nkind = "aws"\nservice = "s3"\ncall = "x"\nparams = { A = "{bucket.artifacts}" }\n',
            'step 1: {bucket.artifacts} exists only with backends = { storage = "s3" }',
        ),
        (
            _HEAD + '[[step]]\nkind = "service"\nservice = "gateway"\naction = "stop"\nenv = { A = "b" }\n',
            "step 1: env, unset, secrets, unset_secrets, image go with deploy and restart only",
        ),
        (
            _HEAD + '[[step]]\nkind = "service"\nservice = "database"\naction = "stop"\n',
            "step 1: steps on the service 'database' are not in this version",
        ),
        (
            _HEAD + '[[step]]\nkind = "fault"\nedge = "client->aws"\ndo = { drop = true }\n',
            "step 1: faults on the edge 'client->aws' are not in this version",
        ),
    ],
)
def test_a_refusal_says_where_what_and_what_is_allowed(tmp_path: Path, text: str, sentence: str) -> None:
    """One sentence that the scenario's author can act on."""
    assert _refusal(tmp_path, text).startswith(sentence)


def test_text_that_is_not_toml_names_the_line(tmp_path: Path) -> None:
    """The parser's own place is kept."""
    assert "line 2" in _refusal(tmp_path, 'name = "x"\nsummary = \n')


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
    assert [step.kind for step in loaded.step] == ["aws"] * 5
    assert loaded.expect.causes == (
        "target-port-mismatch",
        "listener-rule-wrong-target-group",
        "listener-rules-only-on-http",
    )
