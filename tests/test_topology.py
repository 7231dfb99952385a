"""The hops as data: no loops, no loose ends, and everything that names a hop names one that exists."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from _facts import TARGET, hosts_facts, inside, outside, unavailable

from hokusai_probe import causes, topology
from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import arguments_of
from hokusai_probe.model import Observation
from hokusai_probe.topology import HOPS, component, foundations, known, parents, rests_on


def test_every_parent_exists_and_nothing_rests_on_itself() -> None:
    """The graph has no loose end and no loop."""
    assert [(hop, parent) for hop in HOPS for parent in HOPS[hop].rests_on if parent not in HOPS] == []
    assert len([*TopologicalSorter({h: HOPS[h].rests_on for h in HOPS}).static_order()]) == len(HOPS)


def test_every_hop_has_a_title() -> None:
    """Titles are read by people: none is empty, no two are the same."""
    titles = [h.title for h in HOPS.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


RESTS: list[tuple[str, str, bool]] = [
    ("public.auth", "dns.auth", True),
    ("public.auth", "network", True),
    ("public.auth", "target-group.auth", True),
    ("public.auth", "ecs.auth", True),
    ("public.auth", "dns.registry", False),
    ("public.registry", "auth", False),
    ("authenticated", "auth", True),
    ("authenticated", "key", True),
    ("public.registry", "key", False),
    ("mlflow-api", "rule.mlflow", True),
    ("public.registry", "rule.mlflow", False),
    ("required-paths", "rule.artifacts", True),
    ("artifacts", "rule.artifacts", True),
    ("mlflow-health", "rule.artifacts", False),
    ("writes", "scope", True),
    ("mlflow-api", "scope", False),
    ("artifacts", "database", True),
    ("artifacts", "storage", True),
    ("mlflow-api", "storage", False),
    ("target-group.mlflow", "gateway", False),
    ("ecs.auth", "target-group.auth", False),
    ("aws", "network", False),
    ("mlflow", "mlflow", True),
]


@pytest.mark.parametrize(("hop", "broken", "expected"), RESTS)
def test_what_breaks_what(hop: str, broken: str, expected: bool) -> None:
    """Breaking a hop breaks what lies behind it on the request's way, and nothing before or beside it."""
    assert rests_on(hop, broken) is expected


def test_an_aspect_rests_on_its_hop_and_nothing_rests_on_it() -> None:
    """``gateway/health-body`` is a side of the gateway: it falls with it and takes nothing along."""
    assert known("gateway/health-body")
    assert parents("gateway/health-body") == ("gateway",)
    assert foundations("gateway/health-body") == {"gateway/health-body", "gateway", "ecs.gateway"}
    assert component("gateway/health-body") == "gateway"
    assert rests_on("gateway/health-body", "ecs.gateway")
    assert not any(rests_on(hop, "gateway/health-body") for hop in HOPS)


@pytest.mark.parametrize("ask", [parents, component, foundations])
@pytest.mark.parametrize("hop", ["nowhere", "nowhere/at-all"])
def test_a_hop_that_does_not_exist_is_a_key_error(ask: object, hop: str) -> None:
    """Asking about a hop that nobody declared raises KeyError, also for an aspect of it."""
    assert not known(hop)
    with pytest.raises(KeyError):
        ask(hop)  # type: ignore[operator]


def test_every_check_tests_a_known_hop(real: Catalogue) -> None:
    """No check hangs in the air."""
    assert [c.slug for c in real.checks.values() if not known(c.hop)] == []


def test_every_case_breaks_known_hops(real: Catalogue) -> None:
    """What causes yield on a broken platform, seen in full, breaks hops that exist."""
    facts = outside(hosts=hosts_facts(auth=unavailable())) | inside()
    when = {"started_at": "2025-08-05T09:27:00Z", "duration_s": 0.1, "status": "seen"}
    seen = [Observation(probe=f.probe, facts=f, **when) for f in facts.values()]
    cases = [
        (cause.slug, hop)
        for cause in real.causes.values()
        if (given := arguments_of(cause, {o.probe: o for o in seen}, TARGET)) is not None
        for case in cause.function(**given)
        for hop in case.breaks
    ]
    assert cases
    assert [c for c in cases if not known(c[1])] == []


def test_every_hop_that_a_cause_writes_down_is_known() -> None:
    """Also those of cases that are not yielded today: the literals after ``breaks=``."""
    loose = [
        (path.name, value)
        for path in Path(causes.__path__[0]).glob("*.py")
        for value in _breaks(ast.parse(path.read_text()))
        if not known(value)
    ]
    assert loose == []


def _breaks(tree: ast.AST) -> list[str]:
    """The whole strings under ``breaks=``; an f-string stands for its values for every service and host."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "breaks":
            inside = list(ast.walk(node.value))
            parts = {id(v) for n in inside if isinstance(n, ast.JoinedStr) for v in n.values}
            found += [n.value for n in inside if isinstance(n, ast.Constant) and id(n) not in parts]
            found += [_filled(n) for n in inside if isinstance(n, ast.JoinedStr)]
    return found


def _filled(node: ast.JoinedStr) -> str:
    head = str(node.values[0].value) if isinstance(node.values[0], ast.Constant) else ""
    return head + ("registry" if head in {"dns.", "rule.", "tls.", "listener.", "public."} else "mlflow")


def test_every_service_and_host_has_its_hops() -> None:
    """The tables of services and hosts cover one another."""
    assert set(topology.SERVICE_OF_HOST) == set(topology.LOAD_BALANCER_OF_HOST) == set(topology.HOSTS)
    assert set(topology.SERVICE_OF_HOST.values()) <= set(topology.SERVICES)
    assert {f"{kind}.{s}" for s in topology.SERVICES for kind in ("ecs", "network", "target-group")} <= set(
        HOPS
    )
