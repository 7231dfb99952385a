"""What a report comes to, before any format: can a model be registered, and if not, who must act. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from hokusai_probe import config, topology
from hokusai_probe.model import Area, Blame, Component, Diagnosis, Owner, Report, Verdict
from hokusai_probe.reports import client

Registration = Literal["yes", "no", "not-tried", "cannot-tell"]

WRITING_HOPS = frozenset({"writes", "artifacts"})
ACCEPTED = "accepted by the target"  # how the engine begins the reason of a failure that [accept] silences
FailOn = Literal["failure", "trouble", "never"]

_SIGNALS: Mapping[str, int] = {"SIGINT": 130, "SIGTERM": 143}
_MEANING: Mapping[int, str] = {
    0: "nothing fails",
    1: "something fails",
    3: "nothing fails, but not everything could be judged",
}


class Style(Protocol):
    """How a format writes a slug, an emphasis and text that came from elsewhere."""

    def slug(self, text: str) -> str:
        """A check, cause or look by name."""

    def strong(self, text: str) -> str:
        """Words of ours that matter most."""

    def prose(self, text: str) -> str:
        """Text that may come from the platform."""


@dataclass(frozen=True, slots=True)
class Root:
    """A present diagnosis that nothing caused, with everything that follows from it."""

    diagnosis: Diagnosis
    consequences: tuple[Diagnosis, ...]


def roots(report: Report) -> tuple[Root, ...]:
    """Present diagnoses in report order; one whose cause is not among them stands for itself."""
    present = report.present()
    slugs = {d.cause for d in present}
    firsts = [d for d in present if d.caused_by not in slugs]
    placed = [Root(d, _following(d, present)) for d in firsts]
    covered = {d.cause for r in placed for d in (r.diagnosis, *r.consequences)}
    return (*placed, *(Root(d, ()) for d in present if d.cause not in covered))


def _following(root: Diagnosis, present: Iterable[Diagnosis]) -> tuple[Diagnosis, ...]:
    rest = [d for d in present if d is not root]
    found: list[Diagnosis] = []
    while new := [
        d for d in rest if d.caused_by in {root.cause, *(f.cause for f in found)} and d not in found
    ]:
        found += new
    return tuple(found)


def blocked(report: Report) -> tuple[Verdict, ...]:
    """Verdicts that wait for a prerequisite that failed."""
    return tuple(v for v in report.verdicts if v.skip_kind == "blocked")


def accepted(report: Report) -> tuple[Verdict, ...]:
    """Verdicts that would fail if the target did not accept the behaviour."""
    return tuple(v for v in report.verdicts if v.status == "skip" and v.reason.startswith(ACCEPTED))


def faulty_looks(report: Report) -> dict[str, str]:
    """Looks that our own trouble stopped, with the reason."""
    return {o.probe: o.reason or "no reason was recorded" for o in report.observations if o.status == "fault"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something of ours that went wrong: where, why, and the checks that could not be judged for it."""

    where: str
    reason: str
    checks: tuple[str, ...] = ()


def troubles(report: Report) -> tuple[Trouble, ...]:
    """Looks that broke, checks that broke of themselves, and whatever else of ours did."""
    faulty = faulty_looks(report)
    errors = report.with_status("error")
    alone: dict[str, list[str]] = {}
    for verdict in errors:
        if verdict.probe not in faulty:
            alone.setdefault(verdict.reason, []).append(verdict.check)
    return (
        *(
            Trouble(f"look {p}", why, tuple(v.check for v in errors if v.probe == p))
            for p, why in faulty.items()
        ),
        *(Trouble("judging", why, tuple(checks)) for why, checks in alone.items()),
        *(Trouble(e.where, e.reason) for e in report.errors),
    )


def sentence(said: str) -> str:
    """The text as a sentence: a capital first, unless a path or a name begins it, and one full stop."""
    said = said.strip()
    first = said.partition(" ")[0]
    said = said[:1].upper() + said[1:] if first.isalpha() else said
    return said if said.endswith((".", "!", "?")) or not said else f"{said}."


def all_clear(report: Report) -> bool:
    """Whether something passed and nothing fails, is blocked, is diagnosed or went wrong on our side."""
    found = report.present() or report.unexplained or blocked(report)
    return bool(report.with_status("pass")) and exit_code(report) == 0 and not found


