"""What a caller sees who knows the registry alone: the key is refused, and nobody else can be asked."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe.answers import detail, said
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Case, cause
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.mlflow_api import MlflowApiFacts


@cause(
    component="client",
    priority="high",
    effort="minutes",
    look_alikes={
        "key-unknown-or-expired": "told apart where the target names the auth host: it is then asked",
        "gateway-sends-wrong-service-id": "there auth accepts the key when asked directly; others' keys are "
        "refused, too",
        "auth-service-down": "there the text speaks of the authentication service, not of the key",
    },
    source="contract 3.3; MLflow: a server with basic-auth answers 401 to who does not log in",
)
def key_refused(api: MlflowApiFacts, target: Target) -> Iterator[Case]:
    """The server answers 401 to the caller's key, or to a caller without one, and its auth host is not known.

    With a bare URL nobody but the registry can be asked, so this says no more than that the key is refused:
    ``Invalid or expired API key``, ``API key required``, or ``You are not authenticated`` of MLflow's login.
    """
    if target.hosts.auth is not None:
        return
    answer = api.search
    sent = answer.key_form is not None
    refusal = "refuses the key" if sent else "wants a key and none was sent"
    yield Case(
        subject="key",
        breaks=("key",),
        claims=(
            answered(
                f"the server {refusal}: {said(answer)}",
                _refused(answer),
                answer,
                "search",
                by=MlflowApiFacts,
            ),
        ),
        remedy=_remedy(target, sent=sent),
    )


def _refused(answer: Answer) -> bool | None:
    """401 for the caller's sake; hidden where the server has trouble of its own, or nobody answers."""
    if answer.status == 200:
        return False
    own_trouble = "service" in detail(answer).lower()  # contract 3.3: of the auth service's outages
    return True if answer.status == 401 and not own_trouble else None


_OR_ELSE = (
    "If other people's keys are refused as well, it is not the key: tell the platform. A target file with "
    "the auth service's address ([hosts] auth) lets this tool tell the two apart."
)


def _remedy(target: Target, *, sent: bool) -> Remedy:
    variable = target.key.env
    get = (
        f"See that {variable} holds the whole key, with its prefix, and that the key is for this platform."
        if sent
        else f"Set {variable} to a key of this platform and run again."
    )
    return Remedy(
        kind="outside-aws",
        summary=get,
        after=(_OR_ELSE,),
        rollback="None: nothing is changed.",
        verify="hokusai-probe verify key-refused",
    )
