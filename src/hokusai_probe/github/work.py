"""What opening and changing share: whose an issue is, what may be written, and what is said beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hokusai_probe.github.outcome import GitHubError
from hokusai_probe.github.patience import Patience, UnclearError
from hokusai_probe.github.replies import Issue
from hokusai_probe.github.repository import Repository
from hokusai_probe.issues import MUTE_LABEL, Action, has_label, key_of
from hokusai_probe.redact import Redactor

MOST_CHARACTERS = 65_536  # GitHub's limit of an issue's text and of a comment
MOST_COMMENTS = 200  # GitHub's own end is at 2,500, and final
MOST_ASSIGNEES = 10


class UnfitError(GitHubError):
    """What was planned must not be sent as it is."""

    result = "refused"


@dataclass(frozen=True, slots=True)
class Work:
    """One repository, who we are there, and what hides our secrets."""

    repository: Repository
    patience: Patience
    authors: frozenset[str]
    redactor: Redactor

    def is_ours(self, issue: Issue, key: str) -> bool:
        """Whether it has the key's marker on its first line and one of us wrote it. Never a pull request."""
        return self.wrote(issue) and marked(issue, key)

    def wrote(self, issue: Issue) -> bool:
        """Whether one of us wrote an issue. GitHub tells no logins apart by case."""
        return issue.author.casefold() in {login.casefold() for login in self.authors}

    def open_issues(self, key: str) -> tuple[Issue, ...]:
        """All open issues with the key's marker, whoever wrote them, the lowest number first."""
        found = self.repository.issues(state="open")
        return tuple(sorted((i for i in found if marked(i, key)), key=lambda i: i.number))

    def fit(self, action: Action) -> Action:
        """The action with everything in it redacted, last of all. Raises UnfitError."""
        clean = self.redactor.model(action)
        same = (clean.key, clean.repository, clean.number) == (action.key, action.repository, action.number)
        if not same or (clean.body and key_of(clean.body) != action.key):
            msg = "the target's name looks like a secret, so the issue would lose its marker: rename it"
            raise UnfitError(msg)
        longest = max(len(clean.body), len(clean.comment))
        if longest > MOST_CHARACTERS:
            msg = f"{longest} characters are more than GitHub takes ({MOST_CHARACTERS})"
            raise UnfitError(msg)
        return clean


def marked(issue: Issue, key: str) -> bool:
    """Whether an issue has the key's marker on its first line. Never a pull request."""
    return issue.pull_request is None and key_of(issue.body or "") == key


def hands_off(issue: Issue) -> str:
    """Why people do not want it written to; empty where they do not mind."""
    if issue.locked:
        return f"somebody locked #{issue.number}"
    return f"#{issue.number} is labelled {MUTE_LABEL}" if has_label(issue.labels, MUTE_LABEL) else ""


class Beside:
    """What is done beside the main thing: it may fail on its own, and is told in the outcome."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.notes: list[str] = []
        self.troubles: list[GitHubError] = []

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """What keeps the block from being done becomes a note."""
        try:
            yield
        except GitHubError as error:
            self.troubles.append(error)
            sure = "perhaps not" if isinstance(error, UnclearError) else "not"
            self.notes.append(f"{what}: {sure} written, {error}")

    def there(self, labels: Iterable[str]) -> list[str]:
        """Those labels that the repository has, or has now; a note for each other one."""
        found = []
        for name in labels:
            with self.attempt(f"label {name}"):
                if self._repository.has_label(name):
                    found.append(name)
                else:
                    self.notes.append(f"label {name}: not there, and the token may not make it")
        return found

    def label(self, issue: Issue, wanted: Iterable[str], gone: Iterable[str] = ()) -> None:
        """Add and remove labels of ours; those of people stay."""
        missing = self.there(name for name in wanted if not has_label(issue.labels, name))
        if missing:
            with self.attempt("labels"):
                self.given(missing, self._repository.give_labels(issue.number, missing))
        for name in gone:
            if has_label(issue.labels, name):
                with self.attempt(f"label {name}"):
                    self._repository.take_label(issue.number, name)

    def given(self, wanted: Iterable[str], has: Iterable[str]) -> None:
        """A note for labels that GitHub left out without a word, as it does where a right is missing."""
        dropped = sorted({name.casefold() for name in wanted} - {name.casefold() for name in has})
        if dropped:
            self.notes.append(f"GitHub left out: {', '.join(dropped)}; the token may not set that here")

    def comment(self, issue: Issue, body: str) -> None:
        """Comment, once, unless the issue has too many comments already."""
        if body and issue.comments >= MOST_COMMENTS:
            self.notes.append(f"no comment: it has {issue.comments} already")
        elif body:
            with self.attempt("comment"):
                self._repository.comment(issue.number, body)

    def assign(self, issue: Issue, logins: Iterable[str]) -> None:
        """Give it to people, beside those who have it."""
        have = {user.login.casefold() for user in issue.assignees or ()}
        missing = [login for login in logins if login.casefold() not in have][:MOST_ASSIGNEES]
        if missing:
            with self.attempt("assignees"):
                self.given(missing, self._repository.assign(issue.number, missing))
