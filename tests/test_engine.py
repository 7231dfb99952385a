"""Observing and judging, with looks and checks made up here."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from _facts import TARGET
from pydantic import JsonValue

from hokusai_probe import engine
from hokusai_probe.declare import Catalogue, Check, Parameter, Probe
from hokusai_probe.engine import CUT_SHORT, Observer, Silent, judge, selected, typed, wanted_probes
from hokusai_probe.keys import Keys
from hokusai_probe.looking import Look
from hokusai_probe.model import (
    PROBE_OF_FACTS,
    Accept,
    Blocked,
    CannotTell,
    Facts,
    Frozen,
    NotApplicable,
    Observation,
    Target,
    Verdict,
    Wrong,
)
from hokusai_probe.turns import AHEAD

WHEN = datetime(2025, 8, 5, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("registries")


class Inner(Frozen):
    """Something inside facts."""

    n: int


class Ports(Facts):
    """Facts of the look ``ports``."""

    port: int = 8000
    inner: tuple[Inner, ...] = ()
    extra: JsonValue = None


class Names(Facts):
    """Facts of the look ``names``."""

    name: str = "auth"


class Tags(Facts):
    """Facts of the look ``tags``."""

    tag: str = "x"


OF = {"ports": Ports, "names": Names, "tags": Tags}


@pytest.fixture(autouse=True)
def _declared(registries: None) -> None:
    PROBE_OF_FACTS.update({facts: slug for slug, facts in OF.items()})


def wanting(**wants: object) -> tuple[Parameter, ...]:
    """Parameters by name; a tuple is an optional one."""
    return tuple(
        Parameter(n, w[0] if isinstance(w, tuple) else w, isinstance(w, tuple)) for n, w in wants.items()
    )


def probe(slug: str, function: Callable[..., Any] | None = None, **more: Any) -> Probe:
    """A made-up look; without a function it sees its facts at once."""

    async def sees(**_: object) -> Facts:
        return OF[slug]()

    given = {"area": "proxy", "safety": "read", "needs": (), "after": (), "cost": 1, "deadline_s": None}
    given |= {"parameters": (), "title": slug, "doc": slug, "facts": OF.get(slug)} | more
    return Probe(slug=slug, function=function or sees, **given)


def check(slug: str, of: str, says: object = None, **more: Any) -> Check:
    """A made-up check; ``says`` is what it returns, raises, or a function."""

    def answers(**_: object) -> object:
        if isinstance(says, Exception):
            raise says
        return says

    given = {"area": "proxy", "hop": "gateway", "component": "gateway", "behaviour": None, "doc": slug}
    given |= {"parameters": wanting(facts=OF[of])} | more
    function = says if callable(says) else answers
    return Check(slug=slug, title=slug, probe=of, function=function, **given)


def catalogue(*things: Probe | Check) -> Catalogue:
    """A catalogue of these, in slug order as the real one is."""
    ordered = sorted(things, key=lambda thing: thing.slug)
    return Catalogue(
        probes={p.slug: p for p in ordered if isinstance(p, Probe)},
        checks={c.slug: c for c in ordered if isinstance(c, Check)},
        causes={},
    )


def observe(
    found: Catalogue,
    *,
    target: Target = TARGET,
    stop: asyncio.Event | None = None,
    run_s: float = 5.0,
    progress: engine.Progress | None = None,
    **look: Any,
) -> dict[str, Observation]:
    """Take all looks of a catalogue."""

    async def take() -> tuple[Observation, ...]:
        surroundings = {"http": SimpleNamespace(), "aws": None, "keys": Keys()} | look
        given = Look.new(target, run_id="0", **surroundings)
        observer = Observer(found, given, target.allow.classes, progress or Silent())
        return await observer.observe(frozenset(found.probes), stop or asyncio.Event(), run_s)

    return {o.probe: o for o in asyncio.run(take())}


def said(seen: dict[str, Observation]) -> dict[str, tuple[str, str | None, str | None, str | None]]:
    """What can be compared of observations: all but when and how long."""
    return {s: (o.status, o.skip_kind, o.reason, o.waited_for) for s, o in seen.items()}


def saw(*facts: Facts) -> tuple[Observation, ...]:
    """Observations of looks that were taken."""
    return tuple(
        Observation(probe=f.probe, started_at=WHEN, duration_s=0.1, status="seen", facts=f) for f in facts
    )


def unseen(slug: str, status: str, reason: str, **more: Any) -> Observation:
    """The observation of a look that came to nothing."""
    return Observation(probe=slug, started_at=WHEN, duration_s=0.1, status=status, reason=reason, **more)


def verdict_of(one: Check, *seen: Observation, target: Target = TARGET, **probes: Probe) -> Verdict:
    """The verdict of one check."""
    (found,) = judge(catalogue(one), seen, target, frozenset({one.slug}))
    return found


SEEN = ("seen", None, None, None)

# --- observing --------------------------------------------------------------------------------------


def test_a_look_gets_the_facts_it_reads_whatever_its_name() -> None:
    """A look that reads another's facts comes after it, although its name comes first."""
    given: list[object] = []

    async def names(prior: Ports, target: Target, missing: Tags | None) -> Names:
        given.extend((prior, target, missing))
        return Names()

    found = catalogue(
        probe("names", names, parameters=wanting(prior=Ports, target=Target, missing=(Tags,))),
        probe("ports"),
        probe("tags", safety="write"),
    )
    seen = observe(found)
    assert given == [Ports(), TARGET, None]
    assert [seen["names"].facts, seen["ports"].facts] == [Names(), Ports()]