def ours_alone(report: Report) -> bool:
    """Whether all that is wrong is trouble of whoever looks: it says nothing about the platform."""
    found = roots(report)
    return bool(found) and all(root.diagnosis.component == "probe" for root in found)


def outcome(report: Report) -> Literal[0, 1, 3]:
    """0 nothing fails, 1 something fails, 3 nothing fails but for our own trouble, or nothing was judged."""
    if report.with_status("fail"):
        return 1
    return 3 if _is_troubled(report) or not report.with_status("pass") else 0


def exit_code(report: Report, fail_on: FailOn = "failure") -> int:
    """The exit code of a report, the only place that decides it.

    130 or 143 when a signal cut the run short. Else ``failure``: the outcome. ``trouble``: what fails
    counts for nothing, and 3 when something of ours went wrong, also beside a failure, or when nothing
    was judged. ``never``: 0.
    """
    if report.interrupted is not None:
        return _SIGNALS.get(report.interrupted, 130)
    if fail_on == "failure":
        return outcome(report)
    troubled = _is_troubled(report) or outcome(report) == 3
    return 3 if fail_on == "trouble" and troubled else 0


def _is_troubled(report: Report) -> bool:
    faults = any(o.status == "fault" for o in report.observations)
    return faults or bool(report.with_status("error") or report.errors)


def meaning(report: Report, fail_on: FailOn = "failure") -> str:
    """The exit code in words."""
    code, found = exit_code(report, fail_on), outcome(report)
    if report.interrupted is not None:
        return f"interrupted; so far, {_MEANING[found]}"
    if code == found:
        return _MEANING[found]
    return (
        "our own trouble, and something fails"
        if code
        else f"{_MEANING[found]}, which --fail-on {fail_on} lets pass"
    )


def registration(report: Report) -> Registration:
    """Whether a third party can register a model.

    ``yes`` only where a write went through and no stage is broken; ``no`` also where registration was
    not tried but something it rests on fails.
    """
    stages = [v for v in report.verdicts if v.area == "registration"]
    stuck = _stuck(stages)
    wrote = any(v.status == "pass" and base(v.hop) in WRITING_HOPS for v in stages)
    errors = any(v.status == "error" for v in stages)
    if wrote and not stuck:
        return "cannot-tell" if errors else "yes"
    stuck += [v for v in report.with_status("fail") if carries_registration(v)]
    if stuck:
        return "cannot-tell" if _all_our_trouble(report, stuck) else "no"
    return "cannot-tell" if errors else "not-tried"


