"""Registering a model, against the bare minimum of calls: ``python tests/bench.py registration``.

The minimum is a straight script: the same calls, one after the other, over one connection that stays open,
with the standard library alone. It does no more than the look does, and no less: what it makes it removes,
and looks whether it is gone. It judges nothing, hides nothing, and would leave everything behind if it were
killed.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import socket
import ssl
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bench_page import Part, Row, spread
from bench_run import own

from hokusai_probe import config, sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.http import HttpDoor
from hokusai_probe.keys import Keys
from hokusai_probe.model import Target
from hokusai_probe.probes._mlflow_rest import EXPERIMENT
from hokusai_probe.probes.model_registration import ARTIFACT
from hokusai_probe.redact import Redactor
from hokusai_probe.runner import run

LOOKS = {"model-registration": "rest", "mlflow-client": "client"}
Json = dict[str, object]
MINIMUM = (
    "The minimum is `Minimum` in tests/bench_registration.py: the standard library, one connection, no "
    "judging, no journal."
)
CLIENT = (
    "MLflow's client asks more than it is told to: the requests of `mlflow-client` are its own, with those "
    "of the search with `X-API-Key` beside it."
)


def addresses(target: Target, *hosts: str) -> dict[str, str]:
    """The address of each host's name, from the target's own resolver."""

    async def ask() -> dict[str, str]:
        async with HttpDoor(target, Keys.read(target.key, {}), Redactor(())) as door:
            found = [await door.resolve(host) for host in hosts]  # type: ignore[arg-type]
        return {one.name: one.addresses[0] for one in found}

    return asyncio.run(ask())


class _Connection(http.client.HTTPSConnection):
    """A connection to an address, verified by name."""

    def __init__(self, name: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(name, port, context=context, timeout=30)
        self._address, self._context_of_ours = address, context

    def connect(self) -> None:
        """Connect by address; no delay of small packets, as every client has it."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context_of_ours.wrap_socket(plain, server_hostname=self.host)


