"""The ways of promised paths: by the rules, and by who answers."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from _facts import (
    SEARCH,
    TARGET,
    answer,
    balancer,
    ecs_facts,
    forward,
    group_facts,
    hosts_facts,
    path_facts,
    refusal,
    rule,
    rules_facts,
)

from hokusai_probe.answers import Responder
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.promised_paths import PromisedPathsFacts, Way, promised_paths, promises
from hokusai_probe.probes.public_paths import PublicPathsFacts

ASTRAY = rules_facts(registry=balancer("registry", rule("default", forward("auth"))))


def looked(
    rules: ListenerRulesFacts, paths: PublicPathsFacts | None = None
) -> tuple[PromisedPathsFacts, dict[str, Way]]:
    """What the look records, and the ways of the registry host by path."""
    look: Any = SimpleNamespace(target=TARGET)
    facts = asyncio.run(
        promised_paths(look, rules, ecs_facts(), group_facts(), paths or path_facts(), hosts_facts())
    )
    return facts, {way.path: way for way in facts.ways if way.host == "registry"}


def test_each_promised_path_has_its_way() -> None:
    """All of them, in their order; on a healthy platform nothing disagrees."""
    facts, _ = looked(rules_facts())

    assert [(way.host, way.path) for way in facts.ways] == [(p.host, p.path) for p in promises(TARGET)]
    assert facts.disagreeing == ()


def test_a_way_has_rule_group_owner_and_who_answers() -> None:
    """Rules of one look, groups of another, and the answer of a third."""
    way = looked(rules_facts())[1][SEARCH]
    name = next(group.name for group in group_facts().groups if group.service == "gateway")

    assert (way.rule, way.action, way.target_groups) == ("110", "forward", (name,))
    assert (way.owners, way.status, way.answered_by, way.agrees) == (("gateway",), 401, "gateway", True)


def test_another_answers_than_the_rules_say() -> None:
    """The rules lead to the auth service, and the gateway answers: the place is told."""
    facts, ways = looked(
        ASTRAY, path_facts(public=[answer(path="/docs")], required=[refusal(401, "no", path=SEARCH)])
    )

    assert ways[SEARCH].agrees is False
    assert facts.ways.index(ways[SEARCH]) in facts.disagreeing


def test_a_path_that_nobody_asked_has_no_answer() -> None:
    """It has its rule all the same."""
    way = looked(rules_facts())[1]["/api/hokusai-probe-no-such-path"]

    assert (way.rule, way.answered_by, way.agrees) == ("120", None, None)


@pytest.mark.parametrize(
    ("owners", "by", "agrees"),
    [
        (("gateway",), "gateway", True),
        (("gateway",), "mlflow", None),
        (("auth",), "mlflow", False),
        (("mlflow",), "gateway", False),
        (("gateway",), "load-balancer", None),
        (("gateway",), "unknown", None),
        (None, "gateway", None),
    ],
)
def test_who_agrees(owners: tuple[str, ...] | None, by: Responder, agrees: bool | None) -> None:
    """What the gateway may have passed on and what the load balancer says prove nothing."""
    way = Way(host="registry", path="/", services=("gateway",), owners=owners, answered_by=by)
    assert way.agrees is agrees
