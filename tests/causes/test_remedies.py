"""What remedies tell a person to type: it can be pasted, and the shell trips on nothing in it."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _facts import (
    MAIN_DEFAULT,
    NOT_FOUND,
    OUTSIDE,
    SEARCH,
    TARGET,
    api_facts,
    bad_gateway,
    balancer,
    definition_facts,
    ecs_facts,
    fixed_404,
    forward,
    group,
    group_facts,
    hosts_facts,
    inside,
    mlflow_404,
    outside,
    path_facts,
    rule,
    rules_facts,
    unavailable,
)
from test_diagnoses import (
    BLIND,
    PLAIN,
    WITH_AWS,
    WITHOUT_AWS,
    WRONG_PORT,
    bare_facts,
    behind_auth,
    concluded,
    mlflow_unreached,
    registration,
)

from hokusai_probe.declare import Case, Catalogue
from hokusai_probe.engine import arguments_of
from hokusai_probe.model import Facts, Observation, Remedy, Target
from hokusai_probe.probes.cache_effect import CacheEffectFacts

SEEN = {"started_at": "2025-08-05T09:27:00Z", "duration_s": 0.1, "status": "seen"}
STORIES: dict[str, tuple[dict[str, Facts], Target]] = {
    **{f"with AWS: {name}": (facts, TARGET) for name, (facts, _, _) in WITH_AWS.items()},
    **{f"without AWS: {name}": (facts, OUTSIDE) for name, (facts, _, _) in WITHOUT_AWS.items()},
    "with AWS denied": (behind_auth(unavailable()) | {"r": registration(unavailable())} | BLIND, TARGET),
    "the cache is not used": (
        outside() | inside() | {"c": CacheEffectFacts(group="g", calls=(404,) * 4, validations=(1,) * 4)},
        TARGET,
    ),
    "no task is wanted": (
        behind_auth(unavailable()) | inside(ecs_services=ecs_facts(auth={"desired": 0, "running": 0})),
        TARGET,
    ),
    "a plain server": ({"hosts": bare_facts(PLAIN["silent"][0])}, OUTSIDE),
}
COMMANDS = ("aws ", "curl ")
MOST_COMMON_BLOCKS = 10  # fewer, and the stories do not show what is told


def cases(real: Catalogue, name: str) -> Iterator[Case]:
    """Every case that a cause yields in a story, present or not."""
    facts, target = STORIES[name]
    seen = [Observation(probe=f.probe, facts=f, **SEEN) for f in facts.values()]
    for cause in real.causes.values():
        given = arguments_of(cause, {o.probe: o for o in seen}, target)
        yield from cause.function(**given) if given is not None else ()


def typed(case: Case) -> Iterator[str]:
    """All that a case tells people to type."""
    yield from (c.aws_cli for c in case.claims if c.aws_cli)
    if case.remedy is not None:
        yield from (*case.remedy.before, *case.remedy.aws_cli, *case.remedy.after, case.remedy.rollback)


def is_good_shell(lines: list[str]) -> bool:
    """Whether bash reads these lines without complaint; nothing is run."""
    done = subprocess.run(
        ["bash", "-n"], input="\n".join(lines), text=True, capture_output=True, timeout=10, check=False
    )
    return done.returncode == 0


def bare_brackets(line: str) -> list[str]:
    """Angle brackets outside quotes, but for a redirection into a JSON file."""
    unquoted = re.sub(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", "", line)
    return re.findall(r"<|>(?! [a-z]+\.json$)", unquoted)


@pytest.mark.parametrize("name", STORIES)
def test_every_command_can_be_pasted(real: Catalogue, name: str) -> None:
    """Bash reads each, alone and after the others, and no angle bracket stands for a value."""
    found = [line for case in cases(real, name) for line in typed(case)]
    assert found
    assert is_good_shell(found)
    assert [line for line in dict.fromkeys(found) if bare_brackets(line)] == []


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed here")
def test_every_block_of_terraform_is_formatted(real: Catalogue, tmp_path: Path) -> None:
    """``terraform fmt`` reads each and has nothing to change."""
    remedies = (case.remedy for name in STORIES for case in cases(real, name))
    blocks = sorted({remedy.terraform for remedy in remedies if remedy and remedy.terraform})
    for number, block in enumerate(blocks):
        (tmp_path / f"{number}.tf").write_text(block, encoding="utf-8")
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-no-color", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert len(blocks) > MOST_COMMON_BLOCKS
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_every_single_command_can_be_pasted(real: Catalogue) -> None:
    """A quote that one line opens must not be closed by the next."""
    found = {line for name in STORIES for case in cases(real, name) for line in typed(case)}
    assert [line for line in sorted(found) if not is_good_shell([line])] == []


@pytest.mark.parametrize("name", STORIES)
def test_every_variable_is_set_before_it_is_used(real: Catalogue, name: str) -> None:
    """What only a person knows stands in a line of its own, or at the line's start."""
    for remedy in (c.remedy for c in cases(real, name) if c.remedy):
        for block in (remedy.aws_cli, *((line,) for line in (*remedy.before, *remedy.after))):
            assert unset(block) == set(), block
        assert unset([remedy.rollback]) == set()


