"""What should become of the issues: one for each component that must act, kept true. Pure.

An issue is known by the marker on its first line, ``<!-- hokusai-probe: TARGET/COMPONENT -->``, and by
who wrote it. Causes are sections inside, so a change of cause is an update and not another issue.
Components ``client`` and ``probe`` never open one: nobody of the platform must act there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from hokusai_probe import text, topology
from hokusai_probe.config import interval
from hokusai_probe.model import Component, Diagnosis, Frozen, IssueSettings, Report, Utc, Verdict
from hokusai_probe.reports import answer, discretion
from hokusai_probe.reports.console import verbatim
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

ActionKind = Literal["open", "update", "reopen", "close", "leave"]

MOST_CHARACTERS = 58_000  # GitHub refuses bodies over 65,536; the rest is room for what others append
MUTE_LABEL = "probe-mute"
REOPEN_WITHIN = timedelta(hours=72)
NOT_OURS_TO_MEND: frozenset[Component] = frozenset({"client", "probe"})
BOT = "github-actions[bot]"

_MARKER = re.compile(r"<!-- hokusai-probe: ([A-Za-z0-9._-]+/[a-z-]+(?:/[a-z0-9-]+)?) -->")
_SINCE = re.compile(r"^Seen since (\d{4}-[01]\d-[0-3]\d [0-2]\d:[0-5]\d) UTC\.", re.MULTILINE)
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


class KnownIssue(Frozen):
    """An issue as the repository has it. ``closed_at`` is UTC; ``state_reason`` is GitHub's own word."""

    number: int
    state: Literal["open", "closed"]
    title: str
    body: str
    labels: tuple[str, ...] = ()
    author: str = ""
    state_reason: str | None = None
    locked: bool = False
    closed_at: Utc | None = None
    repository: str = ""


class Action(Frozen):
    """What to do about one issue, and why. ``leave`` carries the text that would be written.

    ``wants_runs``: how many more runs must see the same before it is opened, and nothing else is in the way.
    """

    kind: ActionKind
    key: str
    component: Component | None
    title: str
    body: str
    labels: tuple[str, ...]
    reason: str
    number: int | None = None
    repository: str = ""
    wants_runs: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """A reason for an issue: what is wrong under one key."""

    key: str
    component: Component
    roots: tuple[answer.Root, ...] = ()
    checks: tuple[Verdict, ...] = ()
    undecided: tuple[Diagnosis, ...] = ()
    withheld: int = 0
    muted: str = ""


@dataclass(slots=True)
class _Gathered:
    component: Component
    roots: list[answer.Root] = field(default_factory=list)
    checks: list[Verdict] = field(default_factory=list)
    withheld: int = 0


def key_of(body: str) -> str | None:
    """The key in the marker on the first line of an issue's text; None for any other issue."""
    found = _MARKER.fullmatch(body.partition("\n")[0].rstrip("\r"))
    return found.group(1) if found else None


def plan(
    reports: Sequence[Report],
    known: Sequence[KnownIssue] = (),
    *,
    repository: str = "",
    author: str = BOT,
) -> tuple[Action, ...]:
    """One action for each component that must act, and one for each other open issue of ours.

    ``reports`` may span runs and targets; the newest of each target decides, the older ones say how
    often the same was seen. ``known`` are the issues of ``repository``; only those that ``author`` or
    ``[issues] also_ours`` wrote count, whatever marker a stranger's may carry.
    """
    actions: list[Action] = []
    for target in dict.fromkeys(r.target for r in reports):
        runs = sorted((r for r in reports if r.target == target), key=lambda r: r.started_at)
        actions += _plan_target(runs, known, repository, author)
    return tuple(actions)


def describe(actions: Sequence[Action]) -> str:
    """The plan for the terminal: each action with its reason and the text that it would write."""
    return "\n".join(_described(a) for a in actions) if actions else "Nothing to open, update or close.\n"


