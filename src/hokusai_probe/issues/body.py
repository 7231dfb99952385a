"""The text of an issue that fails: what an engineer who was woken reads first, then all that is known. Pure.

Whole sections are left out from the end where GitHub's limit would cut one: half a fence swallows the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hokusai_probe import text, topology
from hokusai_probe.history.questions import Outage
from hokusai_probe.issues.known import CAUSE_LABEL, FLAPPING_LABEL, MUTE_LABEL, About, Told, marker
from hokusai_probe.issues.needs import Need
from hokusai_probe.model import Component, Diagnosis, IssueSettings, Remedy, Report, Verdict
from hokusai_probe.probes.changes import Change
from hokusai_probe.reports import answer, changes, since
from hokusai_probe.reports.layout import (
    beside,
    blocks,
    bullets,
    consequence,
    diagnosis_title,
    evidence,
    instruction,
    moment,
    plural,
    reproductions,
    section,
    sentence,
    shell,
    slugs,
    typing,
    undecided,
)

MOST_CHARACTERS = 58_000  # GitHub refuses bodies over 65,536; the rest is room for what others append
CHANGED = "**What changed then:**"

_LONGEST_COMMAND = 2_000
_MOST_SAID = 2
_MOST_CITED = 3
_MOST_CHANGES = 5
_MOST_REQUESTS = 5
_MOST_RULED_OUT = 8
_RULED_OUT_CHARACTERS = 240
_LABEL_CHARACTERS = 50  # GitHub's limit
_MOST_LABELS = 20
_TITLE_CHARACTERS = 180
_URL = re.compile(r"https://[A-Za-z0-9./:_-]{1,300}")
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


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of an issue beside the newest run.

    ``outage``: since when, None where no run tells. ``told``: what the issue is to say of itself. ``before``:
    the number of the last issue about the same. ``earlier``: checks that it was about and that may be named.
    ``unseen``: what it waits for, though the report does not show it. ``changed``: what an earlier version
    of the text said of changes. ``run_url``: the run that looked.
    """

    told: Told
    outage: Outage | None = None
    before: int | None = None
    earlier: frozenset[str] = frozenset()
    unseen: About = field(default_factory=About)
    changed: str = ""
    run_url: str = ""


def title(report: Report, need: Need) -> str:
    """The title: target, who must act, and the causes or failing checks."""
    names = [r.diagnosis.cause for r in need.roots] or [v.check for v in need.checks]
    said = ", ".join(names) or "withheld"
    who = "must act" if need.roots else "fails, cause not known"
    return text.clean(text.one_line(f"{report.target}: {need.component} {who}: {said}"), _TITLE_CHARACTERS)


def labels(settings: IssueSettings, need: Need, *, flapping: bool) -> tuple[str, ...]:
    """The labels that the issue should have."""
    causes = (f"{CAUSE_LABEL}{r.diagnosis.cause}"[:_LABEL_CHARACTERS] for r in need.roots)
    coming = (FLAPPING_LABEL,) if flapping else ()
    return tuple(dict.fromkeys([*settings.labels, *coming, *causes]))[:_MOST_LABELS]


def body(report: Report, need: Need, story: Story) -> str:
    """The text of an issue that fails, at most :data:`MOST_CHARACTERS`."""
    first = f"{marker(need.key)}\n{story.told.line()}"
    last = blocks([_verified(report, story), footer(report)])
    room = MOST_CHARACTERS - len(first) - len(last) - 200
    return blocks([first, *_fitting(_sections(report, need, story), room), last]) + "\n"


def footer(report: Report) -> str:
    """Who writes this, and how people may keep it quiet."""
    return (
        f"Kept true by hokusai-probe {text.code(report.tool_version)}: this text is replaced when what is "
        f"known changes; comments stay. To keep it quiet, label it {text.code(MUTE_LABEL)}, lock it, or "
        "close it: closed by hand it stays closed until what it is about has passed once."
    )


