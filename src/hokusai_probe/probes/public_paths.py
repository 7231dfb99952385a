"""The registry's paths without a key: the public ones answer, the required ones ask for a key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from hokusai_probe.answers import responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable, Wrong
from hokusai_probe.probes.health_bodies import HealthBodiesFacts

MLFLOW_HEALTH = "/api/health/mlflow"


_OBJECTS = frozenset({"/health", "/ready", "/live", "/version", "/openapi.json", MLFLOW_HEALTH})
"""Where the gateway answers with a JSON object that has something in it (contract 5)."""
_TYPES: Mapping[str, str] = {"/docs": "html", "/redoc": "html", "/metrics": "text"}
_LOGIN = re.compile(r"<form\b|type=[\"']?password", re.IGNORECASE)


class PublicPathsFacts(Facts):
    """Answers to requests without a key, in the order in which the target lists the paths."""

    public: tuple[Answer, ...] = ()
    required: tuple[Answer, ...] = ()

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Every answer."""
        return (*self.public, *self.required)


@probe(area="infrastructure", cost=20)
async def public_paths(look: Look) -> PublicPathsFacts:
    """What the registry answers without a key on its public and on its required paths.

    Authentication comes before routing (contract 3): without a key every path that reaches the gateway
    is 401, whether it exists or not. So a 401 proves the way to the gateway and nothing more; a 404 on a
    path that must exist is a fault.
    """
    paths = look.target.paths
    public = await asyncio.gather(*(look.http.send("GET", "registry", p) for p in paths.public))
    required = await asyncio.gather(*(look.http.send("GET", "registry", p) for p in paths.required))
    return PublicPathsFacts(public=tuple(public), required=tuple(required))


def _list(wrong: list[Answer]) -> Sentence:
    if not wrong:
        return None
    return Wrong(reason="; ".join(f"{a.path}: {said(a)}" for a in wrong), reproduce=wrong[0].curl())


@check(hop="public.registry/public-paths", behaviour="public-paths-need-key")
def public_paths_answer(facts: PublicPathsFacts) -> Sentence:
    """Each path that is meant to be public answers 200 without a key."""
    if not facts.public:
        return NotApplicable(reason="the target lists no public paths")
    return _list([a for a in facts.public if not is_public(a)])


def is_public(answer: Answer) -> bool:
    """The gateway answered without a key: 200 in the shape of that path, where it has one.

    503 from the gateway itself is an answer, too: it says that something is unwell.
    """
    if answer.status == 503:
        return responder(answer) == "gateway" or _is_readiness(answer)
    if answer.status != 200 or responder(answer) == "load-balancer":
        return False
    if answer.path in _OBJECTS:
        return _is_object(answer)
    return _TYPES.get(answer.path, "") in answer.content_type and not _LOGIN.search(answer.body)


def _is_object(answer: Answer) -> bool:
    """Not empty. A long one may be recorded without its end."""
    if answer.truncated:
        return answer.body.lstrip().startswith("{")
    return isinstance(body := answer.json(), Mapping) and bool(body)


def _is_readiness(answer: Answer) -> bool:
    body = answer.json()
    return isinstance(body, Mapping) and "ready" in body


@check(hop="mlflow-health")
def gateway_says_mlflow_is_well(facts: PublicPathsFacts, bodies: HealthBodiesFacts | None) -> Sentence:
    """The gateway's own health check of MLflow says that it is well.

    With the key, where it asks for one or is not among the target's public paths.
    """
    public = next((a for a in facts.public if a.path == MLFLOW_HEALTH), None)
    with_key = bodies.answers.get(MLFLOW_HEALTH) if bodies else None
    answer = public if public is not None and public.status != 401 else with_key or public
    if answer is None:
        return NotApplicable(reason=f"{MLFLOW_HEALTH} is not among the target's public paths")
    return _of_mlflow(answer)


def _of_mlflow(answer: Answer) -> Sentence:
    if answer.status == 401:
        return CannotTell(reason=f"{MLFLOW_HEALTH} asks for a key here")
    body = answer.json() if answer.status == 200 else None
    if not isinstance(body, Mapping):
        return Wrong(reason=f"{answer.path}: {said(answer)}", reproduce=answer.curl())
    word = body.get("status")
    if word in {"unhealthy", "degraded"}:
        return Wrong(reason=f"{answer.path}: 200, and its body says {word}", reproduce=answer.curl())
    return None if word == "healthy" else CannotTell(reason=f"{answer.path} does not say how MLflow is")


@check(hop="required-paths")
def required_paths_reach_gateway(facts: PublicPathsFacts) -> Sentence:
    """Each required path leads to the gateway, which asks for a key."""
    if not facts.required:
        return NotApplicable(reason="the target lists no required paths")
    return _list([a for a in facts.required if not _reaches(a)])


def _reaches(answer: Answer) -> bool:
    return responder(answer) == "gateway" and answer.status not in {403, 404, 405}
