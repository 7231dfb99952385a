"""The benchmark's arithmetic: what a look takes by itself, and which chain a run waits for."""

import pytest
from bench_run import Step, critical_path, own_times, waits_for

from hokusai_probe.declare import Catalogue

BEFORE = {"b": ("a",), "c": ("a", "b"), "d": (), "e": ("gone",)}


def test_a_look_s_own_time_is_without_waiting() -> None:
    """From the end of the last look that it waited for; from the start where there was none in this run."""
    ended = {"a": 1.0, "b": 1.5, "c": 3.5, "d": 2.0, "e": 0.5}

    assert own_times(ended, BEFORE) == {"a": 1.0, "b": 0.5, "c": 2.0, "d": 2.0, "e": 0.5}


@pytest.mark.parametrize(
    ("ended", "path"),
    [
        ({}, ()),
        ({"a": 1.0, "b": 1.5, "c": 3.5, "d": 2.0}, (Step("a", 1.0), Step("b", 0.5), Step("c", 2.0))),
        ({"a": 1.0, "b": 1.5, "c": 3.5, "d": 4.0}, (Step("d", 4.0),)),
        ({"a": 1.0, "c": 3.0}, (Step("a", 1.0), Step("c", 2.0))),
    ],
)
def test_the_critical_path_ends_with_what_ended_last(ended: dict[str, float], path: tuple[Step, ...]) -> None:
    """And leads back over whatever each look waited for longest."""
    assert critical_path(ended, BEFORE) == path


def test_a_look_waits_for_what_it_reads_and_for_the_checks_before_it(real: Catalogue) -> None:
    """Both come from the declaration."""
    assert set(waits_for(real)["health-against-traffic"]) == {"health-bodies", "mlflow-api"}
    assert "aws-identity" in waits_for(real)["changes"]
