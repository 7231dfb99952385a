"""Whether requests arrive at MLflow as they were sent: verdicts on facts made by hand."""

import pytest
from _facts import HTML, answer, refusal
from _handed_on import NO_TYPE, PATH, REFUSED, TAKEN, TYPE, repeated, untyped
from test_checks import PASS, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts
from hokusai_probe.probes.repeated_parameters import RepeatedParametersFacts

ONE_OF_TWO = f"{PATH}?order_by: of two only the"
UNCLEAR = "MLflow's answers do not show which orders arrived (hkprobe: {}; hkprobe&name ASC: {}; name ASC&hkprobe: {}; name ASC&last_updated_timestamp ASC: {})"  # fmt: skip # noqa: E501
NO, YES = "400 from MLflow ('INVALID_PARAMETER_VALUE')", "200 from an unknown sender (application/json)"
REPEATS: list[tuple[RepeatedParametersFacts, tuple[str, str | None, str]]] = [
    (repeated(), PASS),
    (repeated(good=answer(body={"registered_models": [], "next_page_token": "x"})), PASS),
    (repeated(first=TAKEN), failing(f"{ONE_OF_TWO} last arrives")),
    (repeated(last=TAKEN), failing(f"{ONE_OF_TWO} first arrives")),
    (repeated(first=TAKEN, last=TAKEN), failing(f"{PATH}?order_by: of two none arrives")),
    (
        repeated(good=REFUSED),
        failing(f"{PATH}?order_by: two arrive as something that MLflow does not understand"),
    ),
    (repeated(alone=TAKEN), skipped("cannot-tell", UNCLEAR.format(YES, NO, NO, YES))),
    (
        repeated(last=refusal(504, "late")),
        skipped("cannot-tell", UNCLEAR.format(NO, NO, "504 from the gateway ('late')", YES)),
    ),
    (
        repeated(first=answer(200, "<html>", HTML)),
        skipped("cannot-tell", UNCLEAR.format(NO, "200 from an unknown sender (text/html)", NO, YES)),
    ),
]
SENT = "plain text was sent to MLflow"
TYPES: list[tuple[tuple[Facts, ...], tuple[str, str | None, str]]] = [
    (untyped(answer(400, TYPE)), PASS),
    (untyped(answer(400, TYPE), None), PASS),
    (untyped(answer(body={})), failing("a body that was sent as text/plain arrives as application/json")),
    (
        untyped(answer(body={"runs": []}), "2.9.2"),
        failing("a body that was sent as text/plain arrives as application/json"),
    ),
    (untyped(answer(400, NO_TYPE)), failing("a body that was sent as text/plain arrives without its type")),
    (untyped(answer(body={}), "2.8.0"), skipped("cannot-tell", f"{SENT} 2.8.0: {YES}")),
    (untyped(answer(body={}), None), skipped("cannot-tell", f"{SENT} of an unknown version: {YES}")),
    (
        untyped(refusal(403, "no")),
        skipped("cannot-tell", f"{SENT} 3.17.2: 403 from the gateway ('no')"),
    ),
]


@pytest.mark.parametrize(("facts", "expected"), REPEATS)
def test_a_parameter_that_is_sent_twice(
    real: Catalogue, facts: RepeatedParametersFacts, expected: tuple[str, str | None, str]
) -> None:
    """Lost only where MLflow takes what it refuses alone; whatever else came says nothing."""
    assert told(verdict(real, "repeated-parameters-are-forwarded", facts)) == expected


@pytest.mark.parametrize(("facts", "expected"), TYPES)
def test_the_type_of_a_body(
    real: Catalogue, facts: tuple[Facts, ...], expected: tuple[str, str | None, str]
) -> None:
    """It arrived where MLflow complains of it, and not where an MLflow that would complain does not."""
    assert told(verdict(real, "request-headers-are-forwarded", *facts)) == expected
