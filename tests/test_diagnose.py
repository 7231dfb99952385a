"""From verdicts to causes: made-up causes over the real topology, and properties of any of them."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from _facts import TARGET
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe import topology
from hokusai_probe.declare import Case, Catalogue, Cause, Claim, Parameter
from hokusai_probe.diagnose import Conclusion, blamed, diagnose
from hokusai_probe.model import Diagnosis, Error, Evidence, Facts, Observation, Remedy, Settling, Verdict

WHEN = datetime(2025, 8, 5, tzinfo=UTC)
TELLING = "telling"


class Nothing(Facts):
    """Facts of a look that no run takes."""


def claims(*holds: object) -> tuple[Claim, ...]:
    """Claims by what they come to: True, False, None, or a telling one that holds."""
    return tuple(
        Claim(
            text=f"claim {i}",
            holds=True if h is TELLING else h,
            probe=f"look-{i}",
            fact="port",
            value=i,
            telling=h is TELLING,
            aws_cli=f"aws {i}",
        )
        for i, h in enumerate(holds)
    )


def case(breaks: str, *holds: object, subject: str = "it", **more: Any) -> Case:
    """One case; ``breaks`` names hops, by blanks."""
    return Case(subject=subject, breaks=tuple(breaks.split()), claims=claims(*holds), **more)


def cause(slug: str, *cases: Case | Exception, **more: Any) -> Cause:
    """A made-up cause that yields these cases, or raises."""

    def says(**_: object) -> Iterable[Case]:
        for one in cases:
            if isinstance(one, Exception):
                raise one
            yield one

    given = {
        "component": "gateway",
        "blame": "them",
        "priority": "high",
        "effort": "hours",
        "sensitive": False,
    }
    given |= {
        "fallback": False,
        "entails": (),
        "look_alikes": {},
        "source": "made up",
        "parameters": (),
    } | more
    return Cause(slug=slug, title=slug, doc=slug, function=says, **given)


def broken(hop: str, *, check: str = "", status: str = "fail", **more: Any) -> Verdict:
    """A verdict in trouble at a hop; its slug is the hop unless given."""
    return Verdict(
        check=check or hop,
        title=hop,
        area="proxy",
        component=topology.component(hop),
        hop=hop,
        status=status,
        probe="p",
        **more,
    )


def conclude(causes: Iterable[Cause], *verdicts: Verdict, seen: Sequence[Observation] = ()) -> Conclusion:
    """What these causes make of these verdicts."""
    found = Catalogue(probes={}, checks={}, causes={c.slug: c for c in causes})
    return diagnose(found, seen, verdicts, TARGET)


def told(found: Conclusion) -> list[str]:
    """Status, certainty, cause and what it explains, one line each, in report order."""
    return [
        f"{d.status}{f'/{d.certainty}' if d.certainty else ''} {d.cause}: {' '.join(d.explains)}".rstrip()
        for d in found.diagnoses
    ]


AUTH, API, RULE = broken("public.auth"), broken("mlflow-api"), broken("rule.api")

# name: causes, verdicts, what is told, what stays unexplained
STORIES: dict[str, tuple[list[Cause], list[Verdict], list[str], tuple[str, ...]]] = {
    "nothing is wrong": ([cause("a", case("auth", False))], [], ["ruled_out a:"], ()),
    "nothing fits": ([], [AUTH, API], [], ("mlflow-api", "public.auth")),
    "proof explains what lies behind the hop": (
        [cause("a", case("target-group.auth", True, TELLING))],
        [AUTH, API, RULE],
        ["present/confirmed a: mlflow-api public.auth"],
        ("rule.api",),
    ),
    "proof without any trouble is still proof": (
        [cause("a", case("auth", TELLING))],
        [],
        ["present/confirmed a:"],
        (),
    ),
    "proof beats what would explain the same": (
        [
            cause("a", case("auth", TELLING)),
            cause("b", case("auth", True)),
            cause("c", case("auth", True, None)),
        ],
        [AUTH],
        ["present/confirmed a: public.auth"],
        (),
    ),
    "proof leaves room for another fault": (
        [cause("a", case("auth", TELLING)), cause("b", case("rule.api", True))],
        [AUTH, RULE],
        ["present/confirmed a: public.auth", "present/likely b: rule.api"],
        (),
    ),
    "one claim against it outweighs proof": (
        [cause("a", case("auth", TELLING, False))],
        [AUTH],
        ["ruled_out a:"],
        ("public.auth",),
    ),
    "ruled out only when every case is": (
        [cause("a", case("auth", False), case("gateway", None, subject="b"))],
        [AUTH],
        [],
        ("public.auth",),
    ),
    "hidden is not denied, and nothing for it is not suspicion": (
        [cause("a", case("auth", None, None))],
        [AUTH],
        [],
        ("public.auth",),
    ),
    "a tie is undecided": (
        [cause("a", case("auth", True)), cause("b", case("auth", True))],
        [AUTH],
        ["undecided a: public.auth", "undecided b: public.auth"],
        (),
    ),
    "the only settled explanation is likely": (
        [cause("a", case("auth", True))],
        [AUTH],
        ["present/likely a: public.auth"],
        (),
    ),
    "a candidate with something unsettled is never an answer": (
        [cause("a", case("auth", True, None))],
        [AUTH],
        ["undecided a: public.auth"],
        (),
    ),
    "an unsettled rival keeps the settled one open": (
        [cause("a", case("auth", True)), cause("b", case("auth", True, None))],
        [AUTH],
        ["undecided a: public.auth", "undecided b: public.auth"],
        (),
    ),
    "one cause for all beats two for parts": (
        [cause("a", case("network", True))],
        [AUTH, RULE],
        ["present/likely a: public.auth rule.api"],
        (),
    ),
    "a rival for a part keeps the whole open": (
        [cause("a", case("network", True)), cause("b", case("rule.api", True))],
        [AUTH, RULE],
        ["undecided a: public.auth rule.api", "undecided b: rule.api"],
        (),
    ),
    "two independent settled causes are both likely": (
        [cause("a", case("auth", True)), cause("b", case("rule.api", True))],
        [AUTH, RULE],
        ["present/likely a: public.auth", "present/likely b: rule.api"],
        (),
    ),
    "a candidate that would explain nothing is not mentioned": (
        [cause("a", case("storage", True))],
        [AUTH],
        [],
        ("public.auth",),
    ),
    "a fallback answers where nothing deeper does": (
        [cause("auth-down", case("auth", True), fallback=True)],
        [AUTH],
        ["present/likely auth-down: public.auth"],
        (),
    ),
    "a fallback stands beside the deeper ones that are open, without certainty": (
        [cause("a", case("target-group.auth", True, None)), cause("down", case("auth", True), fallback=True)],
        [AUTH],
        ["present down: public.auth", "undecided a: public.auth"],
        (),
    ),
    "a fallback gives way to proof": (
        [cause("a", case("target-group.auth", TELLING)), cause("down", case("auth", True), fallback=True)],
        [AUTH],
        ["present/confirmed a: public.auth"],
        (),
    ),
    "a fallback gives way to the likely": (
        [cause("a", case("target-group.auth", True)), cause("down", case("auth", True), fallback=True)],
        [AUTH],
        ["present/likely a: public.auth"],
        (),
    ),
    "a fallback is ruled out like any other": (
        [cause("down", case("auth", False), fallback=True)],
        [RULE],
        ["ruled_out down:"],
        ("rule.api",),
    ),
    "of two fallbacks the one that explains more": (
        [
            cause("auth-down", case("auth", True), fallback=True),
            cause("mlflow-down", case("mlflow", True), fallback=True),
        ],
        [AUTH, API],
        ["present/likely auth-down: mlflow-api public.auth"],
        (),
    ),
    "two fallbacks for different things": (
        [
            cause("auth-down", case("auth", True), fallback=True),
            cause("mlflow-down", case("mlflow", True), fallback=True),
        ],
        [AUTH, broken("target-group.mlflow")],
        ["present/likely auth-down: public.auth", "present/likely mlflow-down: target-group.mlflow"],
        (),
    ),
    "blocked checks share the explanation of what they waited for": (
        [cause("a", case("auth", TELLING))],
        [AUTH, broken("storage", status="skip", skip_kind="blocked", waited_for="public.auth")],
        ["present/confirmed a: public.auth storage"],
        (),
    ),
    "a blocked check by itself wants explaining too": (
        [cause("a", case("auth", TELLING))],
        [broken("storage", status="skip", skip_kind="blocked", waited_for="other")],
        ["present/confirmed a:"],
        ("storage",),
    ),
    "errors and other skips of theirs want no explaining": (
        [cause("a", case("auth", True))],
        [
            broken("public.auth", status="error"),
            broken("auth", status="skip", skip_kind="cannot-tell"),
            broken("public.auth", check="c", status="pass"),
        ],
        [],
        (),
    ),
    "our own side is explained by our own causes": (
        [cause("no-credentials", case("aws", TELLING), component="probe")],
        [broken("aws", status="error")],
        ["present/confirmed no-credentials: aws"],
        (),
    ),
    "two subjects are one diagnosis": (
        [
            cause(
                "a",
                case("ecs.auth", TELLING, subject="auth"),
                case("ecs.gateway", TELLING, subject="gateway"),
            )
        ],
        [AUTH, broken("public.api")],
        ["present/confirmed a: public.api public.auth"],
        (),
    ),
    "one subject proven, the other open": (
        [cause("a", case("ecs.auth", TELLING, subject="auth"), case("rule.api", True, None, subject="api"))],
        [AUTH, RULE],
        ["present/confirmed a: public.auth", "undecided a: rule.api"],
        (),
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_the_evidence_comes_to(story: str) -> None:
    """Each rule of the reasoning in one small case."""
    causes, verdicts, expected, unexplained = STORIES[story]
    found = conclude(causes, *verdicts)
    assert (told(found), found.unexplained, found.errors) == (expected, unexplained, ())


def test_an_independent_rivalry_does_not_unsettle_a_sure_answer() -> None:
    """``a`` alone explains the rule; that ``b`` and ``c`` tie over auth changes nothing about it."""
    causes = [
        cause("a", case("rule.api", True)),
        cause("b", case("auth", True)),
        cause("c", case("auth", True)),
    ]
    assert told(conclude(causes, AUTH, RULE)) == [
        "present/likely a: rule.api",
        "undecided b: public.auth",
        "undecided c: public.auth",
    ]


def test_a_cause_that_raises_is_an_error_and_stops_nothing() -> None:
    """Also in the middle of its cases: none of them counts."""
    causes = [cause("a", case("auth", TELLING), KeyError("port")), cause("b", case("rule.api", TELLING))]
    found = conclude(causes, AUTH, RULE)
    assert told(found) == ["present/confirmed b: rule.api"]
    assert found.unexplained == ("public.auth",)
    assert found.errors == (Error(where="cause a", reason="a itself failed: KeyError: 'port'"),)


def test_a_cause_whose_facts_were_not_seen_is_not_asked() -> None:
    """It is neither suspected nor denied."""
    wants = (Parameter("facts", Nothing, optional=False),)
    found = conclude([cause("a", KeyError("never"), parameters=wants)], AUTH)
    assert found == Conclusion((), ("public.auth",), ())


def entailing(deep: list[Case], shallow: list[Case], *, entails: bool = True) -> list[tuple[str, ...]]:
    """What is said of ``deep`` and of ``shallow``, both proven: slug, what caused it, subjects."""
    found = conclude([
        cause("deep", *deep, entails=("shallow",) if entails else ()),
        cause("shallow", *shallow, priority="critical"),
    ])  # fmt: skip
    return [(d.cause, d.caused_by or "", " ".join(d.subjects)) for d in found.diagnoses]


def at(subjects: str, hop: str = "ecs", **more: Any) -> list[Case]:
    """A proven case for each subject; each breaks a hop of its own."""
    return [case(f"{hop}.{s}", TELLING, subject=s, **more) for s in subjects.split()]


@pytest.mark.parametrize(
    ("subjects", "consequences", "told"),
    [
        ("auth", "auth", [("deep", "", "auth"), ("shallow", "deep", "auth")]),
        ("auth gateway", "auth", [("deep", "", "auth gateway"), ("shallow", "deep", "auth")]),
        (
            "auth",
            "auth gateway",
            [("shallow", "", "gateway"), ("deep", "", "auth"), ("shallow", "deep", "auth")],
        ),
        ("auth", "gateway", [("shallow", "", "gateway"), ("deep", "", "auth")]),
    ],
)
def test_a_cause_that_another_entails_is_its_consequence(
    subjects: str, consequences: str, told: list[tuple[str, ...]]
) -> None:
    """At each subject by itself: what the deeper one is not at stays a root, and roots come first."""
    assert entailing(at(subjects), at(consequences, "network")) == told


def test_what_breaks_on_top_of_what_a_deeper_one_breaks_is_its_consequence() -> None:
    """Whatever the two are called that they are about: the database, and MLflow that rests on it."""
    deep = [case("database", TELLING, subject="database")]
    on_top = [case("mlflow mlflow-to-database", TELLING, subject="mlflow")]
    assert entailing(deep, on_top) == [("deep", "", "database"), ("shallow", "deep", "mlflow")]
    beside = [case("mlflow storage", TELLING, subject="mlflow")]
    assert entailing(deep, beside) == [("shallow", "", "mlflow"), ("deep", "", "database")]
    assert entailing(deep, on_top, entails=False) == [("shallow", "", "mlflow"), ("deep", "", "database")]


def test_what_two_services_break_both_is_not_the_doing_of_one() -> None:
    """That the deployments of both went wrong is not because those of one did."""
    deep = [case("ecs.auth deployments/rollout", TELLING, subject="auth")]
    shallow = [case("deployments/rollout", TELLING, subject=s) for s in ("auth", "gateway")]
    assert entailing(deep, shallow) == [
        ("shallow", "", "gateway"),
        ("deep", "", "auth"),
        ("shallow", "deep", "auth"),
    ]


def test_a_case_says_what_else_is_its_doing() -> None:
    """It names cause and subject; the same cause at another subject stays a root."""
    deep = [case("cache", TELLING, subject="cache", covers={"shallow": ("gateway",)})]
    assert entailing(deep, at("gateway auth"), entails=False) == [
        ("shallow", "", "auth"),
        ("deep", "", "cache"),
        ("shallow", "deep", "gateway"),
    ]


def test_present_come_roots_first_by_priority_then_by_name() -> None:
    """Then the undecided, then what is ruled out."""
    causes = [
        cause("z", case("auth", TELLING), priority="critical"),
        cause("b", case("auth", TELLING), priority="low"),
        cause("a", case("auth", TELLING), priority="low"),
        cause("o", case("rule.api", True, None)),
        cause("n", case("auth", False)),
    ]
    assert [f"{d.status} {d.cause}" for d in conclude(causes, AUTH, RULE).diagnoses] == [
        *("present z", "present a", "present b", "undecided o", "ruled_out n"),
    ]


def test_the_whole_of_a_diagnosis() -> None:
    """Two subjects with remedies: one diagnosis, evidence of both, commands in order, prose said once."""
    remedy = Remedy(kind="automatic", summary="Register it.", aws_cli=("one",), rollback="back", verify="v")
    other = remedy.model_copy(update={"kind": "needs-value", "aws_cli": ("one", "two"), "rollback": "undo"})
    found = conclude(
        [
            cause(
                "a",
                case("ecs.auth", True, TELLING, subject="b", remedy=remedy),
                case("ecs.auth", TELLING, subject="a", remedy=other),
                component="ecs",
                sensitive=True,
            )
        ],
        AUTH,
        API,
    )
    assert found.diagnoses == (
        Diagnosis(
            cause="a",
            component="ecs",
            affected=("auth", "gateway"),
            subjects=("a", "b"),
            status="present",
            certainty="confirmed",
            because="claim 1; claim 0",
            evidence=tuple(
                Evidence(probe=f"look-{i}", fact="port", value=i, text=f"claim {i}") for i in (0, 1, 0)
            ),
            explains=("mlflow-api", "public.auth"),
            priority="high",
            effort="hours",
            sensitive=True,
            remedy=Remedy(
                kind="needs-value",
                summary="Register it.",
                aws_cli=("one", "two"),
                rollback="back\nundo",
                verify="v",
            ),
        ),
    )


def test_what_is_undecided_says_what_would_settle_it() -> None:
    """Each open claim's look and command, once; what holds already is the reason for suspecting it."""
    causes = [cause("a", case("auth", True, None), case("auth", True, None, None, subject="b"))]
    (found,) = conclude(causes, AUTH).diagnoses
    assert (found.because, found.subjects) == ("claim 0", ("b", "it"))
    assert found.settled_by == (
        Settling(look="look-1", aws_cli="aws 1"),
        Settling(look="look-2", aws_cli="aws 2"),
    )


