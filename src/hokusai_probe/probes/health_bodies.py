"""What the gateway's health endpoints say of it and of what it depends on, word for word."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from pydantic import JsonValue

from hokusai_probe.answers import responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Wrong
from hokusai_probe.probes.hosts import HostsFacts

PATHS = ("/health", "/ready", "/live", "/health/mlflow", "/api/health/mlflow")
STATUS_PATHS = ("/health/status", "/health?detailed=true")
RESET = "/health/mlflow/reset"
STALE = timedelta(minutes=5)
_QUARTER = timedelta(minutes=15)


class View(Frozen):
    """One statement of the gateway on whether MLflow can be reached.

    ``by_breaker``: nobody asked MLflow, because the circuit breaker is open.
    """

    path: str
    well: bool
    error: str = ""
    by_breaker: bool = False


class HealthBodiesFacts(Facts):
    """The answers by path, and what their bodies say. A path that told of trouble was asked once more.

    ``answers`` are the last ones, ``first`` the earlier ones of paths that were asked again.
    ``services``: of ``/health``, such as ``{"redis": "unhealthy"}``; empty where it is constant.
    ``ready`` and ``serves``: the two flags of ``/ready``; ``database_error`` and ``database_settings`` (host,
    port, user, primary_db, fallback_db as text) what it says of the database when that check fails.
    ``breaker``: the circuit breaker's state in capitals; ``breaker_connected`` what it says of MLflow;
    ``breaker_rested_s`` seconds since its last failure by the gateway's own clock.
    ``views``: what is said of reaching MLflow, once a path; ``experiments`` whether the gateway's own search
    of it worked.
    ``reset``: the answer to a GET without a key at the path that resets the breaker by POST.
    None: not said.
    """

    answers: Mapping[str, Answer]
    first: Mapping[str, Answer] = {}
    services: Mapping[str, str] = {}
    ready: bool | None = None
    serves: bool | None = None
    database_error: str | None = None
    database_settings: Mapping[str, str] = {}
    breaker: str | None = None
    breaker_connected: bool | None = None
    breaker_rested_s: float | None = None
    views: tuple[View, ...] = ()
    experiments: bool | None = None
    reset: Answer | None = None

    def breaker_open(self) -> bool | None:
        """Whether the breaker is open. Its 500 of state UNKNOWN is how an open one looked (L-05)."""
        answer = self.answers.get("/health/mlflow")
        if self.breaker == "UNKNOWN" and answer is not None and answer.status == 500:
            return True
        return None if self.breaker in {None, "UNKNOWN"} else self.breaker == "OPEN"


@probe(area="resilience", needs=("auth-host",), cost=15)
async def health_bodies(look: Look) -> HealthBodiesFacts:
    """The bodies of the gateway's health endpoints: codes alone say "healthy" in most faults (contract 5).

    Asked with the key where there is one, because in August 2025 some of them wanted one (INC-25). What
    tells of trouble is asked once more, so that one late answer of a dependency does not count. The path
    that resets the circuit breaker is asked by GET, which it refuses: with 405 where no key is wanted, with
    401 where one is (L-10). Nothing is reset.
    """
    paths = (*PATHS, *STATUS_PATHS)
    *found, reset = await asyncio.gather(
        *(_get(look, path) for path in paths), look.http.send("GET", "registry", RESET)
    )
    first = dict(zip(paths, found, strict=True))
    unwell = [path for path, answer in first.items() if _tells_of_trouble(answer)]
    again = dict(zip(unwell, await asyncio.gather(*(_get(look, path) for path in unwell)), strict=True))
    return said_by(first | again, first={path: first[path] for path in again}, reset=reset)


async def _get(look: Look, path: str) -> Answer:
    bare, _, query = path.partition("?")
    pairs = [(query.partition("=")[0], query.partition("=")[2])] if query else []
    return await look.http.send("GET", "registry", bare, key=look.key_form(), query=pairs)


def _tells_of_trouble(answer: Answer) -> bool:
    """The gateway itself says that something is unwell. Silence is not asked again: it costs a timeout."""
    body = body_of(answer)
    flags = (body.get("ready"), body.get("connected"))
    words = {_text(body.get("status")), *_words(body.get("services")).values()}
    unwell = (answer.status or 0) >= 500 or False in flags or bool(words & {"degraded", "unhealthy"})
    return bool(body) and unwell


def said_by(
    answers: Mapping[str, Answer], *, first: Mapping[str, Answer] | None = None, reset: Answer | None = None
) -> HealthBodiesFacts:
    """The facts in these answers by path. Pure."""
    bodies = {path: body_of(answer) for path, answer in answers.items()}
    health, ready, breaker = (bodies.get(path, {}) for path in ("/health", "/ready", "/health/mlflow"))
    return HealthBodiesFacts(
        answers=answers,
        first=first or {},
        services=_words(health.get("services")),
        ready=_flag(ready, "ready"),
        serves=_flag(ready, "can_serve_traffic"),
        breaker=_text(breaker.get("circuit_breaker_state")),
        breaker_connected=_flag(breaker, "connected"),
        breaker_rested_s=_rested_s(breaker),
        views=views_in(answers, first or {}),
        experiments=experiments_in(answers.get("/api/health/mlflow")),
        reset=reset,
        **_database(ready),
    )


def body_of(answer: Answer | None) -> Mapping[str, JsonValue]:
    """The object in an answer that may be the gateway's; empty where it is somebody else's or none."""
    body = answer.json() if answer and responder(answer) in {"gateway", "unknown"} else None
    return body if isinstance(body, Mapping) else {}


_ANSWERED = re.compile(
    r"\bHTTP 4\d\d\b|\b4\d\d (Client Error|Not Found|Forbidden|Unauthorized)|\b(tls|ssl)|certificate",
    re.IGNORECASE,
)


def views_in(answers: Mapping[str, Answer], first: Mapping[str, Answer]) -> tuple[View, ...]:
    """What the two MLflow health paths say of reaching MLflow, and what /ready says against it. Pure.

    The last word counts. Where it is the breaker's, the first one is still about MLflow, unless MLflow may
    have come or gone in between: a complaint that was made once counts where two paths make it, or where it
    is of an answer (4xx, a TLS alert), which nobody gives who is down. That /ready finds it well says
    nothing: it may be a constant.
    """
    paths = ("/health/mlflow", "/api/health/mlflow", "/ready")
    last, before = ({p: _view(seen[p]) for p in paths if p in seen} for seen in (answers, first))
    once = [v for v in before.values() if v is not None and not v.well and not v.by_breaker]
    found = []
    for path in paths:
        view, earlier = last.get(path), before.get(path)
        if view is not None and view.by_breaker and earlier is not None and not earlier.by_breaker:
            view = earlier if earlier.well or len(once) > 1 or _ANSWERED.search(earlier.error) else view
        found.append(None if view is not None and view.well and path == "/ready" else view)
    return tuple(view for view in found if view is not None)


def _view(answer: Answer) -> View | None:
    body = body_of(answer)
    well, error = _flag(body, "connected"), body.get("error")
    if answer.path == "/api/health/mlflow":
        well, error = _api_check(answer, "connectivity")
    if answer.path == "/ready":
        well, error = _ready_check(body, "mlflow")
    if answer.path not in {"/health/mlflow", "/api/health/mlflow", "/ready"} or well is None:
        return None
    text = _text(error) or ""
    by_breaker = not well and ("breaker" in text.lower() or _state_unwritten(answer, body))
    return View(path=answer.path, well=well, error=text, by_breaker=by_breaker)


def _state_unwritten(answer: Answer, body: Mapping[str, JsonValue]) -> bool:
    """Whether it is the 500 in which an open breaker ends whose state cannot be written (L-05)."""
    return answer.status == 500 and body.get("circuit_breaker_state") == "UNKNOWN"


def _ready_check(body: Mapping[str, JsonValue], name: str) -> tuple[bool | None, JsonValue]:
    """One of the checks of /ready: a list of names with ``passed`` and ``error`` (contract 5)."""
    checks = body.get("checks")
    named = (c for c in (checks if isinstance(checks, list) else ()) if isinstance(c, Mapping))
    one = next((c for c in named if c.get("name") == name), None)
    passed = one.get("passed") if one else None
    return (passed, one.get("error")) if one and isinstance(passed, bool) else (None, None)


def experiments_in(answer: Answer | None) -> bool | None:
    """Whether the gateway's own search for experiments worked, by ``/api/health/mlflow``. Pure."""
    return _api_check(answer, "experiments_api")[0]


