"""A report as one HTML page that needs no network: the answer, why, what to type, then the rest. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import AreaScore, Diagnosis, Evidence, Remedy, Report, Verdict
from hokusai_probe.probes.changes import Change
from hokusai_probe.reports import answer, changes, chart, client, impact, picture, since, way
from hokusai_probe.reports.layout import COMMANDS, KIND, moment, percent, plural
from hokusai_probe.reports.page import (
    STYLE,
    copied,
    facts,
    folded,
    items,
    paragraph,
    section,
    sentence,
    table,
    under,
    whole,
)
from hokusai_probe.reports.trend import Series, Spell, Trend

_VALUE_CHARACTERS = 160
_TONE = {"critical": "bad", "high": "bad", "medium": "warn", "low": "none"}
_STATUS = {
    "pass": ("good", "✓", "passes"),
    "fail": ("bad", "✗", "fails"),
    "error": ("warn", "!", "error of ours"),
    "blocked": ("warn", "⊘", "blocked"),
    "skip": ("none", "·", "not judged"),
}
_OUTCOME = {
    0: ("good", "✓ Nothing fails"),
    1: ("bad", "✗ Something fails"),
    3: ("warn", "! Not everything could be judged"),
}


def render(report: Report, trend: Trend | None = None, past: Past | None = None) -> str:
    """The page as HTML in UTF-8, ending in a newline.

    ``trend`` adds availability and latency over time and the history of each cause, ``past`` what changed;
    without them the page is about this run alone.
    """
    known = trend or Trend()
    sections = [s for s in _sections(report, known, past) if s]
    title = f"{report.target}: {answer.headline(report)}"
    top = '<a class="skip" href="#answer">To the answer</a>'
    return whole(title, top, _head(report), _contents(sections), _main(sections), _foot(report))


def _sections(report: Report, trend: Trend, past: Past | None) -> tuple[str, ...]:
    return (
        section("answer", "The answer", *_answer(report, past)),
        section("way", "Where it breaks" if report.with_status("fail") else "The way", _way(report)),
        section(
            "causes", "Root causes", *(_root(report, root, trend, past) for root in answer.roots(report))
        ),
        section("undecided", "Undecided", *_undecided(report, trend)),
        section("unexplained", "No known cause explains", _unexplained(report)),
        section("time", "Over time", *_over_time(trend)),
        section("results", "Results by area", _scores(report), *_areas(report)),
        section("client", "MLflow's client", *_client(report)),
        section("trouble", "Our own trouble", _trouble(report)),
        section("run", "This run", facts(_run(report))),
    )


def _contents(sections: Iterable[str]) -> str:
    """Links to the sections, read off their headings."""
    found = (s.partition('<h2 id="')[2].partition("</h2>")[0].partition('" tabindex="-1">') for s in sections)
    links = items(f'<a href="#{name}">{title}</a>' for name, _, title in found)
    return f'<nav aria-label="On this page">\n{links}\n</nav>'


def _main(sections: Iterable[str]) -> str:
    return "\n".join(["<main>", *sections, "</main>"])


def _head(report: Report) -> str:
    tone, words = _OUTCOME[answer.outcome(report)]
    return (
        f'<header><p class="run">{STYLE.slug(report.target)}, run of {moment(report.started_at)}</p>\n'
        f'<h1>{text.html(answer.headline(report))}</h1>\n<p class="state {tone}">{words}</p></header>'
    )


def _foot(report: Report) -> str:
    made = (
        f"hokusai-probe {STYLE.slug(report.tool_version)}, report schema {STYLE.slug(report.schema_version)}"
    )
    return f"<footer><p>{made}. The same as data: <code>test_execution_summary.json</code></p></footer>"


# --- the answer ---------------------------------------------------------------------------------------


def _answer(report: Report, past: Past | None) -> Iterable[str]:
    clear = answer.all_clear(report)
    yield paragraph((answer.clear_line if clear else answer.paragraph)(report, STYLE))
    if not clear:
        yield paragraph(f"{answer.failing(report)}; {percent(report.score.overall.percent)} pass.")
    lacks = items(impact.said(one, STYLE) for one in impact.lacks(report))
    yield under(impact.heading(report), lacks, level=3)
    yield under("What changed, and when", items(since.what_changed(past, STYLE)), level=3)


def _way(report: Report) -> str:
    said = text.html(picture.describe(way.parts(report)))
    legend = "".join(f'<li class="{s}">{picture.MARK[s]}{words}</li>' for s, words in way.MEANING.items())
    return (
        f'<p>{said}</p>\n<div class="scroll" role="region" aria-label="The way of a request" tabindex="0">\n'
        f'{picture.svg(report)}\n</div>\n<ul class="legend">{legend}</ul>'
    )


# --- causes -------------------------------------------------------------------------------------------


def _root(report: Report, root: answer.Root, trend: Trend, past: Past | None) -> str:
    found = root.diagnosis
    return _article(
        _TONE[found.priority],
        f"{_name(found)}: {answer.must_act(found.component)}",
        paragraph(sentence(found.because)),
        facts(_about(report, found)),
        _history(report, found, trend, past),
        under("What to do", *_remedy(report, found)),
        under("Evidence", items(dict.fromkeys(_evidence(e) for e in found.evidence))),
        under("What it explains", folded((_check(report, c) for c in found.explains), "checks")),
        under("What changed there lately", items(_change(c) for c in changes.near(report, found))),
        under("What follows from it", items(_consequence(d) for d in root.consequences)),
    )


def _article(tone: str, title: str, *parts: str) -> str:
    said = "\n".join(p for p in parts if p)
    return f'<article class="{tone}"><h3>{title}</h3>\n{said}\n</article>'


def _name(found: Diagnosis) -> str:
    where = ", ".join(STYLE.prose(subject) for subject in found.subjects)
    return STYLE.slug(found.cause) + (f" ({where})" if where else "")


def _about(report: Report, found: Diagnosis) -> Iterable[tuple[str, str]]:
    yield "Priority", found.priority
    yield "Certainty", found.certainty or "nothing deeper is visible"
    yield "Effort", found.effort
    yield "Owner", STYLE.prose(answer.named_owner(report, found.component))
    yield "Affects also", ", ".join(STYLE.prose(a) for a in found.affected)


def _history(report: Report, found: Diagnosis, trend: Trend, past: Past | None) -> str:
    spells = sorted(trend.causes.get(found.cause, ()), key=lambda s: s.first, reverse=True)
    if spells:
        return under("When it was there", items(_spell(s) for s in spells))
    known = since.cause_since(past, found.cause)
    if known:
        return paragraph(f"Seen since: {text.html(known)}.")
    return paragraph(f"Seen in this run, {moment(report.started_at)}; earlier ones are not known here.")


def _spell(spell: Spell) -> str:
    end = f"to {moment(spell.last)}" if spell.last else "until now"
    good = f" (the last run without it: {moment(spell.last_good)})" if spell.last_good else ""
    return f"{moment(spell.first)} {end}{good}"


def _remedy(report: Report, found: Diagnosis) -> Iterable[str]:
    said, name = found.remedy, found.cause
    if said is None:
        yield paragraph("No remedy is known for this cause.")
    else:
        yield from _typing(said, name)
    yield paragraph("Then see whether it helped:")
    yield copied([answer.verify_command(report, found.cause)], f"is {name} gone")


def _typing(said: Remedy, name: str) -> Iterable[str]:
    yield paragraph(sentence(said.summary))
    yield from _steps("First:", said.before, f"before mending {name}")
    yield paragraph(KIND[said.kind]) if said.aws_cli else ""
    yield copied(said.aws_cli, f"mend {name}")
    yield from _steps("After that:", said.after, f"after mending {name}")
    if said.terraform:
        yield paragraph("The same in Terraform:")
        yield copied([said.terraform], f"Terraform for {name}")
    if said.rollback:
        yield paragraph("To undo it:")
        yield _instruction(said.rollback, f"undo mending {name}")
    if said.also_touches:
        yield paragraph(f"It also touches: {sentence(said.also_touches)}")


def _steps(label: str, steps: Iterable[str], name: str) -> Iterable[str]:
    found = [_instruction(step, name) for step in steps]
    return [paragraph(label), *found] if found else []


def _instruction(said: str, name: str) -> str:
    """A command with its button, or prose, whichever it is."""
    return copied([said], name) if said.startswith(COMMANDS) else paragraph(sentence(said))


def _evidence(item: Evidence) -> str:
    shown = item.value if isinstance(item.value, str) else json.dumps(item.value, ensure_ascii=False)
    value = STYLE.slug(text.clean(text.one_line(shown), _VALUE_CHARACTERS))
    fact = f" {STYLE.slug(item.fact)} = {value}" if item.fact else ""
    return f'{sentence(item.text)} <span class="quiet">({STYLE.slug(item.probe)}{fact})</span>'


def _change(change: Change) -> str:
    things = ", ".join(STYLE.slug(thing) for thing in change.things[:3])
    refused = f", refused: {STYLE.slug(change.error)}" if change.error else ""
    who = STYLE.prose(change.who) or "an unnamed caller"
    said = f"{moment(change.at)}: {STYLE.slug(change.call)} by {who}{refused}"
    return f"{said} ({things})" if things else said


def _consequence(found: Diagnosis) -> str:
    because = sentence(found.because)
    return f"{_name(found)}: goes with the root cause, else {found.component} must act. {because}"


def _undecided(report: Report, trend: Trend) -> Iterable[str]:
    found = report.undecided()
    if found:
        yield paragraph("What was seen fits each of these, and nothing that was looked at settles which.")
    for one in found:
        looks = ", ".join(STYLE.slug(s) for s in dict.fromkeys(s.look for s in one.settled_by))
        commands = dict.fromkeys(s.aws_cli for s in one.settled_by if s.aws_cli)
        yield _article(
            "warn",
            f"{_name(one)}: {one.component} would have to act",
            paragraph(sentence(one.because)),
            _history(report, one, trend, None) if one.cause in trend.causes else "",
            paragraph(f"Settled by the look {looks}." if looks else "No look of ours settles it."),
            copied(commands, f"what settles {one.cause}"),
            under("It would explain", items(_check(report, c) for c in one.explains)),
        )


def _unexplained(report: Report) -> str:
    by_check = {v.check: v for v in report.verdicts}
    return items(_unexplained_check(report, c, by_check.get(c)) for c in report.unexplained)


def _unexplained_check(report: Report, check: str, verdict: Verdict | None) -> str:
    if verdict is None:
        return _check(report, check)
    request = copied([verdict.reproduce], f"see {check}") if verdict.reproduce else ""
    again = copied([answer.verify_command(report, check)], f"look at {check} again")
    return f"{_check(report, check)} {sentence(verdict.reason)}{request}{again}"


def _check(report: Report, check: str) -> str:
    verdict = next((v for v in report.verdicts if v.check == check), None)
    if verdict is None:
        return f"{STYLE.slug(check)} (not asked in this run)"
    return f"{STYLE.slug(check)} ({_state(verdict)}): {sentence(verdict.title)}"


def _state(verdict: Verdict) -> str:
    return "blocked" if verdict.skip_kind == "blocked" else verdict.status


# --- results ------------------------------------------------------------------------------------------


def _over_time(trend: Trend) -> Iterable[str]:
    up = [_figure(series, f"up-{n}") for n, series in enumerate(trend.availability, 1)]
    fast = [_figure(series, f"fast-{n}") for n, series in enumerate(trend.latency, 1)]
    yield under("Served, in percent of what is known of each day", *up, level=3)
    yield under("How fast answers came, by run", *fast, level=3)
    if up or fast:
        yield paragraph("Shaded: nobody looked, or it could not be told.")


def _figure(series: Series, name: str) -> str:
    drawn, said = chart.svg(series, f"chart-{name}"), text.html(chart.describe(series))
    caption = STYLE.prose(series.name)
    return f'<figure><figcaption>{caption}</figcaption>\n{drawn}\n<p class="quiet">{said}</p></figure>'


def _scores(report: Report) -> str:
    named = [(a, report.score.areas[a]) for a in answer.areas_in_order(report) if a in report.score.areas]
    rows = [_score_row(report, *pair) for pair in (*named, ("all areas", report.score.overall))]
    needed = ["Needed"] if report.configuration.criteria else []
    header = ["Area", "Percent", *needed, "Passed", "Failed", "Errors", "Blocked", "Skipped"]
    return table("Checks by area", header, rows) if named else ""


def _score_row(report: Report, area: str, count: AreaScore) -> list[str]:
    counts = (count.passed, count.failed, count.errors, count.blocked, count.skipped)
    return [area, percent(count.percent), *_needed(report, area, count), *map(str, counts)]


def _needed(report: Report, area: str, count: AreaScore) -> list[str]:
    """What the target asks of the area and whether it has it; no cell where it asks nothing of any."""
    if not report.configuration.criteria:
        return []
    wanted = report.configuration.criteria.get(area)
    met = count.percent is not None and wanted is not None and count.percent >= wanted
    return ["" if wanted is None else f"{'✓' if met else '✗'} {percent(wanted)}"]


def _areas(report: Report) -> Iterable[str]:
    for area in answer.areas_in_order(report):
        found = sorted((v for v in report.verdicts if v.area == area), key=_urgency)
        failing = sum(v.status == "fail" for v in found)
        summary = f"{area.capitalize()}: {plural(len(found), 'check')}, {failing} failing"
        lines = "".join(_result(v) for v in found)
        opened = " open" if failing else ""
        yield f'<details{opened}><summary>{summary}</summary>\n<ul class="checks">{lines}</ul></details>'


def _urgency(verdict: Verdict) -> int:
    return ("fail", "error", "blocked", "skip", "pass").index(_state(verdict))


def _result(verdict: Verdict) -> str:
    tone, mark, words = _STATUS[_state(verdict)]
    kind = f" ({verdict.skip_kind})" if verdict.skip_kind not in {None, "blocked"} else ""
    why = f"<br>{sentence(verdict.reason)}" if verdict.reason else ""
    see = copied([verdict.reproduce], f"see {verdict.check}") if verdict.reproduce else ""
    return (
        f'<li><span class="mark {tone}" aria-hidden="true">{mark}</span>{STYLE.slug(verdict.check)} '
        f'<span class="{tone}">{words}{kind}</span>: {sentence(verdict.title)}{why}{see}</li>\n'
    )


def _client(report: Report) -> Iterable[str]:
    working = client.working(report)
    if working:
        yield paragraph("A model was registered with:")
        yield copied((f"export {line}" for line in working), "settings of MLflow's client")
    waits = client.patience(report)
    if waits:
        yield paragraph(text.html(waits))
        lines = (f"export {line}" for line in client.patient_environment(report))
        yield copied(lines, "settings that keep MLflow's client from waiting")


def _trouble(report: Report) -> str:
    return items(
        f"{STYLE.prose(t.where)}: {sentence(t.reason)}{_unjudged(t)}" for t in answer.troubles(report)
    )


def _unjudged(found: answer.Trouble) -> str:
    names = ", ".join(STYLE.slug(c) for c in found.checks)
    return f" Not judged: {names}." if names else ""


def _run(report: Report) -> Iterable[tuple[str, str]]:
    looked = sum(o.status == "seen" for o in report.observations)
    yield "Target", f"{STYLE.slug(report.target)} at {STYLE.slug(report.configuration.hosts.registry)}"
    yield "Started", f"{report.started_at:%Y-%m-%dT%H:%M:%SZ}"
    yield "Took", f"{report.duration_s:.1f} s"
    yield "Triggered by", report.trigger
    yield "Interrupted by", STYLE.prose(report.interrupted or "")
    yield "Commit under test", STYLE.prose(report.verified_sha or "")
    yield "Looks taken", str(looked)
    yield "Requests sent", str(report.requests_sent)
    yield "Accepted here", ", ".join(STYLE.slug(b) for b in report.configuration.accept.behaviours)
