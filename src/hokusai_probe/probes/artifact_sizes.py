"""Storing a large artifact, and where storing ends if it does not go through."""

from __future__ import annotations

import hashlib
import random
from typing import Protocol

from hokusai_probe.answers import said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Entry, Look
from hokusai_probe.model import Blocked, Facts, Frozen, Wrong
from hokusai_probe.probes._mlflow_rest import STORE, is_gone, never_made, new_name
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import UNDO_S

SMALLEST, STEPS = 1024, 3


class Tried(Frozen):
    """A size in bytes and what storing as much was answered."""

    size: int
    answer: Answer


class ArtifactSizesFacts(Facts):
    """A large artifact stored and fetched again. Sizes in bytes.

    ``download`` None: it was not stored. ``tried``: smaller ones, tried only because the large one was
    refused as too large, the smallest first, then between what was taken and what was not.
    ``entries``: what was created, and whether it is gone again.
    """

    size: int
    sent_sha256: str
    upload: Answer
    download: Answer | None = None
    tried: tuple[Tried, ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def largest_taken(self) -> int | None:
        """The largest size that was stored, None for none."""
        taken = [one.size for one in self.tried if one.answer.status == 200]
        return self.size if self.upload.status == 200 else max(taken, default=None)

    @property
    def smallest_refused(self) -> int | None:
        """The smallest size that was refused as too large, None for none."""
        refused = [one.size for one in self.tried if one.answer.status == 413]
        return min([*refused, *([self.size] if self.upload.status == 413 else [])], default=None)


class Store(Protocol):
    """Takes bodies."""

    async def put(self, size: int, content: bytes) -> Answer:
        """What storing them was answered."""


class _Store:
    """The requests about one folder of ours in the artifact store."""

    def __init__(self, look: Look, prefix: str) -> None:
        self._look = look
        self.folder = new_name(look.run_id)
        self._base = prefix + STORE
        self._stored: list[Answer] = []

    async def put(self, size: int, content: bytes) -> Answer:
        stored = await self._send("PUT", f"{self.folder}/{size}.bin", content)
        self._stored.append(stored)
        return stored

    async def get(self, size: int) -> Answer:
        return await self._send("GET", f"{self.folder}/{size}.bin", None, size + 1)

    async def remove(self) -> bool:
        if all(never_made(answer) for answer in self._stored):
            return True
        return is_gone(await self._send("DELETE", self.folder, None))

    async def _send(self, method: str, path: str, content: bytes | None, most: int | None = None) -> Answer:
        return await self._look.http.send(
            *(method, "registry", self._base + path),
            key=self._look.key_form(),
            content=content,
            hash_body=True,
            max_bytes=most,
        )


@probe(area="registration", safety="write", after=("experiments-can-be-searched",), cost=4 + STEPS)
async def artifact_sizes(look: Look, api: MlflowApiFacts) -> ArtifactSizesFacts:
    """Storing an artifact of ``[budget] artifact_bytes`` (1 MiB), fetching it again and removing it.

    Models are larger than the artifact of the registration, and what stands in the way may have a limit.
    Where the large one is refused as too large (413), smaller ones show between which sizes the limit lies.
    """
    size = look.target.budget.artifact_bytes
    content = random.Random(0).randbytes(size)  # noqa: S311 - it must not compress, that is all
    store = _Store(look, api.prefix)
    look.journal.will_create("artifact", store.folder, store.remove)
    upload = await store.put(size, content)
    download = await store.get(size) if upload.status == 200 else None
    tried = await smaller(store, content) if upload.status == 413 else ()
    return ArtifactSizesFacts(
        size=size,
        sent_sha256=hashlib.sha256(content).hexdigest(),
        upload=upload,
        download=download,
        tried=tried,
        entries=await look.journal.undo(UNDO_S),
    )


async def smaller(store: Store, content: bytes) -> tuple[Tried, ...]:
    """The smallest size, and then a few halvings between what is taken and what is not."""
    low, high = min(SMALLEST, len(content)), len(content)
    tried = [Tried(size=low, answer=await store.put(low, content[:low]))]
    while tried[0].answer.status == 200 and len(tried) <= STEPS and high - low > 1:
        middle = (low + high) // 2
        tried.append(Tried(size=middle, answer=await store.put(middle, content[:middle])))
        low, high = (middle, high) if tried[-1].answer.status == 200 else (low, middle)
    return tuple(tried)


@check(hop="artifacts/large")
def large_artifact_survives(facts: ArtifactSizesFacts) -> Sentence:
    """An artifact of the configured size can be stored, and comes back as it was sent."""
    upload, download = facts.upload, facts.download
    if upload.status != 200:
        between = f"; {facts.largest_taken} bytes are taken" if facts.largest_taken else ""
        return Wrong(reason=f"storing {facts.size} bytes: {said(upload)}{between}", reproduce=upload.curl())
    if download is None:
        return Blocked(reason="the large artifact was not asked for again")
    if download.status != 200 or download.failure is not None:
        return Wrong(reason=f"fetching {facts.size} bytes again: {said(download)}", reproduce=download.curl())
    if download.sha256 != facts.sent_sha256:
        return Wrong(reason=f"what came back of {facts.size} bytes is not what was sent")
    return None