def test_looks_run_side_by_side() -> None:
    """Two looks that wait for one another both get there."""
    met = {"ports": asyncio.Event(), "names": asyncio.Event()}

    def waits(own: str, other: str) -> Callable[[], Any]:
        async def look() -> Facts:
            met[own].set()
            await met[other].wait()
            return OF[own]()

        return look

    found = catalogue(probe("ports", waits("ports", "names")), probe("names", waits("names", "ports")))
    assert said(observe(found)) == {"names": SEEN, "ports": SEEN}


ALONE = [("ports", True), ("ports is done", True), ("tags", False)]
BESIDE = [("ports", True), ("tags", False), ("ports is done", True)]
AS_IT_COMES = [("ports", False), ("tags", False), ("ports is done", False)]


@pytest.mark.parametrize(
    ("readers", "takes_s", "expected"),
    [(engine.MANY, 0.02, ALONE), (engine.MANY, 1.0, BESIDE), (engine.MANY - 1, 0.02, AS_IT_COMES)],
    ids=["many wait", "many wait, and it is slow", "few wait"],
)
def test_what_many_wait_for_goes_ahead(
    readers: int, takes_s: float, expected: list[tuple[str, bool]]
) -> None:
    """The rest begins once it is done, and after its head start in any case."""
    order: list[tuple[str, bool]] = []

    async def ports() -> Ports:
        order.append(("ports", AHEAD.get()))
        await asyncio.sleep(takes_s)
        order.append(("ports is done", AHEAD.get()))
        return Ports()

    async def tags() -> Tags:
        order.append(("tags", AHEAD.get()))
        return Tags()

    async def reads(prior: Ports) -> Names:
        return Names()

    reading = {"facts": Names, "parameters": wanting(prior=Ports)}
    waiting = [probe(f"reader-{n}", reads, **reading) for n in range(readers)]
    observe(catalogue(probe("ports", ports), probe("tags", tags), *waiting))

    assert order == expected


@pytest.mark.parametrize(
    "sentence", ["the port is wrong", CannotTell(reason="who knows"), Blocked(reason="x")]
)
def test_a_look_waits_for_a_check_that_must_pass(sentence: object) -> None:
    """Anything but a pass blocks, and names the check; what waits for a blocked look names the same one."""
    found = catalogue(
        probe("ports"),
        check("port-is-right", "ports", sentence),
        probe("names", after=("port-is-right",)),
        probe("tags", parameters=wanting(prior=Names)),
    )
    blocked = ("skipped", "blocked", "port-is-right did not pass", "port-is-right")
    assert said(observe(found)) == {
        "ports": SEEN,
        "names": blocked,
        "tags": ("skipped", "blocked", "names was not seen: port-is-right did not pass", "port-is-right"),
    }


