"""What experiments came to, for people: a table, a page each, and a section of the accuracy page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from statistics import median

from hokusai_probe.chaos.experiment import USER_KINDS, Experiment, UserKind
from hokusai_probe.chaos.facts import LimitSeen
from hokusai_probe.chaos.judging import Outcome, Result, Share, opened, used_during
from hokusai_probe.reports.layout import blocks, bullets, plural, section, table
from hokusai_probe.text import cell, cell_code, markdown

_HEAD = ("experiment", "outcome", "detected", "cause", "named", "reads", "registrations", "transfers",
         "recovered", "lost")  # fmt: skip
_NEVER = "-"
_KEYS = """\
Seconds: *detected* and *named* since the first step of the method, *recovered* since the end of the rollback.
Reads, registrations and transfers: how much of what users tried during the fault worked. *Lost*: of all runs,
model versions and artifacts that the platform had acknowledged, those that it does not have any more.
"""
_PLAIN: Mapping[Outcome, str] = {
    "completed": "as expected",
    "deviated": "deviated",
    "not-started": "not started",
    "rollback-failed": "rollback failed",
    "interrupted": "interrupted",
    "skipped": "skipped",
}
_LOUD = frozenset({"deviated", "not-started", "rollback-failed"})


def _of(outcome: Outcome) -> str:
    """An outcome in Markdown; what somebody must look at is bold."""
    return f"**{_PLAIN[outcome]}**" if outcome in _LOUD else _PLAIN[outcome]


def documents(results: Sequence[Result]) -> dict[str, str]:
    """The files of ``--reports``: ``chaos.md`` and a page for each experiment, by their paths."""
    pages = {f"chaos/{one.name}.md": page(one) for one in results}
    return {"chaos.md": overview(results), **pages}


def counted(results: Sequence[Result]) -> str:
    """How many experiments there were, and how many came to what; what was skipped is counted, too."""
    kinds = [one.outcome for one in results]
    each = (f"{kinds.count(kind)} {_PLAIN[kind]}" for kind in _PLAIN if kind in kinds)
    return f"{plural(len(kinds), 'experiment')}: {', '.join(each) or 'none'}"


def plain(results: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """The table for a terminal: a heading and a row each, the longest cells last."""
    users = "/".join(_NOUNS[kind] for kind in USER_KINDS)
    yield "experiment", "outcome", "detected", "named", f"{users} %", "recovered", "lost", "causes named"
    for one in results:
        yield (
            one.name,
            _PLAIN[one.outcome],
            _seconds(one.detected_s),
            _seconds(one.named_s),
            "/".join(_part(one.could.get(kind)).removesuffix(" %") for kind in USER_KINDS),
            _seconds(one.recovered_s),
            _lost(one),
            ", ".join(one.named) or "none",
        )


def notes(results: Sequence[Result]) -> Iterator[str]:
    """What is to be said below that table: what was not as expected, and the thresholds."""
    for one in results:
        yield from (f"{one.name}: {said}" for said in (*one.reasons, *thresholds(one)))


def overview(results: Sequence[Result]) -> str:
    """All experiments in one table, and what was not as expected."""
    return blocks(("# When parts of the platform fail", summary(results, links=True))) + "\n"


def summary(results: Sequence[Result], *, links: bool = False) -> str:
    """The table, what was not as expected, and what the thresholds are."""
    rows = (_row(one, links=links) for one in results)
    return blocks((
        f"{counted(results)}.",
        table(_HEAD, rows),
        _KEYS.rstrip(),
        section("Not as expected", bullets(_troubles(results))),
        section("Thresholds seen from outside", bullets(_thresholds(results))),
    ))  # fmt: skip


def _row(one: Result, *, links: bool) -> tuple[str, ...]:
    name = cell_code(one.name)
    worked = [_part(one.could.get(kind)) for kind in USER_KINDS]
    return (
        f"[{name}](chaos/{PurePosixPath(one.name).name}.md)" if links else name,
        _of(one.outcome),
        _seconds(one.detected_s),
        _causes(one),
        _seconds(one.named_s),
        *worked,
        _seconds(one.recovered_s),
        _lost(one),
    )


def _lost(one: Result) -> str:
    begun = one.recorded.fault_began_s is not None
    return f"{len(one.lost)} of {one.accounted}" if begun else _NEVER


def _causes(one: Result) -> str:
    named = ", ".join(cell_code(cause) for cause in one.named)
    return named or "none"


def _troubles(results: Iterable[Result]) -> Iterator[str]:
    for one in results:
        yield from (f"{markdown(one.name)}: {markdown(reason)}" for reason in one.reasons)


def _thresholds(results: Iterable[Result]) -> Iterator[str]:
    for one in results:
        yield from (f"{markdown(one.name)}: {markdown(said)}" for said in thresholds(one))


def thresholds(one: Result) -> Iterator[str]:
    """What was seen of breaker and rate limits, as sentences; seconds as they passed, and the platform's."""
    scale = one.recorded.time_scale
    if one.breaker is not None:
        found, wanted = one.breaker, one.recorded.breaker_settings
        said = opened(found)
        rested = "" if found.rested_s is None else f", tried again {_both(found.rested_s, scale)} later"
        closed = (
            ""
            if found.closed_s is None
            else f", and was closed {_both(found.closed_s, scale)} after it opened"
        )
        set_to = "" if wanted is None else (
            f". {wanted.source} says {wanted.failures} failures and {wanted.recovery_s:g} s"
        )  # fmt: skip
        yield f"the breaker {said}{rested}{closed}{set_to}"
    yield from (_limit(seen, scale) for seen in one.recorded.limits)


