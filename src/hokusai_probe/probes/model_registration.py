"""Registering a model as a third party does, stage by stage over REST, and removing it again."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from hokusai_probe.answers import detail, error_code, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Entry, Look
from hokusai_probe.model import Blocked, Facts, Wrong
from hokusai_probe.probes.mlflow_api import MlflowApiFacts

EXPERIMENT = "hokusai-probe"  # one for ever: MLflow keeps the name of a deleted experiment (reliability)
PREFIX = "hkprobe-"
TAG = "hkprobe"
ARTIFACT = b'{"kind": "hokusai-probe", "weights": [0.25, -1.5, 3.0], "note": "safe to delete"}\n'
METRIC, PARAM = 0.8725, "0.01"
REST = "/api/2.0/mlflow/"
STORE = "/api/2.0/mlflow-artifacts/artifacts/"
UNDO_S = 5.0


class RegistrationFacts(Facts):
    """What each request of the registration answered; None: it was not sent.

    Stage 1 is local and proves nothing about the platform: ``sent_sha256`` is the artifact made there.
    Stages 2 to 6: experiment, run with metric and parameter and tag, model with a version, retrieval,
    artifact. ``stopped`` says why the later ones were not tried, ``stopped_in`` which check judges the
    one that stopped it. ``entries``: what was created, and
    whether it is gone again; ``leftovers`` what a look afterwards still found.
    """

    name: str
    sent_sha256: str
    experiment: Answer
    experiment_id: str | None = None
    run: Answer | None = None
    run_id: str | None = None
    logged: Answer | None = None
    run_read: Answer | None = None
    model: Answer | None = None
    version: Answer | None = None
    models_found: Answer | None = None
    version_read: Answer | None = None
    upload: Answer | None = None
    download: Answer | None = None
    stopped: str | None = None
    stopped_in: str | None = None
    entries: tuple[Entry, ...] = ()
    leftovers: tuple[str, ...] = ()


class _Registrar:
    """The requests of one registration. Each stage fills in its answers; a dead platform ends it early."""

    def __init__(self, look: Look, prefix: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self.look = look
        self.prefix = prefix
        self.name = f"{PREFIX}{stamp}-{look.run_id}-{secrets.token_hex(4)}"
        expires = datetime.now(UTC) + timedelta(hours=1)
        self.tags: list[JsonValue] = [
            {"key": TAG, "value": "1"},
            {"key": f"{TAG}.journal", "value": self.name},
            {"key": f"{TAG}.expires_at", "value": expires.isoformat(timespec="seconds")},
        ]
        self.seen: dict[str, Answer] = {}
        self.experiment_id: str | None = None
        self.run_id: str | None = None

    # --- requests -----------------------------------------------------------------------------------

    async def rest(
        self, method: str, call: str, json: JsonValue = None, query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        return await self.look.http.send(
            method, "registry", self.prefix + REST + call, key=self.look.key_form(), json=json, query=query
        )

    async def store(self, method: str, path: str, content: bytes | None = None) -> Answer:
        return await self.look.http.send(
            method,
            "registry",
            self.prefix + STORE + path,
            key=self.look.key_form(),
            content=content,
            hash_body=True,
        )

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

    # --- stages -------------------------------------------------------------------------------------

    async def experiment(self) -> None:
        """Stage 2: find the one experiment that this tool uses, or make it."""
        found = await self.rest("GET", "experiments/get-by-name", query=[("experiment_name", EXPERIMENT)])
        if found.status == 404:
            found = await self.rest("POST", "experiments/create", {"name": EXPERIMENT, "tags": self.tags[:1]})
        elif _dig(found, "experiment", "lifecycle_stage") == "deleted":
            await self.rest(
                "POST", "experiments/restore", {"experiment_id": _dig(found, "experiment", "experiment_id")}
            )
        self.experiment_id = _dig(found, "experiment", "experiment_id") or _dig(found, "experiment_id")
        self.seen["experiment"] = found

    async def run(self) -> None:
        """Stage 3: a run with a metric, a parameter and tags, finished and read back.

        Without an experiment of ours the Default one shows whether runs can be logged at all.
        """
        self.look.journal.will_create("run", self.name, self.delete_run)
        body: dict[str, JsonValue] = {
            "experiment_id": self.experiment_id or "0",
            "run_name": self.name,
            "tags": self.tags,
        }
        created = await self.rest("POST", "runs/create", {**body, "start_time": int(time.time() * 1000)})
        self.seen["run"] = created
        self.run_id = _dig(created, "run", "info", "run_id")
        if self.run_id is None:
            return
        moment = int(time.time() * 1000)
        self.seen["logged"] = await self.rest("POST", "runs/log-batch", {
            "run_id": self.run_id,
            "metrics": [{"key": "accuracy", "value": METRIC, "timestamp": moment, "step": 0}],
            "params": [{"key": "alpha", "value": PARAM}],
        })  # fmt: skip
        await self.rest(
            "POST", "runs/update", {"run_id": self.run_id, "status": "FINISHED", "end_time": moment}
        )
        self.seen["run_read"] = await self.rest("GET", "runs/get", query=[("run_id", self.run_id)])

    async def artifact(self) -> None:
        """Stage 6: store the artifact and fetch it again."""
        where = f"{self.folder}/model.json"
        self.look.journal.will_create("artifact", where, self.delete_artifact)
        self.seen["upload"] = await self.store("PUT", where, ARTIFACT)
        self.seen["download"] = await self.store("GET", where)

    @property
    def folder(self) -> str:
        return f"{self.experiment_id or '0'}/{self.run_id or self.name}/artifacts"

    async def model(self) -> None:
        """Stage 4: a registered model with a first version. Tags as an object would be refused: 4.2."""
        self.look.journal.will_create("registered model", self.name, self.delete_model)
        self.seen["model"] = await self.rest(
            "POST", "registered-models/create", {"name": self.name, "tags": self.tags}
        )
        if self.seen["model"].status == 200:
            root = _dig(self.seen["run"], "run", "info", "artifact_uri") if "run" in self.seen else None
            # a server may give its runs s3:// (contract 4.2) and refuses a version from elsewhere
            source = {"source": root or f"mlflow-artifacts:/{self.folder}", "run_id": self.run_id or ""}
            self.seen["version"] = await self.rest(
                "POST", "model-versions/create", {"name": self.name, **source}
            )

    async def retrieval(self) -> None:
        """Stage 5: find the model by name, and its version."""
        query = [("filter", f"name = '{self.name}'"), ("max_results", "5")]
        self.seen["models_found"] = await self.rest("GET", "registered-models/search", query=query)
        version = _dig(self.seen["version"], "model_version", "version") if "version" in self.seen else None
        if version is not None:
            query = [("name", self.name), ("version", str(version))]
            self.seen["version_read"] = await self.rest("GET", "model-versions/get", query=query)

    # --- removing -----------------------------------------------------------------------------------

    async def delete_run(self) -> bool:
        """Delete the run, also one whose creation was never answered: it is found by its tag."""
        ids = [self.run_id] if self.run_id else await self._runs_of_ours()
        return all([is_gone(await self.rest("POST", "runs/delete", {"run_id": one})) for one in ids])

    async def _runs_of_ours(self) -> list[str]:
        if never_made(self.seen.get("run")):
            return []
        body: JsonValue = {
            "experiment_ids": [self.experiment_id or "0"],
            "filter": f"tags.`{TAG}.journal` = '{self.name}'",
            "max_results": 5,
        }
        found = _dig_list(await self.rest("POST", "runs/search", body), "runs")
        return [str(info["run_id"]) for run in found if isinstance(info := run.get("info"), Mapping)]

    async def delete_artifact(self) -> bool:
        """Delete the folder; MLflow says 200 also when there is none."""
        return never_made(self.seen.get("upload")) or is_gone(await self.store("DELETE", self.folder))

    async def delete_model(self) -> bool:
        """Delete the registered model with its versions."""
        if never_made(self.seen.get("model")):
            return True
        return is_gone(await self.rest("DELETE", "registered-models/delete", {"name": self.name}))

    async def left_behind(self) -> tuple[str, ...]:
        """What is still there after removing, and what could not be seen: looked up, not assumed."""
        left = (await self._model_left(), await self._artifact_left(), await self._run_left())
        return tuple(sentence for sentence in left if sentence)

    async def _model_left(self) -> str:
        if never_made(self.seen.get("model")):
            return ""
        found = await self.rest("GET", "registered-models/get", query=[("name", self.name)])
        return left(f"the registered model {self.name}", found, gone=is_unknown(found))

    async def _artifact_left(self) -> str:
        if never_made(self.seen.get("upload")):
            return ""
        listed = await self.look.http.send(
            *("GET", "registry", self.prefix + STORE.rstrip("/")),
            key=self.look.key_form(),
            query=[("path", self.folder)],
        )
        return left(f"the artifact {self.folder}/model.json", listed, gone=lists_nothing(listed))

    async def _run_left(self) -> str:
        if self.run_id is None:
            return ""
        found = await self.rest("GET", "runs/get", query=[("run_id", self.run_id)])
        deleted = _dig(found, "run", "info", "lifecycle_stage") == "deleted"
        return left(f"the run {self.run_id}", found, gone=deleted or is_unknown(found))


def never_made(answer: Answer | None) -> bool:
    """Whether a creating request certainly created nothing. No answer, or a 5xx, proves nothing.

    Two 5xx do: 503 comes before MLflow is asked, and the gateway's "Failed to connect" (contract 4.1).
    """
    if answer is None or answer.status is None:
        return False
    refused = 400 <= answer.status < 500 or answer.status == 503
    return refused or (answer.status == 502 and detail(answer).startswith("Failed to connect"))


def is_unknown(answer: Answer) -> bool:
    """MLflow itself says that there is no such thing; a 404 of a missing route would prove nothing."""
    return answer.status == 404 and error_code(answer) == "RESOURCE_DOES_NOT_EXIST"


def is_gone(answer: Answer) -> bool:
    """A deletion that succeeded, or that was not needed any more."""
    return answer.status in {200, 204} or is_unknown(answer)


def lists_nothing(answer: Answer) -> bool:
    """A listing of artifacts that is MLflow's own and empty."""
    body = answer.json()
    return is_unknown(answer) or (
        answer.status == 200 and isinstance(body, Mapping) and not body.get("files")
    )


