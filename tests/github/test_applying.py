"""What becomes of each action, whatever GitHub answers and whatever people do in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from acting import KEY, Inside, Time, action, do, github, one, open_of, ours
from standin import BOT, DOCS, OURS, START, TOKEN, Account, Back, Call, Fault, StandIn

from hokusai_probe.github import GitHub
from hokusai_probe.github.calls import Reply
from hokusai_probe.github.outcome import GitHubError, describe
from hokusai_probe.github.replies import as_issue, limit, read
from hokusai_probe.issues.known import marker
from hokusai_probe.redact import Redactor

OPENING = "POST /repos/o/n/issues"


def at(what: str) -> Callable[[Call], bool]:
    """Picks requests by method and the end of the path."""
    method, _, path = what.partition(" ")
    return lambda call: call.method == method and call.path.endswith(path)


def said(status: int, message: str, **headers: str) -> Back:
    """A refusal in GitHub's form."""
    return Back(status, {"message": message, "documentation_url": DOCS}, headers)


def told(world: StandIn, planned: Any, **more: Any) -> tuple[str, int | None, str]:
    """Result, number and sentence of one action."""
    found = one(world, planned, **more)
    return found.result, found.number, found.sentence


# --- opening ------------------------------------------------------------------------------------------


def test_an_issue_is_opened_as_planned() -> None:
    """Labels are made where they are missing, the owner is assigned, and nothing is asked twice."""
    world = StandIn()
    planned = action(labels=("hokusai-probe", "cause:x"), assignees=("ann",))
    assert told(world, planned) == ("done", 1, "opened")
    issue = world.ours.issues[1]
    assert (issue.title, issue.body) == (planned.title, planned.body)
    assert (issue.labels, issue.assignees) == (["hokusai-probe", "cause:x"], ["ann"])
    assert world.writes() == [
        ("POST", "/repos/o/n/labels"),
        ("POST", "/repos/o/n/labels"),
        ("POST", "/repos/o/n/issues"),
        ("POST", "/repos/o/n/issues/1/assignees"),
    ]


def test_what_is_open_already_is_not_opened_again() -> None:
    """Somebody was faster: nothing is written but for a label that the plan names."""
    world = StandIn()
    ours(world)
    assert told(world, action()) == ("left", 1, "#1 says so already: somebody was faster")
    assert world.writes() == []


@pytest.mark.parametrize(
    "body", [marker(KEY), f"{marker(KEY)} \n", f"x\n{marker(KEY)}", marker("here/mlflow")]
)
def test_a_stranger_s_marker_is_nothing(body: str) -> None:
    """Whoever forges a marker neither keeps an issue from being opened nor gets their own changed."""
    world = StandIn()
    stranger = world.opens("mallory", "x", body)
    assert told(world, action()) == ("done", 2, "opened")
    assert (stranger.state, stranger.title, stranger.body) == ("open", "x", body)


def test_a_pull_request_is_no_issue() -> None:
    """Even one of ours with the marker: GitHub lists them together."""
    world = StandIn()
    world.opens(BOT, "x", marker(KEY), is_pull=True)
    assert told(world, action()) == ("done", 2, "opened")


def test_a_bot_that_is_not_ours_with_our_marker_is_asked_about() -> None:
    """Or an identity that nobody listed would open another issue with each run."""
    world = StandIn()
    world.opens("our-app[bot]", "x", marker(KEY))
    wants = "our-app[bot] wrote #1 with the same marker: put that into [issues] also_ours"
    assert told(world, action()) == ("refused", None, wants)
    assert one(world, action(), authors=(BOT, "our-app[bot]")).result == "left"
    assert world.writes() == []


def test_a_person_s_token_knows_its_own_issues() -> None:
    """A token of a person may ask for its login, so its issues count before anybody lists the login."""
    world = StandIn()
    world.accounts[TOKEN] = Account("ann", "User", tells=True)
    first = told(world, action())
    assert first == ("done", 1, "opened; it was written by ann: put that into [issues] also_ours")
    assert told(world, action())[0] == "refused"
    assert open_of(world) == [1]


