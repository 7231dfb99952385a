"""MLflow's own client: what its steps come to, what is certainly not made, and a job in the real worker."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from _facts import OUTSIDE, TARGET
from _servers import http, says, serving

from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import judge
from hokusai_probe.model import Observation, Tls
from hokusai_probe.probes._removal import Made
from hokusai_probe.probes.mlflow_client import (
    ClientRequest,
    ClientStep,
    ClientTry,
    MlflowClientFacts,
    _settle,
    environment,
)
from hokusai_probe.probes.trained_model import WORKER

pytestmark = [pytest.mark.xdist_group("trained-model"), pytest.mark.timeout(120)]

KEY = "hk_test_0123456789abcdef0123456789"
VARIABLES = (
    "MLFLOW_TRACKING_URI=https://registry.hokus.ai/api/mlflow",
    'MLFLOW_TRACKING_TOKEN="$HOKUSAI_API_KEY"',
)


def step(name: str, error: str | None = None, *statuses: int | None, call: str = "/x") -> ClientStep:
    """A step whose requests were answered so."""
    requests = tuple(ClientRequest(method="POST", path=call, status=s) for s in statuses)
    return ClientStep(step=name, error=error, requests=requests)


def verdict(real: Catalogue, tried: ClientTry) -> tuple[str, str, str | None]:
    """What the check says of one set-up."""
    facts = MlflowClientFacts(client="3.17.2", environment=VARIABLES, works=tried.worked, registering=tried)
    seen = Observation(
        probe=facts.probe, started_at="2026-01-01T00:00:00Z", duration_s=0.1, status="seen", facts=facts
    )
    (found,) = judge(real, [seen], OUTSIDE, frozenset({"mlflow-client-registers"}))
    return found.status, found.reason, found.reproduce


def test_a_client_that_did_everything_passes(real: Catalogue) -> None:
    """Every step without an error."""
    assert verdict(real, ClientTry(form="bearer", steps=(step("search"), step("run")))) == ("pass", "", None)


@pytest.mark.parametrize(
    ("tried", "reason"),
    [
        (
            ClientTry(form="bearer", steps=(step("search"), step("artifact", "RestException: no", 200, 503))),
            "at the step artifact it says 'RestException: no' (POST /x: 503)",
        ),
        (
            ClientTry(form="bearer", steps=(step("search", "MlflowException: reset", None),)),
            "at the step search it says 'MlflowException: reset' (POST /x: no answer)",
        ),
        (
            ClientTry(
                form="bearer", steps=(step("search"),), unfinished="the client was not done within 60 s"
            ),
            "the client was not done within 60 s",
        ),
        (ClientTry(form="bearer"), "it did nothing"),
    ],
)
def test_a_client_that_gave_up_says_where(real: Catalogue, tried: ClientTry, reason: str) -> None:
    """In its own words, with the last answer that it got, and a command to try the same with."""
    command = " ".join([*VARIABLES, "MLFLOW_HTTP_REQUEST_MAX_RETRIES=0", "mlflow experiments search"])
    assert verdict(real, tried) == ("fail", f"MLflow's client 3.17.2: {reason}", command)


BY_HEADER = (
    "with the key in X-API-Key, MLflow's client 3.17.2 fails: at the step search it says 'no' (POST /x: 401)"
)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (ClientTry(form="x-api-key", steps=(step("search"),)), ("pass", None, "")),
        (
            ClientTry(form="x-api-key", steps=(step("search", "no", 401),)),
            (
                "fail",
                None,
                BY_HEADER,
            ),
        ),
        (None, ("skip", "not-applicable", "there is no key that the client could send")),
    ],
)
def test_a_client_with_the_plug_in_is_let_in_or_not(
    real: Catalogue, header: ClientTry | None, said: tuple[str, str | None, str]
) -> None:
    """By the key in X-API-Key, whatever registering with the token came to."""
    facts = MlflowClientFacts(
        client="3.17.2",
        environment=VARIABLES,
        works=False,
        header_works=header.worked if header else None,
        registering=ClientTry(form="bearer"),
        header=header,
    )
    seen = Observation(
        probe=facts.probe, started_at="2026-01-01T00:00:00Z", duration_s=0.1, status="seen", facts=facts
    )
    (found,) = judge(real, [seen], OUTSIDE, frozenset({"mlflow-client-is-let-in-by-header"}))

    assert (found.status, found.skip_kind, found.reason) == said


def test_the_variables_hold_no_key() -> None:
    """The key is a reference to its variable; without one there is no token; a CA of one's own is named."""
    with_ca = TARGET.model_copy(update={"tls": Tls(ca_file="/etc/my ca.pem")})
    assert environment(TARGET, "/api/mlflow", with_key=True) == VARIABLES
    assert environment(with_ca, "/api/mlflow", with_key=False) == (
        VARIABLES[0],
        "REQUESTS_CA_BUNDLE='/etc/my ca.pem'",
    )


