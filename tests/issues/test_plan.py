"""What should become of the issues, for any reports and any issues that exist already."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hokusai_probe.issues import (
    BOT,
    MOST_CHARACTERS,
    MUTE_LABEL,
    Action,
    KnownIssue,
    describe,
    key_of,
    plan,
)
from hokusai_probe.issues.known import told
from hokusai_probe.model import (
    Diagnosis,
    Evidence,
    Hosts,
    IssueSettings,
    Mute,
    Owner,
    Remedy,
    Report,
    Settling,
    Target,
    Verdict,
)
from hokusai_probe.reports.discretion import to_publish
from hokusai_probe.score import score

WHEN = datetime(2026, 1, 5, 6, tzinfo=UTC)
TARGET = Target(name="here", hosts=Hosts(registry="https://registry.example"))


def verdict(check: str, component: str = "auth", hop: str = "auth", **more: Any) -> Verdict:
    """A failing verdict."""
    given = {"status": "fail", "reason": "502", "title": f"{check} works", "probe": "look"} | more
    return Verdict(check=check, area="infrastructure", component=component, hop=hop, **given)  # type: ignore[arg-type]


def cause(slug: str, component: str = "auth", explains: tuple[str, ...] = (), **more: Any) -> Diagnosis:
    """A present diagnosis."""
    given = {"status": "present", "because": "it does not answer", "priority": "high", "effort": "minutes"}
    return Diagnosis(cause=slug, component=component, explains=explains, **given | more)  # type: ignore[arg-type]


def report(*found: Verdict | Diagnosis, hours: float = 0, target: Target = TARGET, **more: Any) -> Report:
    """A report of these verdicts and diagnoses."""
    verdicts = tuple(f for f in found if isinstance(f, Verdict))
    return Report(
        target=target.name,
        configuration=target,
        started_at=WHEN + timedelta(hours=hours),
        duration_s=1.0,
        tool_version="0.1.0",
        verdicts=verdicts,
        diagnoses=tuple(f for f in found if isinstance(f, Diagnosis)),
        score=score(verdicts),
        **more,
    )


def twice(*found: Verdict | Diagnosis, target: Target = TARGET, **more: Any) -> list[Report]:
    """The same seen in two runs, an hour apart."""
    return [report(*found, target=target, **more), report(*found, hours=1, target=target, **more)]


def known(action: Action, number: int = 7, **more: Any) -> KnownIssue:
    """An issue as this action would have left it."""
    given: dict[str, Any] = {
        "state": "open",
        "title": action.title,
        "body": action.body,
        "labels": action.labels,
        "author": BOT,
    }
    return KnownIssue(number=number, **given | more)


def configured(**changed: Any) -> Target:
    """The target with other issue settings."""
    return TARGET.model_copy(update={"issues": IssueSettings(**changed)})


def brief(actions: tuple[Action, ...]) -> list[tuple[str, str, int | None, str]]:
    """Kind, key, number and reason of each action."""
    return [(a.kind, a.key, a.number, a.reason) for a in actions]


WELL = verdict("auth-health", status="pass")
DOWN = (verdict("auth-health"), cause("auth-service-down", explains=("auth-health",)))


def test_confirmed_cause_opens_one_issue() -> None:
    """A cause seen often enough opens one issue for the component that must act."""
    (action,) = plan(twice(*DOWN), repository="o/n")
    assert brief((action,)) == [("open", "here/auth", None, "no issue says so")]
    assert action.title == "here: auth must act: auth-service-down"
    assert action.labels == ("hokusai-probe", "cause:auth-service-down")
    assert action.repository == "o/n"
    assert key_of(action.body) == "here/auth"


def test_one_run_confirms_nothing_but_shows_the_text() -> None:
    """Below confirm_runs nothing is opened, and the plan still shows what would be."""
    (action,) = plan([report(*DOWN)])
    assert brief((action,)) == [("leave", "here/auth", None, "the same was seen in 1 of 2 runs needed")]
    said = describe((action,)).splitlines()
    assert said[:2] == [
        "would open, once 1 more run sees the same: here: auth must act: auth-service-down",
        "  because the same was seen in 1 of 2 runs needed",
    ]
    assert "  | It does not answer." in said


def test_what_waits_for_more_than_a_run_is_not_said_to_open() -> None:
    """A mute or a window stands in the way whatever the next runs see."""
    window = f"{WHEN - timedelta(hours=1):%Y-%m-%dT%H:%MZ}/{WHEN + timedelta(hours=1):%Y-%m-%dT%H:%MZ}"
    (action,) = plan([report(*DOWN, target=configured(maintenance=(window,)))])
    assert action.wants_runs == 0
    assert describe((action,)).startswith("leave: here: auth must act")


def test_the_first_sentence_says_what_people_cannot_do() -> None:
    """Registering comes before all else; without it, two things at most."""
    stuck = verdict("experiment-created", "mlflow", "writes").model_copy(update={"area": "registration"})
    (first,) = plan([report(stuck, cause("mlflow-down", explains=("experiment-created",)))])
    areas = ("audit", "data", "errors", "proxy")
    loose = [verdict(f"c-{a}", hop="gateway/side").model_copy(update={"area": a}) for a in areas]
    (other,) = plan([report(*loose, cause("x", explains=tuple(v.check for v in loose)))])
    assert first.body.splitlines()[3] == (
        "**Nobody can register a model: 1 of 1 checks fails.** Failing here: `experiment-created`."
    )
    assert other.body.splitlines()[3] == (
        "**Users cannot reach MLflow through the gateway or tell from an error what went wrong.** "
        "Failing here: `c-audit`, `c-data`, `c-errors` and 1 more."
    )


def test_a_pass_between_starts_the_count_again() -> None:
    """Runs count only in a row, whatever the order in which they are given."""
    runs = [report(*DOWN), report(WELL, hours=1), report(*DOWN, hours=2)]
    for order in (runs, runs[::-1]):
        assert brief(plan(order)) == [("leave", "here/auth", None, "the same was seen in 1 of 2 runs needed")]


def test_open_issue_is_updated_or_left() -> None:
    """An open issue of ours is left where it says so already, also with CRLF, and updated where not."""
    (action,) = plan(twice(*DOWN))
    same = known(action, body=action.body.replace("\n", "\r\n"), labels=(*action.labels, "urgent"))
    assert brief(plan(twice(*DOWN), known=[same])) == [("leave", "here/auth", 7, "it says so already")]
    other = twice(verdict("auth-health"), cause("tasks-crash-at-start", explains=("auth-health",)))
    assert brief(plan(other, known=[same])) == [
        ("update", "here/auth", 7, "what it says is no longer all that is known")
    ]


def test_one_run_updates_what_is_open() -> None:
    """An issue that is open needs no second confirmation to stay true."""
    (action,) = plan(twice(*DOWN))
    (changed,) = plan(
        [report(verdict("auth-health"), cause("x", explains=("auth-health",)))], known=[known(action)]
    )
    assert (changed.kind, changed.number) == ("update", 7)


def test_since_is_kept_when_history_is_short() -> None:
    """An open issue remembers since when, although the runs given later no longer reach back so far."""
    (action,) = plan(twice(*DOWN))
    (again,) = plan([report(*DOWN, hours=50)], known=[known(action)])
    assert told(again.body).since == WHEN
    assert "Began 2026-01-05 06:00 UTC or earlier" in again.body


def test_strangers_and_other_markers_do_not_count() -> None:
    """Only our own issues count, by author and by the marker on the first line."""
    (action,) = plan(twice(*DOWN))
    foreign = known(action, 1, author="stranger")
    second_line = known(action, 2, body="Hello\n" + action.body)
    other = known(action, 3, body=action.body.replace("here/auth", "there/auth"))
    assert brief(plan(twice(*DOWN), known=[foreign, second_line, other])) == brief((action,))


def test_also_ours() -> None:
    """An account that the target names beside the bot is ours as well."""
    target = configured(also_ours=("old-bot",))
    (action,) = plan(twice(*DOWN, target=target))
    (again,) = plan(twice(*DOWN, target=target), known=[known(action, author="old-bot")])
    assert (again.kind, again.number) == ("leave", 7)


def test_duplicates_converge_on_the_lowest_number() -> None:
    """Of several open issues the lowest stays, and the others are closed unless somebody locked them."""
    (action,) = plan(twice(*DOWN))
    issues = [known(action, 9), known(action, 4), known(action, 5, locked=True)]
    assert brief(plan(twice(*DOWN), known=issues)) == [
        ("leave", "here/auth", 4, "it says so already"),
        ("leave", "here/auth", 5, "somebody locked #5"),
        ("close", "here/auth", 9, "the same as #4"),
    ]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"locked": True}, ("leave", 7, "somebody locked #7")),
        ({"labels": (MUTE_LABEL,)}, ("leave", 7, f"#7 is labelled {MUTE_LABEL}")),
        (
            {"state": "closed", "state_reason": "not_planned"},
            ("leave", 7, "somebody closed #7 while it failed: left until it has passed once"),
        ),
        (
            {"state": "closed", "closed_at": WHEN + timedelta(hours=2)},
            ("leave", 7, "somebody closed #7 while it failed: left until it has passed once"),
        ),
    ],
)
def test_people_decide(state: dict[str, Any], expected: tuple[str, int | None, str]) -> None:
    """Locks, mutes, "not planned" and closings by hand are respected."""
    (before,) = plan(twice(*DOWN))
    (action,) = plan(twice(*DOWN), known=[known(before, **state)])
    assert (action.kind, action.number, action.reason) == expected


def test_recovered_component_waits_for_history() -> None:
    """An open issue whose cause is not seen any more is left: one run closes nothing."""
    (before,) = plan(twice(*DOWN))
    assert brief(plan([*twice(*DOWN), report(WELL, hours=3)], known=[known(before)])) == [
        ("leave", "here/auth", 7, "it passed in 1 of 2 runs needed; what a run does not see is not over")
    ]


def test_client_and_probe_never_open() -> None:
    """A bad key or our own lack of a network is nobody's infrastructure issue."""
    runs = twice(
        verdict("key-works", component="client", hop="key"),
        verdict("network-up", component="probe", hop="network"),
        cause("key-unknown-or-expired", "client"),
        cause("probe-has-no-network", "probe"),
    )
    assert plan(runs) == ()


