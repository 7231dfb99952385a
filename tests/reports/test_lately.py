"""What changed lately is said beside the diagnosis that it concerns, and nowhere else."""

from datetime import timedelta
from typing import Any

import made
import pytest
from _facts import DENIED

from hokusai_probe.model import Diagnosis, Evidence, Observation, Remedy, Report
from hokusai_probe.probes.changes import Change, ChangesFacts
from hokusai_probe.probes.images import Image, ImagesFacts
from hokusai_probe.reports import changes, markdown

CLUSTER = "hokusai-development"


def change(*things: str, minutes: int = 0, **more: str) -> Change:
    """A change of these things, so many minutes before the run."""
    given = {"call": "elasticloadbalancing:ModifyRule", "who": "eve"} | more
    return Change(at=made.WHEN - timedelta(minutes=minutes), things=things, **given)


def diagnosed(*lines: str) -> Diagnosis:
    """A diagnosis whose remedy types these lines."""
    evidence = (Evidence(probe="p", fact="f", value=9000, text="t"),)
    remedy = Remedy(kind="automatic", summary="s", aws_cli=lines)
    return Diagnosis(
        cause="target-port-mismatch", component="load-balancer", status="present", because="b",
        evidence=evidence, remedy=remedy, priority="high", effort="minutes",
    )  # fmt: skip


def seen(*found: Change) -> Report:
    """A report with these changes."""
    look = Observation(
        probe="changes",
        started_at=made.WHEN,
        duration_s=0.1,
        status="seen",
        facts=ChangesFacts(changes=found, since=made.WHEN - timedelta(days=3)),
    )
    report = made.two_causes()
    return report.model_copy(update={"observations": (*report.observations, look)})


def test_a_change_of_what_the_remedy_touches() -> None:
    """By its ARN or by the name in it."""
    report = seen(change(made.ARN, minutes=5), change("something-else"))
    line = f"- 2025-08-05 09:22 UTC: `elasticloadbalancing:ModifyRule` by eve (`{made.ARN}`)"

    assert changes.beside(report, diagnosed(f"aws elbv2 x --target-group-arn {made.ARN}")) == line
    assert changes.beside(report, diagnosed("aws elbv2 x --names auth")) == line


@pytest.mark.parametrize("thing", ["other", CLUSTER, f"arn:aws:ecs:us-east-1:1:cluster/{CLUSTER}"])
def test_what_is_everywhere_tells_nothing(thing: str) -> None:
    """Another thing is not there, and the cluster is in every command of ECS."""
    found = diagnosed(f"aws ecs update-service --cluster {CLUSTER} --service x-y-z")

    assert changes.beside(seen(change(thing)), found) == ""


ELB = "arn:aws:elasticloadbalancing:us-east-1:1"
OURS = f"{ELB}:listener-rule/app/hokusai-main/0123456789abcdef/1123456789abcdef/2123456789abcdef"
ECS = "arn:aws:ecs:us-east-1:1"
SECRET = "arn:aws:secretsmanager:us-east-1:1:secret:hokusai/app-a1B2c3"


@pytest.mark.parametrize(
    ("thing", "typed", "theirs"),
    [
        (f"{ELB}:loadbalancer/app/strange/9123456789abcdef", OURS, False),
        (f"{ELB}:listener/app/strange/9123456789abcdef/8123456789abcdef", OURS, False),
        (f"{ELB}:listener/app/hokusai-main/0123456789abcdef/1123456789abcdef", OURS, True),
        ("hokusai-main", OURS, True),
        (f"{ECS}:task-definition/strange:2", f"{ECS}:task-definition/gateway:2", False),
        (f"{ECS}:task-definition/gateway:1", f"{ECS}:task-definition/gateway:2", True),
        ("gateway", f"{ECS}:task-definition/gateway:2", True),
        (f"{ECS}:service/{CLUSTER}/strange", f"{ECS}:service/{CLUSTER}/gateway", False),
        ("gateway", f"{ECS}:service/{CLUSTER}/gateway", True),
        (
            f"{SECRET}:password::",
            "arn:aws:secretsmanager:us-east-1:1:secret:strange-d4E5f6:password::",
            False,
        ),
        (f"{SECRET}:password::", f"{SECRET}:user::", True),
        ("artifacts", "arn:aws:s3:::artifacts", True),
        ("arn:aws", f"{ELB}:listener/app", False),
        ("arn:aws:s3:::strange", "arn:aws:s3:::artifacts", False),
    ],
)
def test_a_strangers_things_of_the_same_kind_are_not_there(thing: str, typed: str, *, theirs: bool) -> None:
    """In one account there are many load balancers, revisions and secrets: kind and number name none."""
    found = diagnosed(f"aws x y --z {typed}")

    assert bool(changes.beside(seen(change(thing)), found)) is theirs


def test_a_refusal_is_said_and_five_are_enough() -> None:
    """The newest five, each with AWS's refusal where there was one."""
    many = [change("svc-a", minutes=n, error="AccessDenied") for n in range(9)]
    lines = changes.beside(seen(*many), diagnosed("aws ecs y --service svc-a")).splitlines()

    assert len(lines) == 5
    assert "refused: `AccessDenied`" in lines[0]


def test_the_report_has_its_section_and_hostile_names_stay_inert() -> None:
    """Whatever a caller calls itself, it is text."""
    report = seen(change(made.ARN, who="<script>alert(1)</script>"))
    text = markdown.render(report)

    assert ("#### What changed there lately" in text, "<script>" in text) == (True, False)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"complete": True}, "- Changes in AWS since 2025-08-02 09:27 UTC: 0"),
        ({}, "- Changes in AWS since 2025-08-02 09:27 UTC: 0, and there are more"),
        ({"failure": DENIED}, "- Changes in AWS: not known (cloudtrail:LookupEvents: denied)"),
    ],
)
def test_how_far_the_history_was_read(facts: dict[str, Any], says: str) -> None:
    """None seen and not allowed to see are two things."""
    report = seen()
    *others, look = report.observations
    assert isinstance(look.facts, ChangesFacts)
    given = look.model_copy(update={"facts": look.facts.model_copy(update=facts)})

    assert says in markdown.render(report.model_copy(update={"observations": (*others, given)})).splitlines()


def test_a_recorded_report_says_the_same() -> None:
    """Facts that were read from JSON are the same facts."""
    report = seen(change("svc-a"))

    assert changes.recorded(Report.read(report.to_json())) == changes.recorded(report)


SHA = "0123abcd0123abcd0123abcd0123abcd0123abcd"


@pytest.mark.parametrize(
    ("tags", "sha", "said"),
    [
        (("latest", "0123abcd"), SHA, "the gateway service's, pushed 2025-08-05 09:27 UTC"),
        (("main-" + SHA,), SHA, "the gateway service's, pushed 2025-08-05 09:27 UTC"),
        (("latest", "0123"), SHA, "none"),
        (("latest",), None, ""),
        ((), SHA, ""),
    ],
)
def test_which_images_are_of_the_commit_under_test(tags: tuple[str, ...], sha: str | None, said: str) -> None:
    """By their tags, of which seven characters of the commit are enough; silent where nothing is known."""
    images = {"gateway": Image(uri="x", tags=tags, pushed_at=made.WHEN)}
    look = Observation(
        probe="images", started_at=made.WHEN, duration_s=0.1, status="seen", facts=ImagesFacts(images=images)
    )
    report = made.two_causes().model_copy(update={"observations": (look,), "verified_sha": sha})
    line = f"Images in use that are tagged with it: {said}" if said else ""

    assert changes.built_from(report) == line
    assert (line in markdown.render(report)) or not line
