"""What alters requests before MLflow is named where that is certain."""

import pytest
from _facts import answer, mlflow_404, outside
from _handed_on import NO_TYPE, REFUSED, TAKEN, TYPE, repeated, routes, untyped
from test_diagnoses import concluded, lines

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts


def typed(given: Answer, server: str | None = "3.17.2") -> dict[str, Facts]:
    """How plain text was answered, and by which MLflow."""
    return dict(zip(("hostile", "versions"), untyped(given, server), strict=True))


FOUND = "confirmed gateway-alters-requests"
TWICE = [f"{FOUND} repeated query parameters"]
OK = routes(answer(body={}))
STORIES: dict[str, tuple[dict[str, Facts], list[str]]] = {
    "only the last of two arrives": ({"repeated": repeated(first=TAKEN)}, TWICE),
    "two arrive as one": ({"repeated": repeated(good=REFUSED)}, TWICE),
    "the type is replaced": (typed(answer(body={})) | {"r": OK}, [f"{FOUND} Content-Type"]),
    "the type is lost, and nothing malformed may be sent": (
        {"r": routes(answer(400, NO_TYPE))},
        [f"{FOUND} Content-Type"],
    ),
    "everything arrives": (typed(answer(400, TYPE)) | {"repeated": repeated(), "r": OK}, []),
    "an MLflow that says nothing of its version": (typed(answer(body={}), None), []),
    "a route that is missing": ({"r": routes(mlflow_404())}, []),
}


@pytest.mark.parametrize("name", STORIES)
def test_what_is_altered_is_named(real: Catalogue, name: str) -> None:
    """The cause is present where something was certainly lost, with what it was; never where it is not."""
    facts, expected = STORIES[name]
    found = concluded(real, outside(**facts).values())
    assert [line for line in lines(found, "present") if "alters" in line] == expected
