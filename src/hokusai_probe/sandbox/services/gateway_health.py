"""The gateway's health endpoints and its circuit breaker for MLflow (contract sections 5 and 6).

The breaker serves these endpoints only; the proxy never asks it. Repaired, an open breaker is a 503 and a
gateway that cannot serve is not ready; the behaviours ``breaker-open-500``, ``breaker-stuck-open``,
``ready-200-when-not``, ``health-constant``, ``health-status-500`` and ``health-uses-other-tls`` bring the old
answers back.

Without a database the gateway is degraded and not ready, whatever the behaviours (contract 5, since October
2025).
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from hokusai_probe.sandbox.clock import RIGHT, PlatformClock
from hokusai_probe.sandbox.services.answers import RefusalError, as_json
from hokusai_probe.sandbox.services.gateway_auth import KeyCache
from hokusai_probe.sandbox.services.gateway_database import (
    ATTEMPTS,
    CONNECT_TIMEOUT_S,
    Database,
    DatabaseCheck,
)
from hokusai_probe.sandbox.wire import Outgoing, Timeouts, Wire, WireError

LOOK_TIMEOUT_S = 3.0
"""How long a health endpoint waits for a dependency, in platform seconds.

Well below the 5 of the container's own health check and of the shortest target group: a dependency that does
not answer must not cost the gateway its task.
"""

API_LOOK_TIMEOUT_S = 10.0
"""How long /api/health/mlflow waits for each of MLflow's APIs, in platform seconds."""

RETRIES = 3
RETRY_PAUSE_S = 0.5
"""MLflow's health is asked three times before it counts as bad (contract 6); the pause doubles each time.

All of it within `LOOK_TIMEOUT_S`. How long the platform pauses is not documented.
"""

VERSION = "1.0.0"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When the breaker opens and how long it stays so, in seconds as they pass here."""

    threshold: int
    recovery_s: float


class Breaker:
    """A circuit breaker: CLOSED, OPEN after failures in a row, HALF_OPEN when it is time to try again."""

    def __init__(self, settings: BreakerSettings, *, stuck: bool = False) -> None:
        self._settings = settings
        self._stuck = stuck
        self.failures = 0
        self.last_failure: datetime | None = None
        self._opened = time.monotonic() if stuck else 0.0
        self._is_open = stuck
        self._successes = 0

    @property
    def state(self) -> str:
        """CLOSED, OPEN or HALF_OPEN."""
        if not self._is_open:
            return "CLOSED"
        rested = time.monotonic() - self._opened >= self._settings.recovery_s
        return "HALF_OPEN" if rested and not self._stuck else "OPEN"

    def note(self, *, good: bool) -> None:
        """Take in the outcome of a look at MLflow; two good ones close a half-open breaker."""
        if not good:
            self._note_failure()
            return
        self._successes += 1
        if not self._stuck and (not self._is_open or self._successes >= 2):
            self.reset()

    def _note_failure(self) -> None:
        self.failures += 1
        self._successes = 0
        self.last_failure = datetime.now(UTC)
        if self._is_open or self.failures >= self._settings.threshold:
            self._is_open = True
            self._opened = time.monotonic()

    def reset(self) -> None:
        """Close the breaker."""
        self._is_open = False
        self.failures = 0
        self._successes = 0


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the health endpoints look at. ``wire`` is the one for MLflow, closed by whoever made it."""

    mlflow_url: str
    wire: Wire
    redis: KeyCache | None
    database: Database


