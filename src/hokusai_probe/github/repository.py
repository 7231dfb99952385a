"""The requests that we make of one repository, each read strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import JsonValue

from hokusai_probe.github import replies
from hokusai_probe.github.calls import Door, Request
from hokusai_probe.github.patience import Patience, UnavailableError
from hokusai_probe.github.replies import Comment, Issue, Reader, RefusedError, T

MOST_PAGES = 100
_A_PAGE = 100
_COLOUR = "b60205"
_OURS = "Written by hokusai-probe"

Query = tuple[tuple[str, str], ...]


class Repository:
    """One repository under one token. Every method raises GitHubError."""

    def __init__(self, name: str, door: Door, patience: Patience) -> None:
        self.name = name
        self._door = door
        self._patience = patience
        self._labels: dict[str, bool] = {}

    def issues(self, *, state: str, since: datetime | None = None) -> tuple[Issue, ...]:
        """Issues, without pull requests, in the order in which they were opened.

        ``since``: only those that anything happened to from then on (UTC). What was opened or changed while
        the pages were read may be told twice; the later telling counts.
        """
        query = [("direction", "asc"), ("per_page", str(_A_PAGE)), ("sort", "created"), ("state", state)]
        if since is not None:
            query.append(("since", since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
        found = self._pages("/issues", tuple(query), replies.as_issues)
        return tuple({i.number: i for i in found if i.pull_request is None}.values())

    def issue(self, number: int) -> Issue:
        """One issue as it is now."""
        return self._ask(Request(method="GET", path=self._path(number)), replies.as_issue)

    def open(self, title: str, body: str, labels: Iterable[str]) -> Issue:
        """Open an issue. Raises UnclearError where it may have been opened all the same."""
        wanted: dict[str, JsonValue] = {"title": title, "body": body, "labels": [*labels]}
        request = Request(method="POST", path=f"{self._root}/issues", body=wanted, once=True)
        return self._ask(request, replies.as_issue)

    def edit(self, number: int, changes: Mapping[str, JsonValue]) -> Issue:
        """Set some of an issue's fields, all at once or none."""
        return self._ask(Request(method="PATCH", path=self._path(number), body=changes), replies.as_issue)

    def comment(self, number: int, body: str) -> Comment:
        """Comment on an issue. Raises UnclearError where it may be there all the same."""
        path = f"{self._path(number)}/comments"
        request = Request(method="POST", path=path, body={"body": body}, once=True)
        return self._ask(request, replies.as_comment)

    def give_labels(self, number: int, names: Iterable[str]) -> frozenset[str]:
        """Add labels to an issue, and say which it has then. Others stay."""
        path = f"{self._path(number)}/labels"
        request = Request(method="POST", path=path, body={"labels": [*names]})
        return frozenset(label.name for label in self._ask(request, replies.as_labels))

    def take_label(self, number: int, name: str) -> None:
        """Take a label off an issue; it may be off already."""
        path = f"{self._path(number)}/labels/{quote(name, safe='')}"
        try:
            self._ask(Request(method="DELETE", path=path), replies.as_labels)
        except RefusedError as error:
            if error.why != "gone":
                raise

    def has_label(self, name: str) -> bool:
        """Whether the repository has a label once this returns: it is made where it is missing and we may."""
        if name not in self._labels:
            self._labels[name] = self._find_label(name) or self._make_label(name)
        return self._labels[name]

    def assign(self, number: int, logins: Iterable[str]) -> frozenset[str]:
        """Give an issue to people, and say who has it then. GitHub leaves out whom it may not name."""
        path = f"{self._path(number)}/assignees"
        request = Request(method="POST", path=path, body={"assignees": [*logins]})
        return frozenset(user.login for user in self._ask(request, replies.as_issue).assignees or ())

    def whoami(self) -> str:
        """The login behind the token; empty for a token of an app or of a workflow, which may not ask."""
        try:
            return self._ask(Request(method="GET", path="/user"), replies.as_user).login
        except RefusedError as error:
            if error.why not in {"right", "forbidden", "gone"}:
                raise
            return ""

    @property
    def _root(self) -> str:
        return f"/repos/{self.name}"

    def _path(self, number: int) -> str:
        return f"{self._root}/issues/{number}"

    def _ask(self, request: Request, reader: Reader[T]) -> T:
        return self._patience.ask(self._door, request, reader)

    def _pages(self, path: str, query: Query, reader: Reader[tuple[T, ...]]) -> tuple[T, ...]:
        found: list[T] = []
        asked: set[Query] = set()
        following: Query | None = query
        while following is not None:
            if following in asked or len(asked) == MOST_PAGES:
                msg = f"a list of {self.name} did not end after {len(asked)} pages of {_A_PAGE}"
                raise UnavailableError(msg)
            asked.add(following)
            request = Request(method="GET", path=f"{self._root}{path}", query=following)
            page, following = self._ask(request, lambda reply: (reader(reply), reply.next_query()))
            found += page
        return tuple(found)

    def _find_label(self, name: str) -> bool:
        try:
            self._ask(
                Request(method="GET", path=f"{self._root}/labels/{quote(name, safe='')}"), replies.as_label
            )
        except RefusedError as error:
            if error.why != "gone":
                raise
            return False
        return True

    def _make_label(self, name: str) -> bool:
        wanted: dict[str, JsonValue] = {"name": name, "color": _COLOUR, "description": _OURS}
        try:
            self._ask(Request(method="POST", path=f"{self._root}/labels", body=wanted), replies.as_label)
        except RefusedError as error:
            if error.why == "token":
                raise
            return error.why == "exists"
        return True
