"""What an issue says when it is over, and what is said beside it when its state changes. Pure."""

from __future__ import annotations

from hokusai_probe import text
from hokusai_probe.history.questions import Outage
from hokusai_probe.issues.body import cannot, footer
from hokusai_probe.issues.known import CAUSE_LABEL, FLAPPING_LABEL, KnownIssue, Told, marker
from hokusai_probe.issues.needs import Need
from hokusai_probe.model import Report
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import blocks, moment, plural, shell, slugs, span

REOPEN_HOURS = 72


def over(report: Report, key: str, issue: KnownIssue, outage: Outage | None, goods: int) -> str:
    """The text of an issue that is over: what it was, when it ended, how long it lasted."""
    causes = _causes(issue)
    told = Told(
        kind="over",
        since=outage.first_bad if outage else None,
        good=outage.good_before if outage else None,
    )
    verify = shell([answer.verify_command(report, causes[0])]) if causes else ""
    return (
        blocks(
            [
                f"{marker(key)}\n{told.line()}",
                f"**Over: all that this was about passes again.** {_ended(outage, goods)}",
                f"It was: {_what(issue)}.",
                blocks(["To see for yourself:", verify]) if verify else "",
                "What was said here while it lasted is in this text's history: the word *edited* above it.",
                f"If it comes back within {REOPEN_HOURS} hours, this is reopened; later, there is a new one.",
                f"Last verified {moment(report.started_at)} ({report.trigger} run).",
                footer(report),
            ]
        )
        + "\n"
    )


def _causes(issue: KnownIssue) -> tuple[str, ...]:
    """The causes that the issue itself told in its labels: nothing else may be known of to its readers."""
    named = (label for label in issue.labels if label.casefold().startswith(CAUSE_LABEL))
    return tuple(label[len(CAUSE_LABEL) :] for label in named)


def _what(issue: KnownIssue) -> str:
    return slugs(_causes(issue)) or text.markdown(issue.title)


def _ended(outage: Outage | None, goods: int) -> str:
    found = f"{plural(goods, 'run')} in a row found so."
    if outage is None or outage.good_after is None:
        return f"{found} No run is kept that tells when it began."
    began = (
        f"after {moment(outage.good_before)} and by {moment(outage.first_bad)}"
        if outage.good_before
        else f"by {moment(outage.first_bad)}, nobody knows how much earlier"
    )
    return (
        f"{found} It began {began}, and ended after {moment(outage.last_bad)} and by "
        f"{moment(outage.good_after)}: it lasted {lasted(outage)}, in {plural(outage.bad_runs, 'run')}."
    )


def lasted(outage: Outage) -> str:
    """How long, between what is certain and what is possible."""
    most = outage.most_s
    return f"{span(outage.least_s)} at least{f' and {span(most)} at most' if most is not None else ''}"


def duplicate(key: str, issue: KnownIssue, first: str) -> str:
    """The text of an issue that another one is kept in place of; ``first`` is that one's number."""
    said = f"The same as {first}, which is kept. It was: {_what(issue)}."
    return blocks([f"{marker(key)}\n{Told(kind='duplicate').line()}", said]) + "\n"


# --- comments -------------------------------------------------------------------------------------------


def is_over(outage: Outage | None, goods: int) -> str:
    """Said when it is closed."""
    return f"Over: all that this was about passes again. {_ended(outage, goods)}"


def is_back(report: Report, need: Need) -> str:
    """Said when it is reopened."""
    return f"It is back. {cannot(report, need)}.{_named(need)}"


def is_worse(report: Report, need: Need) -> str:
    """Said when the component stopped serving at all while its issue was open."""
    return f"It got worse: {need.component} no longer serves. {cannot(report, need)}.{_named(need)}"


def comes_and_goes() -> str:
    """Said when it is labelled so."""
    return (
        "It comes and goes: it turned bad three times within a day. Labelled "
        f"{text.code(FLAPPING_LABEL)}, it stays open until it has been well for a day."
    )


def is_the_same(first: str) -> str:
    """Said when a second issue about the same is closed."""
    return f"The same as {first}, which is kept."


def _named(need: Need) -> str:
    causes = slugs(r.diagnosis.cause for r in need.roots)
    return f" Named now: {causes}." if causes else " No single cause is known."
