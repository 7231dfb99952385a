"""What issues say: the first screen, what changed, what is mended meanwhile, and the end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from world import Past, World, at, run

from hokusai_probe.aws import AwsFailure
from hokusai_probe.history.index import Point
from hokusai_probe.issues import MOST_CHARACTERS, describe, plan
from hokusai_probe.issues.body import CHANGED
from hokusai_probe.issues.known import Told, told
from hokusai_probe.issues.signs import seen
from hokusai_probe.model import Evidence, Observation, Remedy, Report
from hokusai_probe.probes.changes import Change, ChangesFacts

RECORDED = Path(__file__).parents[2] / "reports" / "test_execution_summary.json"
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/hokusai-auth/0123456789abcdef"
URL = "https://github.example/o/n/actions/runs/7"
NO_RECORD = "What changed then is not known: AWS's record of changes was not looked at."


def with_changes(report: Report, *changes: Change, failed: bool = False) -> Report:
    """The report with what AWS's history gave, and its first cause about the auth target group."""
    failure = AwsFailure(kind="denied", code="AccessDenied") if failed else None
    facts = ChangesFacts(
        changes=changes, since=report.started_at - timedelta(days=3), complete=True, failure=failure
    )
    look = Observation(
        probe="changes", started_at=report.started_at, duration_s=1.0, status="seen", facts=facts
    )
    said = Evidence(probe="target-groups", fact="arn", value=ARN, text="the wrong port")
    causes = tuple(d.model_copy(update={"evidence": (said,)}) for d in report.diagnoses)
    return report.model_copy(update={"observations": (look,), "diagnoses": causes})


def change(hours: float, call: str = "elasticloadbalancing:RegisterTargets", **more: Any) -> Change:
    """A change of the auth target group."""
    return Change(at=at(hours), call=call, who="ann", things=(ARN,), **more)


def first_screen(said: str) -> list[str]:
    """The blocks of a text before its first heading, less those for us alone."""
    return said.partition("\n## ")[0].strip().split("\n\n")[1:]


def past(*reports: Report) -> dict[str, list[Point]]:
    """A history of these runs."""
    return {"here": [seen(report) for report in reports]}


def test_the_first_screen() -> None:
    """What users cannot do, since when, who, what changed then and since, one command, one way to see."""
    mend = Remedy(kind="automatic", summary="Register it.", aws_cli=("aws elbv2 register-targets",))
    down = with_changes(run(2, ["auth"]), change(1.5), change(2.5), change(0.5), change(-0.5))
    causes = tuple(d.model_copy(update={"remedy": mend}) for d in down.diagnoses)
    (action,) = plan(
        [down.model_copy(update={"diagnoses": causes})], past(run(0), run(1, ["auth"])), run_url=URL
    )
    assert first_screen(action.body) == [
        (
            "**Nobody can register a model: 4 of 16 checks fail.** "
            "Failing here: `auth-1`, `auth-0`, `auth-3` and 1 more."
        ),
        (
            "Began between 2026-01-05 00:00 UTC (last good run) and 2026-01-05 01:00 UTC "
            "(first bad one; 2 bad runs so far). **auth** must act."
        ),
        f"{CHANGED}\n- 2026-01-05 00:30 UTC: `RegisterTargets` by ann at `hokusai-auth`",
        (
            "**Changed there since:**\n"
            "- 2026-01-05 01:30 UTC: `RegisterTargets` by ann at `hokusai-auth`\n"
            "- 2026-01-05 02:30 UTC: `RegisterTargets` by ann at `hokusai-auth`"
        ),
        "First:",
        "```sh\naws elbv2 register-targets\n```",
        "Then see whether it helped, with the file of this target in place of the path:",
        "```sh\nhokusai-probe verify auth-down path/to/target.toml\n```",
    ]
    assert f"- [the run that looked last]({URL})\n" in action.body
    assert "Last verified 2026-01-05 02:00 UTC (schedule run)." in action.body


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (run(1, ["auth"]), NO_RECORD),
        (
            with_changes(run(1, ["auth"])),
            (
                "What changed then: nothing is recorded of what this speaks of. "
                "Changes in AWS since 2026-01-02 01:00 UTC: 0."
            ),
        ),
        (
            with_changes(run(1, ["auth"]), failed=True),
            "What changed then is not known: AWS's record of changes could not be read.",
        ),
        (
            run(1, ["auth"], trigger="deploy").model_copy(update={"verified_sha": "0123abcd"}),
            "The newest run was made for a deployment of commit `0123abcd`.",
        ),
    ],
)
def test_what_changed_is_never_invented(report: Report, said: str) -> None:
    """Nothing recorded, nothing readable and nothing looked at are three things."""
    (action,) = plan([report], past(run(0)))
    assert said in first_screen(action.body)


