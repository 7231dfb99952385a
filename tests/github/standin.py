"""A stand-in for GitHub's issues: a state machine without I/O.

It does what GitHub's documentation and its users' reports say that GitHub does, and stands on nothing of
ours. ``answer`` takes one request after the other; between them people act through the other methods, and
``faults`` say what goes wrong. ``described.py`` holds what it says against GitHub's own description.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote, urlencode

BOT = "github-actions[bot]"
OURS = "o/n"
TOKEN = "hk_test_token_of_the_bot"
LONGEST = 65_536
MOST_COMMENTS = 2_500
START = datetime(2026, 1, 5, 6, tzinfo=UTC)
DOCS = "https://docs.github.com/rest"

Effect = Literal["answer", "drop", "hang"]


@dataclass
class Call:
    """One request, as it came in."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    token: str = ""


@dataclass
class Back:
    """One answer. ``text`` replaces the JSON of ``value``, for answers that are none."""

    status: int
    value: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None


@dataclass
class Fault:
    """Something that goes wrong at the first ``times`` requests that ``at`` picks.

    ``done``: the request has its effect all the same. ``then``: what the asker gets: ``back``, a connection
    that is dropped, or nothing at all. ``act``: what somebody does just before; alone, the request goes on.
    """

    at: Callable[[Call], bool]
    times: int = 1
    done: bool = False
    then: Effect | None = None
    back: Back | None = None
    act: Callable[[StandIn], None] | None = None


@dataclass
class Account:
    """Who a token belongs to, and what it may do."""

    login: str
    type: str = "Bot"
    writes: bool = True
    pushes: bool = True
    tells: bool = False


@dataclass
class Issue:
    """An issue or a pull request."""

    number: int
    title: str
    body: str
    author: str
    created: datetime
    updated: datetime
    state: str = "open"
    reason: str | None = None
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    locked: bool = False
    is_pull: bool = False
    closed: datetime | None = None
    closed_by: str | None = None
    more_comments: int = 0
    fate: Literal["", "deleted", "moved"] = ""


@dataclass
class Comment:
    """A comment on an issue."""

    id: int
    body: str
    author: str
    created: datetime


@dataclass
class Repository:
    """Issues and labels under one name."""

    issues: dict[int, Issue] = field(default_factory=dict)
    labels: list[str] = field(default_factory=lambda: ["bug"])
    people: list[str] = field(default_factory=lambda: ["ann", "bob"])
    has_issues: bool = True
    archived: bool = False
    moved: bool = False

    def marked(self, mark: str, state: str = "open") -> list[int]:
        """Numbers of issues with this in their text."""
        return [n for n, i in self.issues.items() if mark in i.body and i.state == state and not i.fate]