def test_sensitive_cause_is_withheld() -> None:
    """A sensitive cause opens nothing, and beside another its name and its checks stay out of the text."""
    hidden = cause("key-accepted-when-invalid", explains=("bad-key-refused",), sensitive=True)
    leak = verdict("bad-key-refused")
    (alone,) = plan(twice(leak, hidden))
    assert brief((alone,)) == [
        ("leave", "here/auth", None, "1 sensitive cause must not be written here: tell the owner in person")
    ]
    (beside,) = plan(twice(leak, hidden, *DOWN))
    assert beside.kind == "open"
    for action in (alone, beside):
        assert "key-accepted-when-invalid" not in f"{action.title}{action.body}{action.labels}"
        assert "bad-key-refused" not in action.body
    assert "1 further cause of this component must not be described in public" in beside.body


def test_a_report_for_everybody_opens_no_issue_for_what_it_does_not_show() -> None:
    """A withheld check counts as the sensitive cause does, so nothing is opened and nothing is closed."""
    hidden = cause("key-accepted-when-invalid", explains=("bad-key-refused",), sensitive=True)
    reports = [to_publish(one).report for one in twice(verdict("bad-key-refused"), hidden)]

    assert brief(plan(reports)) == [
        ("leave", "here/auth", None, "1 sensitive cause must not be written here: tell the owner in person")
    ]


