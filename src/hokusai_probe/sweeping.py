"""Removing what earlier runs left behind on a platform: a run that was killed could not clear up.

Only what is ours for certain is touched. A run and a model carry our tag, and in it their own name, which is
of the form that nobody else gives (:func:`~hokusai_probe.probes._mlflow_rest.new_name`); a folder of the
artifact store can carry no tag and has such a name. The one experiment stays. What is younger than a bound
may belong to a probe that is at work, and is left alone.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import JsonValue

from hokusai_probe.answers import said
from hokusai_probe.errors import ProbeError
from hokusai_probe.http import Answer, BudgetExhausted, HttpDoor
from hokusai_probe.keys import Keys, secrets_in
from hokusai_probe.looking import Look
from hokusai_probe.model import Frozen, Target
from hokusai_probe.probes._mlflow_rest import EXPERIMENT, TAG, Rest, dig, dig_list, lists_nothing, made_at
from hokusai_probe.probes._removal import Made, Removal
from hokusai_probe.probes.mlflow_api import mlflow_api
from hokusai_probe.probes.model_registration import next_page
from hokusai_probe.redact import Redactor

Kind = Literal["run", "registered model", "artifact folder"]

MOST = 200
"""Things that one sweep looks for, and removes; another sweep goes on."""
SWEEP_S = 240.0
_PAGE, _PAGES = 100, 20
_AT_ONCE = 4
_LOOKED_BACK = 40  # deleted runs, newest first, whose folders are looked into: each costs a request
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_KINDS = frozenset({"run", "artifact", "registered model"})


class Unreachable(ProbeError):  # noqa: N818 - the name says what it is
    """MLflow's API did not answer a search: nobody can say what is left on the platform."""


class Leftover(Frozen):
    """Something of ours: what it is, its name, when it was made (UTC), and where MLflow has it.

    ``folder`` is that of its artifacts, empty for a registered model.
    """

    kind: Kind
    name: str
    made_at: datetime
    experiment_id: str = ""
    run_id: str = ""
    folder: str = ""


class Swept(Frozen):
    """What one sweep came to.

    ``found`` is what may be removed, ``young`` how much more there is that may be in use. ``removed`` was
    looked for afterwards and is gone. ``left``: sentences about what is not. ``unseen``: what could not be
    looked at. ``more``: there is too much for one sweep. ``looked_back``: deleted runs stay in MLflow for
    ever, and only the artifacts of so many of the newest were looked for; 0: of all.
    """

    found: tuple[Leftover, ...] = ()
    young: int = 0
    removed: tuple[Leftover, ...] = ()
    left: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    more: bool = False
    looked_back: int = 0

    @property
    def remains(self) -> bool:
        """Whether something is there still that should be gone, or may be."""
        return len(self.removed) < len(self.found) or bool(self.left or self.unseen) or self.more


Note = Callable[[str], None]


async def sweep(
    target: Target,
    environment: Mapping[str, str],
    *,
    apply: bool,
    older_than: timedelta,
    note: Note = lambda _: None,
) -> Swept:
    """Find what earlier runs left on a target and, with ``apply``, remove it and look again.

    ``note`` is told now and then how far it came. Raises BadKey, ConfigError or Unreachable.
    """
    keys = Keys.read(target.key, environment)
    door = HttpDoor(target, keys, Redactor(secrets_in(target.key, environment)))
    async with door:
        look = Look.new(target, door, None, keys, secrets.token_hex(4))
        sweeper = _Sweeper(await _rest(look), datetime.now(UTC) - older_than, note)
        return await sweeper.sweep(apply=apply)


async def _rest(look: Look) -> Rest:
    """MLflow's API under the prefix that works. Raises Unreachable."""
    api = await mlflow_api(look)
    if not api.works:
        msg = f"{api.search.path}: {said(api.search)}, so nobody can say what is left there"
        raise Unreachable(msg)
    return Rest(look, api.prefix)