def test_a_chain_of_waiting_names_what_it_all_waited_for() -> None:
    """A look that comes after a check of a blocked look names the first check in the way, not the nearest."""
    found = catalogue(
        probe("ports"),
        check("port-is-right", "ports", "wrong"),
        probe("names", after=("port-is-right",)),
        check("name-is-right", "names"),
        probe("tags", after=("name-is-right",)),
    )
    blocked = ("skipped", "blocked", "name-is-right did not pass", "port-is-right")
    assert said(observe(found))["tags"] == blocked


@pytest.mark.parametrize("sentence", [None, NotApplicable(reason="no such host")])
def test_a_check_that_passes_or_does_not_apply_does_not_block(sentence: object) -> None:
    """What this target does not have cannot be in the way."""
    found = catalogue(probe("ports"), check("c", "ports", sentence), probe("names", after=("c",)))
    assert said(observe(found)) == {"ports": SEEN, "names": SEEN}


def test_a_check_that_must_pass_may_read_other_looks() -> None:
    """The look waits for every look whose facts that check reads, not only for the check's own."""

    async def slow() -> Tags:
        await asyncio.sleep(0.02)
        return Tags()

    both = check("both", "ports", parameters=wanting(facts=Ports, tags=Tags))
    found = catalogue(probe("ports"), probe("tags", slow), both, probe("names", after=("both",)))
    assert said(observe(found))["names"] == SEEN


def test_a_class_that_is_not_allowed_is_not_looked_at() -> None:
    """Safety comes first: the look is never called, and says why."""
    found = catalogue(probe("ports", pytest.fail, safety="hostile"))
    reason = "looks of class hostile are not allowed at this target"
    assert said(observe(found)) == {"ports": ("skipped", "not-configured", reason, None)}


def test_allowed_classes_are_those_of_target_and_command_line() -> None:
    """In the order of their severity, each once; unknown words add nothing."""
    assert engine.allowed_classes(TARGET, ["hostile", "read"]) == ("read", "hostile")


NEEDS = {
    "aws": ("not-configured", "AWS is not looked at: the target has no [aws], or --no-aws"),
    "key": ("not-configured", "HOKUSAI_API_KEY is not set"),
    "second-key": ("not-configured", "the target names no second key, or it is not set"),
    "admin-key": ("not-configured", "the target names no admin key, or it is not set"),
    "auth-host": ("not-applicable", "the target has no auth host"),
    "api-host": ("not-applicable", "the target has no api host"),
}


@pytest.mark.parametrize("need", NEEDS)
def test_a_look_without_what_it_needs_is_skipped_with_the_reason(need: str) -> None:
    """What the target or the environment lacks is named, and is no failure."""
    bare = TARGET.model_copy(update={"hosts": TARGET.hosts.model_copy(update={"auth": None, "api": None})})
    found = catalogue(probe("ports", pytest.fail, needs=(need,)))
    kind, reason = NEEDS[need]
    assert said(observe(found, target=bare)) == {"ports": ("skipped", kind, reason, None)}


def test_a_look_with_all_it_needs_is_taken() -> None:
    """The same needs, met."""
    keys = Keys.read(
        TARGET.key.model_copy(update={"second_env": "B", "admin_env": "C"}),
        {"HOKUSAI_API_KEY": "hk_test_a", "B": "hk_test_b", "C": "hk_test_c"},
    )
    found = catalogue(probe("ports", needs=tuple(NEEDS)))
    assert said(observe(found, keys=keys, aws=SimpleNamespace())) == {"ports": SEEN}