def test_no_list_no_issue() -> None:
    """An empty answer of a broken list must not read as "there is none"."""
    world = StandIn()
    world.faults = [Fault(at("GET /issues"), times=99, then="answer", back=Back(502, text="<html>"))]
    assert told(world, action()) == ("unavailable", None, "GitHub answered 502")
    assert world.writes() == []
    with pytest.raises(GitHubError, match="GitHub answered 502"):
        github(world).known_issues()


@pytest.mark.parametrize(
    "body",
    [
        "<html>maintenance</html>",
        "",
        "[1]",
        '{"number": null}',
        '[{"number": 1}]',
        "[" * 500,
        "{}",
        '["\\ud800"]',
    ],
)
def test_a_list_that_cannot_be_read_opens_nothing(body: str) -> None:
    """A status of 200 alone promises nothing."""
    world = StandIn()
    world.faults = [Fault(at("GET /issues"), times=99, then="answer", back=Back(200, text=body))]
    sentence = "GitHub answered 200, and not what it promises"
    assert told(world, action()) == ("unavailable", None, sentence)
    assert world.writes() == []


UNCLEAR = [
    ("drop", None),
    ("hang", None),
    ("answer", said(500, "Server Error")),
    ("answer", Back(502, text="<html>Bad gateway</html>")),
    ("answer", Back(503, text="", headers={"retry-after": "1"})),
    ("answer", Back(201, text="<html>maintenance</html>")),
    ("answer", Back(201, text='{"number": null, "state": "open", "title": "x"}')),
    ("answer", Back(201, text='{"number": "1", "state": "open", "title": "x"}')),
    ("answer", Back(200, text="")),
]


@pytest.mark.parametrize(("then", "back"), UNCLEAR)
def test_an_unclear_answer_is_looked_after_and_not_repeated(then: Any, back: Back | None) -> None:
    """The issue was opened although the answer said nothing of it: it is found, and there is one."""
    world = StandIn()
    world.faults = [Fault(at(OPENING), then=then, back=back, done=True)]
    assert told(world, action()) == ("done", 1, "opened")
    assert (open_of(world), world.writes()) == ([1], [("POST", "/repos/o/n/issues")])


@pytest.mark.parametrize(("then", "back"), UNCLEAR)
def test_what_is_not_found_after_an_unclear_answer_waits_for_the_next_run(
    then: Any, back: Back | None
) -> None:
    """A list that lags shows as little as one where there is nothing, so nothing is opened twice."""
    world = StandIn()
    world.faults = [Fault(at(OPENING), then=then, back=back)]
    result, number, sentence = told(world, action())
    assert (result, number) == ("unavailable", None)
    assert sentence.endswith("; it may be open all the same, so the next run looks before it opens another")
    assert world.writes() == [("POST", "/repos/o/n/issues")]
    assert told(world, action()) == ("done", 1, "opened")


@pytest.mark.parametrize("number", [None, "1", 0, -1, 1.5, True])
def test_a_number_is_a_whole_one(number: object) -> None:
    """Everything else is there, and still it is no issue."""
    world = StandIn()
    ours(world)
    told_so = world.answer(Call("GET", "/repos/o/n/issues/1", token=TOKEN))
    assert isinstance(told_so, Back)
    told_so.value["number"] = number
    assert read(Reply(status=201, text=json.dumps(told_so.value)), as_issue) is None


def test_a_list_that_lags_after_an_unclear_answer_is_looked_at_again() -> None:
    """Three looks within seven seconds, then the next run."""
    world = StandIn()
    world.lag = 1
    world.faults = [Fault(at(OPENING), then="drop", done=True)]
    time = Time(world)
    assert told(world, action(), patience=time.patience())[0] == "unavailable"
    assert time.slept == [0.0, 2.0, 5.0]
    world.catch_up()
    assert told(world, action())[0] == "left"
    assert open_of(world) == [1]