def _described(action: Action) -> str:
    head = f"{_what(action)}: {text.terminal(action.title or action.key)}"
    why = f"\n  because {text.terminal(action.reason)}"
    labels = (
        f"\n  labels: {', '.join(text.terminal(label) for label in action.labels)}" if action.labels else ""
    )
    lines = [f"  | {verbatim(line)}".rstrip() for line in action.body.splitlines()]
    return "\n".join([head + why + labels, *lines]) + "\n"


def _what(action: Action) -> str:
    number = f" #{action.number}" if action.number is not None else ""
    where = f" in {text.terminal(action.repository)}" if action.repository else ""
    if action.wants_runs:
        see = "see" if action.wants_runs > 1 else "sees"
        return f"would open{where}, once {plural(action.wants_runs, 'more run')} {see} the same"
    return f"{action.kind}{number}{where}"


# --- what needs an issue ------------------------------------------------------------------------------


def needs(report: Report) -> tuple[Need, ...]:
    """What is wrong in one report, by key, the most urgent first; muted needs say so."""
    gathered: dict[str, _Gathered] = {}
    muted: dict[str, tuple[Component, str]] = {}
    for root in _our_roots(report):
        key = _key(report, root.diagnosis)
        mute = _mute(report, cause=root.diagnosis.cause)
        if mute:
            muted[key] = (root.diagnosis.component, mute)
            continue
        _gather_root(gathered.setdefault(key, _Gathered(root.diagnosis.component)), root)
    for verdict in _first_unexplained(report):
        key = f"{_target_key(report)}/{verdict.component}"
        mute = _mute(report, check=verdict.check)
        if mute:
            muted.setdefault(key, (verdict.component, mute))
            continue
        gathered.setdefault(key, _Gathered(verdict.component)).checks.append(verdict)
    silent = [Need(k, c, muted=why) for k, (c, why) in muted.items() if k not in gathered]
    return (*(_need(report, k, g) for k, g in gathered.items()), *silent)


def _our_roots(report: Report) -> Iterable[answer.Root]:
    return (r for r in answer.roots(report) if r.diagnosis.component not in NOT_OURS_TO_MEND)


def _gather_root(where: _Gathered, root: answer.Root) -> None:
    if root.diagnosis.sensitive:
        where.withheld += 1
        return
    shown = tuple(d for d in root.consequences if not d.sensitive)
    where.roots.append(replace(root, consequences=shown))
    where.withheld += len(root.consequences) - len(shown)


def _need(report: Report, key: str, found: _Gathered) -> Need:
    checks = {v.check for v in found.checks}
    rivals = tuple(d for d in report.undecided() if checks & set(d.explains) and not d.sensitive)
    return Need(key, found.component, tuple(found.roots), tuple(found.checks), rivals, found.withheld)


def _key(report: Report, found: Diagnosis) -> str:
    key = f"{_target_key(report)}/{found.component}"
    by_cause = report.configuration.issues.group_by == "cause" and not found.sensitive
    return f"{key}/{_safe(found.cause.lower())}" if by_cause else key


def _target_key(report: Report) -> str:
    return _safe(report.target)


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80] or "-"


def _mute(report: Report, *, cause: str | None = None, check: str | None = None) -> str:
    for mute in report.configuration.issues.mute:
        named = (cause is not None and mute.cause == cause) or (check is not None and mute.check == check)
        if named and mute.until > report.started_at:
            return f"muted until {moment(mute.until)}: {mute.because}"
    return ""


def _first_unexplained(report: Report) -> tuple[Verdict, ...]:
    """Failing checks that nothing present explains, less those that only follow from another of them."""
    explained = {check for d in report.present() for check in d.explains} | discretion.secret(report)
    left = [v for v in report.with_status("fail") if v.check not in explained]
    hops = {v.hop for v in left if topology.known(v.hop)}
    firsts = [v for v in left if not _follows(v.hop, hops)]
    return tuple(v for v in firsts if v.component not in NOT_OURS_TO_MEND)


