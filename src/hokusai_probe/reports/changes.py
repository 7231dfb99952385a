"""What was changed lately where a diagnosis points. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hokusai_probe import text
from hokusai_probe.model import Diagnosis, Report
from hokusai_probe.probes.changes import Change, ChangesFacts
from hokusai_probe.reports.layout import bullets, moment

MOST = 5
_WORD = re.compile(r"[^\s'\"`,;=()\[\]{}]{4,}")


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
    """A word, and of an ARN the resource behind the account, as some calls name it."""
    yield word
    if word.startswith("arn:"):
        yield word.rsplit(":", 1)[-1]
        yield from word.split(":", 5)[-1].split("/")[1:2]


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