def unset(block: Any) -> set[str]:
    """Variables of a block that no earlier part of it sets."""
    text = "\n".join(block)
    return {m[1] for m in re.finditer(r"\$([A-Z_]+)", text) if f"{m[1]}='" not in text[: m.start()]}


@pytest.mark.parametrize("name", STORIES)
def test_automatic_means_that_nothing_is_missing(real: Catalogue, name: str) -> None:
    """There is a command, and no variable to set and nothing to do by hand."""
    for remedy in (c.remedy for c in cases(real, name) if c.remedy and c.remedy.kind == "automatic"):
        assert remedy.aws_cli
        assert all(line.startswith(COMMANDS) for line in remedy.aws_cli)
        assert not any("$" in line for line in remedy.aws_cli if "python3" not in line)


def none_runs(case: Case) -> bool:
    """Whether ECS is told to run no task or has no such service, or was not asked."""
    asked = [c for c in case.claims if c.probe == "ecs-services"]
    return any(c.holds is None or c.fact.endswith((".desired", ".missing", ".status")) for c in asked)


@pytest.mark.parametrize("name", STORIES)
def test_nobody_is_told_to_change_how_many_tasks_run(real: Catalogue, name: str) -> None:
    """But where there is none: who had three of them must not be left with one."""
    changing = [
        case
        for case in cases(real, name)
        if any("--desired-count" in line for line in typed(case))
        and not any(c.holds is False for c in case.claims)
    ]
    assert [case.subject for case in changing if not none_runs(case)] == []
    assert changing or name != "no task is wanted"


@pytest.mark.parametrize("name", STORIES)
def test_a_way_back_is_a_command_or_prose_and_never_in_between(real: Catalogue, name: str) -> None:
    """What starts like a command is one: it names no "the", as prose would."""
    for remedy in (c.remedy for c in cases(real, name) if c.remedy):
        for line in remedy.rollback.splitlines():
            words = shlex.split(line) if line.startswith(COMMANDS) else []
            assert not {"the", "with", "previous", "last"} & set(words), line


def test_quotes_are_seen_for_what_they_are() -> None:
    """The measures above measure."""
    assert not is_good_shell(["echo 'open"])
    assert is_good_shell(['aws x --y "$Z"'])
    assert bare_brackets("aws --cluster <cluster>") == ["<", ">"]
    assert bare_brackets("aws '<a>' \"<b>\" > gateway.json") == []
    assert unset(["A='x'", 'aws "$A" "$B"']) == {"B"}


# --- single remedies ----------------------------------------------------------------------------------


def remedy_of(real: Catalogue, facts: dict[str, Facts], cause: str) -> Remedy:
    """The remedy of a present cause."""
    (found,) = (
        d for d in concluded(real, facts.values()).diagnoses if (d.status, d.cause) == ("present", cause)
    )
    assert found.remedy is not None
    return found.remedy


def test_a_target_is_registered_rightly_before_it_is_removed(real: Catalogue) -> None:
    """The first line alone must not take away what is there."""
    remedy = remedy_of(
        real, behind_auth(bad_gateway()) | inside(target_groups=WRONG_PORT), "target-port-mismatch"
    )
    arn = group("auth").arn
    assert remedy.aws_cli == (
        f"aws elbv2 register-targets --target-group-arn {arn} --targets Id=10.0.1.10,Port=8000",
        f"aws elbv2 deregister-targets --target-group-arn {arn} --targets Id=10.0.1.10,Port=9000",
    )
    assert remedy.kind == "automatic"


def test_an_empty_group_is_filled_by_a_deployment_of_the_named_service(real: Catalogue) -> None:
    """Nothing is left to fill in."""
    facts = behind_auth(unavailable()) | inside(target_groups=group_facts(auth=group("auth")))
    remedy = remedy_of(real, facts, "target-group-empty")
    (line,) = remedy.aws_cli
    assert remedy.kind == "automatic"
    assert line == (
        "aws ecs update-service --cluster hokusai-development "
        "--service hokusai-auth-development --force-new-deployment"
    )


def test_the_address_of_mlflow_is_mended_by_three_commands(real: Catalogue) -> None:
    """The edit is made by the first, which writes what RegisterTaskDefinition takes and nothing more."""
    facts = mlflow_unreached() | inside(task_definitions=definition_facts("http://mlflow.old.local:5000"))
    remedy = remedy_of(real, facts, "gateway-mlflow-url-wrong")
    url = "http://mlflow.hokusai.local:5000/mlflow"
    edit, register, deploy = remedy.aws_cli
    assert remedy.kind == "automatic"
    assert url in remedy.summary
    assert url in remedy.terraform
    assert register == "aws ecs register-task-definition --cli-input-json file://gateway.json"
    assert deploy == (
        "aws ecs update-service --cluster hokusai-development --service hokusai-api-development "
        "--task-definition gateway"
    )
    assert edited(edit) == {
        "family": "gateway",
        "containerDefinitions": [
            {"name": "side"},
            {"name": "gateway", "environment": [{"name": "A", "value": "b"},
                                                {"name": "MLFLOW_SERVER_URL", "value": url}]},
        ],
    }  # fmt: skip