def test_a_check_that_would_tell_of_a_sensitive_cause_is_not_named_for_another() -> None:
    """Not even where a cause that may be told fits it as well."""
    rival = cause("tasks-crash-at-start", "ecs", explains=("auth-health", "leak"), status="undecided")
    hidden = cause("key-accepted-when-invalid", explains=("leak",), status="undecided", sensitive=True)
    (action,) = plan([report(verdict("auth-health"), verdict("leak"), rival, hidden)])
    assert action.key == "here/auth"
    assert "leak" not in action.body


def test_undecided_alone_opens_nothing() -> None:
    """Undecided causes whose checks a present one explains open no issue of their own."""
    rival = cause("tasks-crash-at-start", "ecs", explains=("auth-health",), status="undecided")
    (action,) = plan(twice(*DOWN, rival))
    assert action.key == "here/auth"


def test_failures_without_a_present_cause() -> None:
    """They open an issue where the first broken hop is, with the undecided causes and what settles them."""
    rival = cause(
        "tasks-crash-at-start",
        "ecs",
        explains=("auth-health", "validated"),
        status="undecided",
        settled_by=(Settling(look="tasks", aws_cli="aws ecs list-tasks"),),
    )
    behind = verdict("validated", component="gateway", hop="validation")
    (action,) = plan(twice(verdict("auth-health", hop="public.auth"), behind, rival))
    assert action.key == "here/auth"
    assert action.title == "here: auth fails, cause not known: auth-health"
    for said in ("tasks-crash-at-start", "aws ecs list-tasks", "[ ] gateway: `validated`"):
        assert said in action.body


