"""What git's answer to a fetch or a push means. Pure.

git has no other answer than its words, which are English because it runs with ``LC_ALL=C``. What is not
known here is worth another try.
"""

from __future__ import annotations

import re

from hokusai_probe import text
from hokusai_probe.publish.errors import DeniedError, LeakError, MovedError, PublishError, RefusedError

_SAID_CHARACTERS = 200
_SECRET = re.compile(r"push cannot contain secrets|secret-scanning", re.IGNORECASE)
_MOVED = re.compile(
    r"\[rejected\]|cannot lock ref|failed to (?:lock|update ref|write)|stale info|fetch first"
    r"|non-fast-forward|incorrect old value|but expected|reference already exists|shallow file has changed",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\bGH0(?:06|13)\b|protected branch|rule violations|hook declined|refusing to allow|prohibited"
    r"|branch is currently checked out",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"authentication failed|could not read (?:username|password)|permission (?:to \S+ )?denied"
    r"|write access to repository not granted|returned error: 40[13]|repository not found"
    r"|repository '[^']*' not found|does not appear to be a git repository|host key verification failed"
    r"|transport '[^']*' not allowed|unable to find remote helper",
    re.IGNORECASE,
)
_MISSING = re.compile(r"couldn't find remote ref", re.IGNORECASE)
_TELLING = re.compile(r"^(?:fatal|error|remote|!)\b.*$", re.MULTILINE)


def is_missing(said: str) -> bool:
    """Whether a fetch failed because the remote has no such branch."""
    return _MISSING.search(said) is not None


def of_push(said: str, branch: str) -> PublishError:
    """The error that a failed push's output stands for."""
    if _SECRET.search(said):
        return LeakError(f"the remote takes what goes to {branch} for a secret and refuses it")
    if _REFUSED.search(said):
        return RefusedError(f"{branch} refuses pushes: it is protected, or a rule or a hook says no")
    if _MOVED.search(said):
        return MovedError(f"others pushed to {branch} each time before we could")
    return _of_connection(said)


def of_fetch(said: str) -> PublishError:
    """The error that a failed fetch's output stands for, or that of anything else that needs the remote."""
    return _of_connection(said)


def _of_connection(said: str) -> PublishError:
    if _DENIED.search(said):
        return DeniedError(f"the remote cannot be used: {_telling(said)}")
    return PublishError(f"git failed: {_telling(said)}")


def _telling(said: str) -> str:
    """The last words of git that say what went wrong, on one line."""
    found = [line for line in _TELLING.findall(text.clean(said)) if not line.endswith(("remote:", "hint:"))]
    words = "; ".join(found[-2:]) or said.strip() or "it said nothing"
    return text.clean(text.one_line(words), _SAID_CHARACTERS)
