"""Where GitHub is and which token opens it, from the environment."""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from hokusai_probe.errors import ProbeError
from hokusai_probe.github.calls import Door

TOKEN = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable
APP_TOKEN = "HOKUSAI_PROBE_APP_TOKEN"  # noqa: S105 - the name of a variable
URL = "GITHUB_API_URL"
_HOME = "https://api.github.com"
_ALLOWED = frozenset(string.ascii_letters + string.digits + string.punctuation)


class SettingsError(ProbeError, ValueError):
    """GitHub cannot be asked with this environment. The text names the variable, never a token."""


def connect(environment: Mapping[str, str], repository: str) -> Callable[[str], Door]:
    """What gives the door for a repository: its own token for ``repository``, the app's for any other.

    Without a token for other repositories, ``GITHUB_TOKEN`` is tried there too. Raises SettingsError, also
    where PyGithub is not installed.
    """
    home = _home(environment)
    own = _token(environment, TOKEN)
    if not own:
        msg = f"{TOKEN} is not set: issues in {repository} need a token that may write them"
        raise SettingsError(msg)
    opened = _opener()
    doors = {True: opened(own, home)}

    def door(name: str) -> Door:
        ours = name.casefold() == repository.casefold()
        if ours not in doors:
            doors[ours] = opened(_token(environment, APP_TOKEN) or own, home)
        return doors[ours]

    door(f"{repository}/other")  # a token that no header can carry is told before anything is sent
    return door


def _opener() -> Callable[[str, str], Door]:
    try:
        from hokusai_probe.github.door import PyGithubDoor
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "github":
            raise
        msg = "reading and writing issues needs the extra `github`: pip install 'hokusai-probe[github]'"
        raise SettingsError(msg) from None
    return PyGithubDoor


def _token(environment: Mapping[str, str], variable: str) -> str:
    value = environment.get(variable, "").strip()
    if not _ALLOWED.issuperset(value):
        msg = f"{variable} holds characters that an HTTP header cannot carry. Set it again."
        raise SettingsError(msg)
    return value


def _home(environment: Mapping[str, str]) -> str:
    """GitHub's address without a trailing slash. A token goes out encrypted, or stays on this machine."""
    said = environment.get(URL, "").strip().rstrip("/") or _HOME
    try:
        parts = urlsplit(said)
        sound = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or parts.username is not None:
        msg = f"{URL} must be an address such as {_HOME}"
        raise SettingsError(msg)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        msg = f"{URL} must begin with https://, or the token would be sent in the clear"
        raise SettingsError(msg)
    return said


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
