"""The MLflow server's version, that of the client beside us, and what that client needs of the server."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from hokusai_probe.answers import error_code, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable, Wrong
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.mlflow_client import ClientRequest, MlflowClientFacts

_VERSION = re.compile(r"\s*(\d{1,4})\.(\d{1,4})(\.\w{1,20}){0,2}\s*")
LOGGED_MODEL = "/api/2.0/mlflow/logged-models/hkprobe-no-such-model"
"""Clients from 3.0 on log a model by this route; servers before 3.0 do not have it."""
_CLIENTS = ("mlflow", "mlflow-skinny")


class VersionsFacts(Facts):
    """``server``: the server's version, None where it does not say. ``client``: of the installed package.

    ``needed``: the answer of a route that this client needs and servers of that version do not have; None:
    nothing such is known.
    """

    answer: Answer
    server: str | None
    client: str | None
    needed: Answer | None = None

    @property
    def differ(self) -> bool | None:
        """Whether client and server are of different major versions; None where one of them is not known."""
        known = self.server is not None and self.client is not None
        return major(self.server or "0") != major(self.client or "0") if known else None

    @property
    def lacks(self) -> bool:
        """Whether MLflow's own router, or the gateway in its name, does not know the route."""
        answer = self.needed
        if answer is None or answer.status != 404:
            return False
        return responder(answer) in {"mlflow", "gateway"} and error_code(answer) in {"", "RESOURCE_NOT_FOUND"}


@probe(area="proxy", after=("experiments-can-be-searched",), cost=3)
async def versions(look: Look, api: MlflowApiFacts) -> VersionsFacts:
    """The version that MLflow answers at ``/version``, and that of the MLflow client installed here.

    Through a prefix where it has one; MLflow 2.9 with a static prefix answers only without it (contract 4.2).
    """
    answer = await look.http.send("GET", "registry", f"{api.prefix}/version", key=look.key_form())
    if _of(answer) is None and api.prefix and look.target.hosts.auth is None:
        answer = await look.http.send("GET", "registry", "/version")
    server, client = _of(answer), _installed()
    needed = None
    if server is not None and client is not None and major(server) < 3 <= major(client):
        needed = await look.http.send("GET", "registry", api.prefix + LOGGED_MODEL, key=look.key_form())
    return VersionsFacts(answer=answer, server=server, client=client, needed=needed)


def _of(answer: Answer) -> str | None:
    found = _VERSION.fullmatch(answer.body) if answer.status == 200 else None
    return found.group().strip() if found else None


def _installed() -> str | None:
    for name in _CLIENTS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def major(text: str) -> int:
    """The first number of a version."""
    return int(text.partition(".")[0])


def at_least(text: str | None, wanted: tuple[int, int]) -> bool:
    """Whether a version is known and not older than that one, by its first two numbers."""
    return text is not None and tuple(int(part) for part in text.split(".")[:2]) >= wanted


@check(hop="client/version")
def client_fits_the_server(facts: VersionsFacts, tried: MlflowClientFacts | None) -> Sentence:
    """The MLflow client installed here finds what it needs at the server.

    That they are of different major versions is no fault of itself: which client is installed here is our
    matter, and most of what clients ask is the same in all of them.
    """
    if facts.client is None:
        return NotApplicable(reason="no MLflow client is installed here")
    if facts.server is None:
        return CannotTell(reason=f"the server does not say its version: {said(facts.answer)}")
    if not facts.differ:
        return None
    both = f"the server is MLflow {facts.server}, the client installed here {facts.client}"
    if facts.needed is not None and facts.lacks:
        return Wrong(reason=f"{both}, which needs {LOGGED_MODEL}", reproduce=facts.needed.curl())
    if tried and tried.works:
        return None
    missed = missing(tried)
    if missed is not None:
        return f"{both}, which asks {missed.method} {missed.path} in vain ({missed.status})"
    return CannotTell(reason=f"{both}; nothing is known to be missing")


def missing(tried: MlflowClientFacts | None) -> ClientRequest | None:
    """The request at which the client gave up because nobody knows it; None where that is not why."""
    failed = tried.registering.failed() if tried else None
    last = failed[1].requests[-1] if failed and failed[1].requests else None
    return last if last and last.status in {404, 405, 501} else None
