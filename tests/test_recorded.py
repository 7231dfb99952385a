"""Every scenario as it was last looked at, judged and diagnosed by this version.

Which of them a run of the tests looks at anew is drawn; here a change of a check, a cause or the engine that
makes any other diagnosis wrong is found at once.
"""

import pytest
from _recorded import read
from sweep import graded

from hokusai_probe import sandbox
from hokusai_probe.grading import Grade

PARTS = 8  # each is judged by one worker
MOST_UNREAD = 1 / 4


@pytest.mark.parametrize("number", range(PARTS))
def test_each_recorded_scenario_is_diagnosed_as_it_was_made(number: int) -> None:
    """With AWS and without: the causes that were put in, the components that must act, nothing false.

    Where looks have changed so much that a quarter of the facts cannot be read, it is time for `make sweep`.
    """
    kept = read(lambda n: n % PARTS == number).kept
    unread = {k.name: looks for k in kept if (looks := k.unread())}
    found = [k.swept() for k in kept if k.name not in unread]
    grades = [g for mode in ("aws", "no-aws") for g in graded(found, mode).scenarios]

    assert [(g.name, g.mode, g.false_causes, g.missed) for g in grades if not _is_right(g)] == []
    assert len(unread) <= len(kept) * MOST_UNREAD, unread


def _is_right(found: Grade) -> bool:
    return found.right and found.component_right


def test_the_scenarios_that_ship_are_recorded() -> None:
    """All but a few that are newer than the last `make sweep`."""
    missing = set(sandbox.scenario_names()) - {*read(lambda _: False).names}

    assert len(missing) <= len(sandbox.scenario_names()) * MOST_UNREAD, missing
