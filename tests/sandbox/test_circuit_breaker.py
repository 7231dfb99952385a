"""When a deployment has failed, by AWS's rule."""

import pytest

from hokusai_probe.sandbox.circuit_breaker import Breaker, judge

ON = Breaker(enabled=True, rolls_back=True)


@pytest.mark.parametrize(
    ("desired", "threshold"),
    [(0, 3), (1, 3), (5, 3), (6, 3), (7, 4), (25, 13), (100, 50), (400, 200), (800, 200)],
)
def test_the_threshold_is_half_of_the_desired_count_between_3_and_200(desired: int, threshold: int) -> None:
    """Rounded up; the developer guide has 1 -> 3, 25 -> 13, 400 and 800 -> 200 as examples."""
    assert ON.threshold(desired) == threshold


@pytest.mark.parametrize(
    ("kind", "value", "desired", "threshold"),
    [
        ("BOUNDED_PERCENT", 10, 100, 10),
        ("BOUNDED_PERCENT", 10, 10, 3),
        ("UNBOUNDED_PERCENT", 10, 10, 1),
        ("UNBOUNDED_PERCENT", 100, 500, 500),
        ("COUNT", 7, 1, 7),
    ],
)
def test_a_service_may_set_a_threshold_of_its_own(
    kind: str, value: int, desired: int, threshold: int
) -> None:
    """Percentages with and without bounds, and a plain number."""
    assert Breaker(enabled=True, kind=kind, value=value).threshold(desired) == threshold


@pytest.mark.parametrize(
    ("breaker", "failed", "completed_before", "outcome"),
    [
        (ON, 2, True, "goes-on"),
        (ON, 3, True, "rolls-back"),
        (ON, 3, False, "stalls"),
        (Breaker(enabled=True), 3, True, "stalls"),
        (Breaker(rolls_back=True), 1000, True, "goes-on"),
    ],
)
def test_what_becomes_of_a_deployment(
    breaker: Breaker, failed: int, completed_before: bool, outcome: str
) -> None:
    """Off: it fails for ever. On: it fails at the threshold, and goes back only to one that completed."""
    assert judge(breaker, 1, failed, completed_before=completed_before) == outcome


def test_a_configuration_that_says_nothing_has_no_breaker() -> None:
    """As on AWS; what it says is taken over."""
    assert Breaker.of({}) == Breaker.of({"deploymentCircuitBreaker": None}) == Breaker(enabled=False)
    given = {
        "enable": True,
        "rollback": True,
        "resetOnHealthyTask": False,
        "thresholdConfiguration": {"type": "COUNT", "value": 5},
    }
    assert Breaker.of({"deploymentCircuitBreaker": given}) == Breaker(
        enabled=True, rolls_back=True, resets=False, kind="COUNT", value=5
    )
