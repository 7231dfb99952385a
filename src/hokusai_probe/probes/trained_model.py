"""A real scikit-learn model in MLflow's format: stored, fetched, loaded, and asked the same again."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hokusai_probe.answers import said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Wrong
from hokusai_probe.probes._fork_server import ForkServer, Job
from hokusai_probe.probes._mlflow_rest import STORE, is_gone, lists_nothing, never_made, new_name
from hokusai_probe.probes._removal import left, seen
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import UNDO_S

WORKER_S = 60.0  # a cold import of MLflow and scikit-learn takes up to 12 s
Rows = tuple[tuple[float, ...], ...]


class TrainedModelFacts(Facts):
    """Each file's store and fetch, and the model's predictions before and after the journey.

    ``after`` None: not every file came back, so there was nothing to load.
    """

    uploads: tuple[Answer, ...]
    downloads: tuple[Answer, ...]
    before: Rows
    after: Rows | None
    leftovers: tuple[str, ...] = ()


WORKER = ForkServer(
    Path(__file__).with_name("_sklearn_worker.py"),
    passed_on=("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH"),
    settings={
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # one thread each: the model is small, and a process that forks must not have more
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    },
)


async def _predictions(job: Job) -> Rows:
    return tuple(tuple(row) for row in json.loads(await job.line())["predictions"])


@probe(
    area="registration",
    safety="write",
    needs=("registration-extra",),
    after=("registry-host-answers", "experiments-can-be-searched"),
    cost=24,
    deadline_s=WORKER_S,
    prepare=WORKER.start,
)
async def trained_model(look: Look, api: MlflowApiFacts) -> TrainedModelFacts:
    """A random forest saved by MLflow, stored file by file, fetched, loaded and compared.

    Equal bytes are not yet a usable model: this loads what came back and asks it the same question.
    """
    folder = new_name(look.run_id)
    store = _Store(look, api.prefix + STORE + folder)
    with tempfile.TemporaryDirectory(prefix="hokusai-probe-") as name:
        async with WORKER.job(Path(name)) as job:
            before = await _predictions(job)
            look.journal.will_create("artifact", folder, store.delete)
            uploads, downloads = await store.journey(Path(name))
            after = None
            if all(a.status == 200 for a in downloads):
                job.go_on()
                after = await _predictions(job)
    await look.journal.undo(UNDO_S)
    return TrainedModelFacts(
        uploads=uploads, downloads=downloads, before=before, after=after, leftovers=await store.left(uploads)
    )


class _Store:
    """A folder of the artifact store of our own."""

    def __init__(self, look: Look, path: str) -> None:
        self._look = look
        self._path = path

    async def journey(self, directory: Path) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
        """Store each file of ``model`` and fetch it into ``fetched``. Returns both lists of answers."""
        files = sorted(p for p in (directory / "model").rglob("*") if p.is_file())
        uploads = [await self._put(p, p.relative_to(directory / "model")) for p in files]
        downloads = [
            await self._get(directory / "fetched", p.relative_to(directory / "model")) for p in files
        ]
        return tuple(uploads), tuple(downloads)

    async def _put(self, file: Path, name: Path) -> Answer:
        content = await asyncio.to_thread(file.read_bytes)
        return await self._send("PUT", f"/{name.as_posix()}", content)

    async def _get(self, directory: Path, name: Path) -> Answer:
        answer = await self._send("GET", f"/{name.as_posix()}")
        if answer.status == 200:
            await asyncio.to_thread(_save, directory / name, answer.kept)
        return answer

    async def delete(self) -> bool:
        """Remove the folder; already gone is gone."""
        return is_gone(await self._send("DELETE", ""))

    async def left(self, uploads: Sequence[Answer]) -> tuple[str, ...]:
        """What is still there, by MLflow's own listing of the folder."""
        if all(never_made(answer) for answer in uploads):
            return ()
        root, _, folder = self._path.rpartition("/")
        key = self._look.key_form()
        where = [("path", folder)]
        listed = await seen(lambda: self._look.http.send("GET", "registry", root, key=key, query=where))
        sentence = left(f"the artifact folder {folder}", listed, gone=lists_nothing(listed))
        return (sentence,) if sentence else ()

    async def _send(self, method: str, path: str, content: bytes | None = None) -> Answer:
        key = self._look.key_form()
        return await self._look.http.send(method, "registry", self._path + path, key=key, content=content)


def _save(where: Path, content: bytes) -> None:
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(content)


@check(hop="artifacts")
def trained_model_predicts_the_same(facts: TrainedModelFacts) -> Sentence:
    """A trained model that was stored, fetched and loaded again predicts exactly what it did before.

    What fails here fails for MLflow's own client too (mlflow-client-registers), which stores a text: only
    here would be seen that a model comes back as another.
    """
    refused = next((a for a in (*facts.uploads, *facts.downloads) if a.status != 200), None)
    if refused is not None:
        return Wrong(reason=f"{refused.method} {refused.path}: {said(refused)}", reproduce=refused.curl())
    return None if facts.after == facts.before else "the fetched model predicts something else"