def test_a_look_over_its_deadline_is_a_fault() -> None:
    """The look's own deadline ends it and nothing else; by default it follows from cost and timeouts."""

    async def hangs() -> Ports:
        await asyncio.sleep(60)
        return Ports()

    slow = TARGET.model_copy(update={"timeouts": TARGET.timeouts.model_copy(update={"total_s": 0.02})})
    found = catalogue(probe("ports", hangs, deadline_s=0.03), probe("tags", hangs, cost=2), probe("names"))
    assert said(observe(found, target=slow)) == {
        "names": SEEN,
        "ports": ("fault", None, "the look was not done within its 0.03 s", None),
        "tags": ("fault", None, "the look was not done within its 0.06 s", None),
    }


def test_a_look_that_raises_is_one_fault() -> None:
    """An author's mistake, a timeout of their own included, ends their look; their checks are errors."""

    async def raises() -> Ports:
        raise ZeroDivisionError("by zero")  # noqa: EM101

    async def times_out() -> Names:
        raise TimeoutError("mine")  # noqa: EM101

    found = catalogue(
        probe("ports", raises),
        probe("names", times_out),
        probe("tags"),
        check("c", "ports"),
        check("d", "tags"),
    )
    seen = observe(found)
    assert said(seen) == {
        "ports": ("fault", None, "ports itself failed: ZeroDivisionError: by zero", None),
        "names": ("fault", None, "names itself failed: TimeoutError: mine", None),
        "tags": SEEN,
    }
    judged = judge(found, tuple(seen.values()), TARGET, frozenset(found.checks))
    assert [(v.status, v.reason) for v in judged] == [
        ("error", "ports: ports itself failed: ZeroDivisionError: by zero"),
        ("pass", ""),
    ]


def test_a_look_that_reads_a_failed_look_is_not_taken() -> None:
    """Without the facts it cannot do without it is skipped; one that can do without is taken."""

    async def raises() -> Ports:
        raise OSError("x")  # noqa: EM101

    found = catalogue(
        probe("ports", raises),
        probe("names", pytest.fail, parameters=wanting(prior=Ports)),
        probe("tags", parameters=wanting(prior=(Ports,))),
    )
    seen = said(observe(found))
    assert seen["names"][:2] == ("skipped", "blocked")
    assert seen["tags"] == SEEN


def cut(stop: Callable[[asyncio.Event], None], run_s: float) -> tuple[dict[str, Any], list[str], float]:
    """A run cut short while one look is done, one is at work, one waits; what was undone; seconds."""
    undone: list[str] = []
    event = asyncio.Event()

    async def works(prior: Ports, look: Look) -> Names:
        async def remove() -> bool:
            undone.append("run x")
            return True

        look.journal.will_create("run", "x", remove)
        stop(event)
        await asyncio.sleep(60)
        return Names()

    found = catalogue(
        probe("ports"),
        probe("names", works, parameters=wanting(prior=Ports, look=Look)),
        probe("tags", parameters=wanting(prior=Names)),
    )
    began = time.monotonic()
    seen = observe(found, stop=event, run_s=run_s)
    return said(seen), undone, time.monotonic() - began


@pytest.mark.parametrize(("stop", "run_s"), [(asyncio.Event.set, 30.0), (lambda _: None, 0.05)])
def test_a_run_cut_short_keeps_what_it_has_and_undoes_what_it_made(stop: Any, run_s: float) -> None:
    """By a signal or by the run's deadline: gathered facts stay, the rest are faults, nothing is left."""
    cut_short = ("fault", None, CUT_SHORT, None)
    seen, undone, seconds = cut(stop, run_s)
    assert seen == {"ports": SEEN, "names": cut_short, "tags": cut_short}
    assert undone == ["run x"]
    assert seconds < 5


def test_what_could_not_be_removed_is_said() -> None:
    """A look that came to nothing names what it left on the platform, and the report survives that."""

    async def works(look: Look) -> Ports:
        async def remove() -> bool:
            raise engine.OurTrouble("budget")  # noqa: EM101

        look.journal.will_create("run", "hkprobe-x", remove)
        raise ValueError("odd body")  # noqa: EM101

    found = catalogue(probe("ports", works, parameters=wanting(look=Look)))
    reason = "ports itself failed: ValueError: odd body; not removed: run hkprobe-x"
    assert said(observe(found)) == {"ports": ("fault", None, reason, None)}