class NoError(Exception):
    """GitHub says no."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.back = Back(status, {"message": message, "documentation_url": DOCS, **more})
        if status in {401, 403, 404, 410, 429}:
            self.back.value["status"] = str(status)


class StandIn:
    """GitHub, as far as issues go. ``lag``: how many writes lists are behind."""

    def __init__(self, *names: str, url: str = "http://127.0.0.1") -> None:
        self.url = url
        self.now = START
        self.repositories = {name: Repository() for name in names or (OURS,)}
        self.accounts = {TOKEN: Account(BOT)}
        self.lag = 0
        self.left = 1_000
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self._past = [self._snapshot()]
        self._ids = 0

    # --- what people do ---------------------------------------------------------------------------

    @property
    def ours(self) -> Repository:
        """The repository that most tests are about."""
        return self.repositories[OURS]

    def opens(self, login: str, title: str, body: str, *, where: str = OURS, is_pull: bool = False) -> Issue:
        """Somebody opens an issue or a pull request."""
        repository = self.repositories[where]
        number = len(repository.issues) + 1
        issue = Issue(number, title, body, login, self.now, self.now, is_pull=is_pull)
        repository.issues[number] = issue
        self.touched(issue)
        return issue

    def closes(self, login: str, issue: Issue, reason: str = "completed") -> None:
        """Somebody closes an issue."""
        issue.state, issue.reason, issue.closed, issue.closed_by = "closed", reason, self.now, login
        self.touched(issue)

    def reopens(self, issue: Issue) -> None:
        """Somebody opens a closed issue again."""
        issue.state, issue.reason, issue.closed, issue.closed_by = "open", "reopened", None, None
        self.touched(issue)

    def sets(self, issue: Issue, **fields: Any) -> None:
        """Somebody locks it, renames it, writes into it, labels it, deletes or moves it."""
        for name, value in fields.items():
            setattr(issue, name, value)
        self.touched(issue)

    def later(self, **how_long: float) -> None:
        """Time passes, and lists catch up."""
        self.now += timedelta(**how_long)
        self._past = [self._snapshot()]

    def catch_up(self) -> None:
        """Everything settles: nothing goes wrong any more, and lists show what there is."""
        self.faults.clear()
        self.lag = 0
        self._past = [self._snapshot()]

    # --- what is asked ----------------------------------------------------------------------------

    def answer(self, call: Call) -> Back | Effect:
        """The answer to a request, or what happens in its place."""
        self.calls.append(call)
        self.now += timedelta(seconds=1)
        fault = next((f for f in self.faults if f.times and f.at(call)), None)
        if fault is None:
            return self._served(call)
        fault.times -= 1
        if fault.act is not None:
            fault.act(self)
        if fault.then is None:
            return self._served(call)
        if fault.done:
            self._served(call)
        return self._told(fault.back) if fault.then == "answer" and fault.back else fault.then

    def writes(self) -> list[tuple[str, str]]:
        """Method and path of every request so far that was meant to change something."""
        return [(c.method, c.path) for c in self.calls if c.method != "GET"]

    def _served(self, call: Call) -> Back:
        self.left -= 1
        try:
            return self._told(self._routed(call))
        except NoError as no:
            return self._told(no.back)

    def _told(self, back: Back) -> Back:
        """An answer with the headers that each one of GitHub's has."""
        usual = {
            "date": self.now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ratelimit-limit": "1000",
            "x-ratelimit-remaining": str(max(0, self.left)),
            "x-ratelimit-reset": str(int(self.now.timestamp()) + 600),
            "x-ratelimit-used": str(1_000 - max(0, self.left)),
        }
        return Back(back.status, back.value, {**usual, **back.headers}, back.text)

    def _routed(self, call: Call) -> Back:
        account = self.accounts.get(call.token)
        if account is None:
            raise NoError(401, "Bad credentials")
        if self.left < 0:
            raise NoError(403, "API rate limit exceeded for installation ID 1.")
        if call.path == "/user":
            return self._user(account)
        found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)", call.path)
        repository = self.repositories.get(found[1]) if found else None
        if found is None or repository is None:
            raise NoError(404, "Not Found")
        if repository.moved:
            raise MovedError(where=f"{self.url}/repositories/7{found[2]}")
        if call.method != "GET" and not account.writes:
            raise NoError(403, "Resource not accessible by integration")
        if call.method != "GET" and repository.archived:
            raise NoError(403, "Repository was archived so is read-only.")
        return Desk(self, repository, found[1], account).serve(call, found[2])

    def _user(self, account: Account) -> Back:
        if not account.tells:
            raise NoError(403, "Resource not accessible by integration")
        more = {
            "user_view_type": "public",
            "public_repos": 1,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
        }
        blank = ("name", "company", "blog", "location", "email", "hireable", "bio")
        times = {"created_at": _when(START), "updated_at": _when(START)}
        return Back(200, {**self.person(account.login), **dict.fromkeys(blank), **more, **times})

    # --- what Desk needs --------------------------------------------------------------------------

    def next_id(self) -> int:
        """A number that nothing else has."""
        self._ids += 1
        return 1_000 + self._ids

    def listed(self, name: str) -> list[Issue]:
        """The issues as lists show them."""
        past = self._past[max(0, len(self._past) - 1 - self.lag)][name]
        gone = {n for n, i in self.repositories[name].issues.items() if i.fate}
        return [i for n, i in past.items() if n not in gone]

    def touched(self, issue: Issue) -> None:
        """Something happened to an issue: lists will show it, sooner or later."""
        issue.updated = self.now
        (name,) = (n for n, r in self.repositories.items() if r.issues.get(issue.number) is issue)
        last = self._past[-1]
        after = {**last, name: {**last[name], issue.number: copy.deepcopy(issue)}}
        self._past = [*self._past[-20:], after]

    def _snapshot(self) -> dict[str, dict[int, Issue]]:
        return {name: copy.deepcopy(r.issues) for name, r in self.repositories.items()}

    def person(self, login: str) -> dict[str, Any]:
        """A user in the form in which they stand in other answers."""
        at = f"{self.url}/users/{login}"
        parts = ("events", "followers", "following", "gists", "organizations", "received_events", "repos")
        links = {f"{part}_url": f"{at}/{part}" for part in (*parts, "starred", "subscriptions")}
        kind = "Bot" if login.endswith("[bot]") else "User"
        fixed = {"id": 1, "node_id": "U_1", "gravatar_id": "", "site_admin": False, "avatar_url": at}
        return {"login": login, "type": kind, "url": at, "html_url": at, **fixed, **links}


