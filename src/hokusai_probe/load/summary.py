"""A load in words: Markdown for people, and the documents in a folder. Pure but for the writing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hokusai_probe import text
from hokusai_probe.load.judging import Finding, Judgement, Times, allowed_ms, judge
from hokusai_probe.load.pictures import against_rate, over_time
from hokusai_probe.load.plan import REQUESTS
from hokusai_probe.load.record import LoadReport, needed
from hokusai_probe.reports import files
from hokusai_probe.reports.layout import blocks, bullets, moment, plural, section, table

OVER_TIME, AGAINST_RATE = "latency-over-time.svg", "latency-against-rate.svg"
_WORDS = {0: "nothing fails", 1: "something fails", 3: "trouble of our own"}
_NAMED = 20


def write(report: LoadReport, directory: Path) -> tuple[Path, ...]:
    """Write ``load.md``, ``load.json`` and two pictures into a folder, made if missing. Raises OSError."""
    judged = judge(report)
    documents = {
        "load.md": markdown(report, pictures=True),
        "load.json": report.to_json(),
        OVER_TIME: over_time(report),
        AGAINST_RATE: against_rate(report, judged),
    }
    directory.mkdir(parents=True, exist_ok=True)
    return tuple(files.replace(directory / name, said) for name, said in documents.items())


def markdown(report: LoadReport, *, pictures: bool = False) -> str:
    """What a load came to, as Markdown that ends with a line feed; ``pictures`` are files beside it."""
    judged = judge(report)
    shown = f"![Latency over time]({OVER_TIME})\n\n![Latency against rate]({AGAINST_RATE})"
    parts = [
        f"# Load on {text.markdown(report.target)}: {_outcome(report, judged)}",
        _planned(report),
        bullets(_finding(one) for one in judged.findings),
        section("How long it took", _times(report, judged), _counted(report, judged))
        if report.samples
        else "",
        shown if pictures and report.samples else "",
        section("At which rate", _stages(judged)) if len(judged.stages) > 1 else "",
        section("Errors", bullets(f"{text.markdown(what)}: {n}" for what, n in judged.errors.items())),
        section("What was created", _created(report)),
    ]
    return blocks(parts) + "\n"


def _outcome(report: LoadReport, judged: Judgement) -> str:
    if report.outcome == "finished":
        troubled = any(one.status == "trouble" for one in judged.findings)
        return _WORDS[judged.exit_code] if judged.exit_code != 3 or troubled else "nobody can tell"
    return f"{report.outcome}: {text.markdown(report.reason)}"


def _planned(report: LoadReport) -> str:
    plan = report.plan
    mix = ", ".join(f"{kind} {weight}" for kind, weight in plan.mix.items())
    rates = ", ".join(f"{stage.rate:g}/s for {stage.seconds:g} s" for stage in plan.stages)
    together = f", {plan.burst} at the same moment" if plan.burst > 1 else ""
    return (
        f"{moment(report.started_at)}, {text.markdown(report.host)}: {rates}{together}; {mix}; at most "
        f"{plan.at_once} under way at once, each given up after {report.deadline_s:g} s. "
        f"{plural(report.requests_sent, 'request')} in all, with those before and after the load."
    )


def _finding(finding: Finding) -> str:
    return f"**{finding.status}** {text.code(finding.slug)}: {text.markdown(finding.sentence)}"


def _times(report: LoadReport, judged: Judgement) -> str:
    header = ("what", "starts", "errors", "p50", "p95", "p99", "highest", "may take (p95)")
    rows = [
        (kind, *_cells(times), f"{allowed_ms(report, kind):g} ms" if report.slo_p95_ms else "")
        for kind, times in judged.kinds.items()
    ]
    return table(header, [*rows, ("all", *_cells(judged.everything), "")])


def _cells(times: Times) -> tuple[str, ...]:
    def said(value: float | None, share: float) -> str:
        return f"n too small ({times.samples} of {needed(share)})" if value is None else _ms(value)

    highest = "" if times.highest_ms is None else _ms(times.highest_ms)
    return (
        str(times.samples),
        str(times.errors),
        said(times.p50_ms, 0.50),
        said(times.p95_ms, 0.95),
        said(times.p99_ms, 0.99),
        highest,
    )


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _counted(report: LoadReport, judged: Judgement) -> str:
    own = (
        ""
        if judged.own_lateness_ms is None
        else f" We were late ourselves by {_ms(judged.own_lateness_ms)} (p95)."
    )
    long = {kind: n for kind, n in REQUESTS.items() if n > 1 and kind in report.plan.mix}
    journeys = "".join(f" A {kind} is {n} requests, one after the other." for kind, n in long.items())
    return (
        f"{judged.answered_per_s:g} good answers a second. {plural(judged.missed, 'start')} had to wait for "
        f"a place, {judged.never_sent} of them until the load was over; {judged.cut_short} cut short. Times "
        f"count from when a start was due, errors for {report.deadline_s:g} s at least.{journeys}{own}"
    )


def _stages(judged: Judgement) -> str:
    header = ("starts a second", "starts", "errors", "p50", "p95", "p99", "highest", "had to wait", "held")
    held = {True: "yes", False: "no", None: "not known"}
    return table(
        header,
        [
            (f"{s.rate:g}", *_cells(s.times), str(s.missed), held[s.held] if s.times.samples else "not tried")
            for s in judged.stages
        ],
    )


def _created(report: LoadReport) -> str:
    return bullets(_things(report)) if report.created else ""


def _things(report: LoadReport) -> Iterator[str]:
    gone = sum(bool(entry.removed) for entry in report.created)
    yield f"{plural(len(report.created), 'thing')} created, {gone} removed again"
    yield from (text.markdown(sentence) for sentence in report.left)
    left = [entry for entry in report.created if entry.removed is False]
    yield from (
        f"not removed: {text.markdown(entry.kind)} {text.code(entry.name)}" for entry in left[:_NAMED]
    )
    if len(left) > _NAMED:
        yield f"and {len(left) - _NAMED} more: they are in the JSON"
    if left or report.left:
        yield f"{text.code('hokusai-probe sweep TARGET --apply')} removes what is left, an hour later"
