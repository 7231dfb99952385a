"""``history`` and ``diff``: what many runs say together, and what changed between two."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click
from pydantic import TypeAdapter

from hokusai_probe.cli.output import columns, hide, redactor, say, try_writing, write, writing
from hokusai_probe.cli.run import ACTIONS, read_report
from hokusai_probe.history import folder, legacy
from hokusai_probe.history.compare import Comparison, compare
from hokusai_probe.history.condense import run_of
from hokusai_probe.history.index import Point
from hokusai_probe.history.pace import RUNS, Pace, paces
from hokusai_probe.history.past import explained
from hokusai_probe.history.questions import Availability, Outage
from hokusai_probe.history.retention import to_spare
from hokusai_probe.history.runs import HistoryError, Run, State
from hokusai_probe.history.summary import Summary, summary, with_old_scores
from hokusai_probe.reports import console, discretion, pace, since
from hokusai_probe.reports.layout import moment, plural, span
from hokusai_probe.runner import UsageError
from hokusai_probe.text import clean, terminal

_SLOWEST = 10
_WIDTH = 100
_HISTORY = click.option(
    "--history", "where", metavar="DIR", required=True, help="The folder that `run --history` writes to."
)
_TARGET = click.option("--target", metavar="NAME", help="The target; needed where there are several.")
_JSON = click.option("--json", "json_file", metavar="FILE|-", help="Write it as JSON.")


@click.group()
def history() -> None:
    """What `run --history DIR` kept: ask it, import old scores into it, thin it out.

    Exit codes: 0 done; 2 usage; 3 done, but some files could not be read, which are named.
    """


def _ended(ctx: click.Context, notes: Iterable[str]) -> None:
    """Name what could not be read, and end with the exit code that says whether there was any."""
    found = sorted(set(notes))
    for note in found:
        say(terminal(f"note: {note}"), err=True)
    ctx.exit(3 if found else 0)


def _chosen(where: str, target: str | None) -> str:
    """The target that is named, or the only one. Raises UsageError."""
    known = folder.targets(Path(where))
    if target is None and len(known) == 1:
        return known[0]
    if target in known and target is not None:
        return target
    names = ", ".join(clean(name) for name in known) or "none"
    wanted = "name one with --target" if target is None else f"{clean(target)!r} is none of them"
    msg = f"{where} has runs of these targets: {names}; {wanted}"
    raise UsageError(msg)


def _hidden(states: Iterable[State]) -> frozenset[str]:
    """What is not named in a job's log, which may be public."""
    in_public = os.environ.get(ACTIONS) == "true"
    return discretion.telling(explained(states)) if in_public else frozenset()


# --- index ----------------------------------------------------------------------------------------------


@history.command("index", epilog="\b\nExample:\n  hokusai-probe history index --history runs/")
@_HISTORY
@click.pass_context
def make_index(ctx: click.Context, where: str) -> None:
    """Read every run again and make the indexes anew; what is corrupt is set aside and named."""
    reader = folder.Reader(Path(where))
    named = {run.target for _, run in reader.runs(folder.listing(Path(where)))}
    rows, notes = [], list(reader.notes)
    for target in sorted(named):
        found, more = folder.index(Path(where), target, anew=True)
        notes += more
        rows.append((target, plural(len(found.rows), "run"), plural(len(found.states), "state")))
    if rows:
        say(columns(rows))
    _ended(ctx, notes)


# --- show -----------------------------------------------------------------------------------------------