def test_what_is_ruled_out_says_why() -> None:
    """The claims against it, each once; it explains nothing."""
    causes = [cause("a", case("auth", True, False), case("auth", None, False, False, subject="b"))]
    (found,) = conclude(causes, AUTH).diagnoses
    assert (found.status, found.because) == ("ruled_out", "it does not hold that claim 1; nor that claim 2")
    assert (found.explains, found.evidence, found.remedy) == ((), (), None)


BLAMES: list[tuple[list[Cause], str | None]] = [
    (
        [
            cause("down", case("auth", True), blame="them", fallback=True),
            cause("a", case("auth", True, None), blame="you"),
        ],
        "them",
    ),
    ([], None),
    ([cause("a", case("auth", TELLING), blame="you")], "you"),
    ([cause("a", case("auth", TELLING), blame="you"), cause("b", case("auth", True), blame="them")], "you"),
    ([cause("a", case("auth", TELLING), blame="you"), cause("b", case("auth", TELLING), blame="them")], None),
    ([cause("a", case("auth", True), blame="you"), cause("b", case("auth", True), blame="you")], "you"),
    ([cause("a", case("auth", True), blame="you"), cause("b", case("auth", True), blame="them")], None),
]


@pytest.mark.parametrize(("causes", "blame"), BLAMES)
def test_blame_is_given_where_all_explanations_agree(causes: list[Cause], blame: str | None) -> None:
    """Present ones outweigh undecided ones; a pass is nobody's fault."""
    found = Catalogue({}, {}, {c.slug: c for c in causes})
    well = broken("auth", status="pass")
    verdicts = blamed(found, (AUTH, well), conclude(causes, AUTH).diagnoses)
    assert verdicts == (AUTH.model_copy(update={"blame": blame}), well)