def _follows(hop: str, hops: Iterable[str]) -> bool:
    if not topology.known(hop):
        return False
    return any(other != hop and topology.rests_on(hop, other) for other in hops)


# --- what to do about it ------------------------------------------------------------------------------


def _plan_target(
    runs: Sequence[Report], known: Sequence[KnownIssue], repository: str, author: str
) -> list[Action]:
    latest = runs[-1]
    wanted = needs(latest)
    authors = {author, *latest.configuration.issues.also_ours}
    ours = [i for i in known if i.author in authors and _belongs(i, latest)]
    actions: list[Action] = []
    for need in wanted:
        where = answer.owner(latest, need.component).repository or repository
        same = [i for i in ours if key_of(i.body) == need.key and i.repository in {"", where}]
        actions += _decide(runs, need, _written(runs, need, where, same), same)
    keys = {need.key for need in wanted}
    return actions + [_at_rest(i) for i in ours if i.state == "open" and key_of(i.body) not in keys]


def _belongs(issue: KnownIssue, report: Report) -> bool:
    key = key_of(issue.body)
    return key is not None and key.startswith(f"{_target_key(report)}/")


def _written(runs: Sequence[Report], need: Need, repository: str, same: Iterable[KnownIssue]) -> Action:
    latest = runs[-1]
    return Action(
        kind="open",
        key=need.key,
        component=need.component,
        title=_title(latest, need),
        body=_body(latest, need, _since(runs, need.key, same)),
        labels=_labels(latest.configuration.issues, need),
        reason="",
        repository=repository,
    )


def _since(runs: Sequence[Report], key: str, same: Iterable[KnownIssue]) -> datetime:
    """When it was first seen, as the runs or an issue that is still open remember it."""
    said = [_SINCE.search(i.body) for i in same if i.state == "open"]
    told = [datetime.strptime(m.group(1), "%Y-%m-%d %H:%M").replace(tzinfo=UTC) for m in said if m]
    return min([_streak(runs, key)[-1].started_at, *told])


def _streak(runs: Sequence[Report], key: str) -> tuple[Report, ...]:
    """The newest runs in a row that all need this issue, newest first; never empty for the newest's own."""
    found: list[Report] = []
    for run in reversed(runs):
        if found and key not in {n.key for n in needs(run)}:
            break
        found.append(run)
    return tuple(found)


def _decide(runs: Sequence[Report], need: Need, written: Action, same: Sequence[KnownIssue]) -> list[Action]:
    still_open = sorted((i for i in same if i.state == "open"), key=lambda i: i.number)
    if still_open:
        first, *doubles = still_open
        return [_about_open(runs[-1], need, written, first), *(_double(i, first) for i in doubles)]
    held = _held_back(runs, need)
    if held:
        return [_as(written, "leave", held)]
    seen, needed = len(_streak(runs, need.key)), runs[-1].configuration.issues.confirm_runs
    if seen < needed:
        waiting = _as(written, "leave", f"seen in {seen} of {needed} runs needed")
        return [waiting.model_copy(update={"wants_runs": needed - seen})]
    return [_about_closed(runs[-1], written, max(same, key=lambda i: i.number, default=None))]


def _as(written: Action, kind: ActionKind, reason: str, number: int | None = None) -> Action:
    return written.model_copy(update={"kind": kind, "reason": reason, "number": number})


def _about_open(latest: Report, need: Need, written: Action, issue: KnownIssue) -> Action:
    hands_off = _hands_off(issue) or _unfit(latest, need)
    if hands_off:
        return _as(written, "leave", hands_off, issue.number)
    wanted = (written.title, _lines(written.body), set(written.labels))
    if wanted == (issue.title, _lines(issue.body), set(written.labels) & set(issue.labels)):
        return _as(written, "leave", "it says so already", issue.number)
    return _as(written, "update", "what it says is no longer all that is known", issue.number)