CREATE, MODEL = "/api/2.0/mlflow/runs/create", "/api/2.0/mlflow/registered-models/create"
STORE = "/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/model.json"
EVERYTHING = {"run", "artifact", "registered model"}


@pytest.mark.parametrize(
    ("tried", "not_made"),
    [
        (ClientTry(form=None, steps=(step("search", "no", 401),)), EVERYTHING),
        (ClientTry(form=None), EVERYTHING),
        (
            ClientTry(
                form=None, steps=(step("search"), step("experiment"), step("run", "x", 403, call=CREATE))
            ),
            EVERYTHING,
        ),
        (
            ClientTry(
                form=None, steps=(step("search"), step("experiment"), step("run", "x", 500, call=CREATE))
            ),
            EVERYTHING - {"run"},
        ),
        (
            ClientTry(form=None, steps=(step("search"), step("experiment")), unfinished="killed"),
            EVERYTHING - {"run"},
        ),
        (
            ClientTry(
                form=None,
                steps=(step("run", None, 200, call=CREATE), step("artifact", "x", 503, call=STORE)),
            ),
            {"artifact", "registered model"},
        ),
        (
            ClientTry(
                form=None,
                steps=(
                    step("run", None, 200, call=CREATE),
                    step("artifact", None, 200, call=STORE),
                    step("model", "x", None, call=MODEL),
                ),
            ),
            set(),
        ),
    ],
)
def test_what_was_certainly_not_made_needs_no_removal(tried: ClientTry, not_made: set[str]) -> None:
    """What was never begun or was refused; an answer that never came, or a 500, proves nothing."""
    made = Made("hkprobe-x")
    _settle(tried, made)
    assert made.not_made == not_made


def job(url: str, **more: Any) -> dict[str, Any]:
    """What the client is told."""
    return {
        "url": url,
        "token": KEY,
        "form": "bearer",
        "timeout_s": 5,
        "ca_file": None,
        "addresses": {},
        "experiment": "hokusai-probe",
        "name": "hkprobe-x",
        "tags": {"hkprobe": "1"},
        "artifact": "x",
        "reading_only": False,
        **more,
    }


async def done(told: dict[str, Any], directory: Path) -> list[dict[str, Any]]:
    """What a real client says of a job, line by line."""
    async with WORKER.job(directory, "client") as process:
        lines = [json.loads(await process.line())]
        process.go_on(json.dumps(told))
        while "done" not in lines[-1]:
            lines.append(json.loads(await process.line()))
    return lines


@pytest.mark.parametrize(
    ("form", "header"),
    [("bearer", f"Authorization: Bearer {KEY}"), ("x-api-key", f"X-API-Key: {KEY}")],
)
def test_the_real_client_sends_the_key_and_tells_the_status_without_trying_again(
    form: str, header: str, tmp_path: Path
) -> None:
    """One request, answered 503: the client keeps the status to itself, and what it says names no key."""

    async def asked() -> tuple[list[dict[str, Any]], list[bytes]]:
        answer = http("503 Service Unavailable", b"no", connection="close")
        async with serving(says(answer, then="close")) as server:
            told = job(f"http://127.0.0.1:{server.port}/api/mlflow", form=form)
            return await done(told, tmp_path), server.heads

    (ready, search, end), heads = asyncio.run(asked())
    path = "/api/mlflow/api/2.0/mlflow/experiments/search"
    assert list(ready) == ["client"]
    assert (search["step"], search["requests"], end) == ("search", [["POST", path, 503]], {"done": True})
    assert "503" in search["error"]
    assert KEY not in search["error"]
    assert [header.lower() in head.decode().lower() for head in heads] == [True]


def test_names_of_the_target_s_own_resolver_reach_the_client(tmp_path: Path) -> None:
    """A host that only the target's resolver knows is asked at the address that it gave."""

    async def asked() -> list[bytes]:
        async with serving(says(http("500 Oops", b"{}", connection="close"), then="close")) as server:
            url = f"http://registry.sandbox.test:{server.port}"
            await done(job(url, addresses={"registry.sandbox.test": "127.0.0.1"}), tmp_path)
            return server.heads

    (head,) = asyncio.run(asked())
    assert b"registry.sandbox.test" in head
