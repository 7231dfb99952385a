"""The MLflow server's version, and that of the client beside us."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from hokusai_probe.answers import said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable
from hokusai_probe.probes.mlflow_api import MlflowApiFacts

_VERSION = re.compile(r"\s*(\d{1,4})\.(\d{1,4})(\.\w{1,20}){0,2}\s*")
_CLIENTS = ("mlflow", "mlflow-skinny")


class VersionsFacts(Facts):
    """``server``: the server's version, None where it does not say. ``client``: of the installed package."""

    answer: Answer
    server: str | None
    client: str | None


@probe(area="proxy", after=("experiments-can-be-searched",), cost=2)
async def versions(look: Look, api: MlflowApiFacts) -> VersionsFacts:
    """The version that MLflow answers at ``/version``, and that of the MLflow client installed here.

    Through a prefix where it has one; MLflow 2.9 with a static prefix answers only without it (contract 4.2).
    """
    answer = await look.http.send("GET", "registry", f"{api.prefix}/version", key=look.key_form())
    if _of(answer) is None and api.prefix and look.target.hosts.auth is None:
        answer = await look.http.send("GET", "registry", "/version")
    return VersionsFacts(answer=answer, server=_of(answer), client=_installed())


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


@check(hop="client/version")
def client_fits_the_server(facts: VersionsFacts) -> Sentence:
    """The MLflow client installed here and the server are of the same major version."""
    if facts.client is None:
        return NotApplicable(reason="no MLflow client is installed here")
    if facts.server is None:
        return CannotTell(reason=f"the server does not say its version: {said(facts.answer)}")
    if major(facts.server) == major(facts.client):
        return None
    return f"the server is MLflow {facts.server}, the client installed here {facts.client}"
