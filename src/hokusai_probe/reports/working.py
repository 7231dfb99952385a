"""working_components.md: what was seen to work, which the data team can rely on today. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe import text
from hokusai_probe.history.condense import latency
from hokusai_probe.history.parts import given
from hokusai_probe.history.past import Past
from hokusai_probe.model import Report, Verdict
from hokusai_probe.reports import answer, health, since
from hokusai_probe.reports.layout import blocks, bullets, lead, plural, section, table

_BETWEEN = "-to-"


def render(report: Report, past: Past | None = None) -> str:
    """What passes, by component, with the answers that came, as Markdown, ending in a newline."""
    passing = report.with_status("pass")
    inner = [v for v in passing if _BETWEEN in v.hop]
    alone = [v for v in passing if v not in inner]
    parts = (
        "# Working components",
        lead(report),
        _caution(report),
        section("Components that serve", bullets(_serving(report, past))),
        section("Integration points that work", bullets(map(_line, inner))),
        section("Verified, by component", *_by_component(alone)),
        section("How fast answers came", _times(report)),
    )
    return blocks(parts) + "\n"


def _caution(report: Report) -> str:
    found = report.with_status("pass")
    if not found:
        return "Nothing was seen to work in this run."
    if answer.all_clear(report):
        return ""
    return (
        f"What follows was seen to work: {plural(len(found), 'check passes', 'checks pass')}. That something "
        "is not here does not say that it is broken: see [failing_components.md](failing_components.md)."
    )


def _serving(report: Report, past: Past | None) -> Iterator[str]:
    for name, service in health.platform(report).items():
        if service in {"up", "impaired"}:
            known = past.served.get(name) if past is not None else None
            over_time = f"; in the last 7 days {since.served(known)}" if known is not None else ""
            yield f"{name}: {health.STANDING[service]}{over_time}"


def _by_component(passing: list[Verdict]) -> Iterator[str]:
    for name in sorted({v.component for v in passing}):
        yield section(name, bullets(_line(v) for v in passing if v.component == name), level=3)


def _line(verdict: Verdict) -> str:
    return f"{text.markdown(verdict.title)} ({text.code(verdict.check)})"


def _times(report: Report) -> str:
    """Whole answers with a good status, by what was asked: how many, and how long they took."""
    rows = [
        [text.cell_code(endpoint), str(found.answers), f"{found.p50_ms:g} ms", f"{found.p99_ms:g} ms"]
        for endpoint, times in latency(given(report)).items()
        if endpoint.rpartition(" ")[2].startswith("2") and (found := times.percentiles()) is not None
    ]
    said = "Of this run alone, to 4.8 %; `hokusai-probe history show` has the percentiles of many."
    return blocks([table(["Asked", "Answers", "Half within", "All within"], rows), said]) if rows else ""
