"""failing_components.md: what fails, what it says, since when, and the request that shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import Component, Report, Verdict
from hokusai_probe.reports import answer, health, since
from hokusai_probe.reports.layout import (
    FULL,
    blocks,
    bullets,
    lead,
    plural,
    reproductions,
    section,
    sentence,
    slugs,
    table,
)


def render(report: Report, past: Past | None = None) -> str:
    """The failing components as Markdown, ending in a newline; where nothing fails, that in one line."""
    found = _failing(report)
    rows = [_row(report, past, name, verdicts) for name, verdicts in found.items()]
    header = ["Component", "Now", "Failing", "Waiting", "Since", "Because of"]
    parts = (
        "# Failing components",
        lead(report),
        table(header, rows) if rows else "Nothing fails.",
        *(section(name, *_one(report, past, verdicts)) for name, verdicts in found.items()),
        f"Evidence and commands: [{FULL}]({FULL})." if rows else "",
    )
    return blocks(parts) + "\n"


def _failing(report: Report) -> dict[Component, list[Verdict]]:
    """What fails or waits for what fails, by the component that it is of; those with failures first."""
    found: dict[Component, list[Verdict]] = {}
    for verdict in (*report.with_status("fail"), *answer.blocked(report)):
        found.setdefault(verdict.component, []).append(verdict)
    return found


def _row(report: Report, past: Past | None, name: Component, found: list[Verdict]) -> list[str]:
    failing = [v for v in found if v.status == "fail"]
    standing = health.platform(report).get(name)
    return [
        name,
        health.STANDING[standing] if standing else "not the platform's",
        str(len(failing)),
        str(len(found) - len(failing)),
        _first(past, failing),
        _causes(report, found),
    ]


def _causes(report: Report, found: Iterable[Verdict]) -> str:
    checks = [v.check for v in found]
    causes = dict.fromkeys(c for check in checks for c in because_of(report, check))
    rivals = [d.cause for d in report.undecided() if set(checks) & set(d.explains)]
    perhaps = f"perhaps {', '.join(map(text.cell_code, rivals))}" if rivals else "not known"
    return ", ".join(map(text.cell_code, causes)) or perhaps


def _first(past: Past | None, failing: list[Verdict]) -> str:
    """Since when the longest failing of them fails; nothing where they only wait."""
    if not failing:
        return ""
    known = past.checks if past is not None else {}
    found = [v.check for v in failing if v.check in known]
    return since.in_short(past, min(found, key=lambda c: known[c].first_bad)) if found else since.THIS_RUN


def because_of(report: Report, check: str) -> tuple[str, ...]:
    """The root causes that are present and explain a check, themselves or by what follows from them."""
    families = ((r.diagnosis.cause, (r.diagnosis, *r.consequences)) for r in answer.roots(report))
    return tuple(cause for cause, family in families if any(check in d.explains for d in family))


def _one(report: Report, past: Past | None, found: Iterable[Verdict]) -> Iterator[str]:
    failing = [v for v in found if v.status == "fail"]
    waiting = [v.check for v in found if v.status != "fail"]
    yield bullets(_line(report, past, v) for v in failing)
    if waiting:
        yield f"{plural(len(waiting), 'check waits', 'checks wait')} for what fails: {slugs(waiting)}."
    yield section("See for yourself", reproductions(failing), level=3)


def _line(report: Report, past: Past | None, verdict: Verdict) -> str:
    causes = because_of(report, verdict.check)
    rivals = [d.cause for d in report.undecided() if verdict.check in d.explains]
    perhaps = f"Perhaps {slugs(rivals)}." if rivals else "No cause is known."
    why = f"Because of {slugs(causes)}." if causes else perhaps
    known = since.check_since(past, verdict.check)
    failing = f" Since: {known}." if known else ""
    said = f"{sentence(verdict.reason)} Should be: {sentence(verdict.title)}"
    return f"{text.code(verdict.check)}: {said} {why}{failing}"