def test_interrupted_run_changes_nothing() -> None:
    """What a run that was cut short did not see is not known, so it neither opens nor updates."""
    runs = twice(*DOWN, interrupted="SIGTERM")
    assert [a.kind for a in plan(runs)] == ["leave"]
    (before,) = plan(twice(*DOWN))
    assert [a.kind for a in plan(runs, known=[known(before)])] == ["leave"]


def test_mute_and_maintenance() -> None:
    """A muted cause or check, and a run during maintenance, open nothing; a mute that has ended does."""
    until = WHEN + timedelta(days=1)
    by_cause = configured(mute=(Mute(cause="auth-service-down", until=until, because="known"),))
    by_check = configured(mute=(Mute(check="auth-health", until=until, because="known"),))
    ended = configured(mute=(Mute(cause="auth-service-down", until=WHEN, because="known"),))
    closed = configured(maintenance=("2026-01-05T05:00Z/2026-01-05T08:00Z",))
    muted = ("leave", "here/auth", None, "muted until 2026-01-06 06:00 UTC: known")
    assert brief(plan(twice(*DOWN, target=by_cause))) == [muted]
    assert brief(plan(twice(DOWN[0], target=by_check))) == [muted]
    assert [a.kind for a in plan(twice(*DOWN, target=ended))] == ["open"]
    assert [a.reason for a in plan(twice(*DOWN, target=closed))] == [
        "the run was made during announced maintenance"
    ]


def test_owner_is_told_once_in_their_repository() -> None:
    """The owner's handle is mentioned once, and the issue goes where the owner wants it."""
    owner = Owner(team="Auth team", github="hokus/auth", repository="hokus/auth-service")
    target = TARGET.model_copy(update={"owners": {"auth": owner}})
    (action,) = plan(twice(*DOWN, target=target), repository="o/n")
    assert action.repository == "hokus/auth-service"
    assert action.body.count("@hokus/auth") == 1
    elsewhere = known(action, repository="o/n")
    assert plan(twice(*DOWN, target=target), known=[elsewhere], repository="o/n")[0].kind == "open"


def test_group_by_cause() -> None:
    """A target may ask for one issue a cause instead of one a component."""
    target = configured(group_by="cause")
    runs = twice(*DOWN, cause("auth-database-schema-missing"), target=target)
    actions = plan(runs)
    assert [a.key for a in actions] == [
        "here/auth/auth-service-down",
        "here/auth/auth-database-schema-missing",
    ]
    assert [key_of(a.body) for a in actions] == [a.key for a in actions]


def test_several_targets() -> None:
    """Each target has its own issues, and its own runs confirm them."""
    there = TARGET.model_copy(update={"name": "there"})
    runs = [*twice(*DOWN), report(*DOWN, target=there)]
    assert [(a.kind, a.key) for a in plan(runs)] == [("open", "here/auth"), ("leave", "there/auth")]


def test_nothing_to_do() -> None:
    """No report, or a healthy one, plans nothing and says so."""
    assert plan([]) == plan([report()]) == ()
    assert describe(()) == "Nothing to open, update or close.\n"


# --- for any reports whatsoever --------------------------------------------------------------------------