def _stuck(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [v for v in verdicts if v.status == "fail" or v.skip_kind == "blocked"]


def carries_registration(verdict: Verdict) -> bool:
    """Whether registering a model rests on the hop that this failing check tests."""
    return verdict.status == "fail" and verdict.hop in topology.foundations("artifacts")


def base(hop: str) -> str:
    """The hop that an aspect belongs to."""
    return hop.partition("/")[0]


def _all_our_trouble(report: Report, stuck: Iterable[Verdict]) -> bool:
    ours = {c for r in roots(report) if r.diagnosis.component == "probe" for c in r.diagnosis.explains}
    return {v.check for v in stuck} <= ours


def must_act(component: Component) -> str:
    """Who must act, as a phrase: the caller and we ourselves are named as people."""
    people = {"client": "you, who use the key, must act", "probe": "we, who look, must act"}
    return people.get(component, f"{component} must act")


def failing(report: Report) -> str:
    """How many of the checks that should have been judged fail, as a clause."""
    count = report.score.overall
    judged = count.passed + count.failed + count.errors + count.blocked
    return f"{count.failed} of {judged} checks {'fails' if count.failed == 1 else 'fail'}"


def owner(report: Report, component: Component) -> Owner:
    """Who the target says mends the component; empty fields where it does not say."""
    return report.configuration.owners.get(component, Owner())


def named_owner(report: Report, component: Component) -> str:
    """Team and contact of a component as one phrase, or nothing."""
    who = owner(report, component)
    return ", ".join(part for part in (who.team, who.contact) if part)


def verify_command(report: Report, slug: str) -> str:
    """The command that takes only the looks that settle this cause or check, its target as it can be typed.

    A report does not say from which file its target came, so a file is called ``path/to/target.toml``.
    """
    return f"hokusai-probe verify {shlex.quote(slug)} {shlex.quote(_typed_target(report))}"


def run_command(report: Report) -> str:
    """The command that repeats the whole run, its target as it can be typed."""
    return f"hokusai-probe run {shlex.quote(_typed_target(report))}"


def _typed_target(report: Report) -> str:
    if report.target in config.shipped():
        return report.target
    url = f"{report.configuration.hosts.registry}{report.configuration.paths.mlflow or ''}"
    try:
        return url if config.from_url(url) == report.configuration else "path/to/target.toml"
    except config.ConfigError:
        return "path/to/target.toml"


_WHOSE: Mapping[Blame, str] = {
    "you": "the caller's: the key, or how it is used",
    "them": "the platform's, not the caller's",
    "policy": "policy: the platform refuses this key what registering needs",
    "network": "the network's, between here and the platform",
    "probe": "this machine's, not the platform's",
}
_SIDE: Mapping[Component, Blame] = {"client": "you", "probe": "probe"}


def whose(report: Report) -> str:
    """Whose trouble keeps a model from being registered, as a sentence; empty where nothing does.

    What the stuck checks are blamed on; without that, who answered them: a server error is the platform's
    whatever its cause, and a refusal may be either side's.
    """
    stuck = _keeping_from_registering(report)
    if not stuck:
        return ""
    blames = list(dict.fromkeys(v.blame for v in stuck if v.blame)) or _sides(report)
    if blames:
        return f"The trouble is {_sides_in_words(blames)}."
    status = _status_of_search(report)
    if status is not None and (status >= 500 or status == 404):
        return f"The trouble is {_WHOSE['them']}, though its cause could not be named."
    return "Whose trouble it is was not settled."


def _sides_in_words(blames: list[Blame]) -> str:
    """One side with what that means; several by their names alone."""
    if len(blames) == 1:
        return _WHOSE[blames[0]]
    return " and ".join(_WHOSE[blame].partition(",")[0].partition(":")[0] for blame in blames)


def _sides(report: Report) -> list[Blame]:
    """Whose trouble the root causes are; without one, what all undecided causes agree on."""
    present = [_SIDE.get(r.diagnosis.component, "them") for r in roots(report)]
    undecided = {_SIDE.get(d.component, "them") for d in report.undecided()}
    return list(dict.fromkeys(present)) or (list(undecided) if len(undecided) == 1 else [])


def _keeping_from_registering(report: Report) -> list[Verdict]:
    if registration(report) not in {"no", "cannot-tell"}:
        return []
    stages = (v for v in report.verdicts if v.area == "registration")
    return [*_stuck(stages), *(v for v in report.with_status("fail") if carries_registration(v))]


def _status_of_search(report: Report) -> int | None:
    """What the first request of every client was answered, None where no answer came or none was asked."""
    facts = next((o.facts for o in report.observations if o.probe == "mlflow-api"), None)
    answered = getattr(facts, "search", None)
    status: int | None = answered.get("status") if isinstance(answered, Mapping) else None
    return getattr(answered, "status", status)


# --- the answer in words --------------------------------------------------------------------------------


def paragraph(report: Report, style: Style) -> str:
    """The answer in plain words: can a third party register a model, and if not, who must act."""
    first = (_first(report, style), whose(report), _with_client(report, style))
    sentences = (*first, _acting(report, style), _open(report, style), _cut(report, style))
    return " ".join(s for s in sentences if s)


def clear_line(report: Report, style: Style) -> str:
    """All clear in one line, with what was not looked at: silence is not health."""
    count = report.score.overall
    said = {
        "yes": "a third party can register a model",
        "not-tried": "registering a model was not tried",
    }.get(registration(report), "whether a model can be registered is not known")
    skipped = f", {count.skipped} not looked at" if count.skipped else ""
    return (
        f"{style.strong('All clear:')} {count.passed} checks of {style.slug(report.target)} pass"
        f"{skipped}; {said}{_with_variables(report, style)}{_accepting(report, style)}."
    )


def _with_variables(report: Report, style: Style) -> str:
    """The client's variables that worked, as the end of a clause."""
    variables = client.working(report)
    return f", and MLflow's client did with {style.slug(' '.join(variables))}" if variables else ""


def _with_client(report: Report, style: Style) -> str:
    variables = client.working(report)
    return f"MLflow's client registered one with {style.slug(' '.join(variables))}." if variables else ""


def _accepting(report: Report, style: Style) -> str:
    behaviours = report.configuration.accept.behaviours
    return f"; accepted here: {slugs(behaviours, style)}" if behaviours else ""


def headline(report: Report) -> str:
    """The answer in one phrase that ends without a full stop."""
    return {
        "yes": "Yes: a third party can register a model",
        "no": f"No: {_with_this_key(report)} register a model",
        "not-tried": "Not tried: no model was registered",
        "cannot-tell": "Not known: our own trouble kept this run from judging",
    }[registration(report)]


def _first(report: Report, style: Style) -> str:
    head = f"{style.strong(headline(report))} at {style.slug(report.target)}"
    broken = [v for v in report.verdicts if v.area == "registration" and v.status == "fail"]
    broken = (
        broken or [v for v in report.with_status("fail") if carries_registration(v)] or [*blocked(report)]
    )
    match registration(report):
        case "no":
            return f"{head}{_cited(broken, style, 'not passed')}."
        case "yes":
            stages = [v for v in report.with_status("pass") if v.area == "registration"]
            return f"{head}{_cited(stages, style, 'passed')}."
        case "not-tried":
            return f"{head}{_not_tried(report, style)}."
        case _:
            return f"{head}{_cited(report.with_status('error'), style, 'not judged')}."


def _with_this_key(report: Report) -> str:
    found = [r.diagnosis.component for r in roots(report)]
    only_client = bool(found) and set(found) == {"client"}
    return "with the key that was used nobody can" if only_client else "a third party cannot"


def _not_tried(report: Report, style: Style) -> str:
    stages = [v for v in report.verdicts if v.area == "registration" and v.status == "skip"]
    cite = _cited(stages, style, "not looked at")
    rests = "" if outcome(report) == 3 else "; nothing that it rests on was seen to fail"
    return f"{cite}{rests}"


def _cited(verdicts: Iterable[Verdict], style: Style, word: str) -> str:
    names = [v.check for v in verdicts]
    return f" ({word}: {slugs(names[:3], style)}{_more(len(names) - 3)})" if names else ""


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def slugs(names: Iterable[str], style: Style) -> str:
    """Names as a comma-separated list."""
    return ", ".join(style.slug(name) for name in names)


def _acting(report: Report, style: Style) -> str:
    by_component: dict[Component, list[str]] = {}
    for root in roots(report):
        by_component.setdefault(root.diagnosis.component, []).append(root.diagnosis.cause)
    return " ".join(_must_act(report, c, causes, style) for c, causes in by_component.items())


def _must_act(report: Report, component: Component, causes: list[str], style: Style) -> str:
    who = named_owner(report, component)
    team = f" ({style.prose(who)})" if who else ""
    if component in {"client", "probe"}:
        return f"{must_act(component).capitalize()}: {slugs(causes, style)}."
    return f"{style.strong(component)}{team} must act: {slugs(causes, style)}."


def _open(report: Report, style: Style) -> str:
    names = [d.cause for d in report.undecided()]
    parts = []
    if names:
        parts.append(f"Not decided between or beside these: {slugs(names, style)}.")
    if report.unexplained:
        count = len(report.unexplained)
        checks = "check fits" if count == 1 else "checks fit"
        more = _more(count - 3)
        parts.append(
            f"{count} {checks} no known cause: {slugs(report.unexplained[:3], style)}{more}; "
            "somebody must look."
        )
    return " ".join(parts)


def _cut(report: Report, style: Style) -> str:
    if report.interrupted is None:
        return ""
    return (
        f"The run was interrupted ({style.slug(report.interrupted)}), so more may be wrong than is said here."
    )


def areas_in_order(report: Report) -> tuple[Area, ...]:
    """Areas with verdicts, in the order in which people ask for them."""
    found = {v.area for v in report.verdicts}
    order: tuple[Area, ...] = (
        "infrastructure", "authentication", "proxy", "registration", "errors", "performance",
        "resilience", "data", "audit",
    )  # fmt: skip
    return tuple(area for area in order if area in found)