def test_of_two_the_lower_number_stays() -> None:
    """Another run opened the same between our look and our opening: ours is closed with a link."""
    world = StandIn()
    world.faults = [Fault(at(OPENING), act=lambda w: w.opens(BOT, "x", marker(KEY)))]
    assert told(world, action()) == ("done", 1, "#1 was opened before it, so #2 is closed again")
    double = world.ours.issues[2]
    assert (double.state, double.reason, open_of(world)) == ("closed", "duplicate", [1])
    assert double.body == "The same as #1, where it goes on: two runs opened it at the same time.\n"


@pytest.mark.parametrize("hold", [{"locked": True}, {"labels": ["probe-mute"]}])
def test_a_double_that_people_hold_is_left(hold: dict[str, Any]) -> None:
    """What nobody holds is closed all the same."""
    world = StandIn()
    ours(world)
    ours(world, **hold)
    ours(world)
    assert told(world, action())[:2] == ("left", 1)
    assert open_of(world) == [1, 2]


@pytest.mark.parametrize("became", [{"state": "closed"}, {"body": "mine now"}])
def test_a_double_that_is_none_any_more_is_left(became: dict[str, str]) -> None:
    """Somebody closed it, or wrote into it, after it was listed."""
    world = StandIn()
    ours(world)
    double = ours(world)
    world.faults = [Fault(at("GET /2"), act=lambda w: w.sets(double, **became))]
    assert told(world, action())[:2] == ("left", 1)
    assert (world.writes(), double.reason) == ([], None)


def test_a_stranger_s_marker_is_nothing_among_several_either() -> None:
    """Two runs opened the same after somebody forged it: the lower one of ours stays."""
    world = StandIn()
    world.opens("mallory", "x", marker(KEY))
    world.faults = [Fault(at(OPENING), act=lambda w: w.opens(BOT, "x", marker(KEY)))]
    assert told(world, action())[:2] == ("done", 2)
    assert open_of(world) == [1, 2]


def test_the_lowest_must_stand_before_another_is_closed_for_it() -> None:
    """The list shows it as open, and by now it is closed: the one that is open stays."""
    world = StandIn()
    first = ours(world)
    world.closes("ann", first)
    world.faults = [
        Fault(at(OPENING), act=lambda w: w.reopens(first)),
        Fault(at("GET /1"), act=lambda w: w.closes("ann", first)),
    ]
    assert told(world, action()) == ("done", 2, "opened")
    assert open_of(world) == [2]


def test_rights_that_are_missing_are_told_and_the_issue_is_opened() -> None:
    """Labels that may not be made are left out before, what GitHub drops without a word is noticed after."""
    world = StandIn()
    world.accounts[TOKEN] = Account(BOT, pushes=False)
    planned = action(labels=("hokusai-probe", "bug"), assignees=("ann", "nobody"))
    assert told(world, planned) == (
        "done",
        1,
        (
            "opened; label hokusai-probe: not there, and the token may not make it; GitHub left out: bug; "
            "the token may not set that here; GitHub left out: nobody; the token may not set that here"
        ),
    )


def test_a_label_that_another_run_made_meanwhile_is_there() -> None:
    """422 already_exists is success."""
    world = StandIn()
    world.faults = [Fault(at("POST /labels"), act=lambda w: w.ours.labels.append("new"))]
    assert told(world, action(labels=("new",))) == ("done", 1, "opened")
    assert world.ours.issues[1].labels == ["new"]


# --- changing -----------------------------------------------------------------------------------------


def test_an_issue_is_brought_up_to_date() -> None:
    """Title and text in one request; labels of ours added and removed, people's left."""
    world = StandIn()
    issue = ours(world, labels=["hokusai-probe", "cause:old", "ann's"], title="old", assignees=["bob"])
    planned = action("update", number=1, labels=("hokusai-probe", "cause:new"), labels_gone=("cause:old",))
    planned = planned.model_copy(update={"comment": "It changed.", "assignees": ("ann",)})
    assert told(world, planned) == ("done", 1, "brought up to date")
    assert (issue.title, issue.body) == (planned.title, planned.body)
    assert issue.labels == ["hokusai-probe", "ann's", "cause:new"]
    assert ([c.body for c in issue.comments], issue.assignees) == (["It changed."], ["bob", "ann"])


