"""What the gateway says of its stores: in which of its two answers, and what outweighs what."""

from typing import Any

import pytest
from _facts import answer, silence
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.probes.gateway_stores import _hiccup, database_trouble, stores_seen

DETAILS = {"host": "db.example", "port": 5432, "user": "postgres", "primary_db": "mlflow"}


def health(**services: str) -> Answer:
    """/health that says so of its services."""
    return answer(body={"status": "degraded", "services": services})


def ready(error: str | None = None, *, passed: bool | None = None, status: int = 200) -> Answer:
    """/ready with a check of the database; an error means that it did not pass, unless told otherwise."""
    good = error is None if passed is None else passed
    found: dict[str, Any] = {"name": "database", "passed": good, "error": error}
    return answer(
        status,
        {"ready": good, "checks": [found | {"connection_details": None if good else DETAILS}]},
        path="/ready",
    )


REFUSED = 'connection failed: FATAL:  password authentication failed for user "postgres"'
CONSTANT = answer(body={"status": "healthy", "services": {"api": "healthy", "dependency_checks": "skipped"}})
WELL = health(redis="healthy", postgres="healthy")

CACHE: list[tuple[Answer, Told]] = [
    (WELL, PASS),
    (health(redis="unhealthy"), failing("/health says that redis is unhealthy")),
    (health(redis="degraded"), failing("/health says that redis is degraded")),
    *(
        (health(redis=word), skipped("cannot-tell", f"/health says of redis: {word!r}"))
        for word in ("disabled", "unknown", "not_configured")
    ),
    (CONSTANT, skipped("cannot-tell", "/health says nothing of redis (200)")),
    (silence(), skipped("cannot-tell", "/health says nothing of redis (refused)")),
]


@pytest.mark.parametrize(("said", "expected"), CACHE)
def test_the_cache_is_judged_by_health(real: Catalogue, said: Answer, expected: Told) -> None:
    """Unhealthy fails; a constant, or silence, decides nothing."""
    assert told(verdict(real, "gateway-reaches-its-cache", stores_seen(said, ready()))) == expected


OPEN = "/ready and /health do not both say whether the database can be used"
DATABASE: list[tuple[Answer, Answer, Told]] = [
    (WELL, ready(), PASS),
    (WELL, answer(401, {"detail": "API key required"}), PASS),
    (health(postgres="unhealthy"), ready(REFUSED, status=503), failing(f"/ready: {REFUSED}")),
    (
        health(postgres="unhealthy"),
        ready("Connected to fallback database: mlflow_db", passed=True),
        failing("/ready: Connected to fallback database: mlflow_db"),
    ),
    (health(postgres="unhealthy"), silence(), failing("/health says that postgres is unhealthy")),
    (health(postgres="unhealthy"), ready(), skipped("cannot-tell", OPEN)),
    (health(postgres="disabled"), silence(), skipped("cannot-tell", OPEN)),
    (CONSTANT, silence(), skipped("cannot-tell", OPEN)),
]


@pytest.mark.parametrize(("overview", "readiness", "expected"), DATABASE)
def test_the_database_is_judged_by_ready_first(
    real: Catalogue, overview: Answer, readiness: Answer, expected: Told
) -> None:
    """/ready tries three times; where only one of the two is content, nobody knows."""
    assert told(verdict(real, "gateway-reaches-its-database", stores_seen(overview, readiness))) == expected


TROUBLES = [
    (REFUSED, "login"),
    ('FATAL:  role "api" does not exist', "login"),
    ('FATAL:  database "mlflow" does not exist', "no-database"),
    ("Connected to fallback database: mlflow_db", "no-database"),
    ("FATAL:  sorry, too many clients already", "too-many"),
    ("remaining connection slots are reserved for roles with the SUPERUSER attribute", "too-many"),
    ("connection to server at 10.0.0.1, port 5432 failed: Connection refused", "refused"),
    ("failed to resolve host 'db': [Errno -2] Name or service not known", "no-name"),
    ('could not translate host name "db" to address', "no-name"),
    ("connection timeout expired", "silent"),
    ("could not connect to server: Connection timed out", "silent"),
    ("something new", "other"),
]


@pytest.mark.parametrize(("words", "expected"), TROUBLES)
def test_the_drivers_words_are_told_apart(words: str, expected: str) -> None:
    """Who answered at all, and with what, decides who must act."""
    assert database_trouble(words) == expected


def test_only_silence_is_asked_about_again() -> None:
    """What a server answered is no hiccup; no answer may be one."""
    assert [_hiccup(ready(words)) for words in (REFUSED, "connection timeout expired", None)] == [
        False,
        True,
        False,
    ]
