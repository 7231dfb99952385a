"""A repository of our own, empty but for what is about to be pushed, and a remote in it.

The caller's repository is not worked in: its work tree, index, refs, hooks and objects stay as they are, in
whatever state that is, and a detached head or a shallow clone makes no difference.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hokusai_probe.publish import refusals
from hokusai_probe.publish.process import Clock, Said, git
from hokusai_probe.publish.way import REMOTE, Way, found
from hokusai_probe.publish.wish import Identity

_OBJECT = re.compile(rb"([0-9a-f]{40,64}) \w+ (\d+)\n")


@dataclass(frozen=True, slots=True)
class Commit:
    """What is to be committed: the files by path, on top of a commit, or of nothing."""

    branch: str
    parent: str | None
    files: Mapping[str, bytes]
    message: str
    identity: Identity

    def stream(self) -> bytes:
        """The commit in the language of ``git fast-import``, which then says its id."""
        return b"".join(self._parts())

    def _parts(self) -> Iterator[bytes]:
        who = f"{self.identity.name} <{self.identity.email}> {int(time.time())} +0000"
        message = self.message.encode()
        yield f"commit {_out(self.branch)}\nmark :1\nauthor {who}\ncommitter {who}\n".encode()
        yield b"data %d\n%s\n" % (len(message), message)
        if self.parent is not None:
            yield f"from {self.parent}^0\n".encode()
        for path, data in sorted(self.files.items()):
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
        yield b"\nget-mark :1\ndone\n"


@dataclass(slots=True)
class Remote:
    """The remote, through a repository of ours. ``folder``: a bare one, which is removed in the end."""

    folder: Path
    way: Way
    clock: Clock
    environment: Mapping[str, str]

    async def fetch(self, branch: str) -> str | None:
        """A name for the branch's last commit, which is then here with its folders; None: no such branch.

        It names that commit until the branch is fetched again. Raises PublishError.
        """
        wanted = f"+refs/heads/{branch}:{_in(branch)}"
        said = await self._git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", "--filter=blob:none",
            REMOTE, wanted,
        )  # fmt: skip
        if said.code and refusals.is_missing(said.text):
            return None
        if said.code:
            raise refusals.of_fetch(said.text)
        return _in(branch)

    async def paths(self, commit: str, *under: str) -> frozenset[str]:
        """The paths of a commit's files below these folders; of its outermost files and folders for none."""
        deep = ("-r",) if under else ()
        said = await self._done("ls-tree", "-z", "--name-only", *deep, commit, "--", *under)
        return frozenset(os.fsdecode(path) for path in said.split(b"\0") if path)

    async def read(self, commit: str, path: str) -> bytes:
        """The content of a file of a commit. Raises PublishError."""
        return await self._done("cat-file", "blob", f"{commit}:{path}")

    async def commit(self, wanted: Commit) -> str:
        """Make a commit here, and return its id. Raises PublishError."""
        made = await self._done("fast-import", "--quiet", "--force", "--done", given=wanted.stream())
        return made.decode().strip()

    async def new(self, wanted: Commit, made: str) -> AsyncIterator[tuple[str, bytes]]:
        """The commit itself, as the path ``""``, and each file that it adds or changes, as git holds them."""
        before = wanted.parent or await self._nothing()
        listed = await self._done("diff-tree", "-r", "-z", "--no-renames", before, made)
        fields = os.fsdecode(listed).split("\0")[:-1]
        ids = [row.split()[3] for row in fields[::2]]
        names = "".join(f"{one}\n" for one in (made, *ids))
        objects = dict(_objects(await self._done("cat-file", "--batch", given=names.encode())))
        for one, path in ((made, ""), *zip(ids, fields[1::2], strict=True)):
            yield path, objects[one]

    async def push(self, made: str, branch: str) -> None:
        """Make a commit the branch's last, which it can only be when it was built on that one.

        Raises PublishError, of the kind that says what to do about it.
        """
        said = await self._git("push", "--porcelain", REMOTE, f"{made}:refs/heads/{branch}")
        if said.code:
            raise refusals.of_push(said.text, branch)

    async def start(self) -> None:
        """Make the repository, without anything that a template or a setting of the caller's would put in."""
        await self._done("init", "--bare", "--quiet", "--template=", ".")

    async def _nothing(self) -> str:
        """The id of the tree that holds nothing."""
        return (await self._done("hash-object", "-t", "tree", "-w", "--stdin")).decode().strip()

    async def _done(self, *arguments: str, given: bytes = b"") -> bytes:
        said = await self._git(*arguments, given=given)
        if said.code:
            raise refusals.of_fetch(said.text)
        return said.out

    async def _git(self, *arguments: str, given: bytes = b"") -> Said:
        return await git(
            *arguments, clock=self.clock, environment=self.environment, folder=self.folder, given=given
        )


def _in(branch: str) -> str:
    return f"refs/in/{branch}"


def _out(branch: str) -> str:
    return f"refs/out/{branch}"


def _objects(batch: bytes) -> Iterator[tuple[str, bytes]]:
    """The objects of ``git cat-file --batch``, by id."""
    at = 0
    while head := _OBJECT.match(batch, at):
        start, size = head.end(), int(head[2])
        yield head[1].decode(), batch[start : start + size]
        at = start + size + 1


@asynccontextmanager
async def opened(
    name: str, *, clock: Clock, environment: Mapping[str, str], folder: Path
) -> AsyncIterator[Remote]:
    """The remote of this name of the repository that a folder is in, or at this URL or path.

    Raises PublishError. Nothing is left in the end, however it ends.
    """
    way = await found(name, clock=clock, environment=environment, folder=folder)
    with tempfile.TemporaryDirectory(prefix="hokusai-probe-publish-") as temporary:
        remote = Remote(Path(temporary), way, clock, way.environment(environment))
        await remote.start()
        yield remote
