"""The looks at MLflow's routes, sizes, versions, refusals and pace: verdicts on facts made by hand."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from _facts import HTML, JSON, answer, mlflow_404, refusal, silence
from test_checks import PASS, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts
from hokusai_probe.probes.artifact_sizes import ArtifactSizesFacts, Tried, smaller
from hokusai_probe.probes.hostile_requests import REQUESTS, HostileRequestsFacts, given_away
from hokusai_probe.probes.latency import Beat, LatencyFacts
from hokusai_probe.probes.mlflow_api import SEARCH
from hokusai_probe.probes.mlflow_client import ClientRequest, ClientStep, ClientTry, MlflowClientFacts
from hokusai_probe.probes.mlflow_routes import READS, MlflowRoutesFacts
from hokusai_probe.probes.versions import LOGGED_MODEL, VersionsFacts

LOST = {"error_code": "RESOURCE_NOT_FOUND", "message": "The requested resource was not found: /experiments"}
INVALID = {"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}
BIG = 1_048_576


def routes(
    listing: Answer | None = None, own_path: Answer | None = None, **reads: Answer
) -> MlflowRoutesFacts:
    """Routes that are well, some changed."""
    well = {name: answer(body={}, path=path, method=method) for name, (method, path, _, _) in READS.items()}
    return MlflowRoutesFacts(reads=well | reads, listing=listing or answer(body={}), own_path=own_path)


def sizes(upload: Answer | None = None, download: Answer | None = None, **more: Any) -> ArtifactSizesFacts:
    """A large artifact that comes back, unless told otherwise."""
    up = upload or answer(body={}, path="/big")
    down = download or (answer(sha256="abc", path="/big") if up.status == 200 else None)
    return ArtifactSizesFacts(size=BIG, sent_sha256="abc", upload=up, download=down, **more)


def hostile(**changed: Answer) -> HostileRequestsFacts:
    """Everything refused as it should be, some changed; ``_`` stands for ``-``."""
    page = mlflow_404().body.replace("Not Found", "Method Not Allowed")
    refused: Mapping[str, Answer] = dict.fromkeys(REQUESTS, answer(400, INVALID)) | {
        "wrong-verb": answer(405, page, HTML),
        "unknown-route": answer(404, LOST),
    }
    own = {name.replace("_", "-"): given for name, given in changed.items()}
    broken = own.pop("broken", answer(body={}))
    return HostileRequestsFacts(answers=dict(refused) | own, broken=broken, untyped=answer(400, INVALID))


SKEW = "the server is MLflow 2.9.2, the client installed here 3.17.2"


def skewed(needed: Answer | None = None) -> VersionsFacts:
    """A server older than the client, and how it answered for the route that this client needs."""
    return VersionsFacts(answer=answer(), server="2.9.2", client="3.17.2", needed=needed)


def client_facts(refused: int | None = None) -> MlflowClientFacts:
    """The client did everything, or gave up at a request that was answered so."""
    sent = (ClientRequest(method="POST", path="/new", status=refused),)
    step = ClientStep(step="model", error="no" if refused else None, requests=sent)
    tried = ClientTry(form=None, steps=(step,))
    return MlflowClientFacts(client="3.17.2", environment=(), works=tried.worked, registering=tried)


def paced(*beats: Beat) -> LatencyFacts:
    """Two constant paths, and how they were answered when they were asked again."""
    return LatencyFacts(constants={"/live": 0.01, "/version": 0.02}, asked=("/live", "/version"), beats=beats)


HELD, QUICK = Beat(one=1.2, other=1.25, auth=0.02), Beat(one=0.01, other=0.02, auth=0.02)
NGINX = answer(413, "<h1>413 Request Entity Too Large</h1>", HTML, path="/big")

ROWS: list[tuple[str, tuple[Facts, ...], tuple[str, str | None, str]]] = [
    ("models-and-runs-can-be-searched", (routes(),), PASS),
    ("models-and-runs-can-be-searched", (routes(pages=mlflow_404()),), PASS),
    (
        "models-and-runs-can-be-searched",
        (routes(runs=refusal(504, "MLflow server request timeout after 30.0s", path="/r", method="POST")),),
        failing("POST /r: 504 from the gateway ('MLflow server request timeout after 30.0s')"),
    ),
    (
        "models-and-runs-can-be-searched",
        (routes(models=answer(200, "<html>", HTML, path="/m")),),
        failing("GET /m: 200 from an unknown sender (text/html)"),
    ),
    (
        "models-and-runs-can-be-searched",
        (routes(runs=answer(403, {"detail": "no", "error": "FORBIDDEN"})),),
        skipped("cannot-tell", "the key may not search: 403 from the gateway ('no')"),
    ),
    ("artifacts-can-be-listed", (routes(),), PASS),
    ("artifacts-can-be-listed", (routes(answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})),), PASS),
    (
        "artifacts-can-be-listed",
        (routes(answer(404, LOST, path="/a")),),
        failing("/a: 404 from the gateway ('RESOURCE_NOT_FOUND')"),
    ),
    (
        "own-path-leads-to-mlflow",
        (routes(),),
        skipped(
            "not-applicable", "there is no gateway, or the platform's prefix is MLflow's own path"
        ),
    ),
    ("own-path-leads-to-mlflow", (routes(own_path=answer(body={"experiments": []})),), PASS),
    (
        "own-path-leads-to-mlflow",
        (routes(own_path=refusal(404, "Not Found", path=SEARCH)),),
        skipped("not-applicable", f"this gateway does not take {SEARCH}"),
    ),
    (
        "own-path-leads-to-mlflow",
        (routes(own_path=answer(404, LOST, path=SEARCH)),),
        failing(f"{SEARCH}: 404 from the gateway ('RESOURCE_NOT_FOUND')"),
    ),
    ("large-artifact-survives", (sizes(),), PASS),
    (
        "large-artifact-survives",
        (sizes(NGINX, tried=(Tried(size=1024, answer=answer()), Tried(size=9000, answer=NGINX))),),
        failing("storing 1048576 bytes: 413 from an unknown sender (text/html); 1024 bytes are taken"),
    ),
    (
        "large-artifact-survives",
        (sizes(download=silence("timeout", "no answer in 8 s")),),
        failing("fetching 1048576 bytes again: no answer (timeout: no answer in 8 s)"),
    ),
    (
        "large-artifact-survives",
        (sizes(download=answer(sha256="other")),),
        failing("what came back of 1048576 bytes is not what was sent"),
    ),
    ("client-fits-the-server", (VersionsFacts(answer=answer(), server="3.4.0", client="3.17.2"),), PASS),
    (
        "client-fits-the-server",
        (skewed(),),
        skipped("cannot-tell", f"{SKEW}; nothing is known to be missing"),
    ),
    (
        "client-fits-the-server",
        (skewed(answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})),),
        skipped("cannot-tell", f"{SKEW}; nothing is known to be missing"),
    ),
    ("client-fits-the-server", (skewed(mlflow_404()),), failing(f"{SKEW}, which needs {LOGGED_MODEL}")),
    ("client-fits-the-server", (skewed(answer(404, LOST)),), failing(f"{SKEW}, which needs {LOGGED_MODEL}")),
    ("client-fits-the-server", (skewed(), client_facts()), PASS),
    (
        "client-fits-the-server",
        (skewed(), client_facts(404)),
        failing(f"{SKEW}, which asks POST /new in vain (404)"),
    ),
    (
        "client-fits-the-server",
        (skewed(), client_facts(403)),
        skipped("cannot-tell", f"{SKEW}; nothing is known to be missing"),
    ),
    (
        "client-fits-the-server",
        (VersionsFacts(answer=answer(), server="2.9.2", client=None),),
        skipped("not-applicable", "no MLflow client is installed here"),
    ),
    (
        "client-fits-the-server",
        (VersionsFacts(answer=answer(404, LOST), server=None, client="3.4.0"),),
        skipped(
            "cannot-tell", "the server does not say its version: 404 from the gateway ('RESOURCE_NOT_FOUND')"
        ),
    ),
    ("bad-requests-are-refused", (hostile(),), PASS),
    ("bad-requests-are-refused", (hostile(bad_filter=refusal(403, "n"), odd_field=refusal(401, "n")),), PASS),
    (
        "bad-requests-are-refused",
        (hostile(bad_filter=answer(500, {"error_code": "INTERNAL_ERROR"})),),
        failing("bad-filter: 500 from MLflow ('INTERNAL_ERROR')"),
    ),
    (
        "bad-requests-are-refused",
        (hostile(missing_field=answer(200, {}, JSON)),),
        failing("missing-field: 200 from an unknown sender (application/json)"),
    ),
    (
        "bad-requests-are-refused",
        (hostile(broken=silence("reset", "the connection was reset")),),
        failing("cut-off JSON or wrong type: no answer (reset: the connection was reset)"),
    ),
    ("gateway-answers-evenly", (paced(),), PASS),
    ("gateway-answers-evenly", (paced(QUICK, QUICK, QUICK),), PASS),
    ("gateway-answers-evenly", (paced(*(Beat(one=0.6, other=0.6, auth=0.5),) * 8),), PASS),
    ("gateway-answers-evenly", (paced(HELD, QUICK, HELD, QUICK),), PASS),
    (
        "gateway-answers-evenly",
        (paced(HELD, QUICK, HELD, HELD),),
        failing(
            "/live and /version were held up together 3 of 4 times, for up to 1.20 s, "
            "while the auth host answered at once"
        ),
    ),
    (
        "gateway-answers-evenly",
        (LatencyFacts(),),
        skipped("not-applicable", "none of the target's public paths is known to be constant and answers"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("check", "facts", "expected"), ROWS)
def test_a_check_says_this_of_these_facts(
    real: Catalogue, check: str, facts: tuple[Facts, ...], expected: tuple[str, str | None, str]
) -> None:
    """The whole verdict: status, kind of skip, and the sentence."""
    assert told(verdict(real, check, *facts)) == expected


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ('{"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid value for max_results"}', ""),
        ('Traceback (most recent call last):\n  File "/app/x.py", line 3', "the error shows a stack trace"),
        (
            '{"message": "(psycopg2.errors.UndefinedTable) relation \\"runs\\" does not exist"}',
            "the error shows SQL or the database driver's words",
        ),
        (
            '{"message": "SELECT runs.run_uuid\\nFROM runs"}',
            "the error shows SQL or the database driver's words",
        ),
    ],
)
def test_what_an_error_gives_away_is_recognised(body: str, what: str) -> None:
    """A stack trace and SQL; what is merely long or odd is none."""
    assert given_away(answer(500, body)) == what


def test_an_error_that_repeats_the_key_gives_it_away() -> None:
    """The door has compared what came with what was sent."""
    assert given_away(answer(500, "{}", echoes=True)) == "the error repeats the key that it was sent"


def test_a_good_answer_gives_nothing_away() -> None:
    """Only errors are read: what people stored may well be SQL."""
    assert given_away(answer(200, "SELECT a FROM b")) == ""


def test_the_limit_lies_between_what_was_taken_and_what_was_not() -> None:
    """Of all that was tried."""
    facts = sizes(
        NGINX,
        tried=(
            Tried(size=1024, answer=answer()),
            Tried(size=500_000, answer=NGINX),
            Tried(size=250_000, answer=answer()),
        ),
    )
    assert (facts.largest_taken, facts.smallest_refused) == (250_000, 500_000)


class Limited:
    """A store that takes bodies up to a size, and says what it was sent."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.sent: list[int] = []

    async def put(self, size: int, content: bytes) -> Answer:
        """200 or 413."""
        self.sent.append(len(content))
        assert size == len(content)
        return answer(200 if size <= self.limit else 413)


@pytest.mark.parametrize(("limit", "sent"), [(700_000, [1024, 524_800, 786_688, 655_744]), (1000, [1024])])
def test_a_limit_is_searched_for_in_a_few_halvings(limit: int, sent: list[int]) -> None:
    """The smallest first; if that is refused as well, it is not a matter of size worth asking about."""
    store = Limited(limit)
    tried = asyncio.run(smaller(store, bytes(BIG)))
    assert (store.sent, [t.size for t in tried]) == (sent, sent)
