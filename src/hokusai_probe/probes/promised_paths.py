"""The paths that clients need, held against the rules: where each really goes, and who answers there.

That rules and answers disagree is a fact without a check: what is known to part them (a record that leads
elsewhere, another certificate) leaves no answer to compare, and fails checks of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from hokusai_probe.answers import Responder, responder
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, HostName, NotApplicable, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_forms import UNKNOWN_PATH
from hokusai_probe.probes.listener_rules import (
    GATEWAY_PATH,
    ListenerRulesFacts,
    Rule,
    host_name,
    owners_of,
    route,
)
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts


class Promise(Frozen):
    """A path at a host that must lead to one of some services, best to the first."""

    host: HostName
    path: str
    services: tuple[str, ...]


def promises(target: Target) -> tuple[Promise, ...]:
    """What the load balancers must bring where it belongs: contract 2 and 7.1, and the paths of the target.

    MLflow's own prefix may lead to MLflow itself, as it does in the contract's layout. A path that nobody has
    is asked with keys of all kinds, so it must lead to the gateway as well.
    """
    if target.hosts.auth is None:
        return ()
    direct = target.paths.mlflow_direct
    asked = dict.fromkeys((GATEWAY_PATH, *target.paths.required, *target.paths.public, UNKNOWN_PATH))
    wanted = [
        *(("auth", path, ("auth",)) for path in ("/api/v1/keys/validate", "/health")),
        *(("registry", p, ("gateway", "mlflow") if _below(p, direct) else ("gateway",)) for p in asked),
        *(("api", path, ("gateway",)) for path in ("/health", GATEWAY_PATH)),
    ]
    there = target.hosts.present()
    return tuple(Promise(host=h, path=p, services=s) for h, p, s in wanted if h in there)


def _below(path: str, prefix: str | None) -> bool:
    return bool(prefix) and (path == prefix or path.startswith(f"{prefix}/"))


class Way(Frozen):
    """Where a promised path leads by the rules, and who answers there.

    ``rule``: priority of the rule that takes it, None where that cannot be told. ``action``: what the rule
    does. ``target_groups``: names, or ARNs of groups that could not be read. ``owners``: services, or
    nobody; None: not known. ``answered_by`` None: the path was not asked, without a key, by any look.
    """

    host: HostName
    path: str
    services: tuple[str, ...]
    rule: str | None = None
    action: str = ""
    target_groups: tuple[str, ...] = ()
    owners: tuple[str, ...] | None = None
    status: int | None = None
    answered_by: Responder | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether who answers is one of those that the rule leads to; None: either is not known.

        The gateway passes on what MLflow says, and the load balancer answers where no target does.
        """
        if self.owners is None or self.answered_by not in {"gateway", "auth", "mlflow"}:
            return None
        passed_on = self.answered_by == "mlflow" and "gateway" in self.owners
        return self.answered_by in self.owners or (None if passed_on else False)


class PromisedPathsFacts(Facts):
    """Every promised path. ``disagreeing``: places in ``ways`` where another answers than the rules say."""

    ways: tuple[Way, ...] = ()
    disagreeing: tuple[int, ...] = ()


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=0)
async def promised_paths(
    look: Look,
    rules: ListenerRulesFacts,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
    paths: PublicPathsFacts | None,
    hosts: HostsFacts | None,
) -> PromisedPathsFacts:
    """For each path that clients need: rule, target group, whose it is, and who answers there without a key.

    Sends nothing: rules and answers are those of other looks.
    """
    live = _answers(paths, hosts)
    ways = tuple(_way(p, rules, ecs, groups, look.target, live) for p in promises(look.target))
    return PromisedPathsFacts(
        ways=ways, disagreeing=tuple(n for n, w in enumerate(ways) if w.agrees is False)
    )


def _answers(paths: PublicPathsFacts | None, hosts: HostsFacts | None) -> dict[tuple[str, str], Answer]:
    found = {("registry", a.path): a for a in (paths.answers if paths else ())}
    health = {(host, "/health"): seen.health for host, seen in (hosts.hosts.items() if hosts else ())}
    return health | found


def _way(
    promise: Promise,
    rules: ListenerRulesFacts,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
    target: Target,
    live: dict[tuple[str, str], Answer],
) -> Way:
    rule, answer = _rule_for(promise, rules, target), live.get((promise.host, promise.path))
    led = rule.action.target_groups if rule else ()
    return Way(
        host=promise.host,
        path=promise.path,
        services=promise.services,
        rule=rule.priority if rule else None,
        action=rule.action.type if rule else "",
        target_groups=_names(led, groups),
        owners=owners_of(ecs, led, groups),
        status=answer.status if answer else None,
        answered_by=responder(answer) if answer else None,
    )


def _names(arns: Iterable[str], groups: TargetGroupsFacts | None) -> tuple[str, ...]:
    known = {group.arn: group.name for group in (groups.groups if groups else ())}
    return tuple(known.get(arn, arn) for arn in arns)


def _rule_for(promise: Promise, facts: ListenerRulesFacts, target: Target) -> Rule | None:
    balancer = facts.of_host(promise.host)
    listener = balancer.listener(443) if balancer else None
    return route(listener, host_name(target, promise.host), promise.path) if listener else None


@check(hop="listeners/rules")
def promised_paths_are_routed(
    facts: ListenerRulesFacts,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
    target: Target,
) -> Sentence:
    """By the rules each path that clients need leads to the service that it belongs to.

    Beside the looks at single paths: these are all of them, on all hosts, also where nobody asks.
    """
    if not promises(target):
        return NotApplicable(reason="the target is a plain server, as far as we know")
    said = [(p, _led(p, facts, ecs, groups, target)) for p in promises(target)]
    wrong = [text for _, text in said if isinstance(text, str)]
    open_ones = [f"{p.host} {p.path}" for p, text in said if isinstance(text, CannotTell)]
    if wrong or not open_ones:
        return "; ".join(dict.fromkeys(wrong)) or None
    return CannotTell(reason=f"where these lead is not known: {', '.join(open_ones)}")


def _led(
    promise: Promise,
    facts: ListenerRulesFacts,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
    target: Target,
) -> str | CannotTell | None:
    rule = _rule_for(promise, facts, target)
    if rule is None:
        return CannotTell(reason="not known")
    where = f"rule {rule.priority} of the {promise.host} host"
    if rule.action.type != "forward":
        return f"{where} answers {promise.path} with {rule.action.type} {rule.action.status}".rstrip()
    owners = owners_of(ecs, rule.action.target_groups, groups)
    if owners is None:
        return CannotTell(reason="not known")
    strangers = [owner for owner in owners if owner not in promise.services]
    return f"{where} sends {promise.path} to the target group of {strangers[0]}" if strangers else None
