"""Declaring looks, checks and causes: what an author writes, what is made of it, what is refused."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hokusai_probe import declare
from hokusai_probe.declare import Case, Catalogue, Claim, Parameter, cause, check, claim, probe
from hokusai_probe.engine import _direct_before
from hokusai_probe.looking import Look
from hokusai_probe.model import PROBE_OF_FACTS, Facts, Target

pytestmark = pytest.mark.usefixtures("registries")


class DoorFacts(Facts):
    """Facts of the look ``some_door``."""

    open: bool = True


class OtherFacts(Facts):
    """Facts of nobody."""


async def some_door(look: Look, prior: OtherFacts | None) -> DoorFacts:
    """Whether the door is open.

    More about doors.
    """
    return DoorFacts()


def door_is_open(facts: DoorFacts, target: Target, other: OtherFacts | None) -> str | None:
    """The door is open."""
    return None if facts.open else "the door is shut"


def door_stuck(facts: DoorFacts | None) -> Iterator[Case]:
    """The door is stuck."""
    yield Case(subject="door", breaks=("gateway",), claims=())


@pytest.fixture
def door(registries: None) -> None:
    """The look, its check and its cause, declared."""
    probe(area="proxy", safety="write", needs=("key",), after=("x",), cost=3, deadline_s=9.0)(some_door)
    check(hop="rule.auth")(door_is_open)
    cause(component="client", priority="low", effort="days", source="s", look_alikes={"a": "b"})(door_stuck)


@pytest.mark.usefixtures("door")
def test_a_look_is_named_by_its_function_and_read_from_its_docstring() -> None:
    """Name, title, page, facts and parameters come from the function; the rest from the declaration."""
    found = declare._PROBES["some-door"]
    assert (found.slug, found.title, found.area, found.safety) == (
        "some-door",
        "Whether the door is open",
        "proxy",
        "write",
    )
    assert found.doc == "Whether the door is open.\n\nMore about doors."
    assert (found.facts, found.needs, found.after, found.cost, found.deadline_s) == (
        DoorFacts,
        ("key",),
        ("x",),
        3,
        9.0,
    )
    assert found.parameters == (
        Parameter("look", Look, optional=False),
        Parameter("prior", OtherFacts, optional=True),
    )
    assert DoorFacts().probe == "some-door"


@pytest.mark.usefixtures("door")
def test_a_check_belongs_to_the_look_of_its_first_facts() -> None:
    """Area from the look, who must act from the hop, unless the author says otherwise."""
    found = declare._CHECKS["door-is-open"]
    assert (found.probe, found.area, found.hop, found.component) == (
        "some-door",
        "proxy",
        "rule.auth",
        "load-balancer",
    )
    assert [p.optional for p in found.parameters] == [False, False, True]
    check(hop="rule.auth", area="data", component="cache", behaviour="b")(door_is_open)
    again = declare._CHECKS["door-is-open"]
    assert (again.area, again.component, again.behaviour) == ("data", "cache", "b")


@pytest.mark.usefixtures("door")
def test_whose_trouble_a_cause_is_follows_from_its_component() -> None:
    """The client's is yours, the platform's networks and names are theirs; an author may say otherwise."""
    assert declare._CAUSES["door-stuck"].blame == "you"
    blames = {}
    for component in ("probe", "client", "network", "dns", "auth"):
        cause(component=component, priority="low", effort="days", source="s", look_alikes={})(door_stuck)
        blames[component] = declare._CAUSES["door-stuck"].blame
    assert blames == {
        "probe": "probe",
        "client": "you",
        "network": "them",
        "dns": "them",
        "auth": "them",
    }
    cause(component="auth", priority="low", effort="days", source="s", look_alikes={}, blame="policy")(
        door_stuck
    )
    assert declare._CAUSES["door-stuck"].blame == "policy"


def named(name: str, function: Callable[..., Any], doc: str | None = "Said.", module: str = __name__) -> Any:
    """A copy of a function under another name."""
    copy = type(function)(function.__code__, function.__globals__, name)
    copy.__annotations__, copy.__doc__, copy.__module__ = dict(function.__annotations__), doc, module
    return copy


def test_what_users_read_must_be_there() -> None:
    """A function without a docstring is refused with its place."""
    with pytest.raises(TypeError, match=r"test_declare\.silent has no docstring"):
        probe(area="proxy")(named("silent", some_door, doc=None))


@pytest.mark.usefixtures("door")
def test_a_hop_that_does_not_exist_is_refused() -> None:
    """The check's slug and the hop are named."""
    with pytest.raises(TypeError, match="check door-is-open: there is no hop 'nowhere'"):
        check(hop="nowhere")(door_is_open)


