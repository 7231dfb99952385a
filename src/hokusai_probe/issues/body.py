"""The text of an issue. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from hokusai_probe import text
from hokusai_probe.issues.known import MUTE_LABEL, marker
from hokusai_probe.issues.needs import Need, _secret
from hokusai_probe.model import IssueSettings, Report, Verdict
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import (
    blocks,
    bullets,
    consequence,
    diagnosis_title,
    evidence,
    moment,
    plural,
    remedy,
    reproductions,
    section,
    sentence,
    shell,
    undecided,
)

MOST_CHARACTERS = 58_000  # GitHub refuses bodies over 65,536; the rest is room for what others append

_LONGEST_COMMAND = 2_000
_MOST_SAID = 2
_LABEL_CHARACTERS = 50  # GitHub's limit
_TITLE_CHARACTERS = 180
_CANNOT: Mapping[str, str] = {
    "registration": "register a model",
    "authentication": "rely on signing in with a key",
    "proxy": "reach MLflow through the gateway",
    "infrastructure": "reach everything that should be reachable",
    "errors": "tell from an error what went wrong",
    "performance": "work at the speed that was agreed",
    "resilience": "rely on the platform to ride out a fault",
    "data": "rely on what they stored",
    "audit": "rely on the platform's records",
}


def _title(report: Report, need: Need) -> str:
    names = [r.diagnosis.cause for r in need.roots] or [v.check for v in need.checks]
    said = ", ".join(names) or "withheld"
    who = "must act" if need.roots else "fails, cause not known"
    return text.clean(text.one_line(f"{report.target}: {need.component} {who}: {said}"), _TITLE_CHARACTERS)


def _labels(settings: IssueSettings, need: Need) -> tuple[str, ...]:
    causes = (f"cause:{r.diagnosis.cause}"[:_LABEL_CHARACTERS] for r in need.roots)
    return tuple(dict.fromkeys([*settings.labels, *causes]))


def _body(report: Report, need: Need, since: datetime) -> str:
    first = marker(need.key)
    footer = (
        f"Kept true by hokusai-probe {text.code(report.tool_version)}: this text is replaced when what is "
        f"known changes; comments stay. To keep it quiet, label it {text.code(MUTE_LABEL)}, lock it, or "
        "close it as not planned."
    )
    room = MOST_CHARACTERS - len(first) - len(footer) - 200
    return blocks([first, *_fitting(_sections(report, need, since), room), footer]) + "\n"


def _fitting(sections: Iterable[str], room: int) -> list[str]:
    """Whole sections as long as there is room, so that no fence is cut open."""
    kept: list[str] = []
    left_out = 0
    for part in sections:
        if not part:
            continue
        fits = len(part) + 2 <= room
        room -= len(part) + 2 if fits else 0
        kept += [part] if fits else []
        left_out += not fits
    if left_out:
        kept.append(f"{plural(left_out, 'section')} did not fit here; the full report has them.")
    return kept


def _sections(report: Report, need: Need, since: datetime) -> Iterable[str]:
    yield _cannot(report, need)
    yield _since_line(report, need, since)
    yield from _first_steps(report, need)
    yield _withheld(need)
    for number, root in enumerate(need.roots, 1):
        yield _cause(report, number, root)
    yield section("Failing, and no single cause is known", _open_checks(need))
    yield section("Undecided: what was seen fits each of these", undecided(need.undecided))
    yield section("What fails downstream of it", _downstream(report, need))
    yield section("Reproduce", reproductions(_failing(report, need)))


def _cannot(report: Report, need: Need) -> str:
    broken = [v for v in report.verdicts if v.check in _names(report, need)]
    cite = ", ".join(text.code(v.check) for v in broken[:3])
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    if answer.registration(report) == "no" and any(_stops_registration(v) for v in broken):
        return (
            f"**Nobody can register a model: {answer.failing(report)}.** Here: "
            f"{plural(len(broken), 'check')}, failing or waiting for one that fails: {cite}{more}."
        )
    areas = {v.area for v in broken}
    said = [phrase for area, phrase in _CANNOT.items() if area in areas][:_MOST_SAID]
    head = f"**Users cannot {' or '.join(said)}**" if said else "**What users notice is not known**"
    return f"{head} ({plural(len(broken), 'check')}: {cite}{more})." if broken else f"{head}."


def _stops_registration(verdict: Verdict) -> bool:
    return verdict.area == "registration" or answer.carries_registration(verdict)


def _names(report: Report, need: Need) -> frozenset[str]:
    """Checks that fail or wait because of this need, less those that may not be told."""
    family = (d for r in need.roots for d in (r.diagnosis, *r.consequences))
    explained = {c for d in family for c in d.explains}
    rivals = {c for d in need.undecided for c in d.explains}
    return frozenset((explained | rivals | {v.check for v in need.checks}) - _secret(report))


def _since_line(report: Report, need: Need, since: datetime) -> str:
    who = answer.owner(report, need.component)
    team = f" {text.markdown(who.team)}." if who.team else ""
    told = f" @{who.github}" if who.github else ""
    acts = (
        f"**{need.component}** must act."
        if need.roots
        else f"Who must act is not decided; **{need.component}** is where it shows first."
    )
    return f"Seen since {moment(since)}. {acts}{team}{told}"


def _first_steps(report: Report, need: Need) -> Iterable[str]:
    command = _first_command(need)
    if command and len(command) <= _LONGEST_COMMAND:
        yield blocks(["First:" if need.roots else "First, look:", shell([command])])
    names = [*(r.diagnosis.cause for r in need.roots), *(v.check for v in need.checks)]
    if names:
        yield blocks(["Then see whether it helped:", shell([answer.verify_command(report, names[0])])])


def _first_command(need: Need) -> str | None:
    remedies = (r.diagnosis.remedy for r in need.roots)
    mending = (line for said in remedies if said is not None for line in said.aws_cli)
    looking = (s.aws_cli for d in need.undecided for s in d.settled_by if s.aws_cli)
    asking = (v.reproduce for v in need.checks if v.reproduce)
    return next((line for lines in (mending, looking, asking) for line in lines), None)


def _withheld(need: Need) -> str:
    if not need.withheld:
        return ""
    return (
        f"{plural(need.withheld, 'further cause')} of this component must not be described in public; "
        "the report that the owner has names it."
    )


def _cause(report: Report, number: int, root: answer.Root) -> str:
    found = root.diagnosis
    certainty = found.certainty or "nothing deeper is visible"
    return section(
        f"{number}. {diagnosis_title(found)}",
        sentence(found.because),
        f"Priority: {found.priority} ({certainty}); effort: {found.effort}.",
        section("Evidence", evidence(found.evidence), level=3),
        remedy(found.remedy, answer.verify_command(report, found.cause), 3),
        section("Follows from it", bullets(consequence(d) for d in root.consequences), level=3),
    )


def _open_checks(need: Need) -> str:
    return bullets(f"{text.code(v.check)}: {sentence(v.reason)}" for v in need.checks)


def _downstream(report: Report, need: Need) -> str:
    """Other components' checks that fail or wait because of this, as boxes to tick."""
    names = _names(report, need)
    found = [v for v in report.verdicts if v.check in names and v.component != need.component]
    return bullets(f"[ ] {v.component}: {text.code(v.check)}, {text.markdown(v.title)}" for v in found)


def _failing(report: Report, need: Need) -> list[Verdict]:
    names = _names(report, need)
    return [v for v in report.with_status("fail") if v.check in names]
