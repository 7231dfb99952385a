"""What a sweep takes for ours, and what it says; the sweep of a real server is in test_plain_mlflow."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from _facts import answer
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.cli import main
from hokusai_probe.cli.sweep import exit_code, lines
from hokusai_probe.http import Answer
from hokusai_probe.probes._mlflow_rest import made_at, new_name
from hokusai_probe.sweeping import MOST, Leftover, Swept, _model, _run, _Sweeper

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAME = "hkprobe-20260102T030405-0a1b2c3d-4e5f6071"
ID = "0123456789abcdef0123456789abcdef"
THEIRS = "hkprobe-of-somebody-else"
TAGS = [{"key": "hkprobe", "value": "1"}, {"key": "hkprobe.journal", "value": NAME}]


def test_a_name_says_when_it_was_given() -> None:
    """To the second, in UTC."""
    before = datetime.now(UTC).replace(microsecond=0)
    made = made_at(new_name("0a1b2c3d"))
    assert made is not None
    assert before <= made <= datetime.now(UTC)
    assert made_at(NAME) == MADE


@given(st.text() | st.from_regex(r"hkprobe-[0-9T]{15}-[0-9a-f]{8}-[0-9a-f]{0,9}.?", fullmatch=True))
def test_any_other_name_is_nobody_s_of_us(name: str) -> None:
    """Also one that begins like ours, or whose digits are no moment: no error, and no made-up moment."""
    made = made_at(name)
    assert made is None or name.startswith(f"hkprobe-{made:%Y%m%dT%H%M%S}-")


@pytest.mark.parametrize(
    ("name", "tags", "ours"),
    [
        (NAME, TAGS, True),
        (NAME, TAGS[:1], False),
        (NAME, TAGS[1:], False),
        (NAME, [TAGS[0], {"key": "hkprobe.journal", "value": "other"}], False),
        (NAME, None, False),
        (THEIRS, [TAGS[0], {"key": "hkprobe.journal", "value": THEIRS}], False),
        ("churn", TAGS, False),
    ],
)  # fmt: skip
def test_a_model_is_ours_by_its_tags_and_its_name(name: str, tags: object, ours: bool) -> None:
    """Both, and the one must name the other."""
    expected = [Leftover(kind="registered model", name=NAME, made_at=MADE)] if ours else []
    assert list(_model({"name": name, "tags": tags})) == expected  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("changed", "ours"),
    [
        ({}, True),
        ({"run_name": "train"}, False),
        ({"run_id": "../../others"}, False),
        ({"experiment_id": "1/../2"}, False),
    ],
)
def test_a_run_is_ours_by_its_tags_its_name_and_its_ids(changed: dict[str, str], ours: bool) -> None:
    """What an id could lead to else is not asked for."""
    info = {"run_name": NAME, "run_id": ID, "experiment_id": "7", **changed}
    folder = f"7/{ID}/artifacts"
    expected = Leftover(kind="run", name=NAME, made_at=MADE, experiment_id="7", run_id=ID, folder=folder)
    assert list(_run({"info": info, "data": {"tags": TAGS}}, "run")) == ([expected] if ours else [])  # type: ignore[dict-item]


class _Server:
    """An MLflow with so many models of ours, young ones and others between them, 100 a page."""

    def __init__(self, models: int) -> None:
        names = [f"hkprobe-20260102T030405-0a1b2c3d-{n:08x}" for n in range(models)]
        young = new_name("0a1b2c3d")
        self.models = [self._model(n) for n in (*names[:50], young, "churn", *names[50:])]
        self.asked: list[str] = []

    @staticmethod
    def _model(name: str) -> dict[str, object]:
        return {"name": name, "tags": [TAGS[0], {"key": "hkprobe.journal", "value": name}]}

    async def call(self, method: str, call: str, _body: object = None, query: object = ()) -> Answer:
        """A page of models, and nothing of anything else."""
        self.asked.append(f"{method} {call}")
        if call != "registered-models/search":
            return answer(body={})
        token = dict(query).get("page_token")  # type: ignore[call-overload]
        first = int(token or 0)
        page = {"registered_models": self.models[first : first + 100]}
        more = {"next_page_token": str(first + 100)} if first + 100 < len(self.models) else {}
        given = answer(body={**page, **more})
        given._kept = json.dumps({**page, **more}).encode()
        return given

    async def list_store(self, _folder: str) -> Answer:
        """An empty store."""
        return answer(body={"files": []})


def searched(server: _Server) -> Swept:
    """What a sweep without --apply finds there."""
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    return asyncio.run(_Sweeper(server, hour_ago, lambda _: None).sweep(apply=False))  # type: ignore[arg-type]


def test_what_is_ours_is_found_page_by_page() -> None:
    """All pages, and none but what is ours and old enough."""
    found = searched(_Server(150))
    assert (len(found.found), found.young, found.more, found.unseen) == (150, 1, False, ())
    assert {thing.kind for thing in found.found} == {"registered model"}


def test_one_sweep_finds_no_more_than_it_can_remove() -> None:
    """The rest is for another one, and this one says so."""
    server = _Server(1000)
    found = searched(server)
    assert (len(found.found), found.more, found.remains) == (MOST, True, True)
    assert server.asked == ["GET registered-models/search"] * 3


MODEL = Leftover(kind="registered model", name=NAME, made_at=MADE)
FOLDER = Leftover(kind="artifact folder", name=NAME, made_at=MADE, folder=NAME)
SAID: list[tuple[Swept, bool, int, str]] = [
    (Swept(), False, 0, "nothing of earlier runs is there"),
    (
        Swept(looked_back=40),
        False,
        0,
        (
            "of deleted runs only the newest 40 were looked into for artifacts\n"
            "nothing else of earlier runs is there"
        ),
    ),
    (
        Swept(young=2),
        True,
        0,
        "2 more are too young to tell whether a run is using them\nnothing of earlier runs is there",
    ),
    (
        Swept(found=(MODEL, FOLDER)),
        False,
        1,
        (
            f"left by an earlier run: registered model {NAME}, 90 min old\n"
            f"left by an earlier run: artifact folder {NAME} in {NAME}, 90 min old\n"
            "2 to remove: add --apply"
        ),
    ),
    (
        Swept(found=(MODEL, FOLDER), removed=(MODEL,), left=("the artifact folder is still there",)),
        True,
        1,
        (
            f"removed: registered model {NAME}, 90 min old\n"
            f"NOT REMOVED: artifact folder {NAME} in {NAME}, 90 min old\n"
            "the artifact folder is still there\n1 of 2 removed"
        ),
    ),
    (
        Swept(found=(MODEL,), removed=(MODEL,)),
        True,
        0,
        f"removed: registered model {NAME}, 90 min old\n1 of 1 removed",
    ),
    (
        Swept(found=(MODEL,), removed=(MODEL,), more=True),
        True,
        1,
        f"removed: registered model {NAME}, 90 min old\nthere may be more: sweep again\n1 of 1 removed",
    ),
    (Swept(unseen=("runs/search: 504",)), True, 3, "not looked at: runs/search: 504"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "applied", "code", "text"), SAID)
def test_what_is_said_and_with_which_exit_code(found: Swept, applied: bool, code: int, text: str) -> None:
    """Each thing, what became of it, and a line about all; 0 only where nothing is left and all was seen."""
    told = "\n".join(lines(found, MADE + timedelta(minutes=90), applied=applied))
    assert (exit_code(found), told) == (code, text)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--apply"], 2, "is of class write, which 127.0.0.1-9 does not allow: add --allow write\n"),
        (["--apply", "--allow", "write"], 3, "so nobody can say what is left there\n"),
        ([], 3, "so nobody can say what is left there\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept(arguments: list[str], code: int, text: str) -> None:
    """Nothing is removed without leave, and a server that is not there is not clean."""
    result = CliRunner().invoke(
        main, ["sweep", "http://127.0.0.1:9", *arguments], env={"HOKUSAI_API_KEY": ""}
    )
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.endswith(text)
