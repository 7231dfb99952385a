"""What the causes in the network share: how a barred way shows itself, and the rule that would open it."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.causes._symptoms import PROXY_SAYS
from hokusai_probe.causes._words import answered, readiness, ready, word
from hokusai_probe.declare import Claim, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.security_groups import Blocked, Edge, SecurityGroupsFacts, bar
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts
from hokusai_probe.topology import NAMES

HEALTH = "/health"
NO_ANSWER_OF_AUTH = ("Authentication service timeout", "Authentication service unavailable")


# --- what it looks like -------------------------------------------------------------------------------


def times_out(groups: TargetGroupsFacts | None, service: str, *, all_ways: bool) -> Claim:
    """The load balancer's health check of a service runs out of time. One that is healthy is reached.

    ``all_ways``: every load balancer is said to be barred; else another one's check may well arrive.
    """
    found = groups.of(service) if groups else ()
    group = next((g for g in found if g.failure is None), None)
    if groups is None or group is None:
        return claim(f"health checks of the {NAMES[service]} time out", None, by=TargetGroupsFacts)
    shown = next((n for n, t in enumerate(group.targets) if t.state == "healthy"), None)
    shown = shown if shown is not None else _first_serving(group)
    seen = group.targets[shown] if shown is not None else None
    reason = seen.reason if seen else ""
    well = all_ways and seen is not None and seen.state == "healthy"
    return claim(
        f"the health check of the {NAMES[service]}'s target says {reason or 'nothing'}",
        False if well else (True if reason == "Target.Timeout" else None),
        by=TargetGroupsFacts,
        fact=f"groups[{groups.groups.index(group)}].targets[{shown}].reason" if seen else "",
        value=reason if seen else None,
    )


def _first_serving(group: Group) -> int | None:
    return next((n for n, t in enumerate(group.targets) if t.state != "draining"), None)


def says_unwell(health: HealthBodiesFacts | None, service: str, text: str) -> Claim:
    """The gateway's own health says of something that it is not well; that it is well speaks against."""
    word_of_it = health.services.get(service) if health else None
    return claim(
        text + (f": {word_of_it}" if word_of_it else ""),
        None if word_of_it is None else word_of_it != "healthy",
        by=HealthBodiesFacts,
        fact=f"services.{service}" if word_of_it is not None else "",
        value=word_of_it,
    )


def database_fails_mlflow(api: MlflowApiFacts | None) -> Claim:
    """MLflow cannot use its database: a 5xx of its own, or no answer within the proxy's time."""
    answer = api.search if api else None
    failing = answer is not None and (_is_mlflows_own_5xx(answer) or _is_proxys_timeout(answer))
    return answered(
        "searching fails where MLflow needs its database",
        False if api and api.works else (True if failing else None),
        answer,
        "search",
        by=MlflowApiFacts,
    )


def _is_mlflows_own_5xx(answer: Answer) -> bool:
    return responder(answer) == "mlflow" and (answer.status or 0) >= 500


def _is_proxys_timeout(answer: Answer) -> bool:
    return answer.status == 504 and detail(answer).startswith(PROXY_SAYS[504])


def gateway_misses_auth(api: MlflowApiFacts | None) -> Claim:
    """The gateway says that the auth service does not answer it (contract 3.3)."""
    answer = api.search if api else None
    says = answer is not None and detail(answer) in NO_ANSWER_OF_AUTH
    return answered(
        "the gateway gets no answer of the auth service" + (f": {said(answer)}" if says and answer else ""),
        False if api and api.works else (True if says else None),
        answer,
        "search",
        by=MlflowApiFacts,
    )


def takes_the_gateway_along(health: HealthBodiesFacts | None) -> tuple[str, ...]:
    """What else breaks where nothing that the gateway depends on is reached: its /health is 503 then."""
    answer = health.answers.get(HEALTH) if health else None
    sick = answer is not None and answer.status == 503 and responder(answer) == "gateway"
    return ("target-group.gateway",) if sick else ()


# --- what bars it ---------------------------------------------------------------------------------------


