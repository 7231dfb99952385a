"""Looking whether what was made is gone: an intermittent fault is asked again, a refusal is not."""

import asyncio

import pytest
from _facts import answer, refusal, silence

from hokusai_probe.http import Answer
from hokusai_probe.probes._removal import left, seen

BROKEN, GONE = refusal(500, "x"), answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})


@pytest.mark.parametrize(
    ("answers", "asked", "last"),
    [
        ([GONE], 1, GONE),
        ([BROKEN, GONE], 2, GONE),
        ([BROKEN, BROKEN, GONE], 3, GONE),
        ([BROKEN, BROKEN, BROKEN, GONE], 3, BROKEN),
        ([refusal(403, "no"), GONE], 1, refusal(403, "no")),
        ([silence("timeout", "no answer"), GONE], 1, silence("timeout", "no answer")),
    ],
)
def test_a_look_afterwards_is_repeated_where_the_server_failed(
    answers: list[Answer], asked: int, last: Answer
) -> None:
    """A few times; what ran into a timeout is not, for it costs that much each time."""
    given = list(answers)

    async def ask() -> Answer:
        return given.pop(0)

    assert asyncio.run(seen(ask)).model_dump() == last.model_dump()
    assert len(answers) - len(given) == asked


def test_what_is_left_is_said_and_what_was_not_seen_too() -> None:
    """Neither passes for gone."""
    assert left("the run x", GONE, gone=True) == ""
    assert left("the run x", answer(200, {}), gone=False) == "the run x is still there"
    assert left("the run x", BROKEN, gone=False) == (
        "whether the run x is gone was not seen: 500 from the gateway ('x')"
    )
