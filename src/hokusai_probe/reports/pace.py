"""How fast each part of the way is, in words: one table for documents and the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hokusai_probe.history.latency import Histogram
from hokusai_probe.history.pace import NEEDED, Pace, Said, too_few
from hokusai_probe.history.parts import MOST, PARTS
from hokusai_probe.reports.layout import blocks, moment, plural, table

HEADER = (
    "Part of the way", "Connect", "TLS", "First byte", "Total", "n", "p50", "p95", "p99",
    "Against the objective", "Against the runs before",
)  # fmt: skip
_WORDS = {"pass": "met", "fail": "missed", "cannot-tell": "cannot-tell"}
_CHANGES = {"pass": "no slower", "fail": "slower", "cannot-tell": "cannot-tell"}


def rows(found: Mapping[str, Pace]) -> Iterator[tuple[str, ...]]:
    """A row for each part, with the cells of :data:`HEADER`. All words are ours."""
    for name, pace in found.items():
        total = pace.phases.total
        yield (
            f"{name}: {PARTS[name].what}",
            *(_middle(times) for _, times in pace.phases.named()),
            str(total.answers),
            *(_percentile(total, share) for share in NEEDED),
            _said(pace.objective, _WORDS),
            _said(pace.baseline, _CHANGES),
        )


def render(found: Mapping[str, Pace]) -> str:
    """The table as Markdown with how to read it; empty where there is nothing to show."""
    if not found:
        return ""
    runs = max(pace.runs for pace in found.values())
    said = (
        f"Of {plural(runs, 'run')}, at most {MOST} answers of each part in a run. Connect, TLS, first byte "
        "and total are medians, to 4.8 %; connect and TLS are of the answers that opened a connection. What "
        "few samples do not tell is not said: `cannot-tell`."
    )
    return blocks([table(HEADER, rows(found)), said])


def _middle(times: Histogram) -> str:
    return _ms(times.quantile_ms(0.5))


def _percentile(times: Histogram, share: float) -> str:
    return too_few(times.answers, share) or _ms(times.quantile_ms(share))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:g} ms"


def _said(found: Said, words: Mapping[str, str]) -> str:
    since = f", since {moment(found.since)}" if found.since is not None else ""
    return f"{words[found.status]}: {found.reason}{since}"