def test_an_issue_is_closed_and_reopened() -> None:
    """With GitHub's word for why, and one comment each."""
    world = StandIn()
    issue = ours(world)
    closing = action("close", number=1, state_reason="completed", comment="Well again.")
    assert told(world, closing) == ("done", 1, "closed")
    assert (issue.state, issue.reason) == ("closed", "completed")
    assert told(world, action("reopen", number=1, comment="Back.")) == ("done", 1, "reopened")
    assert (issue.state, issue.reason) == ("open", "reopened")
    assert [c.body for c in issue.comments] == ["Well again.", "Back."]


def test_a_close_without_a_text_leaves_the_text() -> None:
    """As the plan has it for an issue that says what another says."""
    world = StandIn()
    issue = ours(world)
    before = issue.body
    assert told(world, action("close", number=1, title="", body="")) == ("done", 1, "closed")
    assert (issue.body, issue.title) == (before, "here/auth must act")


MEANWHILE: list[tuple[str, Callable[[StandIn, Any], None], str]] = [
    ("update", lambda w, i: w.sets(i, locked=True), "somebody locked #1"),
    ("close", lambda w, i: w.sets(i, labels=["probe-mute"]), "#1 is labelled probe-mute"),
    ("update", lambda w, i: w.closes("ann", i), "#1 was closed in the meantime"),
    ("close", lambda w, i: w.closes("ann", i), "#1 was closed in the meantime"),
    ("reopen", lambda *_: None, "#1 is open again already"),
    ("reopen", lambda w, i: w.closes("ann", i, "not_planned"), "somebody closed #1 as not planned"),
    (
        "update",
        lambda w, i: w.sets(i, fate="deleted"),
        "#1 was deleted or moved; the next run plans without it",
    ),
    (
        "update",
        lambda w, i: w.sets(i, fate="moved"),
        "#1 was deleted or moved; the next run plans without it",
    ),
    (
        "close",
        lambda w, i: w.sets(i, body="mine now"),
        "#1 is not ours (any more): its first line or its author is another",
    ),
    (
        "update",
        lambda w, i: w.sets(i, is_pull=True),
        "#1 is not ours (any more): its first line or its author is another",
    ),
    (
        "update",
        lambda w, i: w.sets(i, author="mallory"),
        "#1 is not ours (any more): its first line or its author is another",
    ),
]


@pytest.mark.parametrize(("kind", "act", "sentence"), MEANWHILE)
def test_what_people_did_meanwhile_counts(kind: str, act: Callable[..., None], sentence: str) -> None:
    """The issue is read just before it is written to, and then left."""
    world = StandIn()
    issue = ours(world)
    act(world, issue)
    before = (issue.state, issue.body, list(issue.labels))
    assert told(world, action(kind, number=1, title="new")) == ("left", 1, sentence)
    assert (issue.state, issue.body, issue.labels) == before
    assert world.writes() == []


def test_a_lock_between_our_look_and_our_writing_is_respected() -> None:
    """GitHub refuses, and that is not our trouble."""
    world = StandIn()
    issue = ours(world)
    world.faults = [Fault(at("PATCH /1"), act=lambda w: w.sets(issue, locked=True))]
    assert told(world, action("close", number=1)) == ("left", 1, "somebody locked #1")


def test_what_may_be_repeated_is_repeated() -> None:
    """Reading, setting and labelling three times more, with longer and longer pauses."""
    world = StandIn()
    issue = ours(world)
    world.faults = [
        Fault(at("PATCH /1"), then="answer", back=Back(502, text="")),
        Fault(at("PATCH /1"), then="drop", done=True),
        Fault(at("PATCH /1"), then="answer", back=Back(200, text="<html>")),
    ]
    time = Time(world)
    assert told(world, action("close", number=1), patience=time.patience()) == ("done", 1, "closed")
    assert (issue.state, time.slept) == ("closed", [1.0, 2.0, 4.0])


