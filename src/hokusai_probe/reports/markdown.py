"""MODEL_REGISTRATION_TEST_REPORT.md: the answer, then why, then what to type, then the evidence. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import Diagnosis, DiagnosisStatus, Report, Verdict
from hokusai_probe.reports import (
    answer,
    changes,
    client,
    criteria,
    executive,
    handoff,
    health,
    picture,
    since,
)
from hokusai_probe.reports.layout import (
    STYLE,
    blocks,
    bullets,
    check_line,
    consequence,
    diagnosis_title,
    evidence,
    moment,
    numbered,
    plural,
    remedy,
    reproductions,
    section,
    sentence,
    shell,
    slugs,
    table,
    undecided,
)

_STAGE = {"pass": "✅", "fail": "❌", "error": "⚠️", "skip": "⏭️", "blocked": "⛔"}


def render(report: Report, past: Past | None = None) -> str:
    """The full report as Markdown, ending in a newline. All clear is one line and the score table.

    ``past``: what the history knows of the time before, where there is one.
    """
    title = "# Model Registration Test Report"
    if answer.all_clear(report):
        facts = f"{_when(report)}, hokusai-probe {text.code(report.tool_version)}."
        return blocks([title, answer.clear_line(report, STYLE), health.scores(report), facts]) + "\n"
    parts = (*_why(report, past), *_results(report), *_rest(report))
    return blocks([title, _summary(report, past), *parts]) + "\n"


def _when(report: Report) -> str:
    return f"Run of {moment(report.started_at)}"


# --- the answer ---------------------------------------------------------------------------------------


def _summary(report: Report, past: Past | None) -> str:
    return section("Executive summary", executive.summary(report, past))


# --- why ----------------------------------------------------------------------------------------------


def _why(report: Report, past: Past | None) -> tuple[str, ...]:
    found = answer.roots(report)
    causes = [_root(report, past, number, root) for number, root in enumerate(found, 1)]
    return (
        section("Where it breaks", picture.fenced(report)),
        section("Root causes, and how to mend them", *causes),
        section("Undecided", _undecided_intro(report), undecided(report.undecided())),
        section("Failures that no known cause explains", _unexplained(report)),
    )


def _root(report: Report, past: Past | None, number: int, root: answer.Root) -> str:
    found = root.diagnosis
    return section(
        f"{number}. {diagnosis_title(found)}",
        sentence(found.because),
        bullets(_facts(report, past, found)),
        section("Evidence", evidence(found.evidence), level=4),
        remedy(found.remedy, answer.verify_command(report, found.cause), 4),
        section("What it explains", _explained(report, found.explains), level=4),
        section("What changed there lately", changes.beside(report, found), level=4),
        section("What follows from it", bullets(consequence(d) for d in root.consequences), level=4),
        level=3,
    )


def _facts(report: Report, past: Past | None, found: Diagnosis) -> Iterable[str]:
    certainty = found.certainty or "nothing deeper is visible"
    yield f"Priority: **{found.priority}** ({certainty}); effort: {found.effort}"
    who = answer.named_owner(report, found.component)
    if who:
        yield f"Owner: {text.markdown(who)}"
    yield f"Seen since: {since.cause_since(past, found.cause) or handoff.this_run(report)}"
    if found.affected:
        yield f"Affects also: {', '.join(text.markdown(a) for a in found.affected)}"


def _explained(report: Report, checks: Iterable[str]) -> str:
    return bullets(check_line(report, check) for check in checks)


def _undecided_intro(report: Report) -> str:
    if not report.undecided():
        return ""
    return (
        "What was seen fits each of these, and nothing that was looked at settles which. "
        f"They would explain {slugs(_checks_of(report.undecided()))}."
    )


def _checks_of(found: Iterable[Diagnosis]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check for d in found for check in d.explains))


def _unexplained(report: Report) -> str:
    reasons = {v.check: v.reason for v in report.verdicts}
    return bullets(f"{check_line(report, c)}. {sentence(reasons.get(c, ''))}" for c in report.unexplained)


def _client(report: Report) -> tuple[str, ...]:
    """Settings of the client: those that worked, and those that keep it from waiting for minutes."""
    working, header = client.working(report), client.header_works(report)
    exports = shell(f"export {line}" for line in working)
    patience = client.patience(report)
    return (
        "A model was registered with:" if working else "",
        exports,
        f"The key in `X-API-Key` was {'let in' if header else 'refused'}, too. {client.PLUG_IN}"
        if header is not None
        else "",
        patience,
        shell(f"export {line}" for line in client.patient_environment(report)) if patience else "",
    )


# --- results ------------------------------------------------------------------------------------------


def _results(report: Report) -> tuple[str, ...]:
    return (
        section("Test results summary", health.scores(report)),
        section("Success criteria", criteria.render(report)),
        section("Model registration flow", _stages(report)),
        section("Failing checks", *_failing(report)),
        section("MLflow's client", *_client(report)),
    )


def _stages(report: Report) -> str:
    stages = [v for v in report.verdicts if v.area == "registration"]
    local = "Stage 1 (making the model) is local and not counted."
    return blocks([local, bullets(_stage(v) for v in stages)]) if stages else ""


def _stage(verdict: Verdict) -> str:
    word = verdict.skip_kind or verdict.status
    mark = _STAGE.get(word, _STAGE[verdict.status])
    why = f": {sentence(verdict.reason)}" if verdict.reason else ""
    return f"{mark} {text.markdown(verdict.title)} ({text.code(verdict.check)}, {word}){why}"


def _failing(report: Report) -> tuple[str, ...]:
    failing = report.with_status("fail")
    if not failing:
        return ()
    header = ["Check", "What is wrong", "Area", "Because of"]
    rows = [_failing_row(report, v) for v in failing]
    return (table(header, rows), section("Reproduce", reproductions(failing), level=3))


def _failing_row(report: Report, verdict: Verdict) -> list[str]:
    because = _because_of(report, verdict.check)
    return [text.cell_code(verdict.check), text.cell(verdict.reason), verdict.area, because]


def _because_of(report: Report, check: str) -> str:
    present = [r.diagnosis.cause for r in answer.roots(report) if _in_family(r, check)]
    if present:
        return _cell_slugs(present)
    rivals = [d.cause for d in report.undecided() if check in d.explains]
    return f"undecided: {_cell_slugs(rivals)}" if rivals else "not known"


def _cell_slugs(names: Iterable[str]) -> str:
    return ", ".join(text.cell_code(name) for name in names)


def _in_family(root: answer.Root, check: str) -> bool:
    return any(check in d.explains for d in (root.diagnosis, *root.consequences))


# --- the rest -----------------------------------------------------------------------------------------


def _rest(report: Report) -> tuple[str, ...]:
    return (
        section("Accepted behaviours", _accepted(report)),
        section("Asked in a second round", bullets(_second_round(report))),
        section("What was not looked at, and why", _not_looked_at(report)),
        section("Our own trouble", _trouble(report)),
        section("Next steps", _next_steps(report)),
        section("Appendix: test execution details", bullets(_run_facts(report))),
    )


def _accepted(report: Report) -> str:
    found = answer.accepted(report)
    seen = [f"{text.code(v.check)}: {sentence(v.reason)}" for v in found]
    named = report.configuration.accept.behaviours
    intro = f"The target accepts {slugs(named)}; nothing of it counts as failing." if named else ""
    return blocks([intro, bullets(seen)])


def _second_round(report: Report) -> Iterable[str]:
    """What was asked because causes were open, and what became of them."""
    status = {d.cause: _BECAME[d.status] for d in report.diagnoses}
    for look in (o for o in report.observations if o.round == 2):
        causes = look.to_settle
        purpose = f"to tell apart {slugs(causes)}" if len(causes) > 1 else f"to settle {slugs(causes)}"
        became = "; ".join(f"{text.code(c)} {status.get(c, 'does not fit any more')}" for c in causes)
        outcome = f"Now {became}." if look.status == "seen" else f"Not done: {sentence(look.reason or '')}"
        yield f"{text.code(look.probe)}, {purpose}. {outcome}"


_BECAME: Mapping[DiagnosisStatus, str] = {
    "present": "is present",
    "undecided": "is still open",
    "ruled_out": "is ruled out",
}


def _not_looked_at(report: Report) -> str:
    accepted = {v.check for v in answer.accepted(report)}
    groups: dict[tuple[str, str], list[str]] = {}
    for verdict in report.with_status("skip"):
        if verdict.check not in accepted:
            groups.setdefault((verdict.skip_kind or "skip", verdict.reason), []).append(verdict.check)
    ordered = sorted(groups.items(), key=lambda group: (group[0][0] != "blocked", group[0]))
    return bullets(f"{kind}: {sentence(why)} Not judged: {slugs(names)}." for (kind, why), names in ordered)


def _trouble(report: Report) -> str:
    return bullets(_one_trouble(t) for t in answer.troubles(report))


def _one_trouble(found: answer.Trouble) -> str:
    unjudged = f" Not judged: {slugs(found.checks)}." if found.checks else ""
    return f"{text.markdown(found.where)}: {sentence(found.reason)}{unjudged}"


def _next_steps(report: Report) -> str:
    steps = [_step(report, root.diagnosis) for root in answer.roots(report)]
    looks = [
        text.code(look) for look in dict.fromkeys(s.look for d in report.undecided() for s in d.settled_by)
    ]
    if looks:
        steps.append(
            f"Somebody with rights in AWS takes the looks that settle what is open: {', '.join(looks)}."
        )
    if report.unexplained:
        steps.append(f"Somebody looks at what no known cause explains: {slugs(report.unexplained)}.")
    return numbered([*steps, "The run is repeated, and this report replaced."])


def _step(report: Report, found: Diagnosis) -> str:
    who = answer.named_owner(report, found.component)
    what = sentence(found.remedy.summary) if found.remedy else "No remedy is known; find one."
    named = {"client": "You", "probe": "We"}.get(found.component, found.component)
    actor = f"{named} ({text.markdown(who)})" if who else named
    return f"**{actor}**, {found.priority}: {what} ({text.code(found.cause)})"


def _run_facts(report: Report) -> Iterable[str]:
    yield f"Target: {text.code(report.target)} at {text.code(report.configuration.hosts.registry)}"
    yield f"Started: {report.started_at:%Y-%m-%dT%H:%M:%SZ}, took {report.duration_s:.1f} s"
    if report.interrupted:
        yield f"Interrupted by {text.code(report.interrupted)}"
    yield f"Triggered by: {report.trigger}"
    if report.verified_sha:
        yield f"Commit under test: {text.code(report.verified_sha)}"
        if changes.built_from(report):
            yield changes.built_from(report)
    looked = sum(o.status == "seen" for o in report.observations)
    yield f"{plural(looked, 'look')} taken, {plural(report.requests_sent, 'request')} sent"
    if changes.known(report):
        yield changes.known(report)
    yield f"Key: from the variable {text.code(report.configuration.key.env)}; its value is not recorded"
    yield f"hokusai-probe {text.code(report.tool_version)}, report schema {text.code(report.schema_version)}"
    yield "Everything above as data: `test_execution_summary.json`"
