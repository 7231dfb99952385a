"""Grading the diagnosis on known faults, beside a baseline that reads status codes only. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from pydantic import Field

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.model import Frozen, Report
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.topology import SERVICE_OF_HOST

Mode = Literal["aws", "no-aws"]
Heal = Literal["healed", "not", "n/a"]


class WithoutAws(Frozen):
    """What is expected of a run without AWS, where the default does not fit."""

    causes: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unexplained: bool = False


class Expectation(Frozen):
    """What a scenario expects of a run against it (the contract's ``[expect]``)."""

    causes: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unexplained: bool = False
    accept: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    without_aws: WithoutAws | None = None


class Grade(Frozen):
    """How one run against one scenario compares with what was expected.

    ``seconds``: the run's time. ``unknown``: expected causes that this version cannot name; they are missed.
    ``put_in``: the causes that the scenario puts in, whatever may be expected of a run without AWS.
    ``heal``: what came of carrying the remedies out; ``n/a`` where one needs a person, None: not tried.
    """

    name: str
    mode: Mode
    expected: tuple[str, ...]
    put_in: tuple[str, ...] = ()
    present: tuple[str, ...]
    undecided: tuple[str, ...]
    unexplained: tuple[str, ...]
    right: bool
    false_causes: tuple[str, ...]
    missed: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    component_right: bool
    seconds: float
    heal: Heal | None = None
    baseline_present: tuple[str, ...]


class Ran(Frozen):
    """One command as it was printed, its exit code, and the end of what it said on standard error."""

    command: str
    exit_code: int
    said: str = ""


class Healed(Frozen):
    """What became of a platform whose remedies were carried out, in this order.

    ``outcome``: ``n/a`` where a remedy needs a person, ``healed`` where all is well afterwards. ``causes``:
    whose remedies were carried out. ``left``: causes that are present at the end. ``seconds`` to the end.
    """

    outcome: Heal
    causes: tuple[str, ...] = ()
    ran: tuple[Ran, ...] = ()
    left: tuple[str, ...] = ()
    seconds: float = 0.0


class Swept(Frozen):
    """One scenario: what is expected, the fake key that was used, and what was seen with AWS and without.

    ``healed``: what came of carrying the remedies out, None where that was not tried.
    """

    name: str
    expect: Expectation
    key: str
    aws: Report
    no_aws: Report
    healed: Healed | None = None

    def seen(self, mode: Mode) -> Report:
        """The run of one mode."""
        return self.aws if mode == "aws" else self.no_aws


class Totals(Frozen):
    """Sums over the graded runs. ``abstained``: expected causes that were left undecided."""

    scenarios: int
    right: int
    false_causes: int
    missed: int
    abstained: int
    component_right: int
    healed: int
    healable: int
    baseline_right: int
    baseline_false: int


class Graded(Frozen):
    """All grades of one go and their sums."""

    scenarios: tuple[Grade, ...]
    totals: Totals


def grade(name: str, mode: Mode, expected: Expectation, report: Report, catalogue: Catalogue) -> Grade:
    """Compare the diagnoses of a run with what its scenario expects."""
    present = tuple(d.cause for d in report.roots())
    undecided = tuple(d.cause for d in report.undecided())
    wanted, lenient = _wanted(mode, expected, catalogue)
    false = tuple(c for c in present if not _expected(c, (*wanted, *lenient), expected.accept))
    left_open = undecided if mode == "no-aws" and expected.without_aws is None else ()
    missed = tuple(c for c in wanted if not _met(c, (*present, *left_open), expected.accept))
    return Grade(
        name=name,
        mode=mode,
        expected=wanted,
        put_in=expected.causes,
        present=present,
        undecided=undecided,
        unexplained=report.unexplained,
        right=not false and not missed and _rest_right(mode, expected, report),
        false_causes=false,
        missed=missed,
        unknown=tuple(c for c in wanted if c not in catalogue.causes),
        component_right=_components_right(mode, expected, report, catalogue),
        seconds=report.duration_s,
        baseline_present=tuple(sorted(set(baseline(report)))),
    )


def _wanted(
    mode: Mode, expected: Expectation, catalogue: Catalogue
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The causes that must be named, and those that may be beside them: masked ones seen after all, say."""
    if mode == "aws":
        return expected.causes, expected.unseen
    if expected.without_aws is not None:
        return expected.without_aws.causes, expected.without_aws.unseen
    entailed = (e for c in expected.causes if c in catalogue.causes for e in catalogue.causes[c].entails)
    return expected.causes, (*expected.unseen, *(e for e in entailed if e.endswith("-down")))


def _expected(cause: str, wanted: Iterable[str], accept: Mapping[str, tuple[str, ...]]) -> bool:
    return any(cause == w or cause in accept.get(w, ()) for w in wanted)


def _met(wanted: str, found: Iterable[str], accept: Mapping[str, tuple[str, ...]]) -> bool:
    return any(f == wanted or f in accept.get(wanted, ()) for f in found)


def _rest_right(mode: Mode, expected: Expectation, report: Report) -> bool:
    """What must be undecided is, what is masked is not denied, and what is unexplained is as expected."""
    wish = expected.without_aws if mode == "no-aws" and expected.without_aws else expected
    undecided = {d.cause for d in report.undecided()}
    denied = {d.cause for d in report.diagnoses if d.status == "ruled_out"}
    open_ones = set(wish.undecided) if mode == "aws" or expected.without_aws else set()
    return (
        open_ones <= undecided
        and not set(wish.unseen) & denied
        and wish.unexplained == bool(report.unexplained)
    )


def _components_right(mode: Mode, expected: Expectation, report: Report, catalogue: Catalogue) -> bool:
    """With AWS exactly the components that must act; without, each is among the present or undecided."""
    present = {d.component for d in report.roots()}
    if mode == "aws":
        return present == set(expected.components)
    if expected.without_aws is None:
        wanted = set(expected.components)
    else:
        named = (*expected.without_aws.causes, *expected.without_aws.undecided)
        wanted = {catalogue.causes[c].component for c in named if c in catalogue.causes}
    return wanted <= present | {d.component for d in report.undecided()}


def total(grades: Iterable[Grade]) -> Graded:
    """The grades with their sums."""
    found = tuple(grades)
    return Graded(
        scenarios=found,
        totals=Totals(
            scenarios=len(found),
            right=sum(g.right for g in found),
            false_causes=sum(len(g.false_causes) for g in found),
            missed=sum(len(g.missed) for g in found),
            abstained=sum(len(set(g.expected) & set(g.undecided)) for g in found),
            component_right=sum(g.component_right for g in found),
            healed=sum(g.heal == "healed" for g in found),
            healable=sum(g.heal in {"healed", "not"} for g in found),
            baseline_right=sum(set(g.baseline_present) == set(g.expected) for g in found),
            baseline_false=sum(len(set(g.baseline_present) - set(g.expected)) for g in found),
        ),
    )


# --- the kill matrix --------------------------------------------------------------------------------


def kill_matrix(runs: Iterable[Swept], catalogue: Catalogue) -> dict[str, dict[str, tuple[str, ...]]]:
    """Which check fails because of which cause: check -> cause -> names of scenarios, all sorted.

    A failure counts only where a cause that the scenario expects explains that check. A check without an
    entry was never seen to fail for a reason, so nothing is known of what it would notice.
    """
    found: dict[str, dict[str, list[str]]] = {slug: {} for slug in sorted(catalogue.checks)}
    for run in runs:
        for check, cause in _kills(run):
            found[check].setdefault(cause, []).append(run.name)
    return {
        check: {cause: tuple(sorted(names)) for cause, names in sorted(by.items())}
        for check, by in found.items()
    }


def _kills(run: Swept) -> Iterator[tuple[str, str]]:
    failing = {v.check for v in run.aws.verdicts if v.status in {"fail", "error"}}
    for diagnosis in run.aws.present():
        if diagnosis.cause in run.expect.causes:
            yield from ((check, diagnosis.cause) for check in sorted(failing & set(diagnosis.explains)))


# --- the baseline ------------------------------------------------------------------------------------


def baseline(report: Report) -> Iterator[str]:
    """What a reader of status codes alone would say; fixed by the design, so that it is no straw man."""
    for service, required, with_key, answer in _answers(report):
        yield from _by_status(service, answer, required=required, with_key=with_key)


def _by_status(service: str, answer: Answer, *, required: bool, with_key: bool) -> Iterator[str]:
    match answer.status:
        case 404 if required:
            yield "listener-rule-missing"
        case 502:
            yield "auth-service-down" if service == "auth" else f"{service}-down"
        case 503:
            yield "ecs-service-missing"
        case 504:
            yield "security-group-blocks-load-balancer"
        case 401 if with_key:
            yield "key-unknown-or-expired"
        case 403:
            yield "key-lacks-scope"
        case 500:
            yield "mlflow-down"


def _answers(report: Report) -> Iterator[tuple[str, bool, bool, Answer]]:
    """(service, whether the path must exist, whether a good key was sent, answer) of what was asked."""
    for observation in report.observations:
        match observation.facts:
            case HostsFacts(hosts=hosts):
                yield from ((SERVICE_OF_HOST[n], True, False, h.health) for n, h in hosts.items())
            case PublicPathsFacts(public=public, required=required):
                yield from (("gateway", True, False, a) for a in (*public, *required))
            case KeyFormsFacts(answers=answers):
                yield ("gateway", False, True, answers["bearer"])
            case MlflowApiFacts(search=search):
                yield ("gateway", True, True, search)
            case RegistrationFacts() as facts:
                tried = (facts.experiment, facts.run, facts.model, facts.upload)
                yield from (("mlflow", True, True, a) for a in tried if a is not None)
