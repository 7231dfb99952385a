"""Rules as AWS writes them: weights, redirects, conditions on headers and methods; and whose a group is."""

import pytest
from _facts import (
    BARE,
    TARGET,
    ecs_facts,
    forward,
    gone,
    group,
    group_arn,
    group_facts,
    listener,
    registered,
    rule,
)

from hokusai_probe.probes.listener_rules import (
    NOBODY,
    Action,
    Condition,
    _action,
    _condition,
    owner_of,
    owners_of,
    redirects_to_https,
    route,
)
from hokusai_probe.probes.promised_paths import Promise, promises

WEIGHTED = {
    "Type": "forward",
    "ForwardConfig": {
        "TargetGroups": [{"TargetGroupArn": "a", "Weight": 0}, {"TargetGroupArn": "b", "Weight": 10}]
    },
}
REDIRECT = {
    "Type": "redirect",
    "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
}


def test_a_group_without_weight_gets_nothing() -> None:
    """And of a redirect it is known where it leads."""
    assert _action(WEIGHTED) == Action(type="forward", target_groups=("b",))
    assert _action(REDIRECT) == Action(type="redirect", redirect="HTTPS:443")


def test_a_header_condition_keeps_its_name() -> None:
    """In lower case, as header names know no case."""
    item = {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Canary", "Values": ["1"]}}

    assert _condition(item) == Condition(field="http-header", values=("1",), name="x-canary")


def test_a_query_condition_keeps_its_pairs() -> None:
    """AWS: without a key it is any parameter's value."""
    pairs = [{"Key": "canary", "Value": "yes"}, {"Value": "2"}]
    item = {"Field": "query-string", "QueryStringConfig": {"Values": pairs}}

    assert _condition(item) == Condition(field="query-string", values=("canary=yes", "*=2"))


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        (Condition(field="http-request-method", values=("PUT", "GET")), "5"),
        (Condition(field="http-request-method", values=("PUT",)), "default"),
        (Condition(field="http-header", values=("1",), name="x-canary"), "default"),
        (Condition(field="http-header", values=("*curl*",), name="user-agent"), None),
        (Condition(field="query-string", values=("max_results=1",)), None),
        (Condition(field="query-string", values=("Max_Result?=*",)), None),
        (Condition(field="query-string", values=("*=1",)), None),
        (Condition(field="query-string", values=("canary=yes", "blue=*")), "default"),
        (Condition(field="query-string", values=()), None),
        (Condition(field="source-ip", values=("10.0.0.0/8",)), "default"),
        (Condition(field="source-ip", values=("10.0.0.0/8", "0.0.0.0/0")), "5"),
        (Condition(field="source-ip", values=("8.8.8.0/24",)), None),
        (Condition(field="path-pattern", values=()), None),
    ],
)  # fmt: skip
def test_a_request_that_any_client_sends_is_followed(condition: Condition, taken: str | None) -> None:
    """A GET with everyday headers from anywhere; what depends on more cannot be told."""
    first = rule("5", forward("mlflow")).model_copy(update={"conditions": (condition,)})
    found = route(listener(443, first, rule("default", forward("gateway"))), "a.example", "/x")

    assert (found.priority if found else None) == taken


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (Action(type="redirect", redirect="HTTPS:443"), True),
        (Action(type="redirect", redirect="HTTPS:#{port}"), False),
        (Action(type="redirect", redirect="#{protocol}:443"), False),
        (Action(type="fixed-response", status="404"), False),
        (forward("gateway"), False),
    ],
)
def test_plain_http_goes_to_port_443_over_tls(last: Action, expected: bool) -> None:
    """Anything else leaves a client where it was, or nowhere."""
    assert redirects_to_https(listener(80, rule("default", last))) is expected


def test_a_group_belongs_to_whoever_is_registered_with_it() -> None:
    """By ECS, by addresses, to nobody, or it is not known."""
    twin = group("gateway", registered(8001, ip="10.0.9.9")).model_copy(
        update={"arn": "twin", "service": None}
    )
    empty = group("gateway").model_copy(update={"arn": "empty", "service": None})
    stray = group("gateway", registered(8001, ip="10.0.7.7")).model_copy(
        update={"arn": "stray", "service": None}
    )
    own = group("gateway", registered(8001, ip="10.0.9.9"))
    known = group_facts(gateway=own, twin=twin, empty=empty, stray=stray)
    ecs = ecs_facts()

    assert owners_of(ecs, [group_arn("auth")], known) == ("auth",)
    assert owners_of(ecs, ["twin"], known) == ("gateway",)
    assert owners_of(ecs, ["empty"], known) == (NOBODY,)
    assert owners_of(ecs, ["stray"], known) is None
    assert owners_of(ecs_facts(mlflow=gone("mlflow")), ["empty"], known) is None
    assert owners_of(ecs, ["empty"]) is None
    assert owners_of(None, ["empty"], known) is None


def test_of_several_owners_the_wrong_one_counts() -> None:
    """Half of the requests astray is astray."""
    both = [group_arn("gateway"), group_arn("mlflow")]

    assert owner_of(ecs_facts(), both, right="gateway") == "mlflow"
    assert owner_of(ecs_facts(), both, right="mlflow") == "gateway"
    assert owner_of(ecs_facts(), both[:1], right="gateway") == "gateway"


def test_promises_are_those_of_the_targets_own_paths() -> None:
    """Also of the api host; MLflow's own prefix may lead past the gateway; a plain server has none."""
    found = promises(TARGET)

    assert Promise(host="api", path="/health", services=("gateway",)) in found
    assert Promise(host="auth", path="/health", services=("auth",)) in found
    assert {p.services for p in found if p.path.startswith("/mlflow/")} <= {("gateway", "mlflow")}
    assert promises(BARE) == ()