@pytest.mark.usefixtures("door")
def test_a_slug_is_declared_once() -> None:
    """Two modules with the same name are named both; declaring again in the same module is a reload."""
    probe(area="proxy")(some_door)
    with pytest.raises(TypeError, match="some-door is declared twice: in test_declare and elsewhere"):
        probe(area="proxy")(named("some_door", some_door, module="elsewhere"))


CLAIMS = [
    (None, None),
    (True, True),
    (False, False),
    (0, False),
    ("", False),
    ([], False),
    (DoorFacts(), True),
]


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize(("holds", "expected"), CLAIMS)
def test_a_claim_holds_does_not_or_is_not_known(holds: object, expected: bool | None) -> None:
    """None stays None; everything else is truth, so ``facts and facts.port`` reads as it should."""
    made = claim("text", holds, by=DoorFacts, fact="open", value=1, telling=True, aws_cli="aws x")
    assert made == Claim(
        text="text", holds=expected, probe="some-door", fact="open", value=1, telling=True, aws_cli="aws x"
    )


# --- what ships -----------------------------------------------------------------------------------------


def test_every_slug_is_the_name_of_its_file_or_function(real: Catalogue) -> None:
    """One file is one look or one cause, named for it; slugs are its name with hyphens."""
    for where in (real.probes, real.causes):
        for slug, thing in where.items():
            stem = thing.function.__module__.rpartition(".")[2]
            assert slug == stem.replace("_", "-"), slug
    assert all(s == c.function.__name__.replace("_", "-") for s, c in real.checks.items())


def test_no_slug_means_two_things(real: Catalogue) -> None:
    """Looks, checks and causes are told apart by their words alone: ``verify`` and ``--only`` take any."""
    words = [*real.probes, *real.checks, *real.causes]
    assert sorted(words) == sorted(set(words))


def test_looks_do_not_wait_for_one_another_in_a_circle(real: Catalogue) -> None:
    """Following what each look comes after always ends, and everything it names exists."""
    from graphlib import TopologicalSorter

    order = TopologicalSorter({slug: _direct_before(real, slug) for slug in real.probes})
    assert set(order.static_order()) == set(real.probes)


def test_every_look_returns_facts_of_its_own(real: Catalogue) -> None:
    """No two looks share a class, or their facts could not be told apart."""
    classes = [p.facts for p in real.probes.values()]
    assert len(set(classes)) == len(classes)
    assert {PROBE_OF_FACTS[c] for c in classes} == set(real.probes)


def test_what_causes_ask_for_are_facts_and_the_target(real: Catalogue) -> None:
    """Every parameter of a cause and of a check can be filled."""
    for thing in (*real.causes.values(), *real.checks.values()):
        wants = {p.wants for p in thing.parameters} - {Target}
        assert wants <= set(PROBE_OF_FACTS), thing.slug


def test_titles_are_sentences_without_a_full_stop(real: Catalogue) -> None:
    """They are rows of a report."""
    for thing in (*real.probes.values(), *real.checks.values(), *real.causes.values()):
        assert thing.title[0].isupper() or thing.title[0] == "`", thing.slug
        assert not thing.title.endswith("."), thing.slug


def test_the_catalogue_is_found_once() -> None:
    """Looks and causes by slug; checks by look, and as their file has them."""
    found = declare.catalogue()
    assert found is declare.catalogue()
    assert list(found.probes) == sorted(found.probes)
    assert list(found.causes) == sorted(found.causes)
    places = [(c.probe, c.function.__code__.co_firstlineno) for c in found.checks.values()]
    assert places == sorted(places)
