"""The paths that clients need, held against the rules: where each would really go, on every host."""

from __future__ import annotations

from hokusai_probe.declare import Sentence, check
from hokusai_probe.model import CannotTell, Frozen, HostName, NotApplicable, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.key_forms import UNKNOWN_PATH
from hokusai_probe.probes.listener_rules import GATEWAY_PATH, ListenerRulesFacts, host_name, owners_of, route
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
    balancer = facts.of_host(promise.host)
    listener = balancer.listener(443) if balancer else None
    rule = route(listener, host_name(target, promise.host), promise.path) if listener else None
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
