"""The way of a request through the platform, and what a run saw of each part of it. Pure.

A *place* is a node, or a link between two. Each hop of the topology is at one place or at none, and a
place is as bad as the checks that test its hops: this is where a picture gets its marks from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from hokusai_probe import topology
from hokusai_probe.model import Report, Verdict
from hokusai_probe.reports import answer

State = Literal["broken", "affected", "open", "well", "unseen"]
Place = tuple[str, ...]  # ("gateway",) is a node, ("gateway", "auth") a link

TITLES: Mapping[str, str] = {
    "client": "Client",
    "dns": "DNS",
    "load-balancer": "Load balancer",
    "gateway": "Gateway",
    "auth": "Auth service",
    "mlflow": "MLflow",
    "storage": "Artifact store",
    "database": "Database",
    "cache": "Cache",
    "site": "Website",
}
LINKS: tuple[tuple[str, str], ...] = (
    ("client", "dns"),
    ("dns", "load-balancer"),
    ("load-balancer", "gateway"),
    ("load-balancer", "auth"),
    ("gateway", "auth"),
    ("gateway", "mlflow"),
    ("gateway", "cache"),
    ("gateway", "database"),
    ("gateway", "site"),
    ("mlflow", "database"),
    ("mlflow", "storage"),
)
MEANING: Mapping[State, str] = {
    "broken": "broken here",
    "affected": "fails because of what is broken",
    "open": "could not be judged",
    "well": "works",
    "unseen": "not looked at",
}
_SPINE = ("client", "dns", "load-balancer", "gateway", "mlflow")
_PLAIN = ("client", "dns", "mlflow")
_NODE_OF_COMPONENT = {"probe": "client", "tls": "load-balancer"}
_PLACE_OF_KIND: Mapping[str, Place] = {
    "network": ("client", "dns"),
    "listener": ("dns", "load-balancer"),
    "tls": ("dns", "load-balancer"),
    "certificates": ("dns", "load-balancer"),
    "discovery": ("gateway", "mlflow"),
    "mlflow-api": ("gateway", "mlflow"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One place: how it is, and the causes that are there, or the checks where no cause is known."""

    place: Place
    state: State
    because: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The place in words: ``Gateway`` or ``Gateway → Auth service``."""
        return " → ".join(TITLES[node] for node in self.place)


@cache
def place(hop: str) -> Place | None:
    """Where a hop is; None for one that is at no single place, such as the images that tasks start from."""
    base = hop.partition("/")[0]
    near, to, far = base.partition("-to-")
    if to and (near, far) in LINKS:
        return (near, far)
    kind, _, name = base.partition(".")
    if kind in {"public", "network", "target-group"} and name:
        return _to_service(topology.SERVICE_OF_HOST.get(name, name))
    if kind in _PLACE_OF_KIND:
        return _PLACE_OF_KIND[kind]
    node = name if kind == "ecs" else _node(base)
    return (node,) if node in TITLES else None


def _to_service(service: str) -> Place:
    """The link by which a request comes to a service."""
    return ("gateway", "mlflow") if service == "mlflow" else ("load-balancer", service)


def _node(base: str) -> str:
    component = topology.component(base) if topology.known(base) else ""
    return _NODE_OF_COMPONENT.get(component, component)


def parts(report: Report) -> tuple[Part, ...]:
    """The places to draw, nodes before links, each as this run saw it.

    A side of the platform that no check tests, such as a cache that is not there, is left out. A target
    that is one URL has no load balancer and no gateway that anybody knows of.
    """
    nodes = _drawn(report)
    wrong = _wrong(report, nodes)
    tested: dict[Place, list[Verdict]] = {}
    for verdict in report.verdicts:
        where = _folded(place(verdict.hop), nodes)
        if where is not None:
            tested.setdefault(where, []).append(verdict)
    drawn = [(node,) for node in nodes] + [link for link in _links(nodes) if set(link) <= set(nodes)]
    return tuple(Part(p, _state(tested.get(p, []), p in wrong), (*wrong.get(p, ()),)) for p in drawn)


def _is_plain(report: Report) -> bool:
    where = report.configuration
    return where.hosts.auth is None and where.paths.mlflow_direct is None and where.aws is None


def _drawn(report: Report) -> tuple[str, ...]:
    if _is_plain(report):
        return _PLAIN
    tested = {node for v in report.verdicts for node in (place(v.hop) or ())}
    return tuple(node for node in TITLES if node in tested or node in _SPINE)


def _links(nodes: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return LINKS if nodes != _PLAIN else (("client", "dns"), ("dns", "mlflow"))


def _folded(where: Place | None, nodes: tuple[str, ...]) -> Place | None:
    """The place as far as it is drawn: without a gateway, what leads through it leads to MLflow."""
    if where is None or nodes != _PLAIN:
        return where
    if len(where) == 2 and where[0] == "client":
        return where
    return ("dns", "mlflow") if len(where) == 2 and where[0] != "mlflow" else (*_PLAIN[-1:],)


# --- what is broken, and what only follows --------------------------------------------------------------


def _wrong(report: Report, nodes: tuple[str, ...]) -> dict[Place, dict[str, None]]:
    """The places that are broken themselves, each with why: the causes, or checks that none explains."""
    found: dict[Place, dict[str, None]] = {}
    failing = report.with_status("fail")
    explained: set[str] = set()
    for root in answer.roots(report):
        checks = {c for d in (root.diagnosis, *root.consequences) for c in d.explains}
        explained |= checks
        for where in _broken_by(root, [v for v in failing if v.check in checks], nodes):
            found.setdefault(where, {})[root.diagnosis.cause] = None
    for verdict in _firsts(failing):
        spot = _folded(place(verdict.hop), nodes)
        if spot is not None and verdict.check not in explained:
            found.setdefault(spot, {})[verdict.check] = None
    return found


def _broken_by(root: answer.Root, failing: list[Verdict], nodes: tuple[str, ...]) -> set[Place]:
    """Where the failures of a cause begin, as far as that is where somebody must act; else who must."""
    spots = (_folded(place(v.hop), nodes) for v in _firsts(failing))
    begins = {spot for spot in spots if spot is not None}
    component = root.diagnosis.component
    actor = _folded((_NODE_OF_COMPONENT.get(component, component),), nodes) or ()
    if not set(actor) <= set(nodes):
        return begins
    return {spot for spot in begins if set(actor) <= set(spot)} or {actor}


def _firsts(failing: Iterable[Verdict]) -> list[Verdict]:
    """Those whose hop rests on no other of them."""
    known = [v for v in failing if topology.known(v.hop)]
    bases = {answer.base(v.hop) for v in known}
    return [v for v in known if not (topology.foundations(answer.base(v.hop)) - {answer.base(v.hop)}) & bases]


def _state(verdicts: Iterable[Verdict], broken: bool) -> State:  # noqa: FBT001
    if broken:
        return "broken"
    found = list(verdicts)
    if any(v.status == "fail" for v in found):
        return "affected"
    if any(v.status == "error" or v.skip_kind == "blocked" for v in found):
        return "open"
    return "well" if any(v.status == "pass" for v in found) else "unseen"