def _api_check(answer: Answer | None, name: str) -> tuple[bool | None, JsonValue]:
    """One of the three checks; in a refusal they stand under ``detail``."""
    body: JsonValue = dict(body_of(answer))
    for step in ("detail", "checks", name):
        inner = body.get(step) if isinstance(body, Mapping) else None
        body = body if step == "detail" and inner is None else inner
    if not isinstance(body, Mapping) or body.get("status") not in {"healthy", "unhealthy"}:
        return None, None
    return body["status"] == "healthy", body.get("error")


def _rested_s(body: Mapping[str, JsonValue]) -> float | None:
    now, failed = _moment(body.get("timestamp")), _moment(body.get("last_failure_time"))
    return None if now is None or failed is None else round((now - failed).total_seconds(), 3)


def _moment(value: JsonValue) -> datetime | None:
    """An ISO time; one without a zone is taken for UTC, as Python's utcnow() writes it."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _words(value: JsonValue) -> dict[str, str]:
    found = value if isinstance(value, Mapping) else {}
    return {str(name): word for name, word in found.items() if isinstance(word, str)}


def _flag(body: Mapping[str, JsonValue], name: str) -> bool | None:
    value = body.get(name)
    return value if isinstance(value, bool) else None


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _database(body: Mapping[str, JsonValue]) -> dict[str, object]:
    checks = body.get("checks")
    listed = [c for c in checks if isinstance(c, Mapping)] if isinstance(checks, list) else []
    found = next((c for c in listed if c.get("name") == "database" and c.get("passed") is False), {})
    details = found.get("connection_details")
    settings = details if isinstance(details, Mapping) else {}
    return {
        "database_error": _text(found.get("error")),
        "database_settings": {str(k): str(v) for k, v in settings.items()},
    }


# --- checks -----------------------------------------------------------------------------------------


@check(hop="mlflow-health/breaker")
def breaker_is_closed(facts: HealthBodiesFacts) -> Sentence:
    """The gateway's circuit breaker for MLflow is closed.

    It opens when MLflow does not answer the gateway, and must close again by itself.
    """
    is_open, answer = facts.breaker_open(), facts.answers.get("/health/mlflow")
    if is_open is None or answer is None:
        return CannotTell(reason=f"/health/mlflow: {said(answer) if answer else 'not asked'}")
    if facts.breaker == "HALF_OPEN":
        return CannotTell(reason="the circuit breaker is half open: it is trying again")
    state = facts.breaker if facts.breaker == "OPEN" else "open (500: its state cannot be written)"
    return Wrong(reason=f"the circuit breaker is {state}", reproduce=answer.curl()) if is_open else None


@check(hop="gateway/readiness", behaviour="ready-200-when-not")
def ready_code_agrees_with_body(facts: HealthBodiesFacts) -> Sentence:
    """The code of /ready is 200 only where its body says that the gateway is ready."""
    answer = facts.answers.get("/ready")
    if answer is None or facts.ready is None:
        return CannotTell(reason=f"/ready: {said(answer) if answer else 'not asked'}")
    if answer.status == 200 and not facts.ready:
        return Wrong(reason="/ready is 200 and its body says ready: false", reproduce=answer.curl())
    return None


@check(hop="gateway/health-status", behaviour="health-status-500")
def health_status_answers(facts: HealthBodiesFacts) -> Sentence:
    """The long forms of /health do not end in an error of their own, twice asked."""
    asked = [facts.answers[path] for path in STATUS_PATHS if path in facts.answers]
    if not any(body_of(a) and a.status != 404 for a in asked):
        return CannotTell(reason="the gateway does not answer there")
    bad = [path for path in STATUS_PATHS if fails_by_itself(facts, path)]
    if not bad:
        return None
    answer = facts.answers[bad[0]]
    return Wrong(reason=f"{' and '.join(bad)}: {said(answer)}", reproduce=answer.curl())


def fails_by_itself(facts: HealthBodiesFacts, path: str) -> bool:
    """Whether a health endpoint answered 500 both times, while plain /health did not."""
    both = (facts.first.get(path), facts.answers.get(path))
    plain = facts.answers.get("/health")
    return all(a is not None and a.status == 500 for a in both) and plain is not None and plain.status != 500


@check(hop="gateway/breaker-reset", behaviour="breaker-reset-open")
def breaker_reset_needs_a_key(facts: HealthBodiesFacts) -> Sentence:
    """Resetting the circuit breaker needs a key. Asked by GET, which resets nothing."""
    answer = facts.reset
    if answer is None or responder(answer) != "gateway":
        return CannotTell(reason=f"{RESET}: {said(answer) if answer else 'not asked'}")
    if answer.status == 404:
        return NotApplicable(reason=f"the gateway has no {RESET}")
    if answer.status in {401, 403}:
        return None
    if answer.status == 405 and "POST" in answer.headers.get("allow", "POST"):
        return Wrong(reason=f"{RESET} can be called without a key", reproduce=answer.curl())
    return CannotTell(reason=f"{RESET}: {said(answer)}")


@check(hop="gateway/health-age")
def health_bodies_are_fresh(facts: HealthBodiesFacts, hosts: HostsFacts | None) -> Sentence:
    """What /health and /health/mlflow say is of now, by the times in their bodies and their Date headers."""
    ages = ages_of(facts, hosts)
    if not ages:
        return CannotTell(reason="no health body says when it was made, so that its age could be told")
    old = {path: age for path, age in ages.items() if age > STALE}
    if not old:
        return None
    path, age = next(iter(old.items()))
    return Wrong(
        reason=f"the body of {path} is {age.total_seconds() / 60:.0f} minutes old",
        reproduce=facts.answers[path].curl(),
    )


def ages_of(facts: HealthBodiesFacts, hosts: HostsFacts | None) -> Mapping[str, timedelta]:
    """How much older the time in a body is than its Date header, by path; without those that do not tell.

    A time without a zone may be of any zone. What is left of whole quarters of an hour is then the least
    that the body is behind; that it is behind by nothing else is known only where another answer of the same
    path has another time.
    """
    host = hosts.health("registry") if hosts else None
    found = {}
    for path in ("/health", "/health/mlflow"):
        answer = facts.answers.get(path)
        others = (facts.first.get(path), host if host and host.path == path else None)
        moves = any(_stamp(other) not in {None, _stamp(answer)} for other in others)
        age = _age(answer, moves=moves)
        if age is not None:
            found[path] = age
    return found


def _age(answer: Answer | None, *, moves: bool) -> timedelta | None:
    stamp, sent = _stamp(answer), _date(answer)
    made = _moment(stamp)
    if stamp is None or made is None or sent is None:
        return None
    if datetime.fromisoformat(stamp).tzinfo is not None:
        return sent - made
    least = (sent - made + _QUARTER / 2) % _QUARTER - _QUARTER / 2
    return least if moves or least > STALE else None


def _stamp(answer: Answer | None) -> str | None:
    return _text(body_of(answer).get("timestamp"))


def _date(answer: Answer | None) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")) if answer else None
    except ValueError:
        return None
