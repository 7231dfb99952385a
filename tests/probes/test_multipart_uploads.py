"""Uploads in parts: verdicts on facts made by hand, and what is given up."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from _facts import HTML, JSON, answer, mlflow_404, refusal, silence
from test_checks import PASS, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.looking import Entry, Journal
from hokusai_probe.probes.multipart_uploads import MultipartUploadsFacts, _Upload
from hokusai_probe.probes.versions import VersionsFacts

NONE = answer(501, {"error_code": "NOT_IMPLEMENTED", "message": "Multipart upload is not supported"})
ENDED = answer(body={})
BEGUN = {"upload_id": "id-1", "credentials": [{"url": "https://store.example/x?X-Amz-Signature=abc"}]}
PAGE = answer(500, "<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>", HTML)


def facts(begun: Answer, aborted: Answer | None = None) -> MultipartUploadsFacts:
    """What beginning was answered, and ending it."""
    return MultipartUploadsFacts(begun=begun, has_id=aborted is not None, aborted=aborted)


def server(version: str | None) -> VersionsFacts:
    """The server's version."""
    return VersionsFacts(answer=answer(body=version or ""), server=version, client=None)


NO_ROUTE = "404 from MLflow (text/html)"
ROWS: list[tuple[MultipartUploadsFacts, str | None, tuple[str, str | None, str]]] = [
    (facts(answer(), ENDED), "3.17.2", PASS),
    (facts(answer(), answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})), None, PASS),
    (facts(answer()).model_copy(update={"nameless": True}), "3.17.2", PASS),
    (
        facts(NONE),
        "3.17.2",
        skipped("not-applicable", "MLflow's artifact store takes none: 501 from MLflow ('NOT_IMPLEMENTED')"),
    ),
    (facts(mlflow_404()), "3.17.2", failing(f"beginning an upload: {NO_ROUTE}")),
    (
        facts(mlflow_404()),
        "2.9.2",
        skipped("cannot-tell", f"whether this MLflow has the route is not known: {NO_ROUTE}"),
    ),
    (
        facts(mlflow_404()),
        None,
        skipped("cannot-tell", f"whether this MLflow has the route is not known: {NO_ROUTE}"),
    ),
    (
        facts(refusal(503, "no")),
        "3.17.2",
        failing("beginning an upload: 503 from the gateway ('no')"),
    ),
    (
        facts(answer(200, "{}", JSON)),
        "3.17.2",
        failing("beginning an upload: 200 from an unknown sender (application/json)"),
    ),
    (
        facts(answer(), refusal(504, "late")),
        "3.17.2",
        failing("giving up an upload that was begun: 504 from the gateway ('late')"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "version", "expected"), ROWS)
def test_a_verdict(
    real: Catalogue, seen: MultipartUploadsFacts, version: str | None, expected: tuple[str, str | None, str]
) -> None:
    """What MLflow's store cannot do is no failure; what misses a route that MLflow has is one."""
    assert told(verdict(real, "uploads-in-parts-can-be-begun", seen, server(version))) == expected


class _Door:
    """Answers one request after the other, and keeps what was sent."""

    def __init__(self, *answers: Answer) -> None:
        self.sent: list[tuple[str, object]] = []
        self._answers = list(answers)

    async def send(self, _method: str, _host: str, path: str, *, json: object, **_: object) -> Answer:
        """The next answer."""
        self.sent.append((path.rpartition("/")[0], json))
        return self._answers.pop(0)


def undone(*answers: Answer) -> tuple[list[tuple[str, object]], tuple[Entry, ...]]:
    """An upload that is begun and given up where this is answered: what was sent, and what became of it."""
    door, journal = _Door(*answers), Journal()
    look: Any = SimpleNamespace(http=door, key_form=lambda: None, run_id="r")

    async def work() -> tuple[Entry, ...]:
        upload = _Upload(look, "/p")
        journal.will_create("upload in parts", "it", upload.abort)
        await upload.begin()
        return await journal.undo(5.0)

    return door.sent, asyncio.run(work())


def test_a_store_that_names_no_upload_has_none_open() -> None:
    """As Azure's: MLflow gives addresses and no id, and nothing is there to give up."""
    nameless = answer(200, {"upload_id": None, "credentials": [{"url": "x"}]})
    nameless._kept = json.dumps({"upload_id": None, "credentials": [{"url": "x"}]}).encode()

    assert undone(nameless) == ([ASKED], (Entry(kind="upload in parts", name="it", removed=True),))


def received(body: dict[str, object]) -> Answer:
    """An answer as the door gives it: redacted, and whole beside that."""
    given = answer(200, {**body, "upload_id": "[redacted]"})
    given._kept = json.dumps(body).encode()
    return given


CREATE, ABORT = "/p/api/2.0/mlflow-artifacts/mpu/create", "/p/api/2.0/mlflow-artifacts/mpu/abort"
ASKED = (CREATE, {"path": "parts.bin", "num_parts": 1})
ENDING = (ABORT, {"path": "parts.bin", "upload_id": "id-1"})


@pytest.mark.parametrize(
    ("answers", "sent", "removed"),
    [
        ((received(BEGUN), ENDED), [ASKED, ENDING], True),
        ((received(BEGUN), refusal(503, "busy"), ENDED), [ASKED, ENDING, ENDING], True),
        ((NONE,), [ASKED], True),
        ((PAGE,), [ASKED], True),
        ((refusal(401, "no"),), [ASKED], True),
        ((silence("timeout", "no answer in 8 s"),), [ASKED], False),
        ((refusal(504, "late"),), [ASKED], False),
    ],
)
def test_what_was_begun_is_given_up(
    answers: tuple[Answer, ...], sent: list[tuple[str, object]], removed: bool
) -> None:
    """By the id as it was received; where nobody knows whether one was begun, that is said."""
    assert undone(*answers) == (sent, (Entry(kind="upload in parts", name="it", removed=removed),))