@history.command("show", epilog="\b\nExample:\n  hokusai-probe history show --history runs/ --days 7")
@_HISTORY
@_TARGET
@click.option("--days", type=click.FloatRange(min=0.01), default=30.0, help="How far back to count.")
@_JSON
@click.pass_context
def show(ctx: click.Context, where: str, target: str | None, days: float, json_file: str | None) -> None:
    """Since when what is bad, how long each component was up, how fast answers came."""
    try_writing(json_file)
    name = _chosen(where, target)
    index, notes = folder.index(Path(where), name)
    points, window = index.points(), timedelta(days=days)
    reader = folder.Reader(Path(where))
    recent = [p.place for p in points if p.started_at >= points[-1].started_at - window]
    found = summary(name, points, (run for _, run in reader.runs(recent)), window)
    scored = (p.place for p in points if not p.state.checks)
    found = with_old_scores(found, (run for _, run in reader.runs(scored)))
    if json_file is not None:
        write(json_file, redactor().text(found.model_dump_json(indent=2)) + "\n")
    if json_file != "-":
        hidden = _hidden(p.state for p in points)
        say(described(discretion.cut_summary(found, hidden)))
    _ended(ctx, (*notes, *reader.notes))


def described(found: Summary) -> str:
    """A summary for people."""
    span = f"{moment(found.first)} to {moment(found.last)}"
    head = f"{terminal(found.target)}: {plural(found.runs, 'run')}, {span}"
    window = f"from {moment(found.start)}"
    parts = (
        head,
        _since("Present causes:", found.present),
        _since("Failing checks:", found.failing),
        _listed("Flapping:", ((slug, "turned bad three times within a day") for slug in found.flapping)),
        _listed("Recovered:", ((slug, _recoveries(outages)) for slug, outages in found.recovered.items())),
        _listed(f"Served {window}:", ((name, _served(a)) for name, a in found.components.items())),
        _listed(f"Slowest answers {window}:", _slowest(found)),
        _listed("Schedule:", _schedule(found)),
        _listed("Scores of the former scripts:", _old_scores(found)),
    )
    return "\n\n".join(part for part in parts if part)


def _listed(title: str, rows: Iterable[tuple[str, ...]]) -> str:
    found = [(f"  {name}", *rest) for name, *rest in rows]
    return f"{title}\n{columns(found)}" if found else ""


def _since(title: str, found: Mapping[str, Outage]) -> str:
    """Slugs under the time since when they are bad, those of one time together."""
    together: dict[str, list[str]] = {}
    for slug, outage in found.items():
        together.setdefault(since.since(outage), []).append(clean(slug))
    lines = (f"  {when}\n{_indented(', '.join(slugs))}" for when, slugs in together.items())
    return terminal("\n".join([title, *lines])) if found else ""


def _indented(said: str) -> str:
    margin = "    "
    return textwrap.fill(
        said, _WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )


def _recoveries(outages: Sequence[Outage]) -> str:
    return "; ".join(f"{moment(o.first_bad)}, {_lasted(o)}" for o in outages)


def _lasted(found: Outage) -> str:
    most = "nobody knows how much" if found.most_s is None else span(found.most_s)
    return f"which took {span(found.least_s)} to {most}"


def _served(found: Availability) -> str:
    known = "not known" if found.percent is None else f"{found.percent:g} % of the time that is known"
    up, down, unknown = (span(seconds) for seconds in (found.up_s, found.down_s, found.unknown_s))
    return f"{known} (up {up}, down {down}, unknown {unknown})"


def _slowest(found: Summary) -> Iterator[tuple[str, str, str]]:
    by_p95 = sorted(found.latency.items(), key=lambda one: -one[1].p95_ms)
    for endpoint, times in by_p95[:_SLOWEST]:
        said = f"p50 {times.p50_ms:g} ms, p95 {times.p95_ms:g} ms, p99 {times.p99_ms:g} ms"
        yield endpoint, plural(times.answers, "answer"), said


def _schedule(found: Summary) -> Iterator[tuple[str, str]]:
    due = found.schedule
    if due.runs:
        lag = max(due.median_lag_s or 0.0, 0.0)
        yield plural(due.runs, "run"), f"{due.missed} missed; half of them up to {span(lag)} late"


def _old_scores(found: Summary) -> Iterator[tuple[str, str]]:
    for scored in found.old_scores:
        for area, count in scored.old_count.items():
            yield f"{moment(scored.at)} {area}", since.old_count(count)