def test_a_look_that_is_done_undoes_nothing_of_another() -> None:
    """Two looks that write at once: the first one's tidying up leaves the other's things alone."""
    log: list[str] = []
    made, tidied = asyncio.Event(), asyncio.Event()

    def writes(slug: str, before: asyncio.Event, after: asyncio.Event) -> Callable[..., Any]:
        async def look(look: Look) -> Facts:
            async def remove() -> bool:
                log.append(f"{slug} removed")
                return True

            look.journal.will_create("run", slug, remove)
            if slug == "ports":
                before.set()
                await after.wait()
            else:
                await before.wait()
            log.append(f"{slug} done")
            await look.journal.undo(1)
            after.set()
            return OF[slug]()

        return look

    found = catalogue(
        *(probe(s, writes(s, made, tidied), parameters=wanting(look=Look)) for s in ("ports", "names"))
    )
    assert said(observe(found)) == {"names": SEEN, "ports": SEEN}
    assert log == ["names done", "names removed", "ports done", "ports removed"]


def test_progress_hears_each_look_start_and_end() -> None:
    """What is to come with its area first; skipped looks end without having started."""
    log: list[str] = []
    progress = SimpleNamespace(
        planned=lambda areas: log.append(f"planned {areas}"),
        started=log.append,
        done=lambda o: log.append(f"{o.probe} {o.status}"),
    )
    observe(catalogue(probe("ports"), probe("names", safety="hostile")), progress=progress)
    planned = "planned {'names': 'proxy', 'ports': 'proxy'}"
    assert log[0] == planned
    assert sorted(log[1:]) == ["names skipped", "ports", "ports seen"]


# --- choosing ---------------------------------------------------------------------------------------


@pytest.fixture
def choices(_declared: None) -> Catalogue:
    """Three looks in two areas; one check reads two looks, one look reads another."""
    return catalogue(
        probe("ports", area="infrastructure"),
        probe("names", parameters=wanting(prior=Ports)),
        probe("tags"),
        check("port-right", "ports", area="infrastructure"),
        check("name-right", "names"),
        check("name-fits-tag", "names", parameters=wanting(facts=Names, tags=Tags)),
    )


SELECTIONS: list[tuple[tuple[str, ...], tuple[str, ...], str, str]] = [
    # only, skip -> checks, looks
    ((), (), "name-fits-tag name-right port-right", "names ports tags"),
    (("name-right",), (), "name-right", "names ports"),
    (("name-fits-tag",), (), "name-fits-tag", "names ports tags"),
    (("names",), (), "name-fits-tag name-right", "names ports tags"),
    (("infrastructure",), (), "port-right", "ports"),
    (("proxy",), ("name-fits-tag",), "name-right", "names ports tags"),
    (("tags",), (), "", "tags"),
    ((), ("names",), "port-right", "ports tags"),
    ((), ("infrastructure",), "name-fits-tag name-right", "names ports tags"),
    (("infrastructure", "tags"), ("ports",), "", "tags"),
]


@pytest.mark.parametrize(("only", "skip", "checks", "probes"), SELECTIONS)
def test_only_and_skip_choose_verdicts_and_keep_the_looks_they_need(
    choices: Catalogue, only: tuple[str, ...], skip: tuple[str, ...], checks: str, probes: str
) -> None:
    """Words name areas, looks and checks; looks that others need are taken all the same."""
    wanted = selected(choices, only, skip)
    assert " ".join(sorted(wanted)) == checks
    assert " ".join(sorted(wanted_probes(choices, only, skip, wanted))) == probes


