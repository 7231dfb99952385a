"""A job of the worker: register a model with MLflow's own client, set up as a third party would.

It says ``{"client": version}``. The owner's line is the job as JSON: ``url``, ``token`` (or null), ``form``
(how the token goes: bearer or x-api-key), ``timeout_s``, ``ca_file``, ``addresses`` (name -> address, where
the target has a resolver of its own), ``experiment``, ``name``, ``tags``, ``artifact`` (text),
``reading_only``. Each thing done is a line of JSON: ``{"step": ..., "error": null or what the client said,
"requests": [[method, path, status], ...], "ids": {...}}``; the last one is ``{"done": true}``. Nothing of
ours is imported.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

_LONGEST = 2_000


def prepare() -> None:
    """Import what a job needs, so that a child need not."""
    for name in ("mlflow.artifacts", "mlflow.tracking.request_header.registry"):
        import_module(name)


def work(owner: TextIO, directory: Path) -> None:
    """Say that all is loaded, then do the job and tell the owner of each step."""
    _tell(owner, {"client": import_module("mlflow").__version__})
    job = json.loads(owner.readline())
    _set_up(job, directory)
    recorder = _Recorder()
    ids: dict[str, str] = {}
    for name, step in _ThirdParty(job, directory, ids).steps():
        said = _tried(step)
        _tell(owner, {"step": name, "error": said, "requests": recorder.taken(), "ids": ids})
        if said is not None:
            break
    _tell(owner, {"done": True})


def _set_up(job: dict[str, Any], directory: Path) -> None:
    """The environment that a third party sets, our own deadlines, and the target's own names."""
    os.environ["MLFLOW_TRACKING_URI"] = job["url"]
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(job["timeout_s"])
    os.environ["TMPDIR"] = str(directory)  # removed with the job, however that ends
    if job["ca_file"]:
        os.environ["REQUESTS_CA_BUNDLE"] = job["ca_file"]
    if job["token"] and job["form"] == "bearer":
        os.environ["MLFLOW_TRACKING_TOKEN"] = job["token"]
    if job["token"] and job["form"] == "x-api-key":
        _plug_in(job["token"])
    _resolve(job["addresses"])


def _plug_in(key: str) -> None:
    """A header provider, as a package with an entry point in mlflow.request_header_provider brings one."""
    from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider
    from mlflow.tracking.request_header.registry import _request_header_provider_registry

    class KeyHeader(RequestHeaderProvider):  # type: ignore[misc]
        def in_context(self) -> bool:
            return True

        def request_headers(self) -> dict[str, str]:
            return {"X-API-Key": key}

    _request_header_provider_registry.register(KeyHeader)


def _resolve(addresses: dict[str, str]) -> None:
    """Look the target's own names up in what its resolver said."""
    lookup = socket.getaddrinfo

    def found(host: Any, *args: Any, **kwargs: Any) -> Any:
        return lookup(addresses.get(host, host), *args, **kwargs)

    if addresses:
        socket.getaddrinfo = found


class _Recorder:
    """Every HTTP request that the client sends, whatever library of its own sends it."""

    def __init__(self) -> None:
        import requests

        self._seen: list[list[object]] = []
        self._note_refusals()
        send = requests.Session.send

        def recorded(session: Any, request: Any, **kwargs: Any) -> Any:
            entry = [request.method, urlsplit(request.url).path, None]
            self._seen.append(entry)
            response = send(session, request, **kwargs)
            entry[2] = response.status_code
            return response

        requests.Session.send = recorded  # type: ignore[method-assign,assignment]

    def _note_refusals(self) -> None:
        """Without retries a 5xx is an exception that keeps the status to itself."""
        from urllib3.util import Retry

        increment = Retry.increment

        def noted(retry: Any, *args: Any, **kwargs: Any) -> Any:
            response = kwargs.get("response")
            if response is not None and self._seen:
                self._seen[-1][2] = response.status
            return increment(retry, *args, **kwargs)

        Retry.increment = noted  # type: ignore[method-assign,assignment]

    def taken(self) -> list[list[object]]:
        """What was sent since the last time."""
        seen, self._seen = self._seen, []
        return seen


class _ThirdParty:
    """What somebody with a model to register does, step by step."""

    def __init__(self, job: dict[str, Any], directory: Path, ids: dict[str, str]) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient()
        self.job = job
        self.directory = directory
        self.ids = ids

    def steps(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """The steps in order, by name."""
        yield "search", lambda: self.client.search_experiments(max_results=1)
        if self.job["reading_only"]:
            return
        name, tags = self.job["name"], self.job["tags"]
        yield "experiment", self.experiment
        yield "run", self.run
        yield "log", self.log
        yield "artifact", lambda: self.client.log_text(self.ids["run"], self.job["artifact"], "model.json")
        yield "model", lambda: self.client.create_registered_model(name, tags=tags)
        yield "version", self.version
        yield "retrieval", self.retrieval
        yield "finish", lambda: self.client.set_terminated(self.ids["run"])

    def experiment(self) -> None:
        """The one experiment, made where it is not there, unless another run of ours is quicker."""
        name = self.job["experiment"]
        found = self.client.get_experiment_by_name(name)
        self.ids["experiment"] = found.experiment_id if found else self._created(name)

    def _created(self, name: str) -> str:
        try:
            return str(self.client.create_experiment(name))
        except import_module("mlflow.exceptions").MlflowException as refused:
            if refused.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = self.client.get_experiment_by_name(name)
        assert found is not None, "MLflow says that the experiment is there and does not find it"
        return str(found.experiment_id)

    def run(self) -> None:
        """A run in it."""
        made = self.client.create_run(
            self.ids["experiment"], tags=self.job["tags"], run_name=self.job["name"]
        )
        self.ids["run"] = made.info.run_id

    def log(self) -> None:
        """A metric and a parameter."""
        self.client.log_metric(self.ids["run"], "accuracy", 0.8725)
        self.client.log_param(self.ids["run"], "alpha", "0.01")

    def version(self) -> None:
        """A version of the model, from the run's artifacts, and an alias for it."""
        name, run = self.job["name"], self.ids["run"]
        source = self.client.get_run(run).info.artifact_uri
        made = self.client.create_model_version(name, source, run, await_creation_for=self.job["timeout_s"])
        self.ids["version"] = str(made.version)
        self.client.set_registered_model_alias(name, "hkprobe", self.ids["version"])

    def retrieval(self) -> None:
        """The version by its alias, and the artifact as it was stored."""
        found = self.client.get_model_version_by_alias(self.job["name"], "hkprobe")
        _same(str(found.version), self.ids["version"], "the version that the alias leads to")
        fetched = self.client.download_artifacts(self.ids["run"], "model.json", str(self.directory))
        _same(Path(fetched).read_text(), self.job["artifact"], "the artifact that came back")


def _same(found: str, wanted: str, what: str) -> None:
    if found != wanted:
        msg = f"{what} is not what was sent"
        raise ValueError(msg)


def _tried(step: Callable[[], object]) -> str | None:
    """What the client said when a step failed, as its user sees it."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        step()
    except (MlflowException, requests.RequestException, OSError, ValueError) as error:
        return _whole_words(f"{type(error).__name__}: {error}")
    return None


def _whole_words(text: str) -> str:
    """At most so many characters, cut between words: half a secret would no longer look like one."""
    return text if len(text) <= _LONGEST else text[:_LONGEST].rpartition(" ")[0]


def _tell(owner: TextIO, said: object) -> None:
    owner.write(json.dumps(said) + "\n")
    owner.flush()