# --- latency --------------------------------------------------------------------------------------------


@history.command("latency", epilog="\b\nExample:\n  hokusai-probe history latency --history runs/")
@_HISTORY
@_TARGET
@click.option("--runs", type=click.IntRange(min=1), default=RUNS, help="How many of the latest runs.")
@_JSON
@click.pass_context
def latency(ctx: click.Context, where: str, target: str | None, runs: int, json_file: str | None) -> None:
    """Say how fast each part of the way is, against the objective and against the runs before.

    Connect, TLS, first byte and total are medians. A percentile is said of 59 answers (p95) or 299 (p99) and
    more. Slower is said only of what stays so for several runs: a bad minute is no regression.
    """
    try_writing(json_file)
    name = _chosen(where, target)
    index, notes = folder.index(Path(where), name)
    reader = folder.Reader(Path(where))
    latest = [run for _, run in reader.runs(point.place for point in index.points()[-runs:])]
    found = paces(latest, latest[-1].objective_ms if latest else None)
    if json_file is not None:
        data = TypeAdapter(dict[str, Pace]).dump_json(found, indent=2).decode()
        write(json_file, redactor().text(data) + "\n")
    if json_file != "-":
        table = columns([pace.HEADER, *pace.rows(found)])
        say(table if found else "no run of these timed the parts of the way")
    _ended(ctx, (*notes, *reader.notes))


# --- import ---------------------------------------------------------------------------------------------


