"""Registering a model as a third party does, stage by stage over REST, and removing it again."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from hokusai_probe.answers import error_code, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, strict_json
from hokusai_probe.looking import Entry, Look
from hokusai_probe.model import Blocked, Facts, Wrong
from hokusai_probe.probes._mlflow_rest import EXPERIMENT, TAG, Rest, dig, dig_list, never_made, new_name
from hokusai_probe.probes._removal import Made, Removal
from hokusai_probe.probes.mlflow_api import MlflowApiFacts

ARTIFACT = b'{"kind": "hokusai-probe", "weights": [0.25, -1.5, 3.0], "note": "safe to delete"}'
METRIC, PARAM = 0.8725, "0.01"
ALIAS = "hkprobe"
VERSIONS = 2
UNDO_S = 5.0


class RegistrationFacts(Facts):
    """What each request of the registration answered; None: it was not sent.

    Stage 1 is local and proves nothing about the platform: ``sent_sha256`` is the artifact made there.
    Stages 2 to 6: experiment, run with metric and parameter and tag, model with two versions and an alias,
    retrieval by name, version, alias and page by page (``pages``: the versions, one a page), artifact.
    ``stage``: moving the version to a stage, which MLflow has deprecated and a server may refuse.
    ``stopped`` says why the later ones were not tried, ``stopped_in`` which check judges the one that stopped
    it. ``entries``: what was created, and whether it is gone again; ``leftovers`` what a look afterwards
    still found.
    """

    name: str
    sent_sha256: str
    experiment: Answer | None = None
    experiment_id: str | None = None
    run: Answer | None = None
    run_id: str | None = None
    logged: Answer | None = None
    run_read: Answer | None = None
    model: Answer | None = None
    version: Answer | None = None
    second_version: Answer | None = None
    alias_set: Answer | None = None
    stage: Answer | None = None
    models_found: Answer | None = None
    model_read: Answer | None = None
    version_read: Answer | None = None
    alias_read: Answer | None = None
    pages: tuple[Answer, ...] = ()
    upload: Answer | None = None
    download: Answer | None = None
    stopped: str | None = None
    stopped_in: str | None = None
    entries: tuple[Entry, ...] = ()
    leftovers: tuple[str, ...] = ()


def tags_for(name: str) -> dict[str, str]:
    """The tags that say whose a thing is, and from when on anybody may remove it."""
    expires = datetime.now(UTC) + timedelta(hours=1)
    return {
        TAG: "1",
        f"{TAG}.journal": name,
        f"{TAG}.expires_at": expires.isoformat(timespec="seconds"),
    }


class Registrar:
    """The requests of one registration. Each stage fills in its answers; a dead platform ends it early.

    ``seen`` are the answers so far, by what was asked; ``made`` what there is to remove.
    """

    def __init__(self, look: Look, prefix: str) -> None:
        self.rest = Rest(look, prefix)
        self.made = Made(new_name(look.run_id))
        self.removal = Removal(self.rest, self.made)
        self.journal = look.journal
        tags = tags_for(self.made.name)
        self.tags: list[JsonValue] = [{"key": key, "value": value} for key, value in tags.items()]
        self.seen: dict[str, Answer] = {}
        self.pages: tuple[Answer, ...] = ()

    async def register(self) -> tuple[str | None, str | None]:
        """All stages, or as many as get an answer in time: why it stopped, and in which check's stage."""
        stages = {
            "experiment-can-be-made": self.experiment,
            "run-can-be-logged": self.run,
            "artifact-survives": self.artifact,
            "model-can-be-registered": self.model,
            "model-can-be-retrieved": self.retrieval,
        }
        for check_slug, stage in stages.items():
            await stage()
            stopped = _dead(self.seen)
            if stopped is not None:
                return stopped, check_slug
        return None, None

    def _created(self, kind: str, answer: Answer) -> Answer:
        """Note what became of a creation."""
        if never_made(answer):
            self.made.not_made.add(kind)
        return answer

    async def experiment(self) -> None:
        """Stage 2: find the one experiment that this tool uses, or make it."""
        call = self.rest.call
        found = await self._by_name()
        if found.status == 404:
            found = await call("POST", "experiments/create", {"name": EXPERIMENT, "tags": self.tags[:1]})
            if error_code(found) == "RESOURCE_ALREADY_EXISTS":  # another run of ours was quicker
                found = await self._by_name()
        elif dig(found, "experiment", "lifecycle_stage") == "deleted":
            await call(
                "POST", "experiments/restore", {"experiment_id": dig(found, "experiment", "experiment_id")}
            )
        self.made.experiment_id = dig(found, "experiment", "experiment_id") or dig(found, "experiment_id")
        self.seen["experiment"] = found

    async def _by_name(self) -> Answer:
        return await self.rest.call("GET", "experiments/get-by-name", query=[("experiment_name", EXPERIMENT)])

    async def run(self) -> None:
        """Stage 3: a run with a metric, a parameter and tags, finished and read back.

        Without an experiment of ours the Default one shows whether runs can be logged at all.
        """
        call, name = self.rest.call, self.made.name
        self.journal.will_create("run", name, self.removal.delete_run)
        moment = int(time.time() * 1000)
        self.seen["run"] = self._created("run", await call("POST", "runs/create", {
            "experiment_id": self.made.experiment_id or "0",
            "run_name": name,
            "tags": self.tags,
            "start_time": moment,
        }))  # fmt: skip
        run_id = self.made.run_id = dig(self.seen["run"], "run", "info", "run_id")
        if run_id is None:
            return
        self.seen["logged"] = await call("POST", "runs/log-batch", {
            "run_id": run_id,
            "metrics": [{"key": "accuracy", "value": METRIC, "timestamp": moment, "step": 0}],
            "params": [{"key": "alpha", "value": PARAM}],
        })  # fmt: skip
        await call("POST", "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": moment})
        self.seen["run_read"] = await call("GET", "runs/get", query=[("run_id", run_id)])

    async def artifact(self) -> None:
        """Stage 6: store the artifact and fetch it again."""
        where = f"{self.made.folder}/model.json"
        self.journal.will_create("artifact", where, self.removal.delete_artifact)
        self.seen["upload"] = self._created("artifact", await self.rest.store("PUT", where, ARTIFACT))
        self.seen["download"] = await self.rest.store("GET", where)

    async def model(self) -> None:
        """Stage 4: a registered model with two versions. Tags as an object would be refused: 4.2."""
        call, name = self.rest.call, self.made.name
        self.journal.will_create("registered model", name, self.removal.delete_model)
        body: JsonValue = {"name": name, "tags": self.tags}
        self.seen["model"] = self._created(
            "registered model", await call("POST", "registered-models/create", body)
        )
        if self.seen["model"].status != 200:
            return
        root = dig(self.seen.get("run"), "run", "info", "artifact_uri")
        # a server may give its runs s3:// (contract 4.2) and refuses a version from elsewhere
        source = {"source": root or f"mlflow-artifacts:/{self.made.folder}", "run_id": self.made.run_id or ""}
        self.seen["version"] = await call("POST", "model-versions/create", {"name": name, **source})
        if self.seen["version"].status == 200:
            self.seen["second_version"] = await call(
                "POST", "model-versions/create", {"name": name, **source}
            )

    async def retrieval(self) -> None:
        """Stage 5: find the model by its name and its first version by number, by alias and page by page."""
        name, version = self.made.name, dig(self.seen.get("version"), "model_version", "version")
        query = [("filter", f"name = '{name}'"), ("max_results", "5")]
        searching = self._get("models_found", "registered-models/search", query)
        if version is None:
            await searching
            return
        which = [("name", name), ("version", version)]
        await asyncio.gather(
            searching,
            self._get("model_read", "registered-models/get", which[:1]),
            self._get("version_read", "model-versions/get", which),
            self._by_alias(name, version),
            self._by_stage(name, version),
            self._by_page(name),
        )

    async def _get(self, into: str, call: str, query: list[tuple[str, str]]) -> None:
        self.seen[into] = await self.rest.call("GET", call, query=query)

    async def _by_alias(self, name: str, version: str) -> None:
        alias: dict[str, JsonValue] = {"name": name, "alias": ALIAS}
        given = await self.rest.call("POST", "registered-models/alias", {**alias, "version": version})
        self.seen["alias_set"] = given
        if given.status == 200:
            await self._get("alias_read", "registered-models/alias", [("name", name), ("alias", ALIAS)])

    async def _by_stage(self, name: str, version: str) -> None:
        body: JsonValue = {
            "name": name,
            "version": version,
            "stage": "Staging",
            "archive_existing_versions": False,
        }
        self.seen["stage"] = await self.rest.call("POST", "model-versions/transition-stage", body)

    async def _by_page(self, name: str) -> None:
        # in an order that nothing changes meanwhile; without one, the version changed last comes first
        query = [("filter", f"name = '{name}'"), ("max_results", "1"), ("order_by", "version_number")]
        token = ""
        for _ in range(VERSIONS):
            page = [*query, ("page_token", token)] if token else query
            self.pages += (await self.rest.call("GET", "model-versions/search", query=page),)
            token = next_page(self.pages[-1])
            if not token:
                return

    async def left_behind(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """What a look afterwards still finds of what was tried: the journal's entries."""
        self.made.not_made |= {"run", "artifact", "registered model"} - {entry.kind for entry in entries}
        return await self.removal.left_behind()


def next_page(answer: Answer) -> str:
    """The token of the next page, or nothing. From what was received: a redacted token leads nowhere."""
    body = strict_json(answer.kept.decode(errors="replace")) if answer.status == 200 else None
    token = body.get("next_page_token") if isinstance(body, Mapping) else None
    return token if isinstance(token, str) else ""


@probe(area="registration", safety="write", after=("registry-host-answers",), cost=40)
async def model_registration(look: Look, api: MlflowApiFacts) -> RegistrationFacts:
    """Registering a model: experiment, run, model and versions, retrieval, artifact; then removing it.

    A small fixed artifact over plain REST, so that it works without the MLflow client. Everything is
    written down before it is created, tagged, and removed at the end, also when the run is cut short.
    The run's tombstone and the one experiment stay: MLflow has no way to remove them from outside.
    """
    registrar = Registrar(look, api.prefix)
    stopped, stopped_in = await _registered(registrar, api)
    entries = await look.journal.undo(UNDO_S)
    return RegistrationFacts(
        name=registrar.made.name,
        sent_sha256=hashlib.sha256(ARTIFACT).hexdigest(),
        experiment_id=registrar.made.experiment_id,
        run_id=registrar.made.run_id,
        stopped=stopped,
        stopped_in=stopped_in,
        entries=entries,
        leftovers=await registrar.left_behind(entries),
        pages=registrar.pages,
        **registrar.seen,
    )


async def _registered(registrar: Registrar, api: MlflowApiFacts) -> tuple[str | None, str | None]:
    """What `Registrar.register` says; nothing is tried where a search has just run into a timeout."""
    dead = _dead({"search": api.search})
    return (dead, "experiments-can-be-searched") if dead else await registrar.register()


def _dead(seen: Mapping[str, Answer]) -> str | None:
    """Why going on is pointless: requests run into timeouts. A refusal is quick and worth repeating."""
    last = list(seen.values())[-1]
    slow = last.status == 504 or (last.failure is not None and "timeout" in last.failure.kind)
    return f"{last.path}: {said(last)}" if slow else None


# --- checks -----------------------------------------------------------------------------------------


def _ok(answer: Answer | None, facts: RegistrationFacts, what: str) -> Sentence:
    if answer is None:
        reason = facts.stopped or f"{what}: an earlier request failed"
        return Blocked(reason=reason, waited_for=facts.stopped_in)
    if answer.status == 200 and answer.answered:
        return None
    return Wrong(reason=f"{what}: {said(answer)}", reproduce=answer.curl())


def _all_ok(facts: RegistrationFacts, **answers: Answer | None) -> Sentence:
    """The first complaint about these answers, in the order in which they were asked for."""
    judged = (
        _ok(answer, facts, what.replace("__", "/").replace("_", "-")) for what, answer in answers.items()
    )
    return next((s for s in judged if s is not None), None)


@check(hop="writes/experiment")
def experiment_can_be_made(facts: RegistrationFacts) -> Sentence:
    """Stage 2: the experiment exists or can be created."""
    answer = facts.experiment
    refused = _ok(answer, facts, "experiment")
    if refused is not None or answer is None or dig(answer, "experiment_id") or _found(answer):
        return refused
    return Wrong(reason=f"experiment: {said(answer)}, without its id", reproduce=answer.curl())


def _found(answer: Answer) -> str | None:
    return dig(answer, "experiment", "experiment_id")


@check(hop="writes/run")
def run_can_be_logged(facts: RegistrationFacts) -> Sentence:
    """Stage 3: a run can be created, and its metric, parameter and tag are there when read back."""
    refused = _all_ok(facts, runs__create=facts.run, runs__log_batch=facts.logged, runs__get=facts.run_read)
    if refused is not None or facts.run_read is None:
        return refused
    lost = _lost(facts.run_read)
    return Wrong(reason=f"the run was read back without its {' and '.join(lost)}") if lost else None


def _lost(answer: Answer) -> list[str]:
    """What was logged and is not there when the run is read back, compared by key and value."""
    body = answer.json()
    run = body.get("run") if isinstance(body, Mapping) else None
    data = run.get("data") if isinstance(run, Mapping) else None
    sent: dict[str, tuple[str, JsonValue]] = {
        "metrics": ("accuracy", METRIC), "params": ("alpha", PARAM), "tags": (TAG, "1"),
    }  # fmt: skip
    return [
        kind for kind, (key, value) in sent.items() if {"key": key, "value": value} not in _pairs(data, kind)
    ]


def _pairs(data: JsonValue, kind: str) -> list[dict[str, JsonValue]]:
    items = data.get(kind) if isinstance(data, Mapping) else None
    found = [i for i in items if isinstance(i, Mapping)] if isinstance(items, list) else []
    return [{"key": i.get("key"), "value": i.get("value")} for i in found]


@check(hop="writes/model")
def model_can_be_registered(facts: RegistrationFacts) -> Sentence:
    """Stage 4: a registered model, its first version and a second one can be created.

    Beside ``experiment-can-be-made``: an experiment that an earlier run made needs no write, a model always.
    """
    made = _all_ok(facts, registered_models__create=facts.model, model_versions__create=facts.version)
    if made is not None or facts.second_version is None:
        return made
    again = _ok(facts.second_version, facts, "model-versions/create, a second time")
    if again is None and len(_versions_made(facts)) < VERSIONS:
        return Wrong(reason="the second version was given the number of the first")
    return again


def _versions_made(facts: RegistrationFacts) -> set[str]:
    created = (facts.version, facts.second_version)
    return {number for answer in created if (number := dig(answer, "model_version", "version"))}


@check(hop="mlflow-api/models")
def model_can_be_retrieved(facts: RegistrationFacts) -> Sentence:
    """Stage 5: the model that was registered is found again with its tags: by name, version, alias and page.

    One check, for whoever retrieves needs all of them, and no defect is known that spoils one alone.
    """
    searched = _ok(facts.models_found, facts, "registered-models/search")
    if searched is not None or facts.models_found is None:
        return searched
    if facts.version_read is None:
        return Blocked(
            reason="no model was registered, so there is none to find", waited_for="model-can-be-registered"
        )
    if facts.name not in [m.get("name") for m in dig_list(facts.models_found, "registered_models")]:
        return Wrong(reason="the model was registered and searching does not find it")
    return _read_back(facts) or _lost_of_model(facts)


def _read_back(facts: RegistrationFacts) -> Sentence:
    """The first complaint about what was asked after the version was there."""
    asked = {
        "model-versions/get": facts.version_read,
        "registered-models/get": facts.model_read,
        "registered-models/alias": facts.alias_set,
        "registered-models/alias, read": facts.alias_read,
        **{f"model-versions/search, page {n}": page for n, page in enumerate(facts.pages, 1)},
    }
    judged = (_ok(answer, facts, what) for what, answer in asked.items() if answer is not None)
    return next((s for s in judged if s is not None), None)


def _lost_of_model(facts: RegistrationFacts) -> Sentence:
    """What was said of the model and is not there when it is read back."""
    tag = {"key": f"{TAG}.journal", "value": facts.name}
    if facts.model_read and tag not in dig_list(facts.model_read, "registered_model", "tags"):
        return Wrong(reason="the model was read back without its tags", reproduce=facts.model_read.curl())
    first = dig(facts.version, "model_version", "version")
    if facts.alias_read and dig(facts.alias_read, "model_version", "version") != first:
        return Wrong(
            reason="the alias leads to another version than the one it was given to",
            reproduce=facts.alias_read.curl(),
        )
    listed = {str(v.get("version")) for page in facts.pages for v in dig_list(page, "model_versions")}
    if facts.pages and not _versions_made(facts) <= listed:
        return Wrong(
            reason=f"page by page, searching lists {len(listed)} of {len(_versions_made(facts))} versions",
            reproduce=facts.pages[-1].curl(),
        )
    return None


@check(hop="artifacts")
def artifact_survives(facts: RegistrationFacts) -> Sentence:
    """Stage 6: an artifact can be stored, and what comes back is byte for byte what was sent."""
    sent = _all_ok(facts, storing=facts.upload, fetching=facts.download)
    if sent is not None or facts.download is None:
        return sent
    if facts.download.sha256 != facts.sent_sha256:
        return Wrong(reason=f"{facts.download.path}: what came back is not what was sent")
    return None
