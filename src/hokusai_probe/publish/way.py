"""How to reach a remote, as the caller's repository knows it, which is read for that and nothing else."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from hokusai_probe.publish.errors import PublishError, SetupError
from hokusai_probe.publish.process import Clock, git, isolated, quiet

REMOTE = "origin"
_SCOPES = frozenset({"local", "worktree", "command"})
_CARRIED = re.compile(
    r"http\..+|credential\..+|url\..+\.(?:insteadof|pushinsteadof)|core\.(?:sshcommand|gitproxy)|ssh\.variant"
)
_OF_REMOTE = ("url", "pushurl", "proxy", "proxyauthmethod")
_HEADER = "extraheader"
_SETTINGS = (
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("credential.interactive", "false"),
    # a connection that carries nothing is given up before the command's own deadline
    ("http.lowspeedlimit", "100"),
    ("http.lowspeedtime", "30"),
)
_BATCH_SSH = "ssh -oBatchMode=yes -oConnectTimeout=20"
_SERVER = "https://github.com"

Setting = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach a remote: the settings that git needs for it, which there is called :data:`REMOTE`."""

    settings: tuple[Setting, ...]

    def secrets(self) -> tuple[str, ...]:
        """What in the settings nobody may see."""
        return tuple(secret for key, value in self.settings for secret in _secrets_of(key, value))

    def environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        """The environment of a git that knows this way and works in the folder that it is started in.

        Its ssh asks nobody, unless the caller has one of their own.
        """
        alone = {**isolated(ours, self.settings), "GIT_DIR": "."}
        theirs = {"GIT_SSH", "GIT_SSH_COMMAND"} & alone.keys() or "core.sshcommand" in dict(self.settings)
        return alone if theirs else {**alone, "GIT_SSH_COMMAND": _BATCH_SSH}


def _secrets_of(key: str, value: str) -> Iterator[str]:
    """The password of a URL; the token in a header, as it stands there and as it was before base64."""
    if key.endswith("url"):
        yield from filter(None, [_parts(value).password])
    header, _, words = value.partition(":")
    if not key.endswith(_HEADER) or header.strip().lower() != "authorization":
        return
    word = words.rpartition(" ")[2]
    yield word
    with contextlib.suppress(binascii.Error, UnicodeDecodeError):
        yield base64.b64decode(word, validate=True).decode().rpartition(":")[2]


async def found(name: str, *, clock: Clock, environment: Mapping[str, str], folder: Path) -> Way:
    """How to reach a remote, from the configuration of the caller's repository. Raises SetupError.

    Only what belongs to the connection is taken over from there, above all the credentials that
    actions/checkout leaves. Without any, ``GITHUB_TOKEN`` serves, at GitHub's own address alone.
    """
    listed = await _configuration(clock, _with_settings(environment), folder)
    known = [(key, value) for scope, key, value in listed if scope in _SCOPES]
    carried = [one for one in known if _CARRIED.fullmatch(one[0])]
    places = tuple(_places(name, known, folder))
    if not any(key.endswith(".url") for key, _ in places):
        msg = f"{folder} has no remote {name}: run it in a clone, or give --remote a URL"
        raise SetupError(msg)
    return Way((*_SETTINGS, *carried, *places, *_token(places, carried, environment)))


def _places(name: str, known: Iterable[Setting], folder: Path) -> Iterator[Setting]:
    """Where the remote is: of one that the repository has, or the URL or path that its name is."""
    if re.search(r"[/\\:]", name) or name in {".", ".."}:
        yield f"remote.{REMOTE}.url", _absolute(name, folder)
        return
    for key, value in known:
        part = key.removeprefix(f"remote.{name}.")
        if key != part and part in _OF_REMOTE:
            yield f"remote.{REMOTE}.{part}", _absolute(value, folder) if part.endswith("url") else value


def _with_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the caller's own configuration is read, all of it."""
    settings = {name: value for name, value in environment.items() if name.startswith("GIT_CONFIG_")}
    return {**quiet(environment), **settings}


async def _configuration(
    clock: Clock, environment: Mapping[str, str], folder: Path
) -> list[tuple[str, str, str]]:
    """Scope, key and value of each setting of the caller's. Raises PublishError."""
    said = await git(
        "config", "--list", "--null", "--show-scope", clock=clock, environment=environment, folder=folder
    )
    if said.code:
        msg = f"git cannot read its configuration in {folder}: {said.text.strip():.200}"
        raise PublishError(msg)
    fields = said.out.decode(errors="replace").split("\0")[:-1]
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return [(scope, *_pair(setting)) for scope, setting in pairs]


def _pair(setting: str) -> Setting:
    key, _, value = setting.partition("\n")
    return key, value


def _absolute(url: str, folder: Path) -> str:
    """A URL as it is, a path from the folder on."""
    is_path = "://" not in url and (":" not in url.partition("/")[0])
    return str((folder / url).resolve()) if is_path else url


def _token(
    places: Iterable[Setting], carried: Sequence[Setting], environment: Mapping[str, str]
) -> tuple[Setting, ...]:
    """GitHub's token as a header for GitHub's server, where the repository has no credentials of its own."""
    server = environment.get("GITHUB_SERVER_URL", "").rstrip("/") or _SERVER
    token = environment.get("GITHUB_TOKEN", "").strip()
    theirs = all(_origin(url) == _origin(server) for key, url in places if key.endswith("url"))
    own = any(key.startswith("credential.") or key.endswith(_HEADER) for key, _ in carried)
    if not token or not theirs or own:
        return ()
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return ((f"http.{server}/.{_HEADER}", f"Authorization: Basic {basic}"),)


def _origin(url: str) -> tuple[str, str]:
    parts = _parts(url)
    return parts.scheme, parts.netloc


def _parts(url: str) -> SplitResult:
    """The parts of a URL, empty ones where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