@history.command(
    "import",
    epilog="\b\nExample:\n  hokusai-probe history import MODEL_REGISTRATION_TEST_REPORT.md --history runs/ "
    "--target hokusai-development",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE.md ...")
@_HISTORY
@click.option("--target", metavar="NAME", required=True, help="The target that the reports are of.")
@click.pass_context
def import_(ctx: click.Context, files: tuple[str, ...], where: str, target: str) -> None:
    """Take the scores over from reports in Markdown that the former scripts wrote.

    Dates and numbers alone are taken over. They count as what they are, the old count.
    """
    read = [(name, _imported(name, target)) for name in files]
    for name, found in read:
        for run in found.runs:
            writing(where, partial(_add, run))
            counts = "; ".join(f"{area} {since.old_count(c)}" for area, c in run.old_count.items())
            say(terminal(f"{moment(run.started_at)}: {counts}"))
        for note in found.notes:
            say(terminal(f"note: {name}: {note}"), err=True)
        if found.secrets:
            say(terminal(f"warning: {_revoke(name, found.secrets)}"), err=True)
    ctx.exit(0)


def _add(run: Run, where: Path) -> Path:
    return folder.write(where, run)


def _revoke(name: str, secrets: int) -> str:
    return (
        f"{name} holds what looks like {plural(secrets, 'key')}. Nothing of it was taken over. Whoever could "
        "read the file knows it: revoke it, then take it out of the file and out of the file's own history."
    )


def _imported(name: str, target: str) -> legacy.Imported:
    """The scores of a file. Raises UsageError naming it."""
    try:
        return legacy.scores(Path(name).read_text(encoding="utf-8"), target, redactor().text)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        msg = f"cannot read {name}: {why}"
    except HistoryError as error:
        msg = f"{name}: {error}"
    raise UsageError(msg)


# --- prune ----------------------------------------------------------------------------------------------


@history.command(
    "prune", epilog="\b\nExample:\n  hokusai-probe history prune --history runs/ --keep-days 90 --apply"
)
@_HISTORY
@_TARGET
@click.option("--keep-days", type=click.FloatRange(min=0), default=90.0, help="All of these days stays.")
@click.option("--apply", "really", is_flag=True, help="Remove them; without it they are only listed.")
@click.pass_context
def prune(ctx: click.Context, where: str, target: str | None, keep_days: float, really: bool) -> None:
    """List the runs that tell nothing the ones beside them do not, or remove them.

    The first and the last run of every change stay, and all of the last days.
    """
    name = _chosen(where, target)
    index, notes = folder.index(Path(where), name)
    spare = to_spare(index.points(), datetime.now(UTC) - timedelta(days=keep_days))
    for point in spare:
        say(terminal(point.place))
        if really:
            writing(str(Path(where) / point.place), Path.unlink)
    if really:
        folder.index(Path(where), name)
    done = "removed" if really else "would be removed; --apply does it"
    say(f"{len(spare)} of {plural(len(index.rows), 'run')} {done}", err=True)
    _ended(ctx, notes)


# --- diff -----------------------------------------------------------------------------------------------


def _time(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """A day or a time; without a zone it is UTC, and a day is its end."""
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        msg = f"{value!r} is no time; write 2025-08-05 or 2025-08-05T09:27Z"
        raise click.BadParameter(msg) from None
    if len(value) == len("2025-08-05"):
        found += timedelta(days=1, microseconds=-1)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command(
    epilog="\b\nExamples:\n  hokusai-probe diff monday.json tuesday.json\n"
    "  hokusai-probe diff --history runs/                       the last run and the one before it\n"
    "  hokusai-probe diff now.json --history runs/ --against 2025-08-05"
)
@click.argument("reports", nargs=-1, metavar="[OLD.json] [NEW.json]")
@click.option("--history", "where", metavar="DIR", help="Compare with an earlier run that is kept here.")
@_TARGET
@click.option(
    "--against", callback=_time, metavar="TIME", help="Of that history, the last run up to this time."
)
@_JSON
@click.pass_context
def diff(
    ctx: click.Context,
    reports: tuple[str, ...],
    where: str | None,
    target: str | None,
    against: datetime | None,
    json_file: str | None,
) -> None:
    """Say what changed from OLD.json to NEW.json, or to a run from the one before it in a history.

    Exit codes: 0 nothing fails that did not fail before; 1 something does, or a cause is new; 2 usage.
    """
    try_writing(json_file)
    before, now = _pair(reports, where, target, against)
    if before.target != now.target:
        say(terminal(f"note: the first run is of {before.target}, the second of {now.target}"), err=True)
    found = compare(before, now)
    if json_file is not None:
        write(json_file, redactor().text(found.model_dump_json(indent=2)) + "\n")
    if json_file != "-":
        say(_difference(discretion.cut_comparison(found, _hidden((before.state, now.state)))))
    ctx.exit(1 if found.is_worse else 0)


def _difference(found: Comparison) -> str:
    lines = since.compared(found, console.Plain())
    return "\n".join([f"{moment(found.before)} to {moment(found.now)}", *(f"  {line}" for line in lines)])


def _pair(
    reports: tuple[str, ...], where: str | None, target: str | None, against: datetime | None
) -> tuple[Run, Run]:
    """The earlier and the later run that are meant. Raises UsageError."""
    kept = [_reported(path) for path in reports]
    if where is None and len(kept) == 2 and against is None and target is None:
        return kept[0], kept[1]
    if where is None or len(kept) > 1:
        msg = "give OLD.json and NEW.json, or --history DIR with at most one report"
        raise UsageError(msg)
    reader = folder.Reader(Path(where))
    name = target or (kept[0].target if kept else _chosen(where, None))
    points = folder.index(Path(where), name)[0].points()
    now = kept[0] if kept else _or_none(folder.latest(reader, points), where)
    earlier = [p for p in points if _is_before(p, now, against)]
    return _or_none(folder.latest(reader, earlier), where), now


def _is_before(point: Point, now: Run, against: datetime | None) -> bool:
    return point.started_at < now.started_at and (against is None or point.started_at <= against)


def _or_none(found: Run | None, where: str) -> Run:
    if found is None:
        msg = f"{where} has no earlier run to compare with"
        raise UsageError(msg)
    return found


def _reported(path: str) -> Run:
    report = read_report(path)
    hide(report.configuration.key, os.environ)
    return run_of(redactor().model(report))
