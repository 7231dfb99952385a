"""What GitHub's answers mean. Pure.

An answer is read strictly: what lacks a whole number is no issue, whatever its status (a page for
maintenance may come with 200), and a list with one entry that cannot be read is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)

from hokusai_probe import text
from hokusai_probe.github.calls import Reply
from hokusai_probe.github.outcome import GitHubError

Why = Literal[
    "archived",
    "disabled",
    "exists",
    "forbidden",
    "full",
    "gone",
    "locked",
    "moved",
    "other",
    "right",
    "token",
    "too-long",
]

WITHOUT_A_WORD_S = 60.0  # GitHub's own advice where a limit names no time
T = TypeVar("T")
Reader = Callable[[Reply], T]

_MEANS: dict[Why, str] = {
    "archived": "the repository is archived: nothing can be written there; name another one",
    "disabled": "issues are switched off in this repository: switch them on, or name another one",
    "exists": "it exists already",
    "forbidden": "GitHub forbids it",
    "full": "GitHub takes no more comments on this issue: close it, and the next run opens a new one",
    "gone": "it is not there, or the token may not see it",
    "locked": "the issue is locked",
    "moved": "it has moved: name the repository as it is called now",
    "other": "GitHub refuses it",
    "right": "the token may not do this: it needs the right to write issues here (`issues: write`)",
    "token": "GitHub does not know the token: it is wrong, or has expired",
    "too-long": "GitHub finds it too long",
}
# what a sentence of GitHub's says, by the status that it comes with
_SAYS: tuple[tuple[int, str, Why], ...] = (
    (403, "is locked", "locked"),
    (403, "commenting is disabled", "full"),
    (403, "archived", "archived"),
    (403, "resource not accessible", "right"),
    (403, "must have", "right"),
    (410, "disabled", "disabled"),
    (422, "already_exists", "exists"),
    (422, "too long", "too-long"),
)
_BY_STATUS: dict[int, Why] = {
    401: "token",
    403: "forbidden",
    404: "gone",
    410: "gone",
    413: "too-long",
}
_LIMIT = re.compile(r"rate limit|abuse detection|submitted too quickly", re.IGNORECASE)
_SHOWN = 200


class RefusedError(GitHubError):
    """GitHub answered, and will not. ``why`` is what for."""

    result = "refused"

    def __init__(self, why: Why, said: str = "") -> None:
        self.why = why
        quoted = f" ({text.clean(text.one_line(said), _SHOWN)})" if said else ""
        super().__init__(f"{_MEANS[why]}{quoted}")


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _name(label: object) -> object:
    return label.get("name") if isinstance(label, dict) else label


_When = Annotated[datetime, AfterValidator(_utc)]


class _Answered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class User(_Answered):
    """Who did something. ``type`` is GitHub's word: Bot, User, Organization, Mannequin."""

    login: str
    type: str = ""


class Issue(_Answered):
    """An issue, or a pull request, as GitHub tells it. Times are UTC."""

    number: int = Field(strict=True, ge=1)
    state: Literal["open", "closed"]
    title: str
    body: str | None = None
    labels: tuple[Annotated[str, BeforeValidator(_name)], ...] = ()
    assignees: tuple[User, ...] | None = None
    user: User | None = None
    state_reason: str | None = None
    locked: bool = False
    comments: int = 0
    created_at: _When
    closed_at: _When | None = None
    closed_by: User | None = None
    pull_request: Any = None

    @property
    def author(self) -> str:
        """The login of who wrote it; empty for somebody who has left GitHub."""
        return self.user.login if self.user else ""


class Comment(_Answered):
    """A comment on an issue."""

    id: int = Field(strict=True, ge=1)
    body: str | None = None


class Label(_Answered):
    """A label of a repository."""

    name: str


def as_issue(reply: Reply) -> Issue:
    """An issue. Raises ValidationError."""
    return Issue.model_validate(reply.json_value())