def _lines(body: str) -> list[str]:
    return body.strip().splitlines()


def _hands_off(issue: KnownIssue) -> str:
    if issue.locked:
        return f"somebody locked #{issue.number}"
    return f"#{issue.number} is labelled {MUTE_LABEL}" if MUTE_LABEL in issue.labels else ""


def _unfit(latest: Report, need: Need) -> str:
    """Why this run may not change what an issue says."""
    if need.muted:
        return need.muted
    if latest.interrupted:
        return "the run was interrupted, so it does not know all"
    if not need.roots and not need.checks:
        return (
            f"{plural(need.withheld, 'sensitive cause')} must not be written here: tell the owner in person"
        )
    return ""


def _held_back(runs: Sequence[Report], need: Need) -> str:
    latest, settings = runs[-1], runs[-1].configuration.issues
    if _unfit(latest, need):
        return _unfit(latest, need)
    if any(_within(window, latest.started_at) for window in settings.maintenance):
        return "the run was made during announced maintenance"
    return ""


def _within(window: str, when: datetime) -> bool:
    start, end = interval(window)
    return start <= when <= end


def _about_closed(latest: Report, written: Action, issue: KnownIssue | None) -> Action:
    if issue is None:
        return _as(written, "open", "no open issue says so")
    if issue.state_reason == "not_planned" or _hands_off(issue):
        why = _hands_off(issue) or f"somebody closed #{issue.number} as not planned"
        return _as(written, "leave", why, issue.number)
    if issue.closed_at is not None and latest.started_at - issue.closed_at <= REOPEN_WITHIN:
        return _as(written, "reopen", f"#{issue.number} was closed and the same is back", issue.number)
    return _as(written, "open", f"no open issue says so; #{issue.number} was closed long ago")


def _double(issue: KnownIssue, first: KnownIssue) -> Action:
    why = _hands_off(issue)
    return _existing(issue, "leave" if why else "close", why or f"the same as #{first.number}")


def _at_rest(issue: KnownIssue) -> Action:
    return _existing(issue, "leave", "nothing of it was seen in this run; one run closes nothing")


def _existing(issue: KnownIssue, kind: ActionKind, reason: str) -> Action:
    return Action(
        kind=kind,
        key=key_of(issue.body) or "",
        component=None,
        title=issue.title,
        body="",
        labels=(),
        reason=reason,
        number=issue.number,
        repository=issue.repository,
    )


# --- the text -----------------------------------------------------------------------------------------


def _title(report: Report, need: Need) -> str:
    names = [r.diagnosis.cause for r in need.roots] or [v.check for v in need.checks]
    said = ", ".join(names) or "withheld"
    who = "must act" if need.roots else "fails, cause not known"
    return text.clean(text.one_line(f"{report.target}: {need.component} {who}: {said}"), _TITLE_CHARACTERS)


def _labels(settings: IssueSettings, need: Need) -> tuple[str, ...]:
    causes = (f"cause:{r.diagnosis.cause}"[:_LABEL_CHARACTERS] for r in need.roots)
    return tuple(dict.fromkeys([*settings.labels, *causes]))


def _body(report: Report, need: Need, since: datetime) -> str:
    marker = f"<!-- hokusai-probe: {need.key} -->"
    footer = (
        f"Kept true by hokusai-probe {text.code(report.tool_version)}: this text is replaced when what is "
        f"known changes; comments stay. To keep it quiet, label it {text.code(MUTE_LABEL)}, lock it, or "
        "close it as not planned."
    )
    room = MOST_CHARACTERS - len(marker) - len(footer) - 200
    return blocks([marker, *_fitting(_sections(report, need, since), room), footer]) + "\n"


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
    return frozenset((explained | rivals | {v.check for v in need.checks}) - discretion.secret(report))


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
