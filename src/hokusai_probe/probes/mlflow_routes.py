"""The routes of MLflow that tell most, through the platform's prefix and at MLflow's own path."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import JsonValue

from hokusai_probe.answers import detail, error_code, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable, Wrong
from hokusai_probe.probes.mlflow_api import SEARCH, MlflowApiFacts, is_search_result

_ONE = ("max_results", "1")
READS: Mapping[str, tuple[str, str, tuple[tuple[str, str], ...], JsonValue]] = {
    "models": ("GET", "/api/2.0/mlflow/registered-models/search", (_ONE,), None),
    "versions": ("GET", "/api/2.0/mlflow/model-versions/search", (_ONE,), None),
    "runs": ("POST", "/api/2.0/mlflow/runs/search", (), {"experiment_ids": ["0"], "max_results": 1}),
    "pages": ("GET", "/ajax-api/2.0/mlflow/experiments/search", (_ONE,), None),
}
"""Requests that change nothing, with the verb that MLflow 2.9 and 3.x both want (contract 4.2)."""

LISTING = ("GET", "/api/2.0/mlflow-artifacts/artifacts", (("path", "hkprobe-no-such-folder"),), None)


class MlflowRoutesFacts(Facts):
    """What MLflow's routes answered, with the key if there is one.

    ``reads``: by name, see READS; ``pages`` is the route of MLflow's own web pages. ``listing``: a folder of
    the artifact store that does not exist. ``own_path``: a search at MLflow's own path without any prefix;
    None where the platform's prefix is that path.
    """

    reads: Mapping[str, Answer]
    listing: Answer
    own_path: Answer | None = None


@probe(area="proxy", after=("experiments-can-be-searched",), cost=6)
async def mlflow_routes(look: Look, api: MlflowApiFacts) -> MlflowRoutesFacts:
    """Searching models, versions and runs, listing artifacts, and MLflow's own path, all harmless.

    A platform can have a rule, a mount or a limit for one of them that it has not for the others. An MLflow
    client that is given the host alone asks at ``/api/2.0/mlflow`` (S-06).
    """
    asked = [*READS.values(), LISTING]
    own = [("GET", SEARCH, (_ONE,), None)] if api.prefix and look.target.hosts.auth is not None else []
    found = await asyncio.gather(
        *(_ask(look, api.prefix, *one) for one in asked), *(_ask(look, "", *one) for one in own)
    )
    reads = dict(zip(READS, found, strict=False))
    return MlflowRoutesFacts(
        reads=reads, listing=found[len(READS)], own_path=found[len(asked)] if own else None
    )


async def _ask(
    look: Look, prefix: str, method: str, path: str, query: tuple[tuple[str, str], ...], body: JsonValue
) -> Answer:
    return await look.http.send(
        *(method, "registry", prefix + path), key=look.key_form(), query=query, json=body
    )


@check(hop="mlflow-api/routes")
def models_and_runs_can_be_searched(facts: MlflowRoutesFacts) -> Sentence:
    """Registered models, model versions and runs can be searched.

    The route of MLflow's own pages is a fact and not judged: with a static prefix MLflow 2.9 has it below the
    prefix only, and the API at the root only (contract 4.2).
    """
    wrong = [a for name, a in facts.reads.items() if name != "pages" and not _is_well(a)]
    if not wrong:
        return None
    if all(a.status == 403 and error_code(a) == "FORBIDDEN" for a in wrong):
        return CannotTell(reason=f"the key may not search: {said(wrong[0])}")
    return Wrong(
        reason="; ".join(f"{a.method} {a.path}: {said(a)}" for a in wrong), reproduce=wrong[0].curl()
    )


@check(hop="artifacts/listing")
def artifacts_can_be_listed(facts: MlflowRoutesFacts) -> Sentence:
    """A listing of artifacts reaches MLflow. It is empty also where the store is broken: field notes."""
    answer = facts.listing
    unknown = answer.status == 404 and error_code(answer) == "RESOURCE_DOES_NOT_EXIST"
    if _is_well(answer) or unknown:
        return None
    return Wrong(reason=f"{answer.path}: {said(answer)}", reproduce=answer.curl())


def _is_well(answer: Answer) -> bool:
    return answer.status == 200 and isinstance(answer.json(), Mapping)


@check(hop="mlflow-api/own-path", behaviour="api-2.0-mount-strips-prefix")
def own_path_leads_to_mlflow(facts: MlflowRoutesFacts) -> Sentence:
    """Where the gateway takes MLflow's own path at all, it hands it on whole."""
    answer = facts.own_path
    if answer is None:
        return NotApplicable(reason="there is no gateway, or the platform's prefix is MLflow's own path")
    if is_search_result(answer):
        return None
    if answer.status == 404 and detail(answer) == "Not Found" and responder(answer) == "gateway":
        return NotApplicable(reason=f"this gateway does not take {answer.path}")
    return Wrong(reason=f"{answer.path}: {said(answer)}", reproduce=answer.curl())