def as_issues(reply: Reply) -> tuple[Issue, ...]:
    """A page of issues. Raises ValidationError."""
    return _ISSUES.validate_python(reply.json_value())


def as_comment(reply: Reply) -> Comment:
    """A comment. Raises ValidationError."""
    return Comment.model_validate(reply.json_value())


def as_label(reply: Reply) -> Label:
    """A label. Raises ValidationError."""
    return Label.model_validate(reply.json_value())


def as_labels(reply: Reply) -> tuple[Label, ...]:
    """The labels of an issue. Raises ValidationError."""
    return _LABELS.validate_python(reply.json_value())


def as_user(reply: Reply) -> User:
    """Who the token belongs to. Raises ValidationError."""
    return User.model_validate(reply.json_value())


_ISSUES = TypeAdapter(tuple[Issue, ...])
_LABELS = TypeAdapter(tuple[Label, ...])


def read(reply: Reply, reader: Reader[T]) -> T | None:
    """What an answer with a status below 300 holds; None where it cannot be read."""
    try:
        return reader(reply)
    except ValidationError:
        return None


def refusal(reply: Reply) -> RefusedError | None:
    """What an answer with a status from 300 to 499 refuses, None for any other."""
    if not 300 <= reply.status < 500:
        return None
    said = _said(reply)
    if reply.status < 400:
        return RefusedError("moved")
    found = [why for status, sign, why in _SAYS if reply.status == status and sign in said.lower()]
    why = found[0] if found else _BY_STATUS.get(reply.status, "other")
    return RefusedError(why, f"{reply.status}: {said}" if said else str(reply.status))


def _said(reply: Reply) -> str:
    """GitHub's own words: the message, and of each error what it says."""
    value = reply.json_value()
    if not isinstance(value, dict):
        return ""
    errors = value.get("errors")
    parts = [value.get("message"), *(_of_error(e) for e in (errors if isinstance(errors, list) else []))]
    return "; ".join(part for part in parts if isinstance(part, str) and part)


def _of_error(error: JsonValue) -> str:
    if not isinstance(error, dict):
        return error if isinstance(error, str) else ""
    return " ".join(w for w in (error.get(k) for k in ("field", "code", "message")) if isinstance(w, str))


def limit(reply: Reply, now: datetime, attempt: int = 0) -> float | None:
    """How many seconds to wait where the answer is that there was too much; None for any other answer.

    Where it names no time, a minute, and twice as long with each further attempt. GitHub says so with 403 as
    well as 429, with or without a time
    (docs.github.com, "Rate limits for the REST API").
    """
    if not _is_limit(reply):
        return None
    asked = retry_after(reply, now)
    if asked is None and reply.headers.get("x-ratelimit-remaining") == "0":
        asked = _until_reset(reply, now)
    return WITHOUT_A_WORD_S * 2**attempt if asked is None else asked


def _is_limit(reply: Reply) -> bool:
    if reply.status == 429:
        return True
    if reply.status == 403:
        spent = reply.headers.get("x-ratelimit-remaining") == "0"
        return spent or "retry-after" in reply.headers or bool(_LIMIT.search(_said(reply)))
    return reply.status == 422 and bool(_LIMIT.search(_said(reply)))


def retry_after(reply: Reply, now: datetime) -> float | None:
    """The seconds that the answer asks us to wait, None where it names none that can be read."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isdecimal() and said.isascii():
        return float(said[:9])
    until = _date(said)
    return None if until is None else max(0.0, (until - now).total_seconds())


def _until_reset(reply: Reply, now: datetime) -> float | None:
    said = reply.headers.get("x-ratelimit-reset", "").strip()
    if not (said.isdecimal() and said.isascii() and len(said) < 12):
        return None
    there = _date(reply.headers.get("date", "")) or now  # its clock, not ours, counts to the reset
    return max(1.0, int(said) - there.timestamp())


def _date(said: str) -> datetime | None:
    try:
        return _utc(parsedate_to_datetime(said)) if said else None
    except (ValueError, OverflowError):
        return None