def test_selectors_are_every_word_that_chooses(choices: Catalogue) -> None:
    """Areas, looks and checks, and nothing else."""
    assert engine.selectors(choices) == {
        *("infrastructure", "proxy", "ports", "names", "tags"),
        *("port-right", "name-right", "name-fits-tag"),
    }


def test_a_wanted_check_never_waits_for_a_look_that_was_not_chosen(real: Catalogue) -> None:
    """Whatever single word is chosen, every look that the chosen checks read is taken."""
    for word in engine.selectors(real):
        wanted = selected(real, {word}, ())
        taken = wanted_probes(real, {word}, (), wanted)
        needed = {
            PROBE_OF_FACTS[p.wants]
            for c in wanted
            for p in real.checks[c].parameters
            if p.wants in PROBE_OF_FACTS
        }
        assert needed - taken == set(), word


# --- judging ----------------------------------------------------------------------------------------

SENTENCES: list[tuple[object, tuple[str, str | None, str, str | None]]] = [
    (None, ("pass", None, "", None)),
    ("wrong", ("fail", None, "wrong", None)),
    (Wrong(reason="wrong", reproduce="curl x"), ("fail", None, "wrong", "curl x")),
    (CannotTell(reason="hidden"), ("skip", "cannot-tell", "hidden", None)),
    (NotApplicable(reason="none"), ("skip", "not-applicable", "none", None)),
    (Blocked(reason="earlier"), ("skip", "blocked", "earlier", None)),
    (KeyError("port"), ("error", None, "c itself failed: KeyError: 'port'", None)),
]


@pytest.mark.parametrize(("says", "expected"), SENTENCES)
def test_each_sentence_has_its_verdict(says: object, expected: tuple[object, ...]) -> None:
    """A check that raises is an error of ours, never a failure of the platform."""
    found = verdict_of(check("c", "ports", says), *saw(Ports()))
    assert (found.status, found.skip_kind, found.reason, found.reproduce) == expected


def test_a_verdict_carries_the_whole_of_its_check() -> None:
    """Everything a reader needs without the catalogue."""
    assert verdict_of(
        check("c", "ports", "wrong", hop="rule.auth", component="tls"), *saw(Ports())
    ) == Verdict(
        check="c",
        title="c",
        area="proxy",
        component="tls",
        hop="rule.auth",
        status="fail",
        reason="wrong",
        probe="ports",
    )


def test_a_check_of_our_own_side_complains_as_error() -> None:
    """Component probe is us: what is wrong there is never a failure of theirs."""
    found = verdict_of(check("c", "ports", "no credentials", component="probe", hop="aws"), *saw(Ports()))
    assert (found.status, found.reason) == ("error", "no credentials")


def test_an_accepted_behaviour_does_not_fail() -> None:
    """It is named in the report and left out of the score; another behaviour still fails."""
    accepting = TARGET.model_copy(update={"accept": Accept(behaviours=("public-paths-need-key",))})
    for behaviour, status in (("public-paths-need-key", "skip"), ("cache-off", "fail"), (None, "fail")):
        found = verdict_of(check("c", "ports", "401", behaviour=behaviour), *saw(Ports()), target=accepting)
        assert found.status == status
    found = verdict_of(
        check("c", "ports", "401", behaviour="public-paths-need-key"), *saw(Ports()), target=accepting
    )
    reason = "accepted by the target (public-paths-need-key): 401"
    assert (found.skip_kind, found.reason) == ("not-applicable", reason)


def test_acceptance_does_not_hide_an_error() -> None:
    """Only a failure is accepted: a check that raises is still our error."""
    accepting = TARGET.model_copy(update={"accept": Accept(behaviours=("b",))})
    found = verdict_of(check("c", "ports", KeyError("x"), behaviour="b"), *saw(Ports()), target=accepting)
    assert found.status == "error"


UNSEEN = [
    (unseen("ports", "fault", "boom"), ("error", None, "ports: boom", None)),
    (
        unseen("ports", "skipped", "late", skip_kind="blocked", waited_for="w"),
        ("skip", "blocked", "late", "w"),
    ),
    (
        unseen("ports", "skipped", "no key", skip_kind="not-configured"),
        ("skip", "not-configured", "no key", None),
    ),
]