def edited(command: str) -> Any:
    """What the middle of the pipe makes of a task definition."""
    before = {
        "family": "gateway",
        "revision": 7,
        "status": "ACTIVE",
        "containerDefinitions": [
            {"name": "side"},
            {"name": "gateway", "environment": [{"name": "A", "value": "b"},
                                                {"name": "MLFLOW_SERVER_URL", "value": "old"}]},
        ],
    }  # fmt: skip
    words = shlex.split(command.partition(" | ")[2].partition(" > ")[0])
    assert words[0] == "python3"
    done = subprocess.run(
        [sys.executable, *words[1:]], input=json.dumps(before), text=True, capture_output=True,
        timeout=20, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


HEALTH = rule("100", forward("gateway"), path_pattern=("/health",), host_header=("api.hokus.ai",))
ADMIN = rule("110", forward("gateway"), source_ip=("10.0.0.0/8",))
HEADER = rule("120", forward("gateway"), http_header=("x",))


def test_rules_of_port_80_are_copied_whole_and_none_is_dropped(real: Catalogue) -> None:
    """A priority that port 443 has taken makes way for the next; what was not read whole is said."""
    taken = rule("100", forward("gateway"), path_pattern=("/ready",))
    here = balancer("main", taken, MAIN_DEFAULT, http=(HEALTH, ADMIN, HEADER))
    facts = outside(hosts=hosts_facts(api=fixed_404())) | inside(listener_rules=rules_facts(main=here))
    remedy = remedy_of(real, facts, "listener-rules-only-on-http")
    created = [shlex.split(line) for line in remedy.aws_cli[:2]]
    assert [words[words.index("--priority") + 1] for words in created] == ["101", "110"]
    assert [json.loads(words[words.index("--conditions") + 1]) for words in created] == [
        [
            {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/health"]}},
            {"Field": "host-header", "HostHeaderConfig": {"Values": ["api.hokus.ai"]}},
        ],
        [{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}],
    ]
    assert remedy.aws_cli[2].startswith("# by hand: rule 120 of port 80 (http-header)")
    assert remedy.kind == "needs-value"
    assert remedy.rollback.splitlines()[0] == (
        f'aws elbv2 delete-rule --rule-arn "$(aws elbv2 describe-rules --listener-arn '
        f'{here.listeners[0].arn} --query "Rules[?Priority==\'101\'].RuleArn" --output text)"'
    )


def test_a_group_of_another_load_balancer_is_not_given_to_a_rule(real: Catalogue) -> None:
    """AWS attaches a group to one load balancer: the registry's is of no use to the api host."""
    nothing = rules_facts(main=balancer("main", MAIN_DEFAULT))
    facts = outside(hosts=hosts_facts(api=fixed_404()))
    borrowed = remedy_of(real, facts | inside(listener_rules=nothing), "listener-rule-missing")
    own = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/api/0123456789abcdef"
    both = ecs_facts(gateway={"target_groups": (group("gateway").arn, own)})
    free = remedy_of(real, facts | inside(listener_rules=nothing, ecs_services=both), "listener-rule-missing")
    assert (borrowed.kind, borrowed.aws_cli[0][:19]) == ("needs-value", "GATEWAY_FREE_GROUP=")
    assert (free.kind, free.aws_cli[0].endswith(f"TargetGroupArn={own}")) == ("automatic", True)


def test_a_new_rule_comes_before_the_one_that_answers_now(real: Catalogue) -> None:
    """A rule of priority 20 that answers 404 itself would hide one of priority 110."""
    first = rule("20", NOT_FOUND, path_pattern=("/health",))
    here = balancer("main", first, rule("19", forward("gateway"), path_pattern=("/api/*",)), MAIN_DEFAULT)
    facts = outside(hosts=hosts_facts(api=fixed_404())) | inside(listener_rules=rules_facts(main=here))
    (line,) = remedy_of(real, facts, "listener-rule-missing").aws_cli
    assert " --priority 18 " in line


def test_a_default_rule_is_pointed_elsewhere_through_its_listener(real: Catalogue) -> None:
    """AWS: ModifyRule does not take a default rule."""
    default = balancer("registry", rule("5", forward("gateway"), path_pattern=("/api/x",)),
                       rule("default", forward("mlflow")))  # fmt: skip
    unasked = path_facts(required=[mlflow_404(path=SEARCH)])
    facts = outside(mlflow_api=api_facts(mlflow_404()), public_paths=unasked) | inside(
        listener_rules=rules_facts(registry=default)
    )
    remedy = remedy_of(real, facts, "listener-rule-wrong-target-group")
    assert remedy.aws_cli[0].startswith(
        f"aws elbv2 modify-listener --listener-arn {default.listeners[0].arn}"
    )
    assert remedy.rollback.endswith(group("mlflow").arn)
