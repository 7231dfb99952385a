"""MLflow's API as a client reaches it: which prefix works, does searching answer, are errors MLflow's own."""

from __future__ import annotations

from collections.abc import Mapping

from hokusai_probe.answers import error_code, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Blocked, Facts, Wrong

CANDIDATES = ("", "/api/mlflow", "/mlflow")
SEARCH = "/api/2.0/mlflow/experiments/search"
MODEL = "/api/2.0/mlflow/registered-models/get"
NO_SUCH_MODEL = "hkprobe-no-model-of-this-name"


class MlflowApiFacts(Facts):
    """The prefix under which MLflow's REST API was asked, and what it answered.

    ``tried``: the answers of the prefixes that were tried before, where the target names none.
    ``works``: searching answered with MLflow's own JSON, which may be longer than the body that is kept.
    ``unknown_model`` None: nobody behind the edge answered the search, so nothing more was asked.
    """

    prefix: str
    search: Answer
    unknown_model: Answer | None
    works: bool
    tried: Mapping[str, Answer] = {}


@probe(area="proxy", cost=5)
async def mlflow_api(look: Look) -> MlflowApiFacts:
    """Searching experiments and asking for a model that does not exist, with the key if there is one.

    ``max_results`` is sent always: without it MLflow 2.9 answers 400 to a healthy request (contract 4.2).
    """
    tried: dict[str, Answer] = {}
    for prefix in _prefixes(look):
        tried[prefix] = await _get(look, prefix + SEARCH, ("max_results", "1"))
        if is_search_result(tried[prefix]) or tried[prefix].status is None:
            break  # found, or nobody there: asking the dead again costs a connect timeout each
    chosen = min(tried, key=lambda prefix: _promise(tried[prefix]))
    search = tried.pop(chosen)
    unknown = await _get(look, chosen + MODEL, ("name", NO_SUCH_MODEL)) if _is_there(search) else None
    return MlflowApiFacts(
        prefix=chosen,
        search=search,
        unknown_model=unknown,
        works=is_search_result(search),
        tried=tried,
    )


def _is_there(answer: Answer) -> bool:
    """Whether asking on is worth it: a silent upstream costs the platform's whole time limit each time."""
    return answer.status is not None and answer.status not in {502, 503, 504}


def _prefixes(look: Look) -> tuple[str, ...]:
    named = look.target.paths.mlflow
    return CANDIDATES if named is None else (named.rstrip("/"),)


def _promise(answer: Answer) -> int:
    """How much an answer speaks for its prefix: it works (0), it asks for a key or fails (1), nothing (2)."""
    if is_search_result(answer):
        return 0
    return 2 if answer.status in {None, 404} else 1


async def _get(look: Look, path: str, query: tuple[str, str]) -> Answer:
    return await look.http.send("GET", "registry", path, key=look.key_form(), query=[query])


def is_search_result(answer: Answer) -> bool:
    """200 with an object that MLflow would send: experiments, a page token, or nothing in it."""
    body = answer.json()
    return (
        answer.status == 200 and isinstance(body, Mapping) and set(body) <= {"experiments", "next_page_token"}
    )


@check(hop="mlflow-api")
def experiments_can_be_searched(facts: MlflowApiFacts) -> Sentence:
    """Searching experiments through the platform's prefix answers with MLflow's JSON."""
    if facts.works:
        return None
    return Wrong(reason=f"{facts.search.path}: {said(facts.search)}", reproduce=facts.search.curl())


@check(hop="mlflow-api/errors")
def unknown_model_is_mlflows_404(facts: MlflowApiFacts) -> Sentence:
    """A model that does not exist is answered with MLflow's own 404, in JSON."""
    answer = facts.unknown_model
    if answer is None:
        return Blocked(
            reason=f"{facts.search.path}: {said(facts.search)}, so nothing more was asked",
            waited_for="experiments-can-be-searched",
        )
    if (
        answer.status == 404
        and error_code(answer) == "RESOURCE_DOES_NOT_EXIST"
        and responder(answer) == "mlflow"
    ):
        return None
    return Wrong(reason=f"{answer.path}: {said(answer)}", reproduce=answer.curl())