def changed_in(said: str) -> str:
    """What the text of an issue of ours says of changes, empty where it says nothing."""
    screen = said.replace("\r\n", "\n").partition("\n## ")[0]
    return next((part for part in screen.split("\n\n") if part.startswith(CHANGED)), "")


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


def _sections(report: Report, need: Need, story: Story) -> Iterator[str]:
    yield _cannot(report, need)
    yield _acting(report, need, story)
    yield _changed(report, need, story)
    yield from _first_steps(report, need)
    yield _withheld(need)
    yield _unseen(story.unseen)
    for number, root in enumerate(need.roots, 1):
        yield _cause(report, number, root)
    yield section("Failing, and no single cause is known", _open_checks(need))
    yield section("Undecided: what was seen fits each of these", undecided(need.undecided))
    yield section("What was ruled out", _ruled_out(report, need))
    yield section("What fails downstream of it", _downstream(report, need, story))
    yield section("Reproduce", _reproduce(report, need))
    yield section("Links", _links(need, story))


# --- the first screen -----------------------------------------------------------------------------------


def cannot(report: Report, need: Need) -> str:
    """What users cannot do, as a phrase without a full stop."""
    broken = [v for v in report.verdicts if v.check in _names(report, need)]
    if answer.registration(report) == "no" and any(_stops_registration(v) for v in broken):
        return f"Nobody can register a model: {answer.failing(report)}"
    areas = {v.area for v in broken}
    said = [phrase for area, phrase in _CANNOT.items() if area in areas][:_MOST_SAID]
    return f"Users cannot {' or '.join(said)}" if said else "What users notice is not known"


def _cannot(report: Report, need: Need) -> str:
    broken = _by_depth(v for v in report.verdicts if v.check in _names(report, need))
    failing = [v for v in broken if v.status == "fail"]
    head = f"**{cannot(report, need)}.**"
    if not broken:
        return head
    cited = slugs(v.check for v in (failing or broken)[:_MOST_CITED])
    count = len(failing or broken)
    more = f" and {count - _MOST_CITED} more" if count > _MOST_CITED else ""
    verb = "Failing here" if failing else "Not to be judged because of it"
    return f"{head} {verb}: {cited}{more}{_waiting(len(broken) - len(failing) if failing else 0)}."


def _waiting(count: int) -> str:
    if not count:
        return ""
    return f"; {plural(count, 'more check')} {'waits' if count == 1 else 'wait'} for them"