def left(thing: str, answer: Answer, *, gone: bool) -> str:
    """A sentence about something of ours that is not certainly gone, or an empty one."""
    if gone:
        return ""
    return (
        f"{thing} is still there"
        if answer.status == 200
        else f"whether {thing} is gone was not seen: {said(answer)}"
    )


@probe(area="registration", safety="write", after=("registry-host-answers",), cost=20)
async def model_registration(look: Look, api: MlflowApiFacts) -> RegistrationFacts:
    """Registering a model: experiment, run, model and version, retrieval, artifact; then removing it.

    A small fixed artifact over plain REST, so that it works without the MLflow client. Everything is
    written down before it is created, tagged, and removed at the end, also when the run is cut short.
    The run's tombstone and the one experiment stay: MLflow has no way to remove them from outside.
    """
    registrar = _Registrar(look, api.prefix)
    stopped, stopped_in = await _registered(registrar, api)
    entries = await look.journal.undo(UNDO_S)
    return RegistrationFacts(
        name=registrar.name,
        sent_sha256=hashlib.sha256(ARTIFACT).hexdigest(),
        experiment_id=registrar.experiment_id,
        run_id=registrar.run_id,
        stopped=stopped,
        stopped_in=stopped_in,
        entries=entries,
        leftovers=await registrar.left_behind(),
        **registrar.seen,
    )