def test_not_for_ever() -> None:
    """Four tries, then it is for the next run."""
    world = StandIn()
    ours(world)
    world.faults = [Fault(at("PATCH /1"), times=99, then="hang")]
    sentence = "GitHub did not answer: hang"
    assert told(world, action("close", number=1)) == ("unavailable", 1, sentence)
    assert len(world.writes()) == 4


def test_a_change_that_did_not_happen_is_noticed() -> None:
    """GitHub answers 200 and shows the issue as it was."""
    world = StandIn()
    ours(world)
    same = world.answer(Call("GET", "/repos/o/n/issues/1", token=TOKEN))
    assert isinstance(same, Back)
    world.faults = [Fault(at("PATCH /1"), times=99, then="answer", back=same)]
    sentence = "GitHub says that #1 was changed, and shows it as before"
    assert told(world, action("close", number=1)) == ("unavailable", 1, sentence)


@pytest.mark.parametrize(("then", "back"), UNCLEAR)
def test_a_comment_is_never_written_twice(then: Any, back: Back | None) -> None:
    """An unclear answer leaves it at that: the state is right, and the outcome says what may be missing."""
    world = StandIn()
    issue = ours(world)
    world.faults = [Fault(at("POST /comments"), then=then, back=back, done=True)]
    result, _, sentence = told(world, action("close", number=1, comment="Well again."))
    assert (result, len(issue.comments)) == ("done", 1)
    assert sentence.startswith("closed; comment: perhaps not written, GitHub ")


@pytest.mark.parametrize(
    ("more", "note"),
    [
        (199, ""),
        (200, "; no comment: it has 200 already"),
        (2_500, "; no comment: it has 2500 already"),
    ],
)
def test_no_issue_gets_more_than_two_hundred_comments(more: int, note: str) -> None:
    """A loop of comments destroys an issue for good at GitHub's own limit."""
    world = StandIn()
    issue = ours(world, more_comments=more)
    assert told(world, action("close", number=1, comment="x"))[2] == f"closed{note}"
    assert len(issue.comments) == (not note)


def test_only_labels_and_they_fail() -> None:
    """With nothing else to do, it is not done."""
    world = StandIn()
    ours(world)
    world.faults = [Fault(at("POST /1/labels"), times=9, then="answer", back=said(500, "Server Error"))]
    planned = action("update", number=1, labels=("bug",))
    assert told(world, planned) == ("unavailable", 1, "GitHub answered 500")


def test_a_plan_that_names_no_issue() -> None:
    """It is refused before anything is asked."""
    world = StandIn()
    assert told(world, action("close")) == ("refused", None, "the plan does not say which issue to close")
    assert world.calls == []


# --- whole repositories -------------------------------------------------------------------------------

REFUSALS: list[tuple[Callable[[StandIn], None], str]] = [
    (
        lambda w: setattr(w.ours, "has_issues", False),
        (
            "issues are switched off in this repository: switch them on, or name another one "
            "(410: Issues has been disabled in this repository.)"
        ),
    ),
    (
        lambda w: setattr(w.ours, "archived", True),
        (
            "the repository is archived: nothing can be written there; name another one "
            "(403: Repository was archived so is read-only.)"
        ),
    ),
    (
        lambda w: w.accounts.update({TOKEN: Account(BOT, writes=False)}),
        (
            "the token may not do this: it needs the right to write issues here (`issues: write`) "
            "(403: Resource not accessible by integration)"
        ),
    ),
    (
        lambda w: w.accounts.clear(),
        "GitHub does not know the token: it is wrong, or has expired (401: Bad credentials)",
    ),
    (
        lambda w: setattr(w.ours, "moved", True),
        "it has moved: name the repository as it is called now",
    ),
    (
        lambda w: w.repositories.clear(),
        "it is not there, or the token may not see it (404: Not Found)",
    ),
]


@pytest.mark.parametrize(("act", "sentence"), REFUSALS)
def test_a_repository_that_refuses(act: Callable[[StandIn], None], sentence: str) -> None:
    """Each with its own sentence, which says what to change; what is certain is not asked again."""
    world = StandIn()
    act(world)
    outcomes = do(world, action(), action(key="here/mlflow"))
    assert [(o.result, o.sentence, o.kept_from_writing) for o in outcomes] == [
        ("refused", sentence, True)
    ] * 2
    assert len(world.calls) <= 4
    assert {c.method for c in world.calls[2:]} <= {"GET"}


