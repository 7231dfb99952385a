"""How moto's records become what the data plane reads."""

import pytest

from hokusai_probe.sandbox import control_plane
from hokusai_probe.sandbox.state import Condition


@pytest.mark.parametrize(
    ("record", "condition"),
    [
        (
            {"Field": "path-pattern", "Values": ["/a", "/b/*"]},
            Condition("path-pattern", ("/a", "/b/*")),
        ),
        (
            {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.test"]}},
            Condition("host-header", ("*.test",)),
        ),
        (
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Env", "Values": ["dev"]}},
            Condition("http-header", ("dev",), "X-Env"),
        ),
        (
            {
                "Field": "query-string",
                "QueryStringConfig": {"Values": [{"Key": "v", "Value": "1"}, {"Value": "x"}]},
            },
            Condition("query-string", ("v=1", "x")),
        ),
    ],
)
def test_conditions_in_both_of_their_forms(record: dict[str, object], condition: Condition) -> None:
    """The short form with Values and the one with a configuration mean the same."""
    assert control_plane._condition(record) == condition


@pytest.mark.parametrize(
    ("action", "groups"),
    [
        ({"TargetGroupArn": "a"}, (("a", 1),)),
        (
            {
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": "a", "Weight": 3}, {"TargetGroupArn": "b"}]
                }
            },
            (("a", 3), ("b", 1)),
        ),
        ({}, ()),
    ],
)
def test_forwards_with_and_without_weights(
    action: dict[str, object], groups: tuple[tuple[str, int], ...]
) -> None:
    """One group counts as weight 1, as AWS has it."""
    assert control_plane._forwards(action) == groups
