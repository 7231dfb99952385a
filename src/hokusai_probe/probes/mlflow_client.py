"""Registering a model with MLflow's own client, set up as a third party sets it up."""

from __future__ import annotations

import asyncio
import json
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Entry, Look
from hokusai_probe.model import Facts, Frozen, NotApplicable, Target, Wrong
from hokusai_probe.probes._fork_server import Job
from hokusai_probe.probes._mlflow_rest import EXPERIMENT, Rest, new_name
from hokusai_probe.probes._removal import Made, Removal
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import ARTIFACT, UNDO_S, tags_for
from hokusai_probe.probes.trained_model import WORKER, WORKER_S

Form = Literal["bearer", "x-api-key"]

LONGEST = 600
_STEPS = ("search", "experiment", "run", "log", "artifact", "model", "version", "retrieval", "finish")
_MAKES = {
    "run": ("run", "runs/create"),
    "artifact": ("artifact", "/mlflow-artifacts/artifacts/"),
    "model": ("registered model", "registered-models/create"),
}


class ClientRequest(Frozen):
    """A request that the client sent; ``status`` None: no answer came."""

    method: str
    path: str
    status: int | None = None


class ClientStep(Frozen):
    """A thing that the client was told to do, what it said when it failed, and what it sent for it."""

    step: str
    error: str | None = None
    requests: tuple[ClientRequest, ...] = ()


class ClientTry(Frozen):
    """One set-up of the client: the form in which it sends the key (None: no key), and how far it came.

    ``unfinished``: why it was cut short, None where it came to an end of itself, good or bad.
    """

    form: Form | None
    steps: tuple[ClientStep, ...] = ()
    unfinished: str | None = None

    def failed(self) -> tuple[int, ClientStep] | None:
        """The step at which the client gave up, with its place in ``steps``."""
        return next(((n, step) for n, step in enumerate(self.steps) if step.error is not None), None)

    @property
    def worked(self) -> bool:
        """Whether everything was done."""
        return bool(self.steps) and self.unfinished is None and self.failed() is None


class MlflowClientFacts(Facts):
    """What MLflow's client says of the platform, set up by environment variables alone.

    ``registering``: everything from the search to the artifact that comes back. ``header``: a search with the
    key in ``X-API-Key``, which a plug-in adds; None: there is no key. ``environment``: the variables of
    ``registering`` as a shell takes them, the key as a reference to its variable. ``works`` and
    ``header_works``: whether everything was done in the one and in the other. ``client``: its version.
    """

    client: str
    environment: tuple[str, ...]
    works: bool
    header_works: bool | None = None
    registering: ClientTry
    header: ClientTry | None = None
    entries: tuple[Entry, ...] = ()
    leftovers: tuple[str, ...] = ()


@probe(
    area="registration",
    safety="write",
    needs=("registration-extra",),
    after=("registry-host-answers", "experiments-can-be-searched"),
    cost=40,
    deadline_s=WORKER_S,
    prepare=WORKER.start,
)
async def mlflow_client(look: Look, api: MlflowApiFacts) -> MlflowClientFacts:
    """The same registration through MLflow's client: MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN, no more.

    In a process that can be killed, with the client's own retries off: by default it repeats a dead request
    for minutes. Beside it a search with X-API-Key, which needs a plug-in of the client.
    """
    made = Made(new_name(look.run_id))
    removal = Removal(Rest(look, api.prefix), made)
    job = await _job(look, api.prefix, made.name)
    look.journal.will_create("run", made.name, removal.delete_run)
    look.journal.will_create("artifact", made.name, removal.delete_artifact)
    look.journal.will_create("registered model", made.name, removal.delete_model)
    form: Form | None = "bearer" if job["token"] else None
    trying = [_tried(look, {**job, "form": form}, made)]
    if form is not None:
        trying.append(_tried(look, {**job, "form": "x-api-key", "reading_only": True}, made))
    (client, registering), *header = await asyncio.gather(*trying)
    _settle(registering, made)
    return MlflowClientFacts(
        client=client,
        environment=environment(look.target, api.prefix, with_key=form is not None),
        works=registering.worked,
        header_works=header[0][1].worked if header else None,
        registering=registering,
        header=header[0][1] if header else None,
        entries=await look.journal.undo(UNDO_S),
        leftovers=await removal.left_behind(),
    )


async def _job(look: Look, prefix: str, name: str) -> dict[str, Any]:
    """What the client is told; the key travels to its process over a socket and nowhere else."""
    key = look.keys.main if look.may_send_key() else None
    return {
        "url": look.target.hosts.registry + prefix,
        "token": key.get_secret_value() if key else None,
        "timeout_s": max(1, round(look.target.timeouts.total_s)),
        "ca_file": look.target.tls.ca_file,
        "addresses": await _addresses(look),
        "experiment": EXPERIMENT,
        "name": name,
        "tags": tags_for(name),
        "artifact": ARTIFACT.decode(),
        "reading_only": False,
    }