@dataclass(slots=True)
class _Sweeper:
    rest: Rest
    before: datetime
    note: Note
    found: list[Leftover] = field(default_factory=list)
    young: int = 0
    unseen: list[str] = field(default_factory=list)
    more: bool = False
    looked_back: int = 0

    async def sweep(self, *, apply: bool) -> Swept:
        """Everything, until the time or the target's budget is over."""
        removed: list[Leftover] = []
        left: list[str] = []
        try:
            async with asyncio.timeout(SWEEP_S):
                await self._search()
                if apply:
                    await self._remove(removed, left)
        except (TimeoutError, BudgetExhausted) as over:
            self.more = True
            self.unseen.append(str(over) or f"the {SWEEP_S:g} s of a sweep were over")
        return Swept(
            found=tuple(self.found),
            young=self.young,
            removed=tuple(removed),
            left=tuple(left),
            unseen=tuple(self.unseen),
            more=self.more,
            looked_back=self.looked_back,
        )

    # --- finding --------------------------------------------------------------------------------------

    async def _search(self) -> None:
        async for thing in self._everything():
            if thing.made_at > self.before:
                self.young += 1
            elif len(self.found) == MOST:
                self.more = True
                return
            else:
                self.found.append(thing)
        self.note(f"{len(self.found)} things of earlier runs found")

    async def _everything(self) -> AsyncIterator[Leftover]:
        async for model in self._pages("GET", "registered-models/search", "registered_models"):
            for thing in _model(model):
                yield thing
        experiment = await self._experiment()
        async for thing in self._runs(experiment):
            yield thing
        for folder in ("", *filter(None, (experiment, "0"))):
            async for thing in self._folders(folder):
                yield thing

    async def _experiment(self) -> str:
        """The id of the one experiment that this tool uses, empty where there is none yet."""
        query = [("experiment_name", EXPERIMENT)]
        found = await self.rest.call("GET", "experiments/get-by-name", query=query)
        return dig(found, "experiment", "experiment_id") or ""

    async def _runs(self, experiment: str) -> AsyncIterator[Leftover]:
        """Runs with our tag; of deleted ones those whose artifacts are there still."""
        ids: list[JsonValue] = [*filter(None, (experiment, "0"))]
        body: dict[str, JsonValue] = {"experiment_ids": ids, "filter": f"tags.`{TAG}` = '1'"}
        async for run in self._pages("POST", "runs/search", "runs", body | {"run_view_type": "ACTIVE_ONLY"}):
            for thing in _run(run, "run"):
                yield thing
        looked_into = 0
        async for run in self._pages("POST", "runs/search", "runs", body | {"run_view_type": "DELETED_ONLY"}):
            for thing in _run(run, "artifact folder"):
                if looked_into == _LOOKED_BACK:
                    self.looked_back = looked_into
                    return
                looked_into += 1
                if await self._has_files(thing.folder):
                    yield thing

    async def _folders(self, folder: str) -> AsyncIterator[Leftover]:
        """Folders of our form in a folder of the artifact store: of large files, and of runs never made."""
        listed = await self.rest.list_store(folder)
        if listed.status != 200:
            if not lists_nothing(listed):
                self.unseen.append(f"the artifact store's folder {folder or '/'}: {said(listed)}")
            return
        for file in dig_list(listed, "files"):
            name = str(file.get("path"))
            made, where = made_at(name), f"{folder}/{name}/artifacts" if folder else name
            if made is not None and file.get("is_dir") is True and await self._has_files(where):
                yield Leftover(kind="artifact folder", name=name, made_at=made, folder=where)

    async def _has_files(self, folder: str) -> bool:
        return not lists_nothing(await self.rest.list_store(folder))

    async def _pages(
        self, method: str, call: str, listed: str, body: Mapping[str, JsonValue] | None = None
    ) -> AsyncIterator[Mapping[str, JsonValue]]:
        """The things of a search, page by page. What is not answered is noted as unseen."""
        token = ""
        for _ in range(_PAGES):
            answer = await self._page(method, call, body, token)
            if answer.status != 200:
                self.unseen.append(f"{call}: {said(answer)}")
                return
            for thing in dig_list(answer, listed):
                yield thing
            token = next_page(answer)
            if not token:
                return
        self.more = True

    async def _page(self, method: str, call: str, body: Mapping[str, JsonValue] | None, token: str) -> Answer:
        if body is not None:
            page: dict[str, JsonValue] = {"max_results": _PAGE, **({"page_token": token} if token else {})}
            return await self.rest.call(method, call, {**body, **page})
        query = [("filter", "name LIKE 'hkprobe-%'"), ("max_results", str(_PAGE))]
        return await self.rest.call(method, call, query=[*query, *([("page_token", token)] if token else [])])

    # --- removing -------------------------------------------------------------------------------------

    async def _remove(self, removed: list[Leftover], left: list[str]) -> None:
        for start in range(0, len(self.found), _AT_ONCE):
            some = self.found[start : start + _AT_ONCE]
            for thing, sentences in zip(some, await asyncio.gather(*map(self._gone, some)), strict=True):
                left.extend(sentences)
                removed.extend(() if sentences else (thing,))
            self.note(f"{len(removed)} of {len(self.found)} removed")

    async def _gone(self, thing: Leftover) -> tuple[str, ...]:
        """Remove it and look afterwards; sentences about what is not certainly gone."""
        made = Made(
            thing.name, thing.experiment_id, thing.run_id or None, not_made=set(_KINDS - _parts(thing)),
            stored_in=thing.folder,
        )  # fmt: skip
        removal = Removal(self.rest, made)
        await removal.delete_model()
        if await removal.delete_artifact():  # the run is what leads to its folder
            await removal.delete_run()
        return await removal.left_behind()


def _parts(thing: Leftover) -> frozenset[str]:
    """Of which parts a thing consists, in the words of `Made`."""
    parts: Mapping[Kind, frozenset[str]] = {
        "run": frozenset({"run", "artifact"}),
        "artifact folder": frozenset({"artifact"}),
        "registered model": frozenset({"registered model"}),
    }
    return parts[thing.kind]


def _model(model: Mapping[str, JsonValue]) -> Iterable[Leftover]:
    """The registered model as one of ours, or nothing."""
    name = str(model.get("name"))
    made = made_at(name)
    if made is not None and _is_tagged(model.get("tags"), name):
        yield Leftover(kind="registered model", name=name, made_at=made)


def _run(run: Mapping[str, JsonValue], kind: Kind) -> Iterable[Leftover]:
    """The run, or its artifacts, as something of ours, or nothing."""
    info, data = run.get("info"), run.get("data")
    if not isinstance(info, Mapping) or not isinstance(data, Mapping):
        return
    name, run_id, experiment = (str(info.get(key)) for key in ("run_name", "run_id", "experiment_id"))
    made = made_at(name)
    if made is None or not _is_tagged(data.get("tags"), name):
        return
    if _RUN_ID.fullmatch(run_id) and experiment.isdigit():
        folder = f"{experiment}/{run_id}/artifacts"
        yield Leftover(
            kind=kind, name=name, made_at=made, experiment_id=experiment, run_id=run_id, folder=folder
        )


def _is_tagged(tags: JsonValue, name: str) -> bool:
    """Whether a thing carries our tag, and in it its own name."""
    pairs = [tag for tag in tags if isinstance(tag, Mapping)] if isinstance(tags, list) else []
    held = {tag.get("key"): tag.get("value") for tag in pairs}
    return held.get(TAG) == "1" and held.get(f"{TAG}.journal") == name