def _limit(seen: LimitSeen, scale: float) -> str:
    route = f"{seen.method} {seen.path}"
    if not seen.refused:
        return f"{route}: no rate limit seen within {seen.sent} requests in {seen.seconds:.1f} s"
    retry = f"Retry-After: {seen.retry_after}" if seen.retry_after else "without Retry-After"
    again = "" if seen.let_in_s is None else f", lets in again after {_both(seen.let_in_s, scale)}"
    if not seen.waited:
        again = "; when it lets in again was not waited for"
    on = f"; the gateway passes it on as {seen.passed_on}" if seen.passed_on else ""
    return f"{route}: takes {seen.taken} requests, then 429 {retry}{again}{on}"


def _both(seconds: float, scale: float) -> str:
    return f"{seconds:.1f} s ({seconds * scale:.0f} s of the platform's)"


def page(one: Result) -> str:
    """One experiment: what it is, what it came to, and what happened when."""
    experiment = one.recorded.experiment
    return blocks((
        f"# {markdown(one.name)}: {_of(one.outcome)}",
        markdown(one.summary),
        bullets((
            f"stands for: {markdown(experiment.source)}",
            f"begins in the sandbox {markdown(experiment.sandbox)} with the seed {one.recorded.seed}",
            *(markdown(said) for said in _figures(one)),
        )),
        section("Why", bullets(markdown(reason) for reason in one.reasons)),
        section("Thresholds seen from outside", bullets(markdown(said) for said in thresholds(one))),
        section("What became of things", bullets(markdown(said) for said in _fates(one))),
        section("Timeline", "Seconds since the first step of the method.", _timeline(one)),
    )) + "\n"  # fmt: skip


def _figures(one: Result) -> Iterator[str]:
    wanted = ", ".join(one.recorded.experiment.expect.causes) or "none that could be named"
    yield f"cause: {wanted}; named: {', '.join(one.named) or 'none'}"
    yield f"detected after {_seconds(one.detected_s)}, cause named after {_seconds(one.named_s)}"
    for kind in one.could:
        yield f"users meanwhile, {_NOUNS[kind]}: {_how_users_fared(one, kind)}"
    users = _seconds(one.users_recovered_s)
    yield f"all well {_seconds(one.recovered_s)} after the rollback, users after {users}"
    yield f"accounted for: {one.accounted}, lost: {len(one.lost)}"


def _fates(one: Result) -> Iterator[str]:
    """Each thing that is not there as it was acknowledged, and in which way."""
    gone = (kept for kept in one.recorded.kept if kept.fate != "kept")
    yield from (f"{kept.fate}: {kept.kind} {kept.name} ({kept.said})" for kept in gone)


def _how_users_fared(one: Result, kind: UserKind) -> str:
    """Their share, and how long those took that worked, from their intended start."""
    share = one.could[kind]
    took = [u.took_s for u in used_during(one.recorded) if u.kind == kind and u.worked]
    how_long = f"; half of these within {median(took):.2f} s, all within {max(took):.2f} s" if took else ""
    return f"{share.worked} of {share.tried} worked{how_long}"


def _timeline(one: Result) -> str:
    zero = one.recorded.fault_began_s or 0.0
    failed = next((u for u in one.recorded.used if not u.worked and u.at_s >= zero), None)
    told = [(event.at_s, event.what) for event in one.recorded.events]
    if failed is not None:
        told.append((failed.at_s, f"a user fails for the first time ({failed.kind}: {failed.said})"))
    rows = ((f"{at - zero:.1f}", cell(what)) for at, what in sorted(told))
    return table(("second", "what"), rows)


def detection(results: Sequence[Result]) -> str:
    """The section of docs/accuracy.md: how soon it is noticed and named when a part fails."""
    head = ("experiment", "detected after s", "cause named after s", "users could still do",
            "recovered after s", "lost")  # fmt: skip
    rows = (_short(one) for one in results if one.outcome in ("completed", "deviated"))
    said = "Parts of a sandbox that users work with were broken by `make chaos` ([how](chaos.md))."
    return section("When parts fail", said, table(head, rows))


def _short(one: Result) -> tuple[str, ...]:
    could = ", ".join(f"{_NOUNS[kind]} {_part(share)}" for kind, share in one.could.items())
    named = _number(one.named_s) if one.recorded.experiment.expect.causes else "none to name"
    marked = "" if one.outcome == "completed" else " (deviated)"
    return (
        f"`{one.name}`{marked}",
        _number(one.detected_s),
        named,
        could,
        _number(one.recovered_s),
        str(len(one.lost)),
    )


_NOUNS = {"read": "reads", "register": "registrations", "transfer": "transfers"}


def listed(experiments: Iterable[Experiment]) -> Iterator[tuple[str, str]]:
    """A line for each experiment: its name, and what it is."""
    for one in experiments:
        yield one.name, one.summary


def _number(seconds: float | None) -> str:
    return _NEVER if seconds is None else f"{seconds:.1f}"


def _seconds(seconds: float | None) -> str:
    return _NEVER if seconds is None else f"{seconds:.1f} s"


def _part(share: Share | None) -> str:
    part = share.part if share is not None else None
    return _NEVER if part is None else f"{100 * part:.0f} %"