@pytest.mark.parametrize(("observation", "expected"), UNSEEN)
def test_a_look_without_facts_gives_its_reason_to_its_checks(
    observation: Observation, expected: tuple[object, ...]
) -> None:
    """A fault is an error, a skip stays the same skip, and the check is never called."""
    found = verdict_of(check("c", "ports", pytest.fail), observation)
    assert (found.status, found.skip_kind, found.reason, found.waited_for) == expected


def test_a_check_may_do_without_facts_it_marks_optional() -> None:
    """It is called with None, and with the target where it asks for it."""
    given: list[object] = []

    def says(facts: Ports, names: Names | None, target: Target) -> None:
        given.extend((facts, names, target))

    parameters = wanting(facts=Ports, names=(Names,), target=Target)
    found = verdict_of(
        check("c", "ports", says, parameters=parameters), *saw(Ports()), unseen("names", "fault", "x")
    )
    assert (found.status, given) == ("pass", [Ports(), None, TARGET])


def test_judging_is_in_slug_order_and_only_of_what_was_considered(choices: Catalogue) -> None:
    """No verdict for a look that nobody considered, none for a check that nobody wants."""
    wanted = frozenset({"port-right", "name-right"})
    assert [v.check for v in judge(choices, saw(Ports()), TARGET, frozenset(choices.checks))] == [
        "port-right"
    ]
    assert [v.check for v in judge(choices, saw(Names(), Ports()), TARGET, wanted)] == [
        "name-right",
        "port-right",
    ]


# --- recorded facts ---------------------------------------------------------------------------------


def recorded(*observations: Observation) -> tuple[Observation, ...]:
    """Observations as a report's JSON gives them back."""
    return tuple(Observation.model_validate_json(o.model_dump_json()) for o in observations)


def test_recorded_facts_have_their_class_again() -> None:
    """Nested values, tuples and plain JSON come back equal; what was not seen stays as it was."""
    seen = (
        *saw(Ports(inner=(Inner(n=1),), extra={"a": [1, None]})),
        unseen("names", "skipped", "late", skip_kind="blocked", waited_for="w"),
    )
    again = recorded(*seen)
    assert again != seen
    assert typed(catalogue(probe("ports"), probe("names")), again) == seen


def test_unreadable_facts_are_a_fault_that_names_the_place() -> None:
    """A look that this version does not have, a field that is gone, a value that no longer fits."""
    (seen,) = saw(Ports(inner=(Inner(n=1),)))
    text = json.loads(seen.model_dump_json())
    bad = json.loads(json.dumps(text))
    bad["facts"]["inner"][0]["n"] = "many"
    older = json.loads(json.dumps(text))
    older["facts"]["protocol"] = "tcp"
    found = typed(
        catalogue(probe("ports")),
        [Observation.model_validate(o) for o in (bad, older, {**text, "probe": "gone"})],
    )
    assert [(o.status, o.facts, o.reason) for o in found] == [
        ("fault", None, "the recorded facts cannot be read at 'inner.0.n'"),
        ("fault", None, "the recorded facts cannot be read at 'protocol'"),
        ("fault", None, "this version has no such look"),
    ]
    assert [o.duration_s for o in found] == [seen.duration_s] * 3


def test_facts_of_this_run_are_left_alone() -> None:
    """They keep their identity: what a door attached to them is still there."""
    seen = saw(Ports())
    assert typed(catalogue(), seen)[0] is seen[0]


def test_a_loop_of_looks_ends_with_the_run() -> None:
    """Two looks that read one another never start; the run's deadline still ends it."""
    first = replace(probe("ports"), parameters=wanting(prior=Names))
    second = replace(probe("names"), parameters=wanting(prior=Ports))
    cut_short = ("fault", None, CUT_SHORT, None)
    assert said(observe(catalogue(first, second), run_s=0.05)) == {"ports": cut_short, "names": cut_short}
