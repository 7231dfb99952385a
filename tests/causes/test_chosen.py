"""Where only some areas are asked for, what fails in them has the name that a whole run gives it."""

import pytest
from _facts import OUTSIDE
from test_diagnoses import WITHOUT_AWS, judged
from test_edge import STORIES

from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import diagnose, is_trouble
from hokusai_probe.engine import CHEAP, selected, wanted_probes
from hokusai_probe.model import Facts, Target

CHOSEN = ("authentication", "registration")
ALL: dict[str, tuple[dict[str, Facts], Target]] = {
    **{name: (facts, target) for name, (facts, target, _, _) in STORIES.items() if target.aws is None},
    **{name: (facts, OUTSIDE) for name, (facts, _, _) in WITHOUT_AWS.items()},
}


def looks(real: Catalogue) -> frozenset[str]:
    """The looks taken for the chosen areas."""
    return wanted_probes(real, CHOSEN, (), selected(real, CHOSEN, ()))


def roots(real: Catalogue, name: str, taken: frozenset[str]) -> dict[str, list[str]]:
    """The present causes of each check in trouble that was asked for."""
    facts, target = ALL[name]
    seen, verdicts = judged(real, [f for f in facts.values() if f.probe in taken], target)
    found = diagnose(real, seen, verdicts, target)
    wanted = selected(real, CHOSEN, ())
    return {
        v.check: [d.cause for d in found.diagnoses if d.status == "present" and v.check in d.explains]
        for v in verdicts
        if is_trouble(v) and v.check in wanted
    }


@pytest.mark.parametrize("name", ALL)
def test_what_is_asked_for_has_the_causes_of_the_whole_run(real: Catalogue, name: str) -> None:
    """A certificate that has expired is no trouble of the network because nobody looked at it."""
    assert roots(real, name, looks(real)) == roots(real, name, frozenset(real.probes))


def test_a_witness_costs_little_and_changes_nothing(real: Catalogue) -> None:
    """What is looked at beside the chosen areas reads, is not AWS's and does not measure."""
    witnesses = [
        p
        for p in (real.probes[slug] for slug in looks(real))
        if p.area not in CHOSEN and p.slug != "mlflow-api"
    ]
    assert {"tls", "control-host", "hosts", "public-paths", "health-bodies"} <= {p.slug for p in witnesses}
    assert {p.safety for p in witnesses} == {"read"}
    assert {p.slug for p in witnesses if "aws" in p.needs or p.cost > CHEAP} == set()
    assert sum(p.cost for p in witnesses) < 60


@pytest.mark.parametrize(
    ("only", "skip", "tls"),
    [(("hosts",), (), False), (("no-key",), (), False), (("authentication",), (), True),
     (("registration",), ("infrastructure",), False), (("x-api-key-is-accepted",), (), True)],
)  # fmt: skip
def test_who_names_a_look_gets_that_look(
    real: Catalogue, only: tuple[str, ...], skip: tuple[str, ...], *, tls: bool
) -> None:
    """Witnesses come for areas and checks, unless they are not wanted."""
    assert ("tls" in wanted_probes(real, only, skip, selected(real, only, skip))) is tls
