"""A subnet's network ACL drops the platform's traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from shlex import quote

from hokusai_probe.causes._network import (
    database_fails_mlflow,
    gateway_misses_auth,
    says_unwell,
    takes_the_gateway_along,
    times_out,
)
from hokusai_probe.causes._symptoms import HOST_OF_SERVICE, balancer_says, gateway_cannot_reach_mlflow
from hokusai_probe.causes._tasks import OF_CACHE, OF_DATABASE, rollback, toll
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes._firewall import LAST, AclEntry
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.network_acls import Dropped, NetworkAclsFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.security_groups import BALANCER, SecurityGroupsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import SERVICES

_APART = 20
"""How far apart the numbers of new rules of two ways are, so that none is given twice."""


@dataclass(frozen=True, slots=True)
class Way:
    """Traffic that may be dropped: whom it concerns, from where to where, what breaks with it."""

    subject: str
    source: str
    target: str
    breaks: str
    text: str


WAYS = (
    *(
        Way(s, BALANCER, s, f"target-group.{s}", "the load balancer cannot connect to its target")
        for s in SERVICES
    ),
    Way("mlflow", "gateway", "mlflow", "gateway-to-mlflow", "the gateway cannot connect to MLflow"),
    Way("cache", "gateway", "cache", "gateway-to-cache", "the gateway cannot connect to its cache"),
    Way(
        "database", "gateway", "database", "gateway-to-database", "the gateway cannot connect to the database"
    ),
    Way("database", "mlflow", "database", "mlflow-to-database", "MLflow cannot connect to its database"),
    Way("auth", "gateway", "", "gateway-to-auth", "the gateway cannot connect to the auth host"),
)


@cause(
    component="network",
    priority="critical",
    effort="minutes",
    entails=(
        "auth-service-down",
        "gateway-down",
        "mlflow-down",
        "cache-unreachable",
        "mlflow-database-unreachable",
        "ecs-service-short-of-tasks",
        "tasks-crash-at-start",
    ),
    look_alikes={
        "security-group-blocks-load-balancer": "there the security group has no rule for it",
        "security-group-blocks-mlflow": "there the security group has no rule for it",
        "security-group-blocks-database": "there the security group has no rule for it",
        "mlflow-down": "there the ACLs let everything through",
    },
    source="AWS: Network ACL rules; Ephemeral ports; Troubleshoot your Application Load Balancers, HTTP 504 "
    "(the network ACL does not allow traffic from the targets to the nodes on the ephemeral ports)",
)
def network_acl_blocks_subnet(
    hosts: HostsFacts,
    paths: PublicPathsFacts | None,
    api: MlflowApiFacts | None,
    health: HealthBodiesFacts | None,
    groups: TargetGroupsFacts | None,
    placed: SecurityGroupsFacts | None,
    acls: NetworkAclsFacts | None,
    ecs: EcsServicesFacts | None,
    *,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """A network ACL drops what must pass between two subnets, or the answers to it.

    Security groups are right and every connection times out: 504 from the load balancer, ``Target.Timeout``,
    connect timeouts to MLflow, cache or database. ACLs keep no state: answers need a rule for the caller's
    ephemeral ports, and the lowest rule number that matches decides.
    """
    if hosts.bare:
        return
    for way in WAYS:
        dropped = _dropped(way, placed, acls)
        yield Case(
            subject=way.subject,
            breaks=(
                way.breaks,
                "subnets",
                *(takes_the_gateway_along(health) if way.source == "gateway" and way.target else ()),
            ),
            claims=(
                *_symptoms(way, hosts, paths, api, health, groups),
                _drops(way, dropped, placed, acls),
            ),
            remedy=_remedy(way, dropped, acls),
            covers=_covers(way, ecs, tasks),
        )


def _covers(
    way: Way, ecs: EcsServicesFacts | None, tasks: EcsTasksFacts | None
) -> Mapping[str, tuple[str, ...]]:
    """Tasks that die for what they do not reach, or for health checks that do not reach them."""
    if way.source == BALANCER:
        return rollback(ecs, tasks, way.target)
    words = {"database": OF_DATABASE, "cache": OF_CACHE}.get(way.target, way.target or "auth")
    return toll(ecs, tasks, words, way.source).covers


def _dropped(
    way: Way, placed: SecurityGroupsFacts | None, acls: NetworkAclsFacts | None
) -> tuple[Dropped, ...]:
    """What drops all edges of a way; a load balancer that is let through serves for those that are not."""
    if placed is None or acls is None:
        return ()
    if not way.target:
        return acls.cut_from_auth(placed)
    found = [acls.dropped(placed, edge) for edge in placed.between(way.source, way.target)]
    return tuple(dict.fromkeys(d for drops in found for d in drops)) if all(found) else ()


def _symptoms(
    way: Way,
    hosts: HostsFacts,
    paths: PublicPathsFacts | None,
    api: MlflowApiFacts | None,
    health: HealthBodiesFacts | None,
    groups: TargetGroupsFacts | None,
) -> Iterable[Claim]:
    """How a way shows that it is cut."""
    if way.source == BALANCER:
        if way.subject in HOST_OF_SERVICE:
            others = paths.answers if paths and way.subject == "gateway" else ()
            yield balancer_says(hosts, HOST_OF_SERVICE[way.subject], (504, 503), others)
        yield times_out(groups, way.subject, all_ways=True)
    elif way.breaks == "gateway-to-mlflow" and api is not None:
        yield gateway_cannot_reach_mlflow(api, paths)
    elif way.breaks == "gateway-to-cache":
        yield says_unwell(health, "redis", "the gateway says of its cache")
    elif way.breaks == "gateway-to-database":
        yield says_unwell(health, "postgres", "the gateway says of the database")
    elif way.breaks == "mlflow-to-database":
        yield database_fails_mlflow(api)
    elif way.breaks == "gateway-to-auth":
        yield gateway_misses_auth(api)


def _drops(
    way: Way,
    dropped: tuple[Dropped, ...],
    placed: SecurityGroupsFacts | None,
    acls: NetworkAclsFacts | None,
) -> Claim:
    shown = "aws ec2 describe-network-acls"
    known = acls is not None and placed is not None and _read(way, placed, acls)
    if not dropped or acls is None:
        text = f"a network ACL drops it: {way.text}"
        return claim(text, False if known else None, by=NetworkAclsFacts, aws_cli=shown)
    first = dropped[0]
    return claim(
        f"{first}, so {way.text}",
        holds=True,
        by=NetworkAclsFacts,
        fact=f"acls.{first.acl}.entries",
        value=[e.model_dump(mode="json") for e in acls.acls[first.acl].entries],
        telling=True,
        aws_cli=f"{shown} --network-acl-ids {quote(first.acl)}",
    )


def _read(way: Way, placed: SecurityGroupsFacts, acls: NetworkAclsFacts) -> bool:
    """Whether all was read that says that nothing is dropped on a way."""
    if acls.failure is not None or placed.failure is not None:
        return False
    if not way.target:
        return acls.places(placed, way.source)
    hidden = any(part == way.target or part.startswith(way.source) for part in placed.unread)
    return not hidden and not acls.unread(placed, placed.between(way.source, way.target))


# --- mending --------------------------------------------------------------------------------------------


def _remedy(way: Way, dropped: tuple[Dropped, ...], acls: NetworkAclsFacts | None) -> Remedy | None:
    """A rule that denies is taken out; where none allows, one is put in."""
    if not dropped or acls is None:
        return None
    steps = [_step(way, number, one, acls) for number, one in enumerate(dropped)]
    return Remedy(
        kind="automatic",
        summary="Let it through again: take out the rules that deny it, or put in rules that allow it.",
        before=tuple(f"aws ec2 describe-network-acls --network-acl-ids {quote(d.acl)}" for d in dropped),
        aws_cli=tuple(dict.fromkeys(do for do, _ in steps)),
        terraform="# resources aws_network_acl and aws_network_acl_rule of "
        + ", ".join(dict.fromkeys(d.acl for d in dropped))
        + "\n",
        rollback="\n".join(dict.fromkeys(undo for _, undo in steps)),
        also_touches="Everything in the subnets of these network ACLs.",
        verify="hokusai-probe verify network-acl-blocks-subnet",
    )


def _step(way: Way, number: int, dropped: Dropped, acls: NetworkAclsFacts) -> tuple[str, str]:
    """The command that lets something through, and the one that undoes it."""
    entries = [e for e in acls.acls[dropped.acl].entries if e.egress == dropped.egress]
    denial = next((e for e in entries if e.number == dropped.rule != LAST), None)
    if denial is not None:
        return _delete(dropped, denial.number), _create(dropped, denial)
    used = max((e.number for e in entries if e.number != LAST), default=0)
    allowed = AclEntry(
        number=used + 1 + number + _APART * WAYS.index(way),
        allow=True,
        egress=dropped.egress,
        protocol="tcp",
        cidr=dropped.cidr,
        from_port=dropped.ports[0],
        to_port=dropped.ports[1],
    )
    return _create(dropped, allowed), _delete(dropped, allowed.number)


def _of_rule(dropped: Dropped, number: int) -> str:
    way = "--egress" if dropped.egress else "--ingress"
    return f"--network-acl-id {quote(dropped.acl)} {way} --rule-number {number}"


def _delete(dropped: Dropped, number: int) -> str:
    return f"aws ec2 delete-network-acl-entry {_of_rule(dropped, number)}"


def _create(dropped: Dropped, entry: AclEntry) -> str:
    ports = "" if entry.from_port is None else f" --port-range From={entry.from_port},To={entry.to_port}"
    action = f"--cidr-block {quote(entry.cidr)} --rule-action {'allow' if entry.allow else 'deny'}"
    rule = f"{_of_rule(dropped, entry.number)} --protocol {quote(entry.protocol)}{ports}"
    return f"aws ec2 create-network-acl-entry {rule} {action}"
