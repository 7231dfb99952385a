"""How long MLflow's client would wait for this platform, with its defaults and with better settings."""

from __future__ import annotations

import math

from hokusai_probe.declare import probe
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Frozen, Timeouts

_MARGIN_S = 5.0
_MOST_PAUSE_S = 120.0


class ClientSettings(Frozen):
    """The client's variables for waiting: MLFLOW_HTTP_REQUEST_TIMEOUT (seconds) and its kin."""

    timeout_s: float
    retries: int
    backoff_factor: float
    jitter_s: float

    def pauses_s(self) -> float:
        """Seconds between all attempts of one request without jitter; urllib3 makes no first pause."""
        pauses = (self.backoff_factor * 2.0**n for n in range(1, self.retries))
        return sum(min(pause, _MOST_PAUSE_S) for pause in pauses)

    def worst_s(self, attempt_s: float) -> float:
        """Seconds until one request fails for good when each attempt takes ``attempt_s``."""
        attempts = min(attempt_s, self.timeout_s) * (self.retries + 1)
        return round(attempts + self.pauses_s() + self.jitter_s * self.retries, 1)


DEFAULTS = ClientSettings(timeout_s=120, retries=7, backoff_factor=2, jitter_s=1)
"""Of the clients from 2.12 on; before, five retries. Measured on 3.17: 246 s against a refused connection."""


class ClientAdviceFacts(Facts):
    """Worst cases in seconds for one request of the client, and settings for this platform.

    ``refused_s``: nobody listens. ``silent_s``: nobody answers. ``slow_s``: MLflow is too slow for the
    gateway, which gives up each time. ``advised_…``: the same three with the settings that are advised.
    """

    defaults: ClientSettings
    refused_s: float
    silent_s: float
    slow_s: float
    advised: ClientSettings
    advised_refused_s: float
    advised_silent_s: float
    advised_slow_s: float
    environment: tuple[str, ...]


@probe(area="registration", cost=0)
async def client_advice(look: Look) -> ClientAdviceFacts:
    """What the client's defaults come to against the platform's own time limits. Sends nothing.

    Every method is repeated after 408, 429 and 5xx, so one dead request holds a training script for minutes.
    """
    return advice(look.target.timeouts)


def advice(platform: Timeouts) -> ClientAdviceFacts:
    """Settings that wait a little longer than the platform itself does, and no longer."""
    answers_s = max(platform.gateway_proxy_s, platform.load_balancer_connect_s) + _MARGIN_S
    advised = ClientSettings(timeout_s=math.ceil(answers_s), retries=3, backoff_factor=1, jitter_s=1)
    slow_s = platform.gateway_proxy_s
    return ClientAdviceFacts(
        defaults=DEFAULTS,
        refused_s=DEFAULTS.worst_s(0),
        silent_s=DEFAULTS.worst_s(DEFAULTS.timeout_s),
        slow_s=DEFAULTS.worst_s(slow_s),
        advised=advised,
        advised_refused_s=advised.worst_s(0),
        advised_silent_s=advised.worst_s(advised.timeout_s),
        advised_slow_s=advised.worst_s(slow_s),
        environment=(
            f"MLFLOW_HTTP_REQUEST_TIMEOUT={advised.timeout_s:g}",
            f"MLFLOW_HTTP_REQUEST_MAX_RETRIES={advised.retries}",
            f"MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR={advised.backoff_factor:g}",
        ),
    )
