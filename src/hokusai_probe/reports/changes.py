"""What was changed lately where a diagnosis points. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hokusai_probe import text
from hokusai_probe.model import Diagnosis, Report
from hokusai_probe.probes.changes import Change, ChangesFacts
from hokusai_probe.probes.images import ImagesFacts
from hokusai_probe.reports.layout import bullets, moment

MOST = 5
SHORTEST = 4  # characters: what is shorter, such as a revision, is anybody's
_WORD = re.compile(rf"[^\s'\"`,;=()\[\]{{}}]{{{SHORTEST},}}")


def beside(report: Report, found: Diagnosis) -> str:
    """The newest changes of what a diagnosis speaks of, as a list; empty where there is none."""
    return bullets(_line(change) for change in near(report, found))


def near(report: Report, found: Diagnosis) -> tuple[Change, ...]:
    """The newest changes of what a diagnosis speaks of, at most :data:`MOST`."""
    known = recorded(report)
    spoken = _words(found) - set(_everywhere(report))
    lately = [change for change in (known.changes if known else ()) if _ids(change) & spoken]
    return tuple(lately[:MOST])


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


def built_from(report: Report) -> str:
    """Which images in use are tagged with the commit under test, as one phrase; empty where none is known.

    A look is told no commit: what it recorded is compared here. Seven characters of a commit name it.
    """
    seen = next((o.facts for o in report.observations if o.probe == "images" and o.facts is not None), None)
    images = ImagesFacts.model_validate(seen.model_dump()).images if seen and report.verified_sha else {}
    tagged = {name: one for name, one in images.items() if any(one.tags)}
    if not tagged or not report.verified_sha:
        return ""
    sha = report.verified_sha.lower()
    found = [
        f"the {name} service's, pushed {moment(one.pushed_at) if one.pushed_at else 'nobody knows when'}"
        for name, one in tagged.items()
        if any(_is_of(tag.lower(), sha) for tag in one.tags)
    ]
    return f"Images in use that are tagged with it: {', '.join(found) or 'none'}"


def _is_of(tag: str, sha: str) -> bool:
    """Whether a tag names a commit, by seven or more of its digits."""
    return any(len(part) >= 7 and sha.startswith(part) for part in re.split(r"[^0-9a-f]+", tag))


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
