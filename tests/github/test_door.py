"""The door itself: PyGithub over HTTP to the stand-in, and what it must not do for us."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Literal

import pytest
from acting import action, open_of, ours
from over_http import HANG_S, Server, dripping, serving
from standin import BOT, DOCS, OURS, TOKEN, Account, Back, Call, Fault, StandIn

from hokusai_probe.errors import ProbeError
from hokusai_probe.github import GitHub, GitHubError, connect, door, opening, patience
from hokusai_probe.github.calls import Request, UnansweredError
from hokusai_probe.github.patience import Patience

APP = "hk_test_token_of_the_app"
LISTING = Request(method="GET", path="/repos/o/n/issues", query=(("state", "all"),))


@pytest.fixture
def world() -> StandIn:
    """GitHub with two repositories, ours and another's."""
    return StandIn(OURS, "other/place")


@pytest.fixture
def served(world: StandIn) -> Iterator[Server]:
    """The same, reachable."""
    with serving(world) as server:
        yield server


def hub(server: Server) -> GitHub:
    """Ours, as the command makes it, with no pause between writes."""
    environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": server.url, "HOKUSAI_PROBE_APP_TOKEN": APP}
    return GitHub(
        connect(environment, OURS), OURS, patience=Patience(60.0, 0.0, now=lambda: server.world.now)
    )


def way(server: Server) -> door.PyGithubDoor:
    """The bare door."""
    return door.PyGithubDoor(TOKEN, server.url)


def first_write(call: Call) -> bool:
    """Picks what changes something."""
    return call.method != "GET"


def anything(_: Call) -> bool:
    """Picks every request."""
    return True


def test_a_whole_life_over_http(served: Server, world: StandIn) -> None:
    """Opened, brought up to date, closed, reopened, and known as such."""
    planned = action(labels=("hokusai-probe", "cause:a b/c"), assignees=("ann",))
    assert [o.result for o in hub(served).apply([planned])] == ["done"]
    steps = [
        action("update", number=1, title="new", labels=("bug",), labels_gone=("cause:a b/c",)),
        action("close", number=1, comment="Well again.", state_reason="completed"),
        action("reopen", number=1, comment="Back."),
    ]
    assert [o.sentence for o in hub(served).apply(steps)] == ["brought up to date", "closed", "reopened"]
    (known,) = hub(served).known_issues()
    assert (known.number, known.state, known.title, known.author) == (1, "open", "here/auth must act", BOT)
    assert (known.labels, known.comments) == (("hokusai-probe", "bug"), 2)
    assert known.created_at == world.ours.issues[1].created
    assert served.heads == {("hokusai-probe", "close", "identity")}


def test_pages_over_http(served: Server, world: StandIn) -> None:
    """Three pages, each asked for once."""
    for number in range(250):
        world.opens("ann", f"{number}", "x")
    ours(world)
    assert [i.number for i in hub(served).known_issues()] == [251]
    assert len(world.calls) == 6


def test_nothing_is_repeated_that_may_have_been_done(served: Server, world: StandIn) -> None:
    """PyGithub's own retries would make two issues of a 502 after the effect."""
    world.faults = [Fault(first_write, done=True, then="answer", back=Back(502, text=""))]
    (outcome,) = hub(served).apply([action()])
    assert (outcome.result, open_of(world), len(world.writes())) == ("done", [1], 1)


@pytest.mark.parametrize("done", [True, False])
def test_a_dropped_connection(
    served: Server, world: StandIn, monkeypatch: pytest.MonkeyPatch, *, done: bool
) -> None:
    """Before or after the effect, nobody knows."""
    monkeypatch.setattr(opening, "_LOOKS_S", (0.0,))
    world.faults = [Fault(first_write, done=done, then="drop")]
    (outcome,) = hub(served).apply([action()])
    assert (outcome.result, len(world.writes())) == ("done" if done else "unavailable", 1)


