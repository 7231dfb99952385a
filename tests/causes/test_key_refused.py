"""A refused key where only the registry's URL is known."""

import pytest
from _facts import BARE, SEARCH, TARGET, answer, api_facts, outside, refusal, silence, unavailable
from test_diagnoses import concluded, lines

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.model import Target

REFUSED = refusal(401, "Invalid or expired API key", path=SEARCH)
WITH_KEY = REFUSED.model_copy(update={"key_form": "bearer"})
LOGIN = answer(401, "You are not authenticated. Please see https://www.mlflow.org/docs", path=SEARCH)


def present(real: Catalogue, search: Answer, target: Target = BARE) -> list[str]:
    """What is named where searching is answered so and nothing else is known."""
    return lines(concluded(real, [api_facts(search)], target), "present")


@pytest.mark.parametrize("search", [REFUSED, WITH_KEY, LOGIN, refusal(401, "API key required", path=SEARCH)])
def test_a_401_is_the_caller_s_to_look_at(real: Catalogue, search: Answer) -> None:
    """A key that is refused, none at all, or a login of MLflow's own."""
    assert present(real, search) == ["likely key-refused key"]


@pytest.mark.parametrize(
    "search",
    [
        answer(body={"experiments": []}, path=SEARCH),
        refusal(401, "Authentication service error", path=SEARCH),
        refusal(503, "Authentication service unavailable", path=SEARCH),
        refusal(403, "Insufficient permissions for this operation", path=SEARCH),
        refusal(404, "Not Found", path=SEARCH),
        unavailable(path=SEARCH),
        silence(path=SEARCH),
    ],
)
def test_nothing_else_is_the_key_s_fault(real: Catalogue, search: Answer) -> None:
    """Neither is a 401 that speaks of the auth service."""
    assert [line for line in present(real, search) if "key-refused" in line] == []


def test_where_auth_can_be_asked_it_says_nothing(real: Catalogue) -> None:
    """Other causes know more there."""
    facts = outside(mlflow_api=api_facts(WITH_KEY)).values()
    named = lines(concluded(real, facts, TARGET), "present") + lines(
        concluded(real, facts, TARGET), "undecided"
    )
    assert [line for line in named if "key-refused" in line] == []


@pytest.mark.parametrize(
    ("search", "words"), [(WITH_KEY, "holds the whole key"), (REFUSED, "Set HOKUSAI_API_KEY")]
)
def test_the_remedy_knows_whether_a_key_was_sent(real: Catalogue, search: Answer, words: str) -> None:
    """Without one, setting it comes first."""
    (found,) = (d for d in concluded(real, [api_facts(search)], BARE).diagnoses if d.status == "present")
    assert found.remedy is not None
    assert words in found.remedy.summary