class Health:
    """The handlers of the health endpoints.

    Args:
        neighbours: What to look at.
        breaker: The breaker for MLflow.
        behaviours: The known defects that are switched on.
        time_scale: How many times faster than the platform.
        clock: The platform's, by which it dates its answers.

    """

    def __init__(
        self,
        neighbours: Neighbours,
        breaker: Breaker,
        behaviours: frozenset[str],
        time_scale: float,
        clock: PlatformClock = RIGHT,
    ) -> None:
        self._clock = clock
        self._mlflow_url = neighbours.mlflow_url
        self._wire = neighbours.wire
        self._redis = neighbours.redis
        self._database = neighbours.database
        self._breaker = breaker
        self._behaviours = behaviours
        self._time_scale = time_scale
        self._started = time.monotonic()
        seconds, api_seconds = LOOK_TIMEOUT_S / time_scale, API_LOOK_TIMEOUT_S / time_scale
        self._timeouts = Timeouts(seconds, seconds)
        self._api_timeouts = Timeouts(api_seconds, api_seconds)

    async def health(self, request: web.Request) -> web.Response:
        """The gateway and what it depends on; 200 also when degraded, 503 when all of that is gone."""
        if "health-constant" in self._behaviours:
            constant = {"api": "healthy", "dependency_checks": "skipped"}
            return as_json({"status": "healthy", "services": constant})
        if request.query.get("detailed") == "true":
            self._refuse_if("health-status-500")
        return await self._overview()

    async def status(self, _request: web.Request) -> web.Response:
        """The same overview."""
        self._refuse_if("health-status-500")
        return await self._overview()

    def _refuse_if(self, behaviour: str) -> None:
        if behaviour in self._behaviours:
            raise RefusalError(500, "Internal server error")

    async def _overview(self) -> web.Response:
        mlflow, redis, database = await asyncio.gather(
            self._look_at_mlflow(), self._redis_alive(), self._database.look(self._timeouts.connect_s)
        )
        looked_at = {
            "mlflow": _word(good=mlflow is None),
            "redis": _word(good=redis),
            "message_queue": _word(good=redis),
            "postgres": _word(good=database is None),
        }
        status = overall(looked_at)
        body = {
            "status": status,
            "version": VERSION,
            "services": {**looked_at, "external_api": "healthy"},
            "timestamp": self._now(),
            "system_info": {"uptime_seconds": self._uptime(), "memory_usage_mb": _memory_mb()},
        }
        return as_json(body, status=503 if status == "unhealthy" else 200)

    async def close(self) -> None:
        """Close what is open."""
        if self._redis:
            await self._redis.close()

    async def _redis_alive(self) -> bool:
        return await self._redis.alive() if self._redis else False

    async def alb(self, _request: web.Request) -> web.Response:
        """A constant, for load balancers."""
        return as_json({"status": "healthy", "timestamp": self._now()})

    async def mlflow(self, _request: web.Request) -> web.Response:
        """The breaker as it is after one look; 503 while it is open."""
        error = await self._look_at_mlflow()
        if self._breaker.state == "OPEN" and "breaker-open-500" in self._behaviours:
            unknown = {
                "circuit_breaker_state": "UNKNOWN",
                "error": "Object of type datetime is not JSON serializable",
                "connected": False,
            }
            return as_json(unknown, status=500)
        status = 503 if self._breaker.state == "OPEN" else 200
        return as_json(self._breaker_view(error), status=status)

    def _breaker_view(self, error: str | None) -> dict[str, object]:
        last = self._breaker.last_failure
        return {
            "circuit_breaker_state": self._breaker.state,
            "failure_count": self._breaker.failures,
            "last_failure_time": last.isoformat() if last else None,
            "connected": error is None,
            "tracking_uri": self._mlflow_url,
            "error": error,
            "timestamp": self._now(),
        }

    async def reset(self, _request: web.Request) -> web.Response:
        """Close the breaker; repaired, this needs a key."""
        self._breaker.reset()
        return as_json({"status": "reset", "reset_by": "manual_api_call", "timestamp": self._now()})

    async def ready(self, _request: web.Request) -> web.Response:
        """Whether the gateway can serve: MLflow and the database answer. The cache is not needed for that.

        With ``ready-200-when-not`` a gateway that lacks MLflow alone answers 200; only the body says so.
        """
        mlflow, database = await asyncio.gather(self._look_at_mlflow(), self._database.check())
        ready = mlflow is None and database.error is None
        lenient = "ready-200-when-not" in self._behaviours
        serves = database.error is None and (mlflow is None or lenient)
        body = {
            "ready": ready,
            "can_serve_traffic": serves,
            "degraded_mode": serves and not ready,
            "checks": [
                self._database_check(database),
                {"name": "mlflow", "passed": mlflow is None, "error": mlflow, "critical": False},
            ],
        }
        return as_json(body, status=200 if serves else 503)

    def _database_check(self, check: DatabaseCheck) -> dict[str, object]:
        passed, settings = check.error is None, self._database.settings
        details = {
            "host": settings.host,
            "port": settings.port,
            "user": settings.user,
            "primary_db": settings.name,
            "fallback_db": settings.fallback_name,
            "timeout": CONNECT_TIMEOUT_S,
            "max_retries": ATTEMPTS,
        }
        return {
            "name": "database",
            "passed": passed,
            "error": check.error or check.warning,
            "critical": True,
            "connection_details": None if passed else details,
        }

    async def live(self, _request: web.Request) -> web.Response:
        """That the process lives."""
        return as_json({"alive": True, "uptime": self._uptime(), "memory_usage_mb": _memory_mb()})

    async def version(self, _request: web.Request) -> web.Response:
        """A constant, as on the platform."""
        return as_json({"version": VERSION, "git_commit": "unknown", "build_date": "unknown"})

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus text."""
        return web.Response(text=f"hokusai_gateway_uptime_seconds {self._uptime()}\n")

    async def api_mlflow(self, _request: web.Request) -> web.Response:
        """Three looks at MLflow; 503 when one fails."""
        body = await self._api_view()
        if body["status"] != "healthy":
            raise RefusalError(503, body)
        return as_json(body)

    async def api_mlflow_detailed(self, _request: web.Request) -> web.Response:
        """The same three looks, always 200."""
        body = await self._api_view()
        return as_json(body | {"overall_health": body["status"] == "healthy"})

    async def api_mlflow_connectivity(self, _request: web.Request) -> web.Response:
        """Whether MLflow answers at all; 503 when not."""
        error = await self._look_at_mlflow()
        if error is not None:
            raise RefusalError(503, error)
        return as_json({"status": "connected", "mlflow_server": self._mlflow_url})

    async def _api_view(self) -> dict[str, object]:
        connectivity, experiments, artifacts = await asyncio.gather(
            self._look_at_mlflow(),
            self._look("/api/2.0/mlflow/experiments/search?max_results=1", self._api_timeouts),
            self._look("/api/2.0/mlflow-artifacts/artifacts?path=", self._api_timeouts),
        )
        checks = {"connectivity": connectivity, "experiments_api": experiments, "artifacts_api": artifacts}
        return {
            "mlflow_server": self._mlflow_url,
            "checks": {name: _check(error) for name, error in checks.items()},
            "status": _word(good=not any(checks.values())),
        }

    async def _look_at_mlflow(self) -> str | None:
        """What is wrong with MLflow, None when it answers its health path. An open breaker asks nothing."""
        if self._breaker.state == "OPEN":
            return "circuit breaker is open"
        error = await self._patient_look("/health")
        self._breaker.note(good=error is None)
        return error

    async def _patient_look(self, path: str) -> str | None:
        """What is wrong, None as soon as one of several looks finds it well."""
        deadline = time.monotonic() + self._timeouts.connect_s
        pause = RETRY_PAUSE_S / self._time_scale
        error = await self._look(path, self._timeouts)
        for _ in range(RETRIES - 1):
            left = deadline - time.monotonic() - pause
            if error is None or left <= 0:
                break
            await asyncio.sleep(pause)
            error = await self._look(path, Timeouts(left, left))
            pause *= 2
        return error

    async def _look(self, path: str, timeouts: Timeouts) -> str | None:
        request = Outgoing("GET", self._mlflow_url + path)
        try:
            async with self._wire.send("gateway->mlflow", request, timeouts) as answer:
                return None if answer.status == 200 else f"HTTP {answer.status}"
        except WireError as error:
            return type(error).__name__.removesuffix("Error")

    def _now(self) -> str:
        return self._clock.now().isoformat()

    def _uptime(self) -> float:
        return round(time.monotonic() - self._started, 3)


def overall(services: Mapping[str, str]) -> str:
    """What it comes to: healthy when all are, unhealthy when none is, else degraded."""
    states = set(services.values())
    if states == {"healthy"}:
        return "healthy"
    return "degraded" if "healthy" in states else "unhealthy"


def _check(error: str | None) -> Mapping[str, object]:
    return {"status": _word(good=error is None), "error": error}


def _word(*, good: bool) -> str:
    return "healthy" if good else "unhealthy"


def _memory_mb() -> float:
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
