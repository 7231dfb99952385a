"""What users cannot do, read off the checks: what was tried counts, and what works is not listed."""

import made
import pytest

from hokusai_probe.model import Report
from hokusai_probe.reports import console, criteria, executive, impact
from hokusai_probe.reports.impact import Lack

PLAIN = console.Plain()


def forms(*statuses: str) -> Report:
    """A platform where the key was tried in several forms, and nothing else."""
    hops = ("authenticated/bearer", "authenticated/x-api-key")
    found = tuple(
        made.verdict(f"form-{n}", "t", "authentication", "gateway", hop, status=status)
        for n, (hop, status) in enumerate(zip(hops, statuses, strict=True))
    )
    return made.report(found)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (forms("fail", "fail"), ["be let in with a key (fails: form-0, form-1)"]),
        (forms("fail", "pass"), ["be let in with a key in every way (fails: form-0; passes: form-1)"]),
        (forms("pass", "pass"), []),
        (made.healthy(), []),
        (made.read_only(), []),
        (
            made.report(made.verdicts(registry_health=made.fail("503"))),
            ["reach the registry host (fails: registry-health)"],
        ),
    ],
)
def test_what_users_cannot_do(report: Report, said: list[str]) -> None:
    """A way that works is said to; what was tried and works is not denied for what it seems to rest on."""
    assert [impact.said(lack, PLAIN) for lack in impact.lacks(report) if lack.tried] == said


def test_what_stops_us_alone_says_nothing_of_the_users() -> None:
    """Without a network of our own nothing answers, and nobody knows what users can do."""
    ours = made.PORT.model_copy(update={"cause": "probe-has-no-network", "component": "probe"})
    silent = made.report(made.verdicts(registry_health=made.fail("refused")), diagnoses=(ours,))

    assert impact.lacks(silent) == ()
    assert "Overall status: ⚠️ NOT ALL JUDGED" in executive.summary(silent)
    both = silent.model_copy(update={"diagnoses": (ours, made.PORT)})
    assert [lack.what for lack in impact.lacks(both)] == ["reach the registry host"]
    assert "Overall status: ❌ FAILED" in executive.summary(both)


def test_what_was_not_tried_rests_on_what_fails() -> None:
    """On a target that allows no writing nobody tried, and what it rests on says that it cannot work."""
    denied = made.skip("not-configured", "looks of class write are not allowed at this target")
    report = made.report(
        made.verdicts(
            search=made.fail("404"),
            experiment_created=denied,
            model_registered=denied,
            artifact_stored=denied,
        )
    )
    assert impact.lacks(report) == (
        Lack("search and find experiments, runs and models", ("search",)),
        Lack("create experiments, runs and models", ("search",), tried=False),
        Lack("store and fetch artifacts", ("search",), tried=False),
    )


def test_a_wrong_key_is_nobody_elses_inability() -> None:
    """What one key cannot do is not said of all users."""
    assert impact.heading(made.client_key()) == "What cannot be done with this key right now"
    assert impact.heading(made.two_causes()) == "What users cannot do right now"


def test_a_line_is_ticked_only_when_all_of_it_passes() -> None:
    """Not when one form fails, and not when nobody looked; the score only when it is reached."""
    said = criteria.render(forms("pass", "skip"))
    assert "- [x] Keys are let in as Bearer tokens: 1 of 1\n" in said
    assert "- [ ] Keys are let in under X-API-Key, too: 0 of 1 (not looked at: `form-1`)\n" in said
    assert said.endswith("- [x] Score: 100 % (needed 90 %)")
    assert "- [ ] Score: n/a (needed 80 %)" in said
