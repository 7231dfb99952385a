"""What was changed lately where a diagnosis points. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hokusai_probe import text
from hokusai_probe.model import Diagnosis, Report
from hokusai_probe.probes.changes import Change, ChangesFacts
from hokusai_probe.reports.layout import bullets, moment

MOST = 5
SHORTEST = 4  # characters: what is shorter, such as a revision, is anybody's
_WORD = re.compile(rf"[^\s'\"`,;=()\[\]{{}}]{{{SHORTEST},}}")


def beside(report: Report, found: Diagnosis) -> str:
    """The newest changes of what a diagnosis speaks of, as a list; empty where there is none."""
    known = recorded(report)
    near = _words(found) - set(_everywhere(report))
    lately = [change for change in (known.changes if known else ()) if _ids(change) & near]
    return bullets(_line(change) for change in lately[:MOST])


def known(report: Report) -> str:
    """How far the history could be read, as one phrase; empty where it was not looked at.

    So that no change in a report does not read as none in the world.
    """
    seen = recorded(report)
    if seen is None:
        return ""
    if seen.failure is not None:
        return f"Changes in AWS: not known (cloudtrail:LookupEvents: {seen.failure.kind})"
    some = "" if seen.complete else ", and there are more"
    return f"Changes in AWS since {moment(seen.since)}: {len(seen.changes)}{some}"


def recorded(report: Report) -> ChangesFacts | None:
    """What CloudTrail's history gave in this run, None where it was not looked at."""
    seen = next((o for o in report.observations if o.probe == "changes" and o.facts is not None), None)
    return ChangesFacts.model_validate(seen.facts.model_dump()) if seen and seen.facts else None


def _words(found: Diagnosis) -> frozenset[str]:
    """Every word of the evidence and of the commands: ids, ARNs and names are among them."""
    lines = [str(e.value) for e in found.evidence]
    if found.remedy is not None:
        lines += [*found.remedy.before, *found.remedy.aws_cli, *found.remedy.after]
    return frozenset(part for line in lines for word in _WORD.findall(line) for part in _parts(word))


def _ids(change: Change) -> frozenset[str]:
    return frozenset(part for thing in change.things for part in _parts(thing))


def _parts(word: str) -> Iterator[str]:
    """A word, and of an ARN what calls name instead of it, unless that is too short to tell anything."""
    yield word
    if word.startswith("arn:"):
        resource = word.split(":", 5)[-1]
        found = (resource, *_names(*re.split("[:/]", resource, maxsplit=1)))
        yield from (part for part in found if len(part) >= SHORTEST)


def _names(kind: str, name: str = "") -> Iterator[str]:
    """What a resource of a kind is called: alone, with its id, without what is only a part or version of it.

    A listener and a rule are parts of a load balancer, which their ARNs name behind ``app/``.
    """
    match kind:
        case "loadbalancer" | "listener" | "listener-rule" | "targetgroup":
            named = [part for part in name.split("/") if part not in {"app", "net", "gwy"}]
            yield from (*named[:1], "/".join(named[:2]))
        case "secret":
            yield name.partition(":")[0]
        case "task-definition":
            yield from (name, name.partition(":")[0])
        case _:
            yield from (name or kind, name.rsplit("/", 1)[-1])


def _everywhere(report: Report) -> Iterator[str]:
    """What every command names and tells nothing apart: the cluster."""
    cluster = report.configuration.aws.cluster if report.configuration.aws else None
    if cluster:
        yield cluster
        yield f"cluster/{cluster}"


def _line(change: Change) -> str:
    things = ", ".join(text.code(thing) for thing in change.things[:3])
    refused = f", refused: {text.code(change.error)}" if change.error else ""
    who = text.markdown(change.who) or "an unnamed caller"
    return f"{moment(change.at)}: {text.code(change.call)} by {who}{refused}" + (
        f" ({things})" if things else ""
    )