def test_no_answer_in_time(served: Server, world: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been done, so it is looked for."""
    monkeypatch.setattr(patience, "REQUEST_S", HANG_S / 2)
    world.faults = [Fault(first_write, done=True, then="hang")]
    (outcome,) = hub(served).apply([action()])
    assert (outcome.result, open_of(world), len(world.writes())) == ("done", [1], 1)


def test_nobody_listens() -> None:
    """What was never sent may be asked again, even a POST; then GitHub is unavailable."""
    with serving(StandIn()) as server:
        url = server.url
    closed = door.PyGithubDoor(TOKEN, url)
    with pytest.raises(UnansweredError) as nothing:
        closed.ask(Request(method="POST", path="/x", body={}, once=True), 1.0)
    assert (str(nothing.value), nothing.value.sent) == ("no connection", False)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(served: Server, world: StandIn, status: int) -> None:
    """Neither to another host, where the token would go, nor to another path of the same."""
    with serving(StandIn()) as elsewhere:
        for where in (elsewhere.url, served.url):
            headers = {"location": f"{where}/repos/o/n/issues"}
            value = {"message": "Moved", "documentation_url": DOCS, "url": where}
            world.faults = [Fault(anything, then="answer", back=Back(status, value, headers))]
            before = len(world.calls)
            with pytest.raises(GitHubError, match="it has moved: name the repository as it is called now"):
                hub(served).known_issues()
            assert (len(world.calls) - before, elsewhere.world.calls) == (1, [])
        served.complaints.clear()  # the description knows no redirect with some of these numbers


def test_a_next_page_elsewhere_is_asked_of_github(served: Server, world: StandIn) -> None:
    """Of a link only the query counts."""
    link = {"link": '<http://127.0.0.9:1/steal?page=2&state=open>; rel="next"'}
    world.faults = [Fault(anything, then="answer", back=Back(200, [], link))]
    assert hub(served).known_issues() == ()
    assert [(c.path, c.query.get("page")) for c in world.calls[:2]] == [
        ("/repos/o/n/issues", None),
        ("/repos/o/n/issues", "2"),
    ]


@pytest.mark.parametrize(
    ("back", "reason"),
    [
        (Back(200, text="x" * 3_000), "its answer has more than 2000 bytes"),
        (Back(200, [], {"content-encoding": "gzip"}), "its answer is in an encoding that was not asked for"),
        (
            Back(200, [], {"x-ratelimit-remaining": "x", "x-ratelimit-limit": "y"}),
            "its answer cannot be read",
        ),
    ],
)
def test_answers_that_are_not_taken(
    served: Server, world: StandIn, monkeypatch: pytest.MonkeyPatch, back: Back, reason: str
) -> None:
    """Too large, compressed though nobody asked, or with headers on which PyGithub stumbles."""
    monkeypatch.setattr(door, "MOST_BYTES", 2_000)
    world.faults = [Fault(anything, then="answer", back=back)]
    with pytest.raises(UnansweredError) as useless:
        way(served).ask(LISTING, 5.0)
    assert (useless.value.reason, useless.value.sent) == (reason, True)


def test_an_answer_that_is_accepted_is_told_at_once(served: Server, world: StandIn) -> None:
    """PyGithub would ask again every two seconds, without end."""
    world.faults = [Fault(anything, times=99, then="answer", back=Back(202, []))]
    assert way(served).ask(LISTING, 5.0).status == 202
    served.complaints.clear()


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_drips_is_not_waited_for(part: Literal["head", "body"]) -> None:
    """A time limit for each pause alone would let a server hold us for hours."""
    with dripping(part) as url, pytest.raises(UnansweredError) as slow:
        door.PyGithubDoor(TOKEN, url).ask(LISTING, 0.3)
    assert slow.value.reason == "its answer took too long"


def test_each_repository_has_its_token(served: Server, world: StandIn) -> None:
    """The workflow's own for its repository, the app's for any other, whatever letters' case."""
    world.accounts[APP] = Account("our-app[bot]")
    github = hub(served)
    github.apply(
        [action(), action(repository="other/place"), action(key="here/mlflow", repository="O/N".lower())]
    )
    assert {(c.path.split("/")[2], c.token) for c in world.calls} == {("o", TOKEN), ("other", APP)}
    sentence = "opened; it was written by our-app[bot]: put that into [issues] also_ours"
    (again,) = hub(served).apply([action(key="here/ecs", repository="other/place")])
    assert (again.result, again.sentence) == ("done", sentence)


# --- settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "GITHUB_TOKEN is not set: issues in o/n need a token that may write them"),
        ({"GITHUB_TOKEN": " \n"}, "GITHUB_TOKEN is not set: issues in o/n need a token that may write them"),
        (
            {"GITHUB_TOKEN": "a\nb"},
            "GITHUB_TOKEN holds characters that an HTTP header cannot carry. Set it again.",
        ),
        (
            {"GITHUB_TOKEN": "a", "HOKUSAI_PROBE_APP_TOKEN": "ä"},
            "HOKUSAI_PROBE_APP_TOKEN holds characters that an HTTP header cannot carry. Set it again.",
        ),
        (
            {"GITHUB_TOKEN": "a", "GITHUB_API_URL": "http://ghe.example/api/v3"},
            "GITHUB_API_URL must begin with https://, or the token would be sent in the clear",
        ),
        *(
            (
                {"GITHUB_TOKEN": "a", "GITHUB_API_URL": url},
                "GITHUB_API_URL must be an address such as https://api.github.com",
            )
            for url in (
                "ghe",
                "https://",
                "https://u:p@ghe.example",
                "https://ghe.example:x",
                "https://g/?a=b",
                "//[",
            )
        ),
    ],
)
def test_settings_that_do_not_do(environment: dict[str, str], sentence: str) -> None:
    """Each is told before anything is sent, and no token is in the sentence."""
    with pytest.raises(ProbeError) as wrong:
        connect(environment, OURS)
    assert str(wrong.value) == sentence


def test_a_server_of_one_s_own_has_a_path() -> None:
    """GitHub Enterprise Server's address ends in /api/v3; a trailing slash does no harm."""
    world = StandIn()
    with serving(world) as server:
        environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": f"{server.url}/api/v3/"}
        reply = connect(environment, OURS)(OURS).ask(LISTING, 5.0)
    assert (reply.status, world.calls[0].path) == (404, "/api/v3/repos/o/n/issues")


def test_without_pygithub_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback."""
    monkeypatch.delitem(sys.modules, "hokusai_probe.github.door", raising=False)
    monkeypatch.setitem(sys.modules, "github", None)
    with pytest.raises(ProbeError, match=r"needs the extra `github`: pip install 'hokusai-probe\[github\]'"):
        connect({"GITHUB_TOKEN": "a"}, OURS)
