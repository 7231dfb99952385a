"""A plan, carried out, in an order that later runs can pick up wherever it was cut short.

Nothing is written to an issue that was not read just before: people act between two requests as well. What
changes an issue's state is one request, so it is done or it is not; what is said beside it comes after it,
may be missing, and is never said twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from hokusai_probe.github.calls import Door
from hokusai_probe.github.changing import change_issue
from hokusai_probe.github.opening import open_issue
from hokusai_probe.github.outcome import GitHubError, Outcome, outcome
from hokusai_probe.github.patience import LimitedError, Patience
from hokusai_probe.github.replies import Issue, RefusedError, Why
from hokusai_probe.github.repository import Repository
from hokusai_probe.github.work import Work
from hokusai_probe.issues import BOT, Action, KnownIssue, key_of, same_repository
from hokusai_probe.redact import Redactor

REMEMBERED = timedelta(days=90)
_WHO_CLOSED_WITHIN = timedelta(days=7)
_MOST_ASKED = 20
_FOR_ALL_OF_IT: frozenset[Why] = frozenset({"archived", "disabled", "moved", "right", "token"})


class GitHub:
    """The issues of a repository, and of others that a plan sends some to.

    ``doors`` gives the way to a repository (:func:`hokusai_probe.github.connect`), ``authors`` are the logins
    that count as ours, ``redactor`` is the last that sees what is written, ``patience`` the time for all.
    """

    def __init__(
        self,
        doors: Callable[[str], Door],
        repository: str,
        *,
        authors: Iterable[str] = (BOT,),
        redactor: Redactor | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._doors = doors
        self._main = repository
        self._authors = frozenset(authors)
        self._redactor = redactor or Redactor()
        self._patience = patience or Patience()
        self._opened: dict[str, Repository] = {}
        self.given_up: dict[str, GitHubError] = {}
        """What keeps a repository from being written to, by its name; an empty name stands for all."""

    def author(self) -> str:
        """The login behind our token; the workflows' bot where the token does not say. Raises GitHubError."""
        return self._repository(self._main).whoami() or BOT

    def known_issues(self, repository: str = "") -> tuple[KnownIssue, ...]:
        """All open issues with a marker of ours, and those closed that anything happened to in ninety days.

        Who wrote them is for the plan to judge. In the order of their numbers. Raises GitHubError, because
        with a part of the list a plan would open again what the other part says.
        """
        name = repository or self._main
        where = self._repository(name)
        since = self._patience.now() - REMEMBERED
        # what changes while we read moves from the first list into the second, so the second counts
        listed = (*where.issues(state="open"), *where.issues(state="all", since=since))
        marked = {i.number: i for i in listed if key_of(i.body or "") is not None}
        found = [_known(i, name) for i in sorted(marked.values(), key=lambda i: i.number)]
        return tuple(self._with_closers(where, found))

    def known_in(self, others: Iterable[str]) -> tuple[KnownIssue, ...]:
        """The known issues of the repository and of others. Raises GitHubError for the repository's own.

        Another one that cannot be read is given up: what is planned there is not done, and says why.
        """
        found = list(self.known_issues())
        elsewhere = {other.casefold(): other for other in others if not same_repository(other, self._main)}
        for name in elsewhere.values():
            try:
                found += self.known_issues(name)
            except GitHubError as error:
                self.given_up[name] = error
        return tuple(found)

    def apply(self, actions: Sequence[Action]) -> tuple[Outcome, ...]:
        """Carry the actions out, one after the other, and say what became of each. Never raises GitHubError.

        Where a whole repository refuses, or the time is over, nothing more is asked of it.
        """
        return tuple(self._one(action) for action in actions)

    def _one(self, action: Action) -> Outcome:
        if action.kind == "leave":
            return outcome(action, "left", action.reason)
        name = action.repository or self._main
        try:
            self._stop_where_given_up(name)
            work = Work(self._repository(name), self._patience, self._authors, self._redactor)
            carry_out = open_issue if action.kind == "open" else change_issue
            return carry_out(work, work.fit(action))
        except GitHubError as error:
            self._give_up(name, error)
            return outcome(action, error.result, str(error))

    def _stop_where_given_up(self, name: str) -> None:
        for place, error in self.given_up.items():
            if not place or same_repository(place, name):
                raise error

    def _give_up(self, name: str, error: GitHubError) -> None:
        if isinstance(error, LimitedError):
            self.given_up[""] = error
        if isinstance(error, RefusedError) and error.why in _FOR_ALL_OF_IT:
            self.given_up[name] = error

    def _repository(self, name: str) -> Repository:
        same = name.casefold()
        if same not in self._opened:
            self._opened[same] = Repository(name, self._doors(name), self._patience)
        return self._opened[same]

    def _with_closers(self, where: Repository, found: Sequence[KnownIssue]) -> Iterable[KnownIssue]:
        """The issues, with who closed those that were closed lately: GitHub's lists may leave it out."""
        since = self._patience.now() - _WHO_CLOSED_WITHIN
        late = [i for i in found if i.closed_at and i.closed_at >= since and not i.closed_by]
        asked = {i.number for i in late[-_MOST_ASKED:]}
        return (_known(where.issue(i.number), where.name) if i.number in asked else i for i in found)


def _known(issue: Issue, repository: str) -> KnownIssue:
    return KnownIssue(
        number=issue.number,
        state=issue.state,
        title=issue.title,
        body=issue.body or "",
        labels=issue.labels,
        author=issue.author,
        state_reason=issue.state_reason,
        locked=issue.locked,
        created_at=issue.created_at,
        closed_at=issue.closed_at,
        closed_by=issue.closed_by.login if issue.closed_by else "",
        comments=issue.comments,
        repository=repository,
    )