def barred(facts: SecurityGroupsFacts | None, edges: Iterable[Edge], text: str) -> Claim:
    """The security groups of one end do not let an edge come about; no other defect shows that."""
    listed = tuple(edges)
    found = next(((e, b) for e in listed if facts and (b := facts.blocked(e))), None)
    if facts is None or not listed:
        return claim(text, None, by=SecurityGroupsFacts, aws_cli=_describe(None))
    if found is None:
        unsure = any(facts.lets(e) is None for e in listed)
        return claim(
            text, None if unsure else False, by=SecurityGroupsFacts, aws_cli=_describe_of(facts, listed[0])
        )
    edge, where = found
    rules = facts.groups[where.group].rules(where.way)
    return claim(
        bar(facts, edge, where),
        holds=True,
        by=SecurityGroupsFacts,
        fact=f"groups.{where.group}.{where.way}",
        value=[r.model_dump(mode="json") for r in rules],
        telling=True,
        aws_cli=_describe(where.group),
    )


def _describe_of(facts: SecurityGroupsFacts, edge: Edge) -> str:
    part = facts.parts.get(edge.target)
    return _describe(part.groups[0] if part and part.groups else None)


def _describe(group: str | None) -> str:
    """The AWS CLI call that shows a group's rules; without one, all groups'."""
    only = f" --group-ids {quote(group)}" if group else ""
    return f"aws ec2 describe-security-groups{only}"


def open_up(facts: SecurityGroupsFacts | None, edges: Iterable[Edge], verify: str) -> Remedy | None:
    """Rules that let barred edges come about: by group where the other end has one."""
    found = [(e, b) for e in edges if facts and (b := facts.blocked(e))]
    if facts is None or not found:
        return None
    wanted = [(b, e, _peer(facts, b, e)) for e, b in found]
    commands = tuple(dict.fromkeys(_rule("authorize", *one) for one in wanted))
    undone = dict.fromkeys(_rule("revoke", *one) for one in wanted)
    first = wanted[0][0]
    return Remedy(
        kind=readiness(*commands),
        summary="Add the rule that is missing: "
        + "; ".join(dict.fromkeys(_sentence(*one) for one in wanted))
        + ".",
        before=tuple(dict.fromkeys(_describe(b.group) for b, _, _ in wanted)),
        aws_cli=ready(*commands),
        terraform="\n".join(dict.fromkeys(_terraform(*one) for one in wanted)),
        rollback="\n".join(undone),
        also_touches=f"Everything else that carries {first.group}. Look whether Terraform has the rule and "
        "was not applied: the next apply would take out what it does not know.",
        verify=f"hokusai-probe verify {verify}",
    )


def _peer(facts: SecurityGroupsFacts, found: Blocked, edge: Edge) -> str:
    other = facts.parts[edge.source if found.way == "ingress" else edge.target]
    return other.groups[0] if other.groups else ""


def _sentence(found: Blocked, edge: Edge, peer: str) -> str:
    ends = "from" if found.way == "ingress" else "to"
    return f"{found.way} into {found.group} {ends} {peer}, tcp {edge.port}".replace(
        "egress into", "egress out of"
    )


def _rule(verb: str, found: Blocked, edge: Edge, peer: str) -> str:
    pair = f"IpProtocol=tcp,FromPort={edge.port},ToPort={edge.port},UserIdGroupPairs=[{{GroupId={peer}}}]"
    group = word(found.group, "SECURITY_GROUP")
    return f"aws ec2 {verb}-security-group-{found.way} --group-id {group} --ip-permissions {quote(pair)}"


def _terraform(found: Blocked, edge: Edge, peer: str) -> str:
    name = f"{edge.source}_to_{edge.target}".replace("-", "_").replace(".", "_")
    return (
        f'resource "aws_security_group_rule" "{name}" {{\n'
        f'  type                     = "{found.way}"\n'
        f'  security_group_id        = "{found.group}"\n'
        f'  source_security_group_id = "{peer}"\n'
        f'  protocol                 = "tcp"\n'
        f"  from_port                = {edge.port}\n"
        f"  to_port                  = {edge.port}\n"
        "}\n"
    )