class Minimum:
    """The calls of a registration, and nothing beside them."""

    def __init__(self, target: Target, key: str) -> None:
        url = urlsplit(target.hosts.registry)
        context = ssl.create_default_context(cafile=target.tls.ca_file)
        address = addresses(target, "registry")[url.hostname or ""]
        self._wire = _Connection(url.hostname or "", url.port or 443, address, context)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._api = f"{target.paths.mlflow}/api/2.0/mlflow"
        self._store = f"{target.paths.mlflow}/api/2.0/mlflow-artifacts/artifacts"
        self.calls = 0

    def _send(self, method: str, path: str, body: bytes | None = None, wanted: int = 200) -> bytes:
        self._wire.request(method, path, body, self._headers)
        answer = self._wire.getresponse()
        content, self.calls = answer.read(), self.calls + 1
        assert answer.status == wanted, (method, path, answer.status, content[:200])
        return content

    def _call(self, method: str, call: str, body: Json, wanted: int = 200) -> Json:
        if method == "GET":
            return self._json(self._send("GET", f"{self._api}/{call}?{urlencode(body)}", None, wanted))
        return self._json(self._send(method, f"{self._api}/{call}", json.dumps(body).encode(), wanted))

    @staticmethod
    def _json(content: bytes) -> Json:
        found: Json = json.loads(content)
        return found

    def rest(self) -> None:
        """What the look over REST does: 24 calls."""
        name, experiment = self._began()
        run_id, moment = self._run(name, experiment), int(time.time() * 1000)
        metric = {"key": "accuracy", "value": 0.8725, "timestamp": moment, "step": 0}
        logged = {"run_id": run_id, "metrics": [metric], "params": [{"key": "alpha", "value": "0.01"}]}
        self._call("POST", "runs/log-batch", logged)
        self._call("POST", "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": moment})
        self._call("GET", "runs/get", {"run_id": run_id})
        folder = self._artifact(experiment, run_id)
        self._call("POST", "registered-models/create", {"name": name})
        version = {"name": name, "source": f"mlflow-artifacts:/{folder}", "run_id": run_id}
        for _ in range(2):
            self._call("POST", "model-versions/create", version)
        self._retrieved(name)
        self._removed(name, run_id, folder)

    def _retrieved(self, name: str) -> None:
        one, alias = {"name": name, "version": "1"}, {"name": name, "alias": "hkprobe"}
        pages: Json = {"filter": f"name = '{name}'", "max_results": "1", "order_by": "version_number"}
        self._call("GET", "registered-models/search", {"filter": f"name = '{name}'", "max_results": "5"})
        self._call("GET", "registered-models/get", {"name": name})
        self._call("GET", "model-versions/get", dict(one))
        self._call("POST", "registered-models/alias", {**alias, "version": "1"})
        self._call("GET", "registered-models/alias", dict(alias))
        stage = {"stage": "Staging", "archive_existing_versions": False}
        self._call("POST", "model-versions/transition-stage", {**one, **stage})
        token = self._call("GET", "model-versions/search", pages)["next_page_token"]
        self._call("GET", "model-versions/search", {**pages, "page_token": token})

    def client(self) -> None:
        """What MLflow's client is told to do, without what it asks of itself on the way: 18 calls."""
        self._call("GET", "experiments/search", {"max_results": "1"})
        name, experiment = self._began()
        run_id, moment = self._run(name, experiment), int(time.time() * 1000)
        metric: Json = {"key": "accuracy", "value": 0.8725, "timestamp": moment}
        self._call("POST", "runs/log-metric", {"run_id": run_id, **metric})
        self._call("POST", "runs/log-parameter", {"run_id": run_id, "key": "alpha", "value": "0.01"})
        folder = self._artifact(experiment, run_id)
        self._call("POST", "registered-models/create", {"name": name})
        version = {"name": name, "source": f"mlflow-artifacts:/{folder}", "run_id": run_id}
        self._call("POST", "model-versions/create", version)
        self._call("POST", "registered-models/alias", {"name": name, "alias": "hkprobe", "version": "1"})
        self._call("GET", "registered-models/alias", {"name": name, "alias": "hkprobe"})
        self._call("POST", "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": moment})
        self._removed(name, run_id, folder)

    def _began(self) -> tuple[str, str]:
        found = self._call("GET", "experiments/get-by-name", {"experiment_name": EXPERIMENT})["experiment"]
        assert isinstance(found, Mapping)
        return f"hkprobe-bench-{os.urandom(4).hex()}", str(found["experiment_id"])

    def _run(self, name: str, experiment: str) -> str:
        body = {"experiment_id": experiment, "run_name": name, "start_time": int(time.time() * 1000)}
        made = self._call("POST", "runs/create", body)["run"]
        assert isinstance(made, Mapping)
        return str(made["info"]["run_id"])

    def _artifact(self, experiment: str, run_id: str) -> str:
        """Stored and fetched again, and the same: the folder that it is in."""
        folder = f"{experiment}/{run_id}/artifacts"
        self._send("PUT", f"{self._store}/{folder}/model.json", ARTIFACT)
        fetched = self._send("GET", f"{self._store}/{folder}/model.json")
        assert hashlib.sha256(fetched).digest() == hashlib.sha256(ARTIFACT).digest()
        return folder

    def _removed(self, name: str, run_id: str, folder: str) -> None:
        """Deleted, and looked for afterwards."""
        self._call("DELETE", "registered-models/delete", {"name": name})
        self._send("DELETE", f"{self._store}/{folder}")
        self._call("POST", "runs/delete", {"run_id": run_id})
        self._call("GET", "registered-models/get", {"name": name}, 404)
        self._send("GET", f"{self._store}?{urlencode({'path': folder})}")
        self._call("GET", "runs/get", {"run_id": run_id})


def measured(runs: int) -> Part:
    """By turns on one warm sandbox, after a first round that makes the experiment and warms everything up."""
    with sandbox.start("healthy") as box:
        environment = {**bare_environment(), **box.environment}
        rounds = [_round(box.target_file, environment) for _ in range(runs + 1)][1:]
    seconds = {name: [one[name][0] for one in rounds] for name in rounds[0]}
    calls = {name: one[1] for name, one in rounds[-1].items()}
    rows = [
        row
        for look, least in LOOKS.items()
        for row in (
            Row(
                f"`{look}`, its own time; {calls[look]} requests with those before it",
                spread(seconds[look]),
                "its minimum",
                statistics.median(seconds[look]) / statistics.median(seconds[least]),
            ),
            Row(f"its minimum, {calls[least]} calls on one connection", spread(seconds[least])),
        )
    ]
    return Part(
        "registration",
        "Registering a model",
        tuple(rows),
        (MINIMUM, CLIENT),
    )


def _round(target_file: Path, environment: Mapping[str, str]) -> dict[str, tuple[float, int]]:
    """Seconds and requests of each look and each minimum. The looks come first: they make the experiment."""
    found: dict[str, tuple[float, int]] = {}
    for look in LOOKS:
        report = run(target_file, only=(look,), environment=environment)
        found[look] = own(report)[look], report.requests_sent
    target = config.load(str(target_file), environment)
    for name in LOOKS.values():
        minimum = Minimum(target, environment[target.key.env])
        began = time.perf_counter()
        getattr(minimum, name)()
        found[name] = time.perf_counter() - began, minimum.calls
    return found