def test_what_changed_then_is_kept_when_the_record_no_longer_reaches_back() -> None:
    """AWS is asked for three days; on a Monday, what an issue said on Friday stands."""
    friday = with_changes(run(1, ["auth"]), change(0.5))
    world = World().after(plan([friday], past(run(0), run(0.9, ["auth"]))), at(1))
    (monday,) = plan([run(64, ["auth"])], past(run(0), run(0.9, ["auth"]), friday), world.issues)
    kept = next(b for b in first_screen(monday.body) if b.startswith(CHANGED))
    assert kept == f"{CHANGED}\n- 2026-01-05 00:30 UTC: `RegisterTargets` by ann at `hokusai-auth`"
    assert NO_RECORD not in monday.body


def test_boxes_are_ticked_as_other_components_come_back() -> None:
    """A component is ticked when everything passes again that failed or waited because of this."""
    both = ("auth-0", "gateway-1", "mlflow-2")
    wide = run(0, ["auth"])
    bad = {"status": "fail", "reason": "502"}
    verdicts = tuple(v.model_copy(update=bad) if v.check in both else v for v in wide.verdicts)
    cause = wide.diagnoses[0].model_copy(update={"explains": both})
    first, second = (
        wide.model_copy(update={"verdicts": verdicts, "diagnoses": (cause,), "started_at": at(n)})
        for n in (0, 1)
    )
    opened = plan([first, second])
    assert "## What fails downstream of it\n\n- [ ] gateway: `gateway-1`\n- [ ] mlflow: `mlflow-2`" in (
        opened[0].body
    )
    partly = tuple(v if v.check != "gateway-1" else run(2).verdicts[5] for v in verdicts)
    last = second.model_copy(
        update={
            "verdicts": partly,
            "diagnoses": (cause.model_copy(update={"explains": ("auth-0", "mlflow-2")}),),
            "started_at": at(2),
        }
    )
    (action,) = plan([last], past(first, second), World().after(opened, at(1)).issues)
    assert "- [x] gateway: `gateway-1`\n- [ ] mlflow: `mlflow-2`" in action.body


def test_the_end() -> None:
    """The text of an issue that is over: what it was, when it ended, how long it lasted."""
    world, kept = World(), Past()
    for report in (run(0), *(run(n, ["auth"]) for n in (1, 2, 3)), run(4), run(5)):
        world = world.after(plan([report], kept.by_target(), world.issues), report.started_at)
        kept.add(report)
    assert world.issue(1).body == (
        "<!-- hokusai-probe: here/auth -->\n"
        "<!-- hokusai-probe-state: over since=2026-01-05T01:00Z good=2026-01-05T00:00Z -->\n\n"
        "**Over: all that this was about passes again.** 2 runs in a row found so. It began after "
        "2026-01-05 00:00 UTC and by 2026-01-05 01:00 UTC, and ended after 2026-01-05 03:00 UTC and by "
        "2026-01-05 04:00 UTC: it lasted 2.0 h at least and 4.0 h at most, in 3 runs.\n\n"
        "It was: `auth-down`.\n\n"
        "To see for yourself:\n\n"
        "```sh\nhokusai-probe verify auth-down path/to/target.toml\n```\n\n"
        "What was said here while it lasted is in this text's history: the word *edited* above it.\n\n"
        "If it comes back within 72 hours, this is reopened; later, there is a new one.\n\n"
        "Last verified 2026-01-05 05:00 UTC (schedule run).\n\n"
        "Kept true by hokusai-probe `0.1.0`: this text is replaced when what is known changes; comments "
        "stay. To keep it quiet, label it `probe-mute`, lock it, or close it: closed by hand it stays closed "
        "until what it is about has passed once.\n"
    )


