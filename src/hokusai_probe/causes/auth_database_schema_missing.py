"""Auth's database lacks a table."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._keys import Sighting, seen
from hokusai_probe.causes._words import one_line, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts, no_verdict
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

_NO_TABLE = r"UndefinedTable|relation .{1,120} does not exist|no such table|Table '.{1,120}' doesn't exist"


@cause(
    component="auth",
    priority="critical",
    effort="hours",
    look_alikes={
        "auth-service-down": "there auth does not answer, or fails without naming a table",
        "mlflow-database-unreachable": "there it is MLflow that fails; keys are accepted",
    },
    source="S-13",
)
def auth_database_schema_missing(
    validation: KeyValidationFacts | None,
    invalid: InvalidKeysFacts | None,
    logs: LogTailsFacts | None,
    definitions: TaskDefinitionsFacts | None,
) -> Iterator[Case]:
    """A migration of auth's database was not run: validating a key ends in 500 and names an undefined table.

    ``psycopg2.errors.UndefinedTable: relation "…" does not exist``. Auth's /health looks at no table and is
    well. The gateway says ``Authentication service error``.
    """
    if validation is None and invalid is None:
        return
    asked = tuple(_asked(validation, invalid))
    failing = next((s for s in asked if _own_fault(s[2])), None)
    yield Case(
        subject="auth",
        breaks=("validation", "gateway-to-auth"),
        claims=(
            seen(
                "auth fails when it validates a key" + (f": {said(failing[2], 'auth')}" if failing else ""),
                failing,
                holds=True if failing else (False if any(_judged(a) for _, _, a in asked) else None),
            ),
            _names_a_table(failing, logs, definitions),
        ),
        remedy=_remedy(definitions),
    )


def _asked(validation: KeyValidationFacts | None, invalid: InvalidKeysFacts | None) -> Iterator[Sighting]:
    if validation is not None:
        yield KeyValidationFacts, "for_platform", validation.for_platform
        yield KeyValidationFacts, "without_service", validation.without_service
    if invalid is not None and invalid.direct is not None:
        yield InvalidKeysFacts, "direct", invalid.direct


def _own_fault(answer: Answer) -> bool:
    """5xx of the service itself: no page of the load balancer's, and not the gateway's words (INC-07)."""
    broken = answer.status is not None and answer.status >= 500
    return broken and responder(answer) != "load-balancer" and no_verdict(answer) is None


def _judged(answer: Answer) -> bool:
    return answer.status in {200, 401} and no_verdict(answer) is None


def _names_a_table(
    failing: Sighting | None, logs: LogTailsFacts | None, definitions: TaskDefinitionsFacts | None
) -> Claim:
    """Said in the answer or in the log. A line of the log counts while auth fails: it may be an old one."""
    if failing is not None and re.search(_NO_TABLE, failing[2].body, re.IGNORECASE):
        return seen("its answer names a table that does not exist", failing, holds=True, telling=True)
    line = logs.matching("auth", _NO_TABLE) if logs and failing else None
    silent = bool(logs and logs.read("auth") and failing)
    return claim(
        f"auth's log: {line[1].text}" if line else "auth's log names a table that does not exist",
        True if line else (False if silent else None),
        by=LogTailsFacts,
        fact=line[0] if line else "",
        value=line[1].text if line else None,
        telling=True,
        aws_cli=_look_into_log(definitions),
    )


def _look_into_log(definitions: TaskDefinitionsFacts | None) -> str:
    auth = definitions.of("auth") if definitions else None
    group = word(auth.log_group if auth else None, "AUTH_LOGS")
    return one_line(f"aws logs tail {group} --since 1h")


def _remedy(definitions: TaskDefinitionsFacts | None) -> Remedy:
    return Remedy(
        kind="outside-aws",
        summary="Run the migrations of the auth service against its database, then deploy it anew.",
        before=(_look_into_log(definitions), "Back the database up."),
        rollback="Restore the backup.",
        also_touches="Every key of every service: none can be validated until it is done.",
        verify="hokusai-probe verify auth-database-schema-missing",
    )