def _by_depth(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The nearest to who asks first, for it rests on the fewest others."""
    return sorted(verdicts, key=lambda v: len(topology.foundations(v.hop)) if topology.known(v.hop) else 99)


def _stops_registration(verdict: Verdict) -> bool:
    return verdict.area == "registration" or answer.carries_registration(verdict)


def _names(report: Report, need: Need) -> frozenset[str]:
    """Checks that fail or wait because of this need, less those that may not be told."""
    family = [d for r in need.roots for d in (r.diagnosis, *r.consequences)]
    explained = {c for d in family for c in d.explains}
    rivals = {c for d in need.undecided for c in d.explains}
    told = {c for d in family if d.sensitive for c in d.explains}
    return frozenset((explained | rivals | {v.check for v in need.checks}) - (need.hidden(report) - told))


def _acting(report: Report, need: Need, story: Story) -> str:
    who = answer.owner(report, need.component)
    team = f" {text.markdown(who.team)}." if who.team else ""
    told = f" @{who.github}" if who.github else ""
    acts = (
        f"**{need.component}** must act."
        if need.roots
        else f"Who must act is not decided; **{need.component}** is where it shows first."
    )
    return f"{_since(report, story)} {acts}{team}{told}"


def _since(report: Report, story: Story) -> str:
    comes = " It comes and goes: it turned bad three times within a day." if story.told.flapping else ""
    if story.outage is None:
        return f"Began {moment(story.told.since or report.started_at)} or earlier.{comes}"
    return f"Began {since.since(story.outage)}.{comes}"


def _changed(report: Report, need: Need, story: Story) -> str:
    """What was changed between the last good run and the first bad one, and after it."""
    seen = [c for r in need.roots for c in changes.near(report, r.diagnosis)]
    found = sorted(dict.fromkeys(seen), key=lambda c: c.at)
    began = story.outage.first_bad if story.outage else report.started_at
    good = story.outage.good_before if story.outage else None
    then = [c for c in found if c.at <= began and (good is None or c.at >= good)]
    after = [c for c in found if c.at > began]
    deployed = _deployed(report)
    told = bullets(_change(c) for c in then[-_MOST_CHANGES:])
    parts = [
        f"{CHANGED}\n{told}" if told else story.changed or _none_changed(report),
        f"**Changed there since:**\n{bullets(_change(c) for c in after[-_MOST_CHANGES:])}" if after else "",
        deployed,
    ]
    return blocks(parts)


def _change(change: Change) -> str:
    """As short as an engineer says it: the full report has the ARNs."""
    call = change.call.rpartition(":")[2]
    refused = f", refused: {text.code(change.error)}" if change.error else ""
    who = text.markdown(change.who) or "an unnamed caller"
    things = slugs(list(dict.fromkeys(map(_name, change.things)))[:_MOST_SAID])
    return f"{moment(change.at)}: {text.code(call)} by {who}{refused}{f' at {things}' if things else ''}"


def _name(thing: str) -> str:
    """What a thing is called, of an ARN without account, kind and ids."""
    parts = re.split("[:/]", thing.split(":", 5)[-1]) if thing.startswith("arn:") else [thing]
    names = [part for part in parts[1:] if part not in {"app", "net", "gwy"}]
    return (names or parts)[0]


def _none_changed(report: Report) -> str:
    seen = changes.recorded(report)
    if seen is None:
        return "What changed then is not known: AWS's record of changes was not looked at."
    if seen.failure is not None:
        return "What changed then is not known: AWS's record of changes could not be read."
    return f"What changed then: nothing is recorded of what this speaks of. {changes.known(report)}."


def _deployed(report: Report) -> str:
    if report.trigger != "deploy" and not report.verified_sha:
        return ""
    commit = f" of commit {text.code(report.verified_sha)}" if report.verified_sha else ""
    images = changes.built_from(report)
    return f"The newest run was made for a deployment{commit}.{f' {images}.' if images else ''}"


def _first_steps(report: Report, need: Need) -> Iterable[str]:
    command = _first_command(need)
    if command and len(command) <= _LONGEST_COMMAND:
        yield blocks([_first(need), shell([command])])
    names = [*(r.diagnosis.cause for r in need.roots), *(v.check for v in need.checks)]
    if names:
        verify = answer.verify_command(report, names[0])
        where = ", with the file of this target in place of the path" if "path/to/" in verify else ""
        yield blocks([f"Then see whether it helped{where}:", shell([verify])])


def _first(need: Need) -> str:
    if len(need.roots) > 1:
        return f"First (of {len(need.roots)} causes this mends the first; each has its own commands below):"
    return "First:" if need.roots else "First, look:"


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


def _unseen(found: About) -> str:
    """Seen before and neither seen again nor ruled out: a look that broke is not an end."""
    names = slugs([*sorted(found.causes), *sorted(found.checks)])
    return f"Not seen in this run, and not seen well since it was seen: {names}." if names else ""


# --- all that is known ----------------------------------------------------------------------------------


def _cause(report: Report, number: int, root: answer.Root) -> str:
    found = root.diagnosis
    certainty = found.certainty or "nothing deeper is visible"
    return section(
        f"{number}. {diagnosis_title(found)}",
        sentence(found.because),
        f"Priority: {found.priority} ({certainty}); effort: {found.effort}.",
        section("Evidence", evidence(found.evidence), level=3),
        _remedy(found, answer.verify_command(report, found.cause)),
        section("Follows from it", bullets(consequence(d) for d in root.consequences), level=3),
    )


def _remedy(found: Diagnosis, verify: str) -> str:
    said = found.remedy
    if said is None:
        return section(
            "What to do", "No remedy is known for this cause. Afterwards:", shell([verify]), level=3
        )
    summary, *steps = typing(said)
    return blocks(
        [
            section("What to do", summary, _touches(said), *steps, level=3),
            section("Verify", instruction(beside(said.verify)), shell([verify]), level=3),
            section("Rollback", instruction(said.rollback), level=3),
        ]
    )


def _touches(said: Remedy) -> str:
    """What else it touches stands before the commands: afterwards is too late to read it."""
    return f"It also touches: {sentence(said.also_touches)}" if said.also_touches else ""


def _open_checks(need: Need) -> str:
    return bullets(f"{text.code(v.check)}: {sentence(v.reason)}" for v in need.checks)


def _ruled_out(report: Report, need: Need) -> str:
    """Causes with something against them that the same component would have to mend, and how many more."""
    denied = [d for d in report.diagnoses if d.status == "ruled_out" and not d.sensitive]
    near = [d for d in denied if d.component == need.component]
    said = [f"{text.code(d.cause)}: {_short(d.because)}" for d in near[:_MOST_RULED_OUT]]
    others = len(denied) - len(said)
    rest = [f"and {plural(others, 'other cause')}; the full report names each"] if others else []
    return bullets([*said, *rest])


def _short(said: str) -> str:
    """The first of the reasons that a cause was ruled out for."""
    first, more, _ = text.one_line(said).partition("; nor that ")
    return sentence(text.clean(f"{first}, and more" if more else first, _RULED_OUT_CHARACTERS))


def _downstream(report: Report, need: Need, story: Story) -> str:
    """Other components with checks that fail or wait because of this, ticked where all pass again."""
    names = _names(report, need) | frozenset(need.behind)
    told = names | (story.earlier - need.hidden(report))
    found: dict[Component, list[Verdict]] = {}
    for verdict in _by_depth(v for v in report.verdicts if v.check in told):
        if verdict.component != need.component:
            found.setdefault(verdict.component, []).append(verdict)
    return bullets(_box(component, verdicts) for component, verdicts in found.items())


def _box(component: Component, verdicts: Iterable[Verdict]) -> str:
    left = [v for v in verdicts if v.status != "pass"]
    checks = slugs(v.check for v in (left or verdicts))
    return f"[{' ' if left else 'x'}] {component}: {checks}"


def _reproduce(report: Report, need: Need) -> str:
    names = _names(report, need)
    asked = [v for v in _by_depth(report.with_status("fail")) if v.check in names and v.reproduce]
    requests = list(dict.fromkeys(v.reproduce for v in asked))
    shown = set(requests[:_MOST_REQUESTS])
    more = len(requests) - len(shown)
    rest = f"{plural(more, 'more request')} in the full report." if more else ""
    return blocks([reproductions(v for v in asked if v.reproduce in shown), rest])


def _links(need: Need, story: Story) -> str:
    run = f"[the run that looked last]({story.run_url})" if _URL.fullmatch(story.run_url) else ""
    before = f"the issue about the same before this one: #{story.before}" if story.before else ""
    causes = slugs(f"hokusai-probe causes {r.diagnosis.cause}" for r in need.roots[:1])
    return bullets(part for part in (run, before, causes and f"{causes} explains the cause") if part)


def _verified(report: Report, story: Story) -> str:
    bad = story.outage.last_bad if story.outage else report.started_at
    passed = "" if bad == report.started_at else f"; last seen failing {moment(bad)}"
    return f"Last verified {moment(report.started_at)} ({report.trigger} run){passed}."
