"""Single answers against the objective: late only where they agree, and where it is not us who are slow."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from _facts import HTML, TARGET, answer, api_facts, form_facts, refusal, silence
from test_checks import PASS, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, Slo
from hokusai_probe.probes.latency import Beat, LatencyFacts, Sample, latency
from hokusai_probe.probes.public_paths import PublicPathsFacts

SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search"
UNKNOWN = "/api/hokusai-probe-no-such-path"
FORMS = form_facts(bearer=refusal(404, "Not Found", path=UNKNOWN, elapsed_s=1.9))
API = api_facts(answer(body={"experiments": []}, path=SEARCH, elapsed_s=2.5))
HELD, LATE, QUICK = Sample(seconds=1.8, beside=0.01), Sample(seconds=1.6, beside=0.02), Sample(seconds=0.2)
OBJECTIVE = "the objective for 95 of 100 answers is 1 s"


def timed(part: str, *again: Sample) -> LatencyFacts:
    """One part asked for again."""
    return LatencyFacts(constants={"/live": 0.01}, again={part: again})


def beaten(*one: float) -> LatencyFacts:
    """Beats at which both constant paths took so long, and the auth host did not."""
    beats = tuple(Beat(one=seconds, other=seconds, auth=0.02) for seconds in one)
    return LatencyFacts(constants={"/live": 0.01}, asked=("/live", "/live"), beats=beats)


KEYS, SEARCHES, CONSTANT = "keys-are-judged-in-time", "searches-are-in-time", "constant-paths-are-in-time"
NEAR = "which is too little, too near the objective, or our own slowness"
ROWS: list[tuple[str, tuple[Facts, ...], tuple[str, str | None, str]]] = [
    (KEYS, (timed("key"), form_facts()), PASS),
    (
        KEYS,
        (timed("key", HELD, LATE, HELD), FORMS),
        failing(f"{UNKNOWN} took 1.90 s and 1.80 s and 1.60 s and 1.80 s; {OBJECTIVE}"),
    ),
    (KEYS, (timed("key", HELD, QUICK), FORMS), PASS),
    (KEYS, (timed("key", HELD), FORMS), skipped("cannot-tell", f"{UNKNOWN} took 1.90 s and 1.80 s, {NEAR}")),
    (
        KEYS,
        (timed("key", HELD, Sample(seconds=1.1, beside=0.01)), FORMS),
        skipped("cannot-tell", f"{UNKNOWN} took 1.90 s and 1.80 s and 1.10 s, {NEAR}"),
    ),
    (
        KEYS,
        (timed("key", HELD, Sample(seconds=1.8, beside=1.2)), FORMS),
        skipped("cannot-tell", f"{UNKNOWN} took 1.90 s and 1.80 s and 1.80 s, {NEAR}"),
    ),
    (KEYS, (timed("key"), form_facts(refusal(401, "no"))), skipped("blocked", "the key is not let in")),
    (KEYS, (timed("key"),), skipped("not-applicable", "nothing was asked with a key")),
    (SEARCHES, (timed("search"), api_facts()), PASS),
    (
        SEARCHES,
        (timed("search", HELD, LATE), API),
        failing(f"{SEARCH} took 2.50 s and 1.80 s and 1.60 s; {OBJECTIVE}"),
    ),
    (SEARCHES, (timed("search"), api_facts(silence())), skipped("blocked", "searching does not work")),
    (CONSTANT, (beaten(),), PASS),
    (CONSTANT, (beaten(1.6, 0.01, 0.01),), PASS),
    (CONSTANT, (beaten(0.6, 0.01, 0.7, 0.01, 0.6),), PASS),
    (
        CONSTANT,
        (beaten(1.6, 0.01, 1.5),),
        failing(f"/live, which is constant, took 1.60 s and 1.50 s; {OBJECTIVE}"),
    ),
    (
        CONSTANT,
        (LatencyFacts(),),
        skipped("not-applicable", "none of the target's public paths is known to be constant and answers"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("check", "facts", "expected"), ROWS)
def test_a_check_says_this_of_these_facts(
    real: Catalogue, check: str, facts: tuple[Facts, ...], expected: tuple[str, str | None, str]
) -> None:
    """The whole verdict: status, kind of skip, and the sentence."""
    assert told(verdict(real, check, *facts)) == expected


@pytest.mark.parametrize("check", [KEYS, SEARCHES, CONSTANT])
def test_nothing_is_judged_without_an_objective(real: Catalogue, check: str) -> None:
    """A target may have none."""
    target = TARGET.model_copy(update={"slo": Slo(p95_ms=None)})
    function = real.checks[check].function
    given = {CONSTANT: (beaten(1.6, 1.6),), KEYS: (timed("key", HELD, HELD), FORMS)}
    said = function(*given.get(check, (timed("search", HELD, HELD), API)), target)

    assert said.reason == "the target has no objective: [slo] p95_ms"


ALIVE = {"alive": True, "uptime": 1.0}


class Door:
    """A registry whose every answer takes so long as the list says, its constant paths none."""

    def __init__(self, seconds: Iterable[float]) -> None:
        self.asked: list[str] = []
        self._seconds = list(seconds)

    async def send(self, _method: str, _host: str, path: str, **_more: Any) -> Answer:
        """The next answer."""
        self.asked.append(path)
        if path == "/live":
            return answer(body=ALIVE, path=path)
        return answer(path=path, elapsed_s=self._seconds.pop(0))


def looked(seconds: Iterable[float], **parts: Any) -> tuple[LatencyFacts, list[str]]:
    """What the look records where later answers take so long, and what it asked."""
    door = Door(seconds)
    look: Any = SimpleNamespace(target=TARGET, http=door, key_form=lambda: "bearer")
    live = PublicPathsFacts(public=(answer(body=ALIVE, path="/live", elapsed_s=0.01),))
    hosts = SimpleNamespace(bare=True, health=lambda _host: None)
    found = latency(look, hosts, live, None, parts.get("forms"), parts.get("api"))  # type: ignore[arg-type]
    return asyncio.run(found), door.asked


def test_what_is_in_time_is_not_asked_for_again() -> None:
    """Nothing is sent."""
    assert looked([], forms=form_facts(), api=api_facts()) == (
        LatencyFacts(
            parts={"constant": 0.01, "key": 0.0, "search": 0.0},
            constants={"/live": 0.01},
            asked=("/live", "/live"),
            reproduce="curl https://registry.example/live",
        ),
        [],
    )


def test_what_is_late_is_asked_for_until_it_is_in_time() -> None:
    """The first may have had to wait for something to load; each sample has a constant path beside it."""
    facts, asked = looked([1.4, 0.3], api=API)

    assert facts.again == {"search": (Sample(seconds=1.4, beside=0.0), Sample(seconds=0.3, beside=0.0))}
    assert asked == [SEARCH, "/live"] * 2


def test_what_stays_late_is_asked_for_three_times() -> None:
    """No more: a slow platform is not to be asked for ever."""
    facts, asked = looked([1.9] * 3, forms=FORMS)

    assert len(facts.again["key"]) == 3
    assert asked == [UNKNOWN, "/live"] * 3


def test_a_page_in_place_of_an_answer_is_not_asked_for_again() -> None:
    """What is refused, or a page, has no time that would tell anything."""
    page = answer(504, "<h1>504 Gateway Time-out</h1>", HTML, path=SEARCH, elapsed_s=9.0)
    assert looked([], forms=form_facts(page), api=api_facts(page))[1] == []