# --- properties ---------------------------------------------------------------------------------------

HOPS = sorted(topology.HOPS)
holding = st.sampled_from([True, False, None, TELLING])
cases = st.builds(
    lambda hops, holds, subject: case(" ".join(hops), *holds, subject=subject),
    st.lists(st.sampled_from(HOPS), min_size=1, max_size=2),
    st.lists(holding, min_size=1, max_size=3),
    st.sampled_from(["a", "b", "c"]),
)
one_cause = st.tuples(st.lists(cases, min_size=1, max_size=2, unique_by=lambda c: c.subject), st.booleans())
some_causes = st.lists(one_cause, max_size=6).map(
    lambda found: [cause(f"c{i}", *given, fallback=f) for i, (given, f) in enumerate(found)]
)
troubles = st.lists(st.sampled_from(HOPS), max_size=6, unique=True).map(
    lambda hops: [broken(h) for h in hops]
)


def essence(found: Conclusion) -> set[tuple[object, ...]]:
    """What was concluded, whatever the order."""
    return {(d.cause, d.subjects, d.status, d.certainty, d.caused_by, d.explains) for d in found.diagnoses}


@given(some_causes, troubles, st.sampled_from(HOPS))
def test_more_trouble_never_takes_proof_away(causes: list[Cause], before: list[Verdict], hop: str) -> None:
    """What is confirmed stays confirmed when one more check fails."""

    def confirmed(verdicts: list[Verdict]) -> set[tuple[str, tuple[str, ...]]]:
        found = conclude(causes, *verdicts).diagnoses
        return {(d.cause, d.subjects) for d in found if d.certainty == "confirmed"}

    assert confirmed(before) <= confirmed([*before, broken(hop, check="one more")])


