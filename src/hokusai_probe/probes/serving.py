"""A prediction of the model that the target names, through the gateway."""

from __future__ import annotations

import re

from pydantic import JsonValue

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable, Wrong

_ASKED: JsonValue = {"inputs": {}}
_OF_AUTH = "Authentication service"
_LACKING = re.compile(
    r"(token|api[ _-]?key|secret|password|credentials?)\b.{0,40}\b(not|missing|no)\b", re.IGNORECASE
)


class ServingFacts(Facts):
    """What the gateway says of a model, and what a prediction of it came to. ``model`` None: none is named.

    ``prediction`` None: its information was not to be had, so nothing was asked that is billed.
    """

    model: str | None = None
    info: Answer | None = None
    prediction: Answer | None = None

    @property
    def failed(self) -> Answer | None:
        """The prediction, if the gateway itself could not make it. Trouble with auth is none of its own."""
        answer = self.prediction
        if answer is None or not answer.answered or (answer.status or 0) < 500:
            return None
        of_auth = detail(answer).startswith(_OF_AUTH)
        return None if of_auth or responder(answer) != "gateway" else answer

    @property
    def lacks(self) -> str:
        """The gateway's words, if it lacks a token, a key or a password to predict with; else empty."""
        words = detail(self.failed) if self.failed else ""
        return words if _LACKING.search(words) else ""


@probe(area="registration", safety="write", needs=("key",), after=("registry-host-answers",), cost=2)
async def serving(look: Look) -> ServingFacts:
    """Information about a model and one prediction of it, where ``[paths] serving_model`` names one.

    Of class write because a prediction is billed to the owner of the key, as usage and as a debit.
    """
    model = look.target.paths.serving_model
    if model is None:
        return ServingFacts()
    path = f"/api/v1/models/{model}"
    info = await look.http.send("GET", "registry", f"{path}/info", key="bearer")
    if info.status != 200:
        return ServingFacts(model=model, info=info)
    prediction = await look.http.send("POST", "registry", f"{path}/predict", key="bearer", json=_ASKED)
    return ServingFacts(model=model, info=info, prediction=prediction)


@check(hop="authenticated/serving")
def model_can_be_served(facts: ServingFacts) -> Sentence:
    """The gateway makes a prediction of the model that the target names.

    A model's information and health are 200 also where nothing can be predicted (INC-42). What is wrong with
    key, account or input is no matter of serving.
    """
    if facts.model is None:
        return NotApplicable(reason="the target names no model to be served")
    answer = facts.prediction or facts.info
    if facts.failed is not None:
        reason = f"information about model {facts.model} is 200, a prediction {said(facts.failed)}"
        return Wrong(reason=reason, reproduce=facts.failed.curl())
    if facts.prediction is not None and facts.prediction.status == 200:
        return None
    return CannotTell(reason=f"{answer.path}: {said(answer)}" if answer else "nothing was asked")
