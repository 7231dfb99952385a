"""How long MLflow's client waits, worked out from its settings and the platform's."""

import pytest

from hokusai_probe.model import Timeouts
from hokusai_probe.probes.client_advice import DEFAULTS, ClientSettings, advice


def test_the_defaults_come_to_what_was_measured() -> None:
    """246 s against a refused connection, without the jitter's mean of half a second a pause."""
    assert DEFAULTS.pauses_s() == 244
    assert DEFAULTS.worst_s(0) == 251


@pytest.mark.parametrize(("retries", "pauses"), [(0, 0), (1, 0), (2, 2), (3, 6), (4, 14)])
def test_there_is_no_pause_before_the_first_retry(retries: int, pauses: float) -> None:
    """The next ones double."""
    given = ClientSettings(timeout_s=10, retries=retries, backoff_factor=1, jitter_s=0)
    assert given.pauses_s() == pauses
    assert given.worst_s(60) == 10 * (retries + 1) + pauses


def test_the_advice_waits_longer_than_the_platform_and_no_more() -> None:
    """What the gateway still lets through is not given up; a dead host costs two minutes, not twenty."""
    found = advice(Timeouts())
    assert found.environment == (
        "MLFLOW_HTTP_REQUEST_TIMEOUT=35",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES=3",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR=1",
    )
    assert (found.refused_s, found.silent_s, found.slow_s) == (251, 1211, 491)
    assert (found.advised_refused_s, found.advised_silent_s, found.advised_slow_s) == (9, 149, 129)
    assert found.advised.timeout_s > Timeouts().gateway_proxy_s