def test_a_plan_for_the_terminal_shows_all_that_would_be_done() -> None:
    """Beside reason, labels and text: the comment, and the labels that go."""
    world = World().after(plan([run(0, ["auth"]), run(1, ["auth"])]), at(1))
    world = world.by_hand(1, labels=(*world.issue(1).labels, "cause:gone"))
    said = describe(plan([run(2, ["auth"])], past(run(0, ["auth"]), run(1, ["auth"])), world.issues))
    assert said.splitlines()[:5] == [
        "update #1: here: auth must act: auth-down",
        "  because what it says is no longer all that is known",
        "  labels: hokusai-probe, cause:auth-down",
        "  labels that go: cause:gone",
        "  | <!-- hokusai-probe: here/auth -->",
    ]
    over = describe(plan([run(2), run(3)], past(run(0, ["auth"]), run(1, ["auth"])), world.issues))
    assert "\n  > Over: all that this was about passes again. 2 runs in a row found so." in over


def test_the_recorded_day_fits_on_a_screen() -> None:
    """The issue of 2025-08-05: in forty lines the loss, the beginning, the changes, a command, a check."""
    report = Report.read(RECORDED.read_text("utf-8"))
    later = report.model_copy(update={"started_at": report.started_at + timedelta(hours=1)})
    (action,) = plan([report, later], repository="example/infrastructure")
    screen = first_screen(action.body)
    begins = [block.split(" ")[0].split("\n")[0] for block in screen]
    assert begins == ["**Nobody", "Began", "**What", "First", "```sh", "Then", "```sh"]
    assert sum(len(block.splitlines()) for block in screen) < 40
    assert len(action.body) < MOST_CHARACTERS / 3
    headings = [line for line in action.body.splitlines() if line.startswith("## ")]
    assert [h.partition("`")[0] for h in headings] == [
        "## 1. ",
        "## 2. ",
        "## 3. ",
        "## What was ruled out",
        "## What fails downstream of it",
        "## Reproduce",
        "## Links",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "<!-- hokusai-probe-state: failing since=2026-01-39T06:00Z good=2026-01-05T05:00Z -->",
        "<!-- hokusai-probe-state: fine -->",
        "somebody edited this",
        "",
    ],
)
def test_a_second_line_that_somebody_edited_says_nothing(line: str) -> None:
    """Then the runs alone say since when."""
    assert told(f"<!-- hokusai-probe: here/auth -->\n{line}\n\nmore").since is None


@pytest.mark.parametrize("kind", ["failing", "over", "duplicate"])
@pytest.mark.parametrize("flag", [{}, {"down": True}, {"flapping": True, "said": True}])
def test_what_an_issue_says_of_itself_is_read_as_it_was_written(kind: Any, flag: dict[str, Any]) -> None:
    """On the second line, under our marker, whatever line ends GitHub makes of it."""
    meant = Told(kind=kind, since=at(1), good=at(0), **flag)
    assert told(f"<!-- hokusai-probe: here/auth -->\r\n{meant.line()}\r\n") == meant
    assert told(f"no marker\n{meant.line()}\n") == Told(kind="failing")