async def _registered(registrar: _Registrar, api: MlflowApiFacts) -> tuple[str | None, str | None]:
    """What `_Registrar.register` says; nothing is tried where a search has just run into a timeout."""
    dead = _dead({"search": api.search})
    return (dead, "experiments-can-be-searched") if dead else await registrar.register()


def _dead(seen: Mapping[str, Answer]) -> str | None:
    """Why going on is pointless: requests run into timeouts. A refusal is quick and worth repeating."""
    last = list(seen.values())[-1]
    slow = last.status == 504 or (last.failure is not None and "timeout" in last.failure.kind)
    return f"{last.path}: {said(last)}" if slow else None


def _dig(answer: Answer, *path: str) -> str | None:
    value = answer.json()
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return str(value) if isinstance(value, str | int) else None


def _dig_list(answer: Answer, key: str) -> list[Mapping[str, JsonValue]]:
    body = answer.json()
    items = body.get(key) if isinstance(body, Mapping) else None
    return [i for i in items if isinstance(i, Mapping)] if isinstance(items, list) else []


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
    return _ok(facts.experiment, facts, "experiment")


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
    """Stage 4: a registered model and its first version can be created."""
    return _all_ok(facts, registered_models__create=facts.model, model_versions__create=facts.version)


@check(hop="mlflow-api/models")
def model_can_be_retrieved(facts: RegistrationFacts) -> Sentence:
    """Stage 5: the model that was registered is found again by name, and so is its version."""
    searched = _ok(facts.models_found, facts, "registered-models/search")
    if searched is not None or facts.models_found is None:
        return searched
    if facts.version_read is None:
        return Blocked(
            reason="no model was registered, so there is none to find", waited_for="model-can-be-registered"
        )
    if facts.name not in [m.get("name") for m in _dig_list(facts.models_found, "registered_models")]:
        return Wrong(reason="the model was registered and searching does not find it")
    return _ok(facts.version_read, facts, "model-versions/get")


@check(hop="artifacts")
def artifact_survives(facts: RegistrationFacts) -> Sentence:
    """Stage 6: an artifact can be stored, and what comes back is byte for byte what was sent."""
    sent = _all_ok(facts, storing=facts.upload, fetching=facts.download)
    if sent is not None or facts.download is None:
        return sent
    if facts.download.sha256 != facts.sent_sha256:
        return Wrong(reason=f"{facts.download.path}: what came back is not what was sent")
    return None
