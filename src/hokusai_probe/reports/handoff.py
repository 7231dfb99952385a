"""INFRASTRUCTURE_TEAM_HANDOFF.md: for each who must act, what to type, and how to undo it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import Component, Report
from hokusai_probe.reports import answer, changes, since
from hokusai_probe.reports.layout import (
    blocks,
    bullets,
    cause_name,
    evidence,
    in_full,
    lead,
    moment,
    remedy,
    reproductions,
    section,
    sentence,
    shell,
    slugs,
    table,
    undecided,
)

NOT_THEIRS: frozenset[Component] = frozenset({"client", "probe"})
_REQUESTS = 2
Numbered = tuple[int, answer.Root]


def render(report: Report, past: Past | None = None) -> str:
    """The handoff as Markdown, ending in a newline; where the platform's side need do nothing, that."""
    theirs = _theirs(report)
    open_ = [d for d in report.undecided() if d.component not in NOT_THEIRS]
    parts = (
        "# Handoff to the infrastructure team",
        lead(report),
        "" if theirs or open_ or report.unexplained else "There is nothing to hand over.",
        _not_theirs(report),
        section("Who must act", _owners(report, theirs)),
        *(section(_title(report, name), *_of(report, past, found)) for name, found in theirs.items()),
        section("Somebody with rights in AWS must look", undecided(open_)),
        section("What nobody can explain", _unexplained(report)),
        section("Afterwards", *_afterwards(report, theirs)),
        section("Questions", _questions(report, theirs)),
    )
    return blocks(parts) + "\n"


def _theirs(report: Report) -> dict[Component, list[Numbered]]:
    """Root causes by who must act, with their numbers in the full report."""
    found: dict[Component, list[Numbered]] = {}
    for number, root in enumerate(answer.roots(report), 1):
        if root.diagnosis.component not in NOT_THEIRS:
            found.setdefault(root.diagnosis.component, []).append((number, root))
    return found


def _not_theirs(report: Report) -> str:
    causes = [r.diagnosis.cause for r in answer.roots(report) if r.diagnosis.component in NOT_THEIRS]
    return f"Not the platform's to mend: {slugs(causes)}." if causes else ""


def _owners(report: Report, theirs: dict[Component, list[Numbered]]) -> str:
    rows = [
        [
            name,
            *_named(report, name),
            ", ".join(text.cell_code(root.diagnosis.cause) for _, root in found),
        ]
        for name, found in theirs.items()
    ]
    header = ["Component", "Team", "Contact", "On GitHub", "Its issues go to", "Causes"]
    return table(header, rows) if rows else ""


def _named(report: Report, name: Component) -> list[str]:
    """The four cells of an owner; where the target names nobody, how it would."""
    who = answer.owner(report, name)
    missing = f"not named: {text.cell_code(f'[owners.{name}]')}"
    rest = (who.contact, who.github, who.repository)
    return [text.cell(who.team) or missing, *(text.cell(one) or "-" for one in rest)]


def _title(report: Report, name: Component) -> str:
    team = answer.owner(report, name).team
    return f"{name}: {text.markdown(team)}" if team else name


def _of(report: Report, past: Past | None, found: list[Numbered]) -> Iterator[str]:
    for number, root in found:
        yield _one(report, past, number, root)


def _one(report: Report, past: Past | None, number: int, root: answer.Root) -> str:
    found = root.diagnosis
    explained = {c for d in (found, *root.consequences) for c in d.explains}
    failing = [v for v in report.with_status("fail") if v.check in explained and v.reproduce]
    return section(
        f"{number}. {cause_name(found)}",
        sentence(found.because),
        bullets(_facts(report, past, number, root)),
        section("Evidence", evidence(found.evidence), level=4),
        remedy(found.remedy, answer.verify_command(report, found.cause), 4),
        section("See it fail from outside", reproductions(failing[:_REQUESTS]), level=4),
        section("What changed there lately", changes.beside(report, found), level=4),
        level=3,
    )


def _facts(report: Report, past: Past | None, number: int, root: answer.Root) -> Iterator[str]:
    found = root.diagnosis
    certainty = found.certainty or "nothing deeper is visible"
    yield f"Priority: **{found.priority}** ({certainty}); effort: {found.effort}"
    yield f"Seen since: {since.cause_since(past, found.cause) or this_run(report)}"
    if root.consequences:
        yield f"What goes with it: {slugs(d.cause for d in root.consequences)}"
    yield f"What it explains: {in_full(number, found)}"


def this_run(report: Report) -> str:
    """Since when something is seen where no earlier run is known."""
    return f"{moment(report.started_at)} (this run; it knows of no earlier one)"


def _unexplained(report: Report) -> str:
    reasons = {v.check: v for v in report.verdicts}
    found = [reasons[c] for c in report.unexplained if c in reasons]
    lines = bullets(f"{text.code(v.check)} ({v.component}): {sentence(v.reason)}" for v in found)
    return blocks([lines, reproductions(v for v in found if v.status == "fail")])


def _afterwards(report: Report, theirs: dict[Component, list[Numbered]]) -> Iterator[str]:
    found = sorted(one for group in theirs.values() for one in group)
    if not found:
        return
    yield "One after the other, and each at once after its remedy; exit code 0 says that it is gone:"
    yield shell(answer.verify_command(report, root.diagnosis.cause) for _, root in found)
    yield "Then all once more, because a cause may have hidden behind another:"
    yield shell([answer.run_command(report)])


def _questions(report: Report, theirs: dict[Component, list[Numbered]]) -> str:
    """Whom to ask, each once, with the components that they are asked about."""
    people: dict[str, list[str]] = {}
    for name in theirs:
        who = answer.named_owner(report, name)
        if who:
            people.setdefault(who, []).append(name)
    lines = [f"{text.markdown(who)}: {', '.join(names)}" for who, names in people.items()]
    data = "This run as data, which `hokusai-probe replay` judges again: `test_execution_summary.json`"
    return bullets([*lines, data]) if theirs else ""