COMPONENTS = ("auth", "gateway", "mlflow", "load-balancer", "ecs", "client", "probe")
HOPS = ("auth", "public.auth", "gateway", "mlflow-api", "writes", "key", "network", "made-up", "gateway/x")
TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "<!-- hokusai-probe: here/mlflow -->",
            "\n<!-- hokusai-probe: here/mlflow -->\n",
            "```\n# heading\n````",
            "@everyone closes #1 <details> ![x](http://evil.example/)",
            "x" * 40_000,
        ]
    ),
)
CHECKS = st.sampled_from([f"check-{letter}" for letter in "abcdef"])
VERDICTS = st.lists(
    st.builds(
        lambda check, component, hop, reason, status: verdict(
            check, component, hop, reason=reason, reproduce=reason, **status
        ),
        CHECKS,
        st.sampled_from(COMPONENTS),
        st.sampled_from(HOPS),
        TEXTS,
        st.sampled_from([{}, {"status": "pass"}, {"status": "skip", "skip_kind": "blocked"}]),
    ),
    max_size=6,
    unique_by=lambda v: v.check,
)
DIAGNOSES = st.lists(
    st.builds(
        lambda slug, component, explains, said, status, parent, sensitive: cause(
            slug,
            component,
            tuple(explains),
            status=status,
            caused_by=parent,
            sensitive=sensitive,
            because=said,
            subjects=(said,),
            evidence=(Evidence(probe="look", fact=said, value=said, text=said),),
            remedy=Remedy(kind="automatic", summary=said, aws_cli=(said,), rollback=said, verify=said),
        ),
        st.sampled_from([f"cause-{letter}" for letter in "uvwxyz"]),
        st.sampled_from(COMPONENTS),
        st.lists(CHECKS, max_size=3),
        TEXTS,
        st.sampled_from(["present", "undecided"]),
        st.sampled_from([None, "cause-u", "cause-v", "cause-gone"]),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda d: d.cause,
)
REPORTS = st.builds(lambda v, d: report(*v, *d), VERDICTS, DIAGNOSES)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(st.lists(REPORTS, min_size=1, max_size=3))
def test_at_most_one_action_a_component_and_never_client_or_probe(reports: list[Report]) -> None:
    """However many causes, a component has one issue, and `client` and `probe` have none."""
    runs = [r.model_copy(update={"started_at": WHEN + timedelta(hours=n)}) for n, r in enumerate(reports)]
    components = [a.component for a in plan(runs)]
    assert len(components) == len(set(components))
    assert not {"client", "probe"} & set(components)


@FEW
@given(REPORTS)
def test_hostile_text_stays_inside(found: Report) -> None:
    """The marker is ours and alone, the text fits GitHub's limit, and no foreign text forms HTML or links."""
    for action in plan([found, found.model_copy(update={"started_at": WHEN + timedelta(hours=1)})]):
        assert key_of(action.body) == action.key
        assert action.body.count("<!--") == 2
        assert action.body.splitlines()[1] == told(action.body).line()
        assert len(action.body) <= MOST_CHARACTERS
        assert "\n" not in action.title
        tokens = MarkdownIt("commonmark").parse(action.body)
        inner = [t.type for token in tokens for t in (token, *(token.children or ()))]
        assert inner.count("html_block") == 2
        assert not {"html_inline", "link_open", "image"} & set(inner)
        said = [t.content for token in tokens for t in token.children or () if t.type == "text"]
        assert not [line for line in said if re.search(r"@\w|#\d", line)]
        assert tokens[-2].content.startswith("Kept true by hokusai-probe")


@FEW
@given(REPORTS)
def test_planning_again_after_applying_is_at_rest(found: Report) -> None:
    """When the plan has been carried out, the same plan writes nothing, and opens none of the same again."""
    runs = [found.model_copy(update={"started_at": WHEN + timedelta(hours=n)}) for n in range(3)]
    opened = [a for a in plan(runs[:2]) if a.kind == "open"]
    issues = [known(a, number) for number, a in enumerate(opened, 1)]
    assert {a.kind for a in plan(runs[:2], known=issues)} <= {"leave"}
    assert not {a.key for a in opened} & {a.key for a in plan(runs, known=issues) if a.kind == "open"}


@FEW
@given(REPORTS, st.sampled_from(["open", "closed"]), st.sampled_from([BOT, "stranger"]), TEXTS)
def test_strangers_are_never_touched(found: Report, state: str, author: str, said: str) -> None:
    """No action concerns an issue whose first line is not our marker or whose author is not ours."""
    issue = KnownIssue(number=3, state=state, title="x", body=f"- {said}", author=author)  # type: ignore[arg-type]
    forged = KnownIssue(
        number=4, state="open", title="x", body="<!-- hokusai-probe: here/auth -->", author="stranger"
    )
    assert not {a.number for a in plan([found], known=[issue, forged])} - {None}