async def _addresses(look: Look) -> dict[str, str]:
    """The registry's address, where the target has a resolver that the client does not know."""
    if look.target.network.resolver is None:
        return {}
    found = await look.http.resolve("registry")
    return {found.name: found.addresses[0]} if found.addresses else {}


async def _tried(look: Look, job: Mapping[str, Any], made: Made) -> tuple[str, ClientTry]:
    """One job in a process of its own, and the client's version. It ends at three total deadlines."""
    seconds = 3 * look.target.timeouts.total_s
    steps: list[ClientStep] = []
    unfinished: str | None = None
    with tempfile.TemporaryDirectory(prefix="hokusai-probe-") as name:
        async with WORKER.job(Path(name), "client") as process:
            ready = json.loads(await process.line())  # loading is over: from here on it is the client's time
            process.go_on(json.dumps(job))
            try:
                await asyncio.wait_for(_follow(look, process, made, steps), seconds)
            except TimeoutError:
                unfinished = f"the client was not done within {seconds:g} s"
    return ready["client"], ClientTry(form=job["form"], steps=tuple(steps), unfinished=unfinished)


async def _follow(look: Look, process: Job, made: Made, steps: list[ClientStep]) -> None:
    """Take the steps down as the process tells them, until it is done."""
    while "done" not in (said := json.loads(await process.line())):
        steps.append(_step(look, said, made))


def _step(look: Look, said: Mapping[str, Any], made: Made) -> ClientStep:
    """A step as the process told it; what it created is known from here on."""
    made.experiment_id = said["ids"].get("experiment", made.experiment_id)
    made.run_id = said["ids"].get("run", made.run_id)
    look.http.count(len(said["requests"]))
    error = said["error"]
    return ClientStep(
        step=said["step"],
        error=None if error is None else look.http.said(error, LONGEST),
        requests=tuple(ClientRequest(method=m, path=p, status=s) for m, p, s in said["requests"]),
    )


def _settle(tried: ClientTry, made: Made) -> None:
    """Note what was certainly not made: its step never began, or its creation was refused."""
    told = [step.step for step in tried.steps]
    begun = {*told, *(_STEPS[len(told) : len(told) + 1] if tried.unfinished else ())}
    for step, (kind, call) in _MAKES.items():
        sent = [r for s in tried.steps if s.step == step for r in s.requests if call in r.path]
        refused = step in told and all(_refused(request) for request in sent)
        if step not in begun or refused:
            made.not_made.add(kind)


def _refused(request: ClientRequest) -> bool:
    """Whether a creating request certainly created nothing."""
    return request.status is not None and (400 <= request.status < 500 or request.status == 503)


def environment(target: Target, prefix: str, *, with_key: bool) -> tuple[str, ...]:
    """The client's variables as a shell takes them; the key is a reference to its own variable."""
    uri = target.hosts.registry + prefix
    ca_file = target.tls.ca_file
    return (
        f"MLFLOW_TRACKING_URI={shlex.quote(uri)}",
        *((f'MLFLOW_TRACKING_TOKEN="${target.key.env}"',) if with_key else ()),
        *((f"REQUESTS_CA_BUNDLE={shlex.quote(ca_file)}",) if ca_file else ()),
    )


@check(hop="mlflow-client")
def mlflow_client_registers(facts: MlflowClientFacts) -> Sentence:
    """MLflow's own client registers a model, finds it again, and fetches the artifact that it stored."""
    if facts.works:
        return None
    command = " ".join([*facts.environment, "MLFLOW_HTTP_REQUEST_MAX_RETRIES=0", "mlflow experiments search"])
    return Wrong(reason=f"MLflow's client {facts.client}: {_said(facts.registering)}", reproduce=command)


def _said(tried: ClientTry) -> str:
    """How far the client came, in words."""
    failed = tried.failed()
    if failed is None:
        return tried.unfinished or "it did nothing"
    step = failed[1]
    asked = "; ".join(f"{r.method} {r.path}: {r.status or 'no answer'}" for r in step.requests[-1:])
    return f"at the step {step.step} it says {step.error!r}" + (f" ({asked})" if asked else "")


@check(hop="authenticated/x-api-key")
def mlflow_client_is_let_in_by_header(facts: MlflowClientFacts) -> Sentence:
    """MLflow's own client searches with the key in ``X-API-Key``, which a plug-in of it adds."""
    if facts.header is None:
        return NotApplicable(reason="there is no key that the client could send")
    if facts.header_works:
        return None
    return f"with the key in X-API-Key, MLflow's client {facts.client} fails: {_said(facts.header)}"