@given(some_causes, troubles)
def test_every_conclusion_is_consistent(causes: list[Cause], verdicts: list[Verdict]) -> None:
    """No case in two states, nothing denied that may be, nothing unexplained that is explained."""
    found = conclude(causes, *verdicts)
    states = [(d.cause, s) for d in found.diagnoses for s in d.subjects]
    assert len(states) == len(set(states))
    denied = {d.cause for d in found.diagnoses if d.status == "ruled_out"}
    assert not denied & {d.cause for d in found.diagnoses if d.status != "ruled_out"}
    explained = {c for d in found.diagnoses for c in d.explains}
    assert set(found.unexplained) | explained == {v.check for v in verdicts}
    assert not set(found.unexplained) & explained
    assert all(d.explains for d in found.diagnoses if d.status == "undecided" or d.certainty == "likely")
    assert all(d.certainty is None for d in found.diagnoses if d.status != "present")


@given(some_causes, troubles)
def test_likely_is_never_said_of_what_has_a_rival(causes: list[Cause], verdicts: list[Verdict]) -> None:
    """No check is explained both by a likely cause and by one that is still open."""
    found = conclude(causes, *verdicts).diagnoses
    fallbacks = {c.slug for c in causes if c.fallback}
    likely = {c for d in found if d.certainty == "likely" and d.cause not in fallbacks for c in d.explains}
    open_ = {c for d in found if d.status == "undecided" for c in d.explains}
    confirmed = {c for d in found if d.certainty == "confirmed" for c in d.explains}
    assert not (likely & open_) - confirmed


@given(some_causes, troubles, st.randoms(use_true_random=False))
def test_the_order_of_suspects_does_not_matter(
    causes: list[Cause], verdicts: list[Verdict], dice: Any
) -> None:
    """Neither the order of causes nor that of verdicts changes what is concluded."""
    mixed, turned = list(causes), list(verdicts)
    dice.shuffle(mixed)
    dice.shuffle(turned)
    first, second = conclude(causes, *verdicts), conclude(mixed, *turned)
    assert (essence(first), first.unexplained) == (essence(second), second.unexplained)


def test_many_candidates_are_weighed_quickly() -> None:
    """Eighty open causes over every hop: the search for the smallest explanation must not run away."""
    causes = [cause(f"c{i:02}", case(HOPS[i % len(HOPS)], True)) for i in range(80)]
    began = time.perf_counter()
    conclude(causes, *(broken(h) for h in HOPS))
    assert time.perf_counter() - began < 1.0