class MovedError(NoError):
    """It is somewhere else now."""

    def __init__(self, *, where: str) -> None:
        super().__init__(301, "Moved Permanently", url=where)
        self.back.headers["location"] = where


@dataclass
class Desk:
    """What one account asks of one repository."""

    world: StandIn
    repository: Repository
    name: str
    account: Account

    def serve(self, call: Call, rest: str) -> Back:
        """The answer to a request, by its path."""
        for pattern, methods in ROUTES.items():
            found = re.fullmatch(pattern, rest)
            if found and call.method in methods:
                return methods[call.method](self, call, *map(unquote, found.groups()))
        raise NoError(404, "Not Found")

    # --- issues -----------------------------------------------------------------------------------

    def list_issues(self, call: Call) -> Back:
        """A page of issues and pull requests; open ones, newest first, where nothing else is asked for."""
        self._need_issues()
        query = {"state": "open", "sort": "created", "direction": "desc", **call.query}
        since = _parse(query["since"]) if "since" in query else None
        found = [i for i in self.world.listed(self.name) if query["state"] in {i.state, "all"}]
        found = [i for i in found if since is None or i.updated >= since]
        order = {"created": lambda i: (i.created, i.number), "updated": lambda i: (i.updated, i.number)}
        found.sort(key=order[query["sort"]], reverse=query["direction"] == "desc")
        return self._page(call, [self.issue(i) for i in found])

    def open_issue(self, call: Call) -> Back:
        """Opens an issue; without the right to push, labels and assignees are left out without a word."""
        self._need_issues()
        title, body = call.body.get("title"), call.body.get("body") or ""
        if not title:
            raise NoError(422, "Validation Failed", errors=[_error("title", "missing_field")])
        _fits(body)
        issue = self.world.opens(self.account.login, str(title), body, where=self.name)
        if self.account.pushes:
            self._label(issue, call.body.get("labels") or [])
        return Back(201, self.issue(issue))

    def get_issue(self, _: Call, number: str) -> Back:
        """One issue as it is."""
        return Back(200, self.issue(self._issue(number)))

    def edit_issue(self, call: Call, number: str) -> Back:
        """Sets title, text and state together."""
        issue = self._issue(number)
        if issue.locked:
            raise NoError(403, "Unable to update issue because issue is locked.")
        _fits(call.body.get("body") or "")
        issue.title = str(call.body.get("title", issue.title))
        issue.body = call.body.get("body", issue.body) or ""
        state = call.body.get("state", issue.state)
        if state != issue.state and state == "closed":
            self.world.closes(self.account.login, issue, call.body.get("state_reason") or "completed")
        elif state != issue.state:
            self.world.reopens(issue)
        self.world.touched(issue)
        return Back(200, self.issue(issue))

    # --- beside an issue --------------------------------------------------------------------------

    def write_comment(self, call: Call, number: str) -> Back:
        """Adds a comment."""
        issue = self._issue(number)
        if issue.locked:
            raise NoError(403, "Unable to create comment because issue is locked.")
        if len(issue.comments) + issue.more_comments >= MOST_COMMENTS:
            raise NoError(403, "Commenting is disabled on issues with more than 2500 comments")
        _fits(call.body["body"])
        comment = Comment(self.world.next_id(), call.body["body"], self.account.login, self.world.now)
        issue.comments.append(comment)
        self.world.touched(issue)
        return Back(201, self._comment(issue, comment))

    def add_labels(self, call: Call, number: str) -> Back:
        """Adds labels, and says which there are."""
        issue = self._issue(number)
        if self.account.pushes:
            self._label(issue, [one if isinstance(one, str) else one["name"] for one in call.body["labels"]])
        return Back(200, [self._of_label(name) for name in issue.labels])

    def remove_label(self, _: Call, number: str, name: str) -> Back:
        """Takes a label off."""
        issue = self._issue(number)
        if name not in issue.labels:
            raise NoError(404, "Label does not exist")
        issue.labels.remove(name)
        self.world.touched(issue)
        return Back(200, [self._of_label(name) for name in issue.labels])

    def assign(self, call: Call, number: str) -> Back:
        """Gives it to those who have access; others are left out without a word."""
        issue = self._issue(number)
        for login in call.body["assignees"]:
            if login in self.repository.people and login not in issue.assignees:
                issue.assignees.append(login)
        self.world.touched(issue)
        return Back(201, self.issue(issue))

    def get_label(self, _: Call, name: str) -> Back:
        """One label."""
        if name.lower() not in map(str.lower, self.repository.labels):
            raise NoError(404, "Not Found")
        return Back(200, self._of_label(name))

    def make_label(self, call: Call) -> Back:
        """Makes a label."""
        name = call.body["name"]
        if not self.account.pushes:
            raise NoError(403, "Must have push access to create labels.")
        if name.lower() in map(str.lower, self.repository.labels):
            raise NoError(422, "Validation Failed", errors=[_error("name", "already_exists", "Label")])
        self.repository.labels.append(name)
        return Back(201, self._of_label(name))

    # --- forms ------------------------------------------------------------------------------------

    def issue(self, issue: Issue) -> dict[str, Any]:
        """An issue as answers have it."""
        at = f"{self.world.url}/repos/{self.name}/issues/{issue.number}"
        parts = {"comments_url": "/comments", "events_url": "/events", "labels_url": "/labels{/name}"}
        return {
            "id": 10_000 + issue.number,
            "node_id": f"I_{issue.number}",
            "number": issue.number,
            "url": at,
            "html_url": at,
            "repository_url": f"{self.world.url}/repos/{self.name}",
            **{name: at + rest for name, rest in parts.items()},
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "state_reason": issue.reason,
            "user": self.world.person(issue.author),
            "labels": [self._of_label(name) for name in issue.labels],
            "assignee": self.world.person(issue.assignees[0]) if issue.assignees else None,
            "assignees": [self.world.person(login) for login in issue.assignees],
            "milestone": None,
            "locked": issue.locked,
            "comments": len(issue.comments) + issue.more_comments,
            "created_at": _when(issue.created),
            "updated_at": _when(issue.updated),
            "closed_at": _when(issue.closed) if issue.closed else None,
            "closed_by": self.world.person(issue.closed_by) if issue.closed_by else None,
            "author_association": "NONE",
            **({"pull_request": dict.fromkeys(PULL, at)} if issue.is_pull else {}),
        }

    def _comment(self, issue: Issue, comment: Comment) -> dict[str, Any]:
        at = f"{self.world.url}/repos/{self.name}/issues"
        return {
            "id": comment.id,
            "node_id": f"C_{comment.id}",
            "url": f"{at}/comments/{comment.id}",
            "html_url": f"{at}/{issue.number}#{comment.id}",
            "issue_url": f"{at}/{issue.number}",
            "body": comment.body,
            "user": self.world.person(comment.author),
            "created_at": _when(comment.created),
            "updated_at": _when(comment.created),
            "author_association": "NONE",
        }

    def _of_label(self, name: str) -> dict[str, Any]:
        at = f"{self.world.url}/repos/{self.name}/labels/{name}"
        fixed = {"id": 1, "node_id": "L_1", "color": "ededed", "default": False, "description": None}
        return {"name": name, "url": at, **fixed}

    def _page(self, call: Call, found: list[Any]) -> Back:
        size, page = int(call.query.get("per_page", 30)), int(call.query.get("page", 1))
        part = found[(page - 1) * size : page * size]
        last = max(1, -(-len(found) // size))
        rels = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        wanted = [r for r in rels if (page > 1 if r in {"prev", "first"} else page < last)]
        links = [f'<{self._link(call, rels[r])}>; rel="{r}"' for r in wanted]
        return Back(200, part, {"link": ", ".join(links)} if links else {})

    def _link(self, call: Call, page: int) -> str:
        return f"{self.world.url}{call.path}?{urlencode({**call.query, 'page': page})}"

    def _need_issues(self) -> None:
        if not self.repository.has_issues:
            raise NoError(410, "Issues has been disabled in this repository.")

    def _issue(self, number: str) -> Issue:
        self._need_issues()
        issue = self.repository.issues.get(int(number))
        if issue is None:
            raise NoError(404, "Not Found")
        if issue.fate == "moved":
            raise MovedError(where=f"{self.world.url}/repositories/9/issues/1")
        if issue.fate == "deleted":
            raise NoError(410, "This issue was deleted")
        return issue

    def _label(self, issue: Issue, names: list[str]) -> None:
        for name in names:
            if name not in self.repository.labels:
                self.repository.labels.append(name)
            if name not in issue.labels:
                issue.labels.append(name)
        if names:
            self.world.touched(issue)


PULL = ("diff_url", "html_url", "patch_url", "url")
ISSUE = r"/issues/(\d+)"
ROUTES: dict[str, dict[str, Callable[..., Back]]] = {
    r"/issues": {"GET": Desk.list_issues, "POST": Desk.open_issue},
    ISSUE: {"GET": Desk.get_issue, "PATCH": Desk.edit_issue},
    rf"{ISSUE}/comments": {"POST": Desk.write_comment},
    rf"{ISSUE}/labels": {"POST": Desk.add_labels},
    rf"{ISSUE}/labels/([^/]+)": {"DELETE": Desk.remove_label},
    rf"{ISSUE}/assignees": {"POST": Desk.assign},
    r"/labels": {"POST": Desk.make_label},
    r"/labels/([^/]+)": {"GET": Desk.get_label},
}


def _error(where: str, code: str, resource: str = "Issue", **more: str) -> dict[str, str]:
    return {"resource": resource, "field": where, "code": code, **more}


def _fits(body: str) -> None:
    if len(body) > LONGEST:
        message = f"body is too long (maximum is {LONGEST} characters)"
        raise NoError(422, "Validation Failed", errors=[_error("body", "custom", message=message)])


def _when(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse(when: str) -> datetime:
    return datetime.strptime(when, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
