"""Whether a parameter that a query has twice arrives at MLflow twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import error_code, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Wrong
from hokusai_probe.probes.mlflow_api import MlflowApiFacts

SEARCH = "/api/2.0/mlflow/registered-models/search"
BAD, GOOD, OTHER = "hkprobe", "name ASC", "last_updated_timestamp ASC"
ORDERS: Mapping[str, tuple[str, ...]] = {
    "alone": (BAD,),
    "first": (BAD, GOOD),
    "last": (GOOD, BAD),
    "good": (GOOD, OTHER),
}
"""By which orders models are searched: a key that MLflow does not know alone, first and last, and none."""


class RepeatedParametersFacts(Facts):
    """What a search for models answered that is told twice by what to order; see ORDERS.

    ``missing``: which of two parameters certainly does not arrive: ``first``, ``last``, ``both`` (each alone
    would be refused and is not), ``joined`` (two good ones are refused), or ``none``. None: there is no
    telling.
    """

    answers: Mapping[str, Answer]
    missing: str | None = None


@probe(area="proxy", after=("experiments-can-be-searched",), cost=4)
async def repeated_parameters(look: Look, api: MlflowApiFacts) -> RepeatedParametersFacts:
    """Searching models in an order of two keys, of which MLflow refuses one if it gets to see it.

    MLflow answers 400 to a key that it does not know, wherever it stands (seen on 3.17). A proxy that reads
    the query into a dictionary hands on one parameter of each name, and the bad one may be lost (contract
    4.1). Nothing is created. MLflow's client sends ``order_by`` once for each key.
    """
    path = api.prefix + SEARCH
    found = await asyncio.gather(*(_ordered(look, path, keys) for keys in ORDERS.values()))
    answers = dict(zip(ORDERS, found, strict=True))
    return RepeatedParametersFacts(answers=answers, missing=missing(answers))


async def _ordered(look: Look, path: str, keys: tuple[str, ...]) -> Answer:
    query = [("max_results", "1"), *(("order_by", key) for key in keys)]
    return await look.http.send("GET", "registry", path, key=look.key_form(), query=query)


def missing(answers: Mapping[str, Answer]) -> str | None:
    """Which of two parameters is lost, by what was refused; None where the answers do not say."""
    refused = {name: _refused(answer) for name, answer in answers.items()}
    if refused["alone"] is not True or None in refused.values():
        return None
    if refused["good"]:
        return "joined"
    seen = {(True, True): "none", (False, True): "first", (True, False): "last", (False, False): "both"}
    return seen[refused["first"] is True, refused["last"] is True]


def _refused(answer: Answer) -> bool | None:
    """Whether MLflow refuses the order; None: it is no word of MLflow's on the order."""
    body = answer.json()
    if answer.status == 200 and isinstance(body, Mapping):
        return False if set(body) <= {"registered_models", "next_page_token"} else None
    return True if answer.status == 400 and error_code(answer) == "INVALID_PARAMETER_VALUE" else None


_LOST = {
    "first": "of two only the last arrives",
    "last": "of two only the first arrives",
    "both": "of two none arrives",
    "joined": "two arrive as something that MLflow does not understand",
}


@check(hop="mlflow-api/repeats")
def repeated_parameters_are_forwarded(facts: RepeatedParametersFacts) -> Sentence:
    """A parameter that a query has twice arrives at MLflow twice."""
    if facts.missing is None:
        told = "; ".join(f"{'&'.join(ORDERS[name])}: {said(a)}" for name, a in facts.answers.items())
        return CannotTell(reason=f"MLflow's answers do not show which orders arrived ({told})")
    if facts.missing == "none":
        return None
    answer = telling(facts)
    return Wrong(reason=f"{answer.path}?order_by: {_LOST[facts.missing]}", reproduce=answer.curl())


def telling(facts: RepeatedParametersFacts) -> Answer:
    """The answer that shows what is lost."""
    return facts.answers[telling_name(facts)]


def telling_name(facts: RepeatedParametersFacts) -> str:
    """The name of the answer that shows what is lost."""
    return {"joined": "good", "last": "last"}.get(facts.missing or "", "first")
