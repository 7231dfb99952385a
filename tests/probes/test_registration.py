"""A registration's second version, alias and pages: what the checks make of each answer."""

from typing import Any

import pytest
from _facts import OUTSIDE, answer, refusal
from test_checks import registered_facts

from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import judge
from hokusai_probe.model import Observation
from hokusai_probe.probes.model_registration import next_page

NAME = "hkprobe-x"
TAGS = [{"key": "hkprobe", "value": "1"}, {"key": "hkprobe.journal", "value": NAME}]


def version(number: str) -> Any:
    """What MLflow says of one version."""
    return answer(body={"model_version": {"name": NAME, "version": number}})


def page(*numbers: str) -> Any:
    """A page of versions."""
    return answer(body={"model_versions": [{"name": NAME, "version": n} for n in numbers]})


WELL: dict[str, Any] = {
    "version": version("1"),
    "second_version": version("2"),
    "version_read": version("1"),
    "model_read": answer(body={"registered_model": {"name": NAME, "tags": TAGS}}),
    "alias_set": answer(body={}),
    "alias_read": version("1"),
    "stage": answer(404, {"error_code": "ENDPOINT_NOT_FOUND"}),
    "pages": (page("1"), page("2")),
}
BROKEN = {
    "all is well": ({}, None),
    "no second version": (
        {"second_version": refusal(500, "x")},
        "model-versions/create, a second time: 500 from the gateway ('x')",
    ),
    "the same number twice": (
        {"second_version": version("1")},
        "the second version was given the number of the first",
    ),
    "tags lost": (
        {"model_read": answer(body={"registered_model": {"name": NAME, "tags": TAGS[:1]}})},
        "the model was read back without its tags",
    ),
    "no alias": (
        {"alias_set": refusal(405, "x"), "alias_read": None},
        "registered-models/alias: 405 from the gateway ('x')",
    ),
    "another version's alias": (
        {"alias_read": version("2")},
        "the alias leads to another version than the one it was given to",
    ),
    "the same page twice": (
        {"pages": (page("1"), page("1"))},
        "page by page, searching lists 1 of 2 versions",
    ),
    "no second page": (
        {"pages": (page("1"), refusal(502, "x"))},
        "model-versions/search, page 2: 502 from the gateway ('x')",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_was_registered_is_found_whole(real: Catalogue, name: str) -> None:
    """Every way of finding it again counts; stages, which are deprecated, do not."""
    changed, expected = BROKEN[name]
    facts = registered_facts(**(WELL | changed))
    seen = Observation(
        probe=facts.probe, started_at="2026-01-01T00:00:00Z", duration_s=0.1, status="seen", facts=facts
    )
    checks = frozenset({"model-can-be-registered", "model-can-be-retrieved"})
    failing = [v.reason for v in judge(real, [seen], OUTSIDE, checks) if v.status != "pass"]
    assert failing == ([expected] if expected else [])


def test_the_next_page_is_asked_for_by_what_was_received() -> None:
    """What is recorded of a page has its token blotted out, for it looks like a secret."""
    given = answer(body='{"next_page_token": "[redacted]"}')
    given._kept = b'{"next_page_token": "eyJvZmZzZXQiOiAxfQ=="}'
    assert next_page(given) == "eyJvZmZzZXQiOiAxfQ=="


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"next_page_token": null}', b"\xff"])
def test_without_a_token_there_is_no_next_page(body: bytes) -> None:
    """Whatever came in its place."""
    given = answer(body="")
    given._kept = body
    assert next_page(given) == ""