@pytest.mark.parametrize(("act", "sentence"), REFUSALS[:1] + REFUSALS[3:])
def test_a_list_that_is_refused_is_no_empty_list(act: Callable[[StandIn], None], sentence: str) -> None:
    """It raises, so nothing is planned on it."""
    world = StandIn()
    act(world)
    with pytest.raises(GitHubError) as refused:
        github(world).known_issues()
    assert (str(refused.value), refused.value.result) == (sentence, "refused")


def test_another_repository_goes_on() -> None:
    """What one refuses, another may allow."""
    world = StandIn(OURS, "o/other")
    world.ours.has_issues = False
    outcomes = do(world, action(), action(repository="o/other"))
    assert [(o.result, o.repository) for o in outcomes] == [("refused", ""), ("done", "o/other")]


# --- limits -------------------------------------------------------------------------------------------

SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
LIMITS = [
    (said(403, SECONDARY, **{"retry-after": "7"}), [7.0]),
    (said(429, SECONDARY, **{"retry-after": "7"}), [7.0]),
    (said(403, "Forbidden", **{"retry-after": "7"}), [7.0]),
    (said(429, SECONDARY), [60.0]),
    (said(403, SECONDARY), [60.0]),
    (said(429, "Too many", **{"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1767592830"}), [28.0]),
    (said(403, "API rate limit exceeded", **{"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}), [1.0]),
    (said(429, SECONDARY, **{"retry-after": "Mon, 05 Jan 2026 06:00:11 GMT"}), [9.0]),
    (said(429, SECONDARY, **{"retry-after": "soon"}), [60.0]),
    (said(422, "Validation Failed: was submitted too quickly"), [60.0]),
]


@pytest.mark.parametrize(("back", "slept"), LIMITS)
def test_a_limit_is_waited_for(back: Back, slept: list[float]) -> None:
    """As long as GitHub says, a minute where it says nothing; a POST that met one certainly did nothing."""
    world = StandIn()
    world.faults = [Fault(at(OPENING), then="answer", back=back)]
    time = Time(world)
    assert told(world, action(), patience=time.patience()) == ("done", 1, "opened")
    assert time.slept == slept


def test_github_s_clock_counts_to_its_reset() -> None:
    """Ours may be wrong by hours."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(START.timestamp()) + 30)}
    headers["date"] = "Mon, 05 Jan 2026 06:00:10 GMT"
    wrong = START + timedelta(hours=5)
    assert limit(Reply(status=403, headers=headers), wrong) == 20.0
    assert limit(Reply(status=403, headers={**headers, "date": "today"}), START) == 30.0


def test_without_a_word_the_pause_doubles() -> None:
    """A minute, two, four: carrying on may get us banned."""
    world = StandIn()
    world.faults = [Fault(at(OPENING), times=9, then="answer", back=said(429, SECONDARY))]
    time = Time(world)
    result, _, sentence = told(world, action(), patience=time.patience(wait_s=3_600))
    assert (result, time.slept) == ("limited", [60.0, 120.0, 240.0])
    assert sentence == "GitHub asks to wait 480 s (429: too many requests)"


def test_a_limit_beyond_our_time_ends_it_at_once() -> None:
    """For all that is left of the plan, without another request."""
    world = StandIn()
    back = said(403, SECONDARY, **{"retry-after": "3600"})
    world.faults = [Fault(at("GET /issues"), times=9, then="answer", back=back)]
    time = Time(world)
    outcomes = do(world, action(), action(key="here/mlflow"), patience=time.patience(wait_s=120))
    sentence = "GitHub asks to wait 3600 s (403: too many requests)"
    assert [(o.result, o.sentence) for o in outcomes] == [("limited", sentence)] * 2
    assert (time.slept, len(world.calls)) == ([], 1)


def test_time_that_is_over_is_over() -> None:
    """Nothing more is sent, not even what would not have to wait."""
    world = StandIn()
    outcomes = do(world, action(), action(key="here/mlflow"), patience=Time(world).patience(wait_s=3))
    assert [o.result for o in outcomes] == ["done", "limited"]
    assert outcomes[1].sentence == "the 3 s for GitHub are over (--wait); the next run goes on from here"
    assert len(world.calls) == 3


def test_writes_keep_their_distance() -> None:
    """A second from the end of one to the next, whatever lies between; reading need not wait."""
    world = StandIn()
    time = Time(world)
    do(world, action(labels=("a", "b")), patience=time.patience(between_writes_s=2.5))
    assert time.slept == [1.5, 1.5]


# --- reading ------------------------------------------------------------------------------------------


def test_known_issues_are_those_with_a_marker() -> None:
    """Open ones however old, closed ones of ninety days, over several pages, and no pull request."""
    world = StandIn()
    old = ours(world)
    long_closed = ours(world, "here/mlflow")
    world.closes(BOT, long_closed)
    world.later(days=91)
    for number in range(150):
        world.opens("ann", f"{number}", "something else")
    late = ours(world, "here/gateway", labels=["x"], locked=True)
    world.closes("bob", late, "not_planned")
    world.opens(BOT, "x", marker(KEY), is_pull=True)
    forged = world.opens("mallory", "x", marker("here/ecs"))
    found = github(world).known_issues()
    assert [(i.number, i.state, i.author, i.state_reason, i.closed_by, i.locked) for i in found] == [
        (old.number, "open", BOT, None, "", False),
        (late.number, "closed", BOT, "not_planned", "bob", True),
        (forged.number, "open", "mallory", None, "", False),
    ]
    assert (found[0].repository, found[1].labels, found[1].comments) == (OURS, ("x",), 0)
    assert found[1].closed_at == late.closed
    assert found[1].created_at == late.created


def test_who_closed_it_is_asked_where_the_list_leaves_it_out() -> None:
    """Only for those closed lately, where it matters."""
    world = StandIn()
    long_ago, lately = ours(world, "here/mlflow"), ours(world)
    world.closes("ann", long_ago)
    world.later(days=8)
    world.closes("ann", lately)
    for issue in (long_ago, lately):
        world.sets(issue, closed_by=None)
    world.faults = [Fault(at("GET /issues/2"), act=lambda w: w.sets(lately, closed_by="ann"))]
    assert [(i.number, i.closed_by) for i in github(world).known_issues()] == [(1, ""), (2, "ann")]


def test_an_issue_that_moves_between_two_lists_is_not_lost() -> None:
    """Closed while the open ones are read: the second list has it, and counts."""
    world = StandIn()
    issue = ours(world)
    first = Fault(at("GET /issues"))
    world.faults = [first, Fault(at("GET /issues"), act=lambda w: w.closes("ann", issue))]
    assert [i.state for i in github(world).known_issues()] == ["closed"]


def test_a_list_without_an_end_is_no_list() -> None:
    """A page that names itself, or more pages than anybody reads."""
    world = StandIn()
    link = {"link": '<http://elsewhere.example/x?page=2>; rel="next"'}
    world.faults = [Fault(at("GET /issues"), times=999, then="answer", back=Back(200, [], link))]
    with pytest.raises(GitHubError, match="did not end after 2 pages"):
        github(world).known_issues()
    assert {c.path for c in world.calls} == {"/repos/o/n/issues"}


def test_who_we_are() -> None:
    """A person's token says so; one of a workflow or an app may not be asked."""
    world = StandIn()
    assert github(world).author() == BOT
    world.accounts[TOKEN] = Account("ann", "User", tells=True)
    assert github(world).author() == "ann"


# --- what is written ----------------------------------------------------------------------------------


def test_everything_written_is_redacted_last() -> None:
    """Text, title, comment and labels, our own token among the secrets."""
    world = StandIn()
    ours(world)
    secret = "wombat-wombat-wombat"
    planned = action("update", number=1, title=f"x {secret}", comment=f"y {secret}", labels=(secret,))
    planned = planned.model_copy(update={"body": planned.body + f"{secret} Bearer Abc123456789 {TOKEN}"})
    assert one(world, planned, redactor=Redactor([secret, TOKEN])).result == "done"
    sent = "".join(repr(c.body) + c.path for c in world.calls)
    assert "[redacted]" in sent
    assert not [s for s in (secret, TOKEN, "Abc123456789") if s in sent]


def test_a_marker_that_would_be_redacted_is_not_written() -> None:
    """Without its marker nobody would find the issue again, and each run would open one."""
    world = StandIn()
    sentence = "the target's name looks like a secret, so the issue would lose its marker: rename it"
    planned = action(key="wombat-wombat/auth")
    assert told(world, planned, redactor=Redactor(["wombat-wombat"])) == ("refused", None, sentence)
    assert world.calls == []


@pytest.mark.parametrize("what", ["body", "comment"])
def test_what_is_too_long_is_not_sent(what: str) -> None:
    """It would be cut somewhere; the plan keeps well below the limit."""
    world = StandIn()
    planned = action(**{what: marker(KEY) + "\n" + "x" * 65_536})
    sentence = "65570 characters are more than GitHub takes (65536)"
    assert told(world, planned) == ("refused", None, sentence)


def test_github_finds_it_too_long() -> None:
    """However GitHub counts."""
    world = StandIn()
    errors = [{"resource": "Issue", "field": "body", "code": "custom", "message": "body is too long"}]
    value = {"message": "Validation Failed", "documentation_url": DOCS, "errors": errors}
    world.faults = [Fault(at(OPENING), then="answer", back=Back(422, value))]
    sentence = "GitHub finds it too long (422: Validation Failed; body custom body is too long)"
    assert told(world, action()) == ("refused", None, sentence)


def test_outcomes_read_well() -> None:
    """A line each; what GitHub said cannot command a terminal or a job's log."""
    world = StandIn()
    ours(world)
    world.faults = [Fault(at(OPENING), then="answer", back=said(400, "no\n::error::x \x1b[31m##[group]"))]
    leave = action("leave", reason="it says so already", number=1)
    outcomes = do(world, leave, action(key="here/mlflow", repository=OURS), action("close", number=1))
    assert describe(outcomes) == (
        "left: leave #1 (here/auth): it says so already\n"
        "refused: open in o/n (here/mlflow): GitHub refuses it "
        "(400: no :\u200b:error:\u200b:x #\u200b#[group])\n"
        "done: close #1 (here/auth): closed\n"
    )


def test_outcomes_of_a_private_repository_name_no_cause() -> None:
    """The log of a job may be public: only what GitHub refused is said, so that somebody can act on it."""
    world = StandIn()
    ours(world)
    world.faults = [Fault(at("POST /labels"), then="answer", back=said(403, "not yours"))]
    keyed = action(key="here/auth/hush", repository=OURS, labels=("cause:hush",))
    leave = action("leave", key="here/auth/hush", repository=OURS, reason="hush is muted", number=1)
    world.faults += [Fault(at("PATCH /repos/o/n/issues/1"), then="answer", back=said(403, "not yours"))]
    outcomes = do(world, keyed, leave, action("close", number=1, repository=OURS))
    assert "label cause:hush" in describe(outcomes)
    assert describe(outcomes, ["O/N"]) == (
        "done: open #2 in o/n (here/auth)\n"
        "left: leave #1 in o/n (here/auth)\n"
        "refused: close #1 in o/n (here/auth): GitHub forbids it (403: not yours)\n"
    )


def test_a_token_s_door_is_used_for_its_repository_only() -> None:
    """Each repository is asked through its own."""
    world = StandIn(OURS, "o/other")
    doors = {OURS: Inside(world), "o/other": Inside(world)}
    hub = GitHub(doors.__getitem__, OURS, patience=Time(world).patience())
    hub.apply([action(), action(repository="o/other"), action(key="here/mlflow")])
    assert {name: door.asked for name, door in doors.items()} == {OURS: 6, "o/other": 3}
