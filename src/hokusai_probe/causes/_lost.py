"""What a service says of a variable or secret that its revision has lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hokusai_probe.causes._tasks import Seen, stopped_tasks
from hokusai_probe.declare import Claim, claim
from hokusai_probe.model import Facts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition

_MISSING = re.compile(
    r"not (?:been )?(?:set|configured|found|provided|defined|given|available)|missing|required|must be set"
    r"|undefined|unset|KeyError",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(r"token|key|secret|password|credential", re.IGNORECASE)
_OF_ANY = frozenset({"API", "KEY", "TOKEN", "SECRET", "ACCESS", "AUTH", "ID", "HOKUSAI"})
_ALSO = {"DB": "database", "HF": "hugging"}

Line = tuple[type[Facts], str, str]
"""A line, the class of the facts that it is one of, and its place there."""


def named_as_missing(
    seen: Seen, logs: LogTailsFacts | None, service: str, used: TaskDefinition, name: str, *, secret: bool
) -> Claim | None:
    """The claim that the service itself says that it misses this, which no other defect makes it say.

    None: no line of its log, or of the tasks that died, says so. ``secret``: it may be called by its words,
    such as ``Database password not found``; a variable must be called by its name.
    """
    says = _calls_it if secret else _names_it
    lines = (*_last_words(seen, service), *_logged(logs, service, used))
    found = next(
        ((by, at, text) for by, at, text in lines if _MISSING.search(text) and says(name, text)), None
    )
    if found is None:
        return None
    by, at, text = found
    return claim(
        f"it says that {name} is missing: {text}",
        holds=True,
        by=by,
        fact=at,
        value=text,
        telling=True,
        aws_cli=stopped_tasks(seen.ecs, service),
    )


def _names_it(name: str, text: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", text) is not None


def _calls_it(name: str, text: str) -> bool:
    """All words of the name that are its own, and some word for a credential."""
    own = [word for word in name.split("_") if word and word not in _OF_ANY]
    called = bool(own) and all(_has(word, text) for word in own) and bool(_CREDENTIAL.search(text))
    return called or _names_it(name, text)


def _has(word: str, text: str) -> bool:
    also = f"|{_ALSO[word]}" if word in _ALSO else ""
    return re.search(rf"\b(?:{re.escape(word)}{also})", text, re.IGNORECASE) is not None


def _last_words(seen: Seen, service: str) -> Iterator[Line]:
    """Of tasks that died of the revision that matters now."""
    for place, task in seen.deaths(service):
        for number, text in enumerate(task.last_words):
            yield EcsTasksFacts, f"services.{service}.stopped[{place}].last_words[{number}]", text


def _logged(logs: LogTailsFacts | None, service: str, used: TaskDefinition) -> Iterator[Line]:
    """Lines since the revision was registered: older ones are another's."""
    log = logs.logs.get(service) if logs else None
    for number, line in enumerate(log.lines if log else ()):
        if used.registered_at is not None and line.at >= used.registered_at:
            yield LogTailsFacts, f"logs.{service}.lines[{number}].text", line.text
