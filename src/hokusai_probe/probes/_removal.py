"""Removing what a registration created, and looking whether it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from hokusai_probe.answers import said
from hokusai_probe.http import Answer
from hokusai_probe.probes._mlflow_rest import (
    TAG,
    Rest,
    dig,
    dig_list,
    is_gone,
    is_unknown,
    lists_nothing,
)

_LOOKS = 3  # a look afterwards that meets an intermittent fault says nothing of what is left


@dataclass(slots=True)
class Made:
    """What a registration is about to create, or has, as far as its maker knows.

    ``name`` is that of the model and of the run, and in their tags. ``stored_in``: a folder of the artifact
    store that is not a run's. ``not_made`` holds the kinds (run,
    artifact, registered model) whose creation was certainly refused: nothing is there to remove.
    """

    name: str
    experiment_id: str | None = None
    run_id: str | None = None
    not_made: set[str] = field(default_factory=set)
    stored_in: str = ""

    @property
    def folder(self) -> str:
        """The folder in the artifact store: the one that was said, else the run's own."""
        return self.stored_in or f"{self.experiment_id or '0'}/{self.run_id or self.name}/artifacts"


class Removal:
    """Removes over REST, whoever created it, and looks afterwards."""

    def __init__(self, rest: Rest, made: Made) -> None:
        self._rest = rest
        self._made = made

    async def delete_run(self) -> bool:
        """Delete the run, also one whose creation was never answered: it is found by its tag."""
        if "run" in self._made.not_made:
            return True
        ids = [self._made.run_id] if self._made.run_id else await self._runs_of_ours()
        if ids is None:
            return False
        deleted = [await self._rest.call("POST", "runs/delete", {"run_id": one}) for one in ids]
        return all(is_gone(answer) or _is_deleted(answer) for answer in deleted)

    async def _runs_of_ours(self) -> list[str] | None:
        """Ids of runs with our tag; None: the platform would not say."""
        body: JsonValue = {
            "experiment_ids": [self._made.experiment_id or "0"],
            "filter": f"tags.`{TAG}.journal` = '{self._made.name}'",
            "max_results": 5,
        }
        found = await self._rest.call("POST", "runs/search", body)
        infos = [run.get("info") for run in dig_list(found, "runs")]
        ids = [str(info["run_id"]) for info in infos if isinstance(info, Mapping)]
        return ids if found.status == 200 else None

    async def delete_artifact(self) -> bool:
        """Delete the folder; MLflow says 200 also when there is none."""
        refused = "artifact" in self._made.not_made
        return refused or is_gone(await self._rest.store("DELETE", self._made.folder))

    async def delete_model(self) -> bool:
        """Delete the registered model with its versions and aliases."""
        if "registered model" in self._made.not_made:
            return True
        return is_gone(await self._rest.call("DELETE", "registered-models/delete", {"name": self._made.name}))

    async def left_behind(self) -> tuple[str, ...]:
        """What is still there after removing, and what could not be seen: looked up, not assumed."""
        left = await asyncio.gather(self._model_left(), self._artifact_left(), self._run_left())
        return tuple(sentence for sentence in left if sentence)

    async def _model_left(self) -> str:
        name = self._made.name
        if "registered model" in self._made.not_made:
            return ""
        found = await seen(lambda: self._rest.call("GET", "registered-models/get", query=[("name", name)]))
        return left(f"the registered model {name}", found, gone=is_unknown(found))

    async def _artifact_left(self) -> str:
        if "artifact" in self._made.not_made:
            return ""
        listed = await seen(lambda: self._rest.list_store(self._made.folder))
        return left(f"the artifact folder {self._made.folder}", listed, gone=lists_nothing(listed))

    async def _run_left(self) -> str:
        run_id = self._made.run_id
        if run_id is None or "run" in self._made.not_made:
            return ""
        found = await seen(lambda: self._rest.call("GET", "runs/get", query=[("run_id", run_id)]))
        deleted = dig(found, "run", "info", "lifecycle_stage") == "deleted"
        return left(f"the run {run_id}", found, gone=deleted or is_unknown(found))


async def seen(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a look, asked for again where a server error came in its place."""
    answer = await ask()
    for _ in range(_LOOKS - 1):
        if answer.status not in {500, 502, 503}:
            break
        answer = await ask()
    return answer


def _is_deleted(answer: Answer) -> bool:
    """MLflow's refusal to delete a run twice, as after a deletion whose answer was lost."""
    return answer.status == 400 and "deleted" in (dig(answer, "message") or "")


def left(thing: str, answer: Answer, *, gone: bool) -> str:
    """A sentence about something of ours that is not certainly gone, or an empty one."""
    if gone:
        return ""
    return (
        f"{thing} is still there"
        if answer.status == 200
        else f"whether {thing} is gone was not seen: {said(answer)}"
    )
