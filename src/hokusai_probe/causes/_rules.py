"""What the causes about listener rules share: the ways that must lead somewhere, and where they lead."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from shlex import quote

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.causes._words import answered, beside, one_line, whose, word
from hokusai_probe.declare import Claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, HostName, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_forms import UNKNOWN_PATH
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.listener_rules import (
    GATEWAY_PATH,
    NOBODY,
    Balancer,
    Condition,
    Listener,
    ListenerRulesFacts,
    Rule,
    host_name,
    owner_of,
    route,
)
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.plain_http import ASKED, PlainHttpFacts
from hokusai_probe.probes.promised_paths import Promise, promises
from hokusai_probe.probes.public_paths import MLFLOW_HEALTH, PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST, NAMES, SERVICE_OF_HOST, SERVICES


@dataclass(frozen=True, slots=True)
class Way:
    """A path at a host that must lead to a service, and the hops that break when its rule does not.

    ``service_too`` is another service that it may lead to.
    """

    host: HostName
    path: str
    pattern: str
    service: str
    hop: str
    also: tuple[str, ...] = ()
    service_too: str = ""

    @property
    def hops(self) -> tuple[str, ...]:
        """What its rule is responsible for."""
        return (self.hop, *self.also)

    @property
    def breaks(self) -> tuple[str, ...]:
        """What fails with its rule, the look at the rules themselves included."""
        return (*self.hops, "listeners/rules")

    @property
    def is_main(self) -> bool:
        """Whether it is one of the ways that have looks of their own."""
        return any((self.host, self.path) == (way.host, way.path) for way in WAYS)

    def with_hops(self, more: Iterable[str]) -> Way:
        """The way, when its rule is responsible for more."""
        fresh = tuple(hop for hop in dict.fromkeys(more) if hop not in self.hops)
        return replace(self, also=(*self.also, *fresh))


ARTIFACT_PATH = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts"
REST = Way("registry", GATEWAY_PATH, "/api/mlflow/*", "gateway", "rule.mlflow")
ARTIFACTS = Way(
    "registry", ARTIFACT_PATH, "/api/mlflow/api/2.0/mlflow-artifacts/*", "gateway", "rule.artifacts"
)
WAYS = (
    Way("auth", "/api/v1/keys/validate", "/api/v1/*", "auth", "rule.auth"),
    REST,
    ARTIFACTS,
    Way("api", "/health", "/health", "gateway", "rule.api"),
)


TRIED_WITH_KEYS = ("gateway-auth", "public.registry/no-key", "public.registry/malformed-key")
"""What is asked on a path that nobody has, where nothing but the key decides."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What outside eyes saw on a way, in which facts and where in them. None: nothing was asked."""

    answer: Answer | None
    by: type[Facts]
    place: str


@dataclass(frozen=True, slots=True)
class Routed:
    """Where the rules of both listeners take a way. None: not known, or there is none."""

    balancer: Balancer | None
    https: Rule | None = None
    http: Rule | None = None
    owner: str | None = None

    def listener(self, port: int) -> Listener | None:
        """The load balancer's listener on a port."""
        return self.balancer.listener(port) if self.balancer else None


def routed(
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
    way: Way,
    groups: TargetGroupsFacts | None = None,
) -> Routed:
    """Where a way leads by the rules that were read."""
    balancer = rules.of_host(way.host) if rules else None
    if balancer is None:
        return Routed(None)
    name = host_name(target, way.host)
    https, http = (balancer.listener(port) for port in (443, 80))
    rule = route(https, name, way.path) if https else None
    return Routed(
        balancer,
        rule,
        route(http, name, way.path) if http else None,
        owner_of(ecs, rule.action.target_groups, groups, way.service) if rule else None,
    )


def ways(
    hosts: HostsFacts,
    target: Target,
    rules: ListenerRulesFacts | None,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
) -> tuple[Way, ...]:
    """The ways of a target's hosts, one for each rule that takes some; a plain server has no rules.

    Where the rules are not known, those that outside eyes can tell apart.
    """
    if hosts.bare:
        return ()
    apart = _artifacts_apart(target, rules, api)
    main = [w for w in WAYS if w.host in target.hosts.present() and (apart or w is not ARTIFACTS)]
    found = {_key(w, _taking(w, rules, target)): w for w in main}
    for way in _others(target):
        rule = _taking(way, rules, target)
        key = _key(way, rule)
        if rule is not None:
            found[key] = found[key].with_hops(way.hops) if key in found else way
        elif not _is_below(way, main) and _looks_misled(way, heard(way, hosts, api, paths), hosts):
            found[key] = way
    return tuple(found.values())


def _key(way: Way, rule: Rule | None) -> tuple[str, str, str]:
    """What makes two ways one: the same rule of the same host, and the same services at its end."""
    return way.host, rule.arn if rule else way.path, way.service_too


def _is_below(way: Way, main: Iterable[Way]) -> bool:
    """Whether a path most likely goes with a main way, by the rule that the contract has for both."""
    return any(way.host == one.host and way.path.startswith(one.pattern.rstrip("*")) for one in main)


def _taking(way: Way, rules: ListenerRulesFacts | None, target: Target) -> Rule | None:
    balancer = rules.of_host(way.host) if rules else None
    listener = balancer.listener(443) if balancer else None
    return route(listener, host_name(target, way.host), way.path) if listener else None


def _looks_misled(way: Way, seen: Heard, hosts: HostsFacts) -> bool:
    """Whether a path is answered by somebody else, or by a 404 where a key ought to be asked for."""
    if "required-paths" in way.hops and asks_for_key(seen.answer) is False:
        return True
    return _not_its_own(way, seen).holds is True or any(_no_target(way, seen, hosts))


def _others(target: Target) -> Iterator[Way]:
    """The promised paths beside the main ways, with what fails when one leads elsewhere."""
    known = {(way.host, way.path) for way in WAYS}
    for promise in promises(target):
        if (promise.host, promise.path) not in known:
            too = promise.services[1] if len(promise.services) > 1 else ""
            hop, *also = _hops(promise, target)
            yield Way(promise.host, promise.path, promise.path, promise.services[0], hop, tuple(also), too)


def _hops(promise: Promise, target: Target) -> tuple[str, ...]:
    if promise.host == "api":
        return ("rule.api",)
    if promise.path == "/health":
        return (f"public.{promise.host}",)
    if promise.path == UNKNOWN_PATH:
        return TRIED_WITH_KEYS
    asked = {
        "required-paths": promise.path in target.paths.required,
        "public.registry/public-paths": promise.path in target.paths.public,
        "mlflow-health": promise.path == MLFLOW_HEALTH,
    }
    # in the contract's layout the rule for /api/* takes this path and the one that keys are tried on
    together = TRIED_WITH_KEYS if promise.path == MLFLOW_HEALTH else ()
    return (*(hop for hop, so in asked.items() if so), *together) or ("required-paths",)


def _artifacts_apart(target: Target, rules: ListenerRulesFacts | None, api: MlflowApiFacts | None) -> bool:
    """Whether artifact paths may go another way than the rest of MLflow's: else one fault is named twice."""
    balancer = rules.of_host("registry") if rules else None
    listener, name = balancer.listener(443) if balancer else None, host_name(target, "registry")
    taking = [route(listener, name, way.path) for way in (REST, ARTIFACTS)] if listener else [None]
    return bool(api and api.works) if None in taking else taking[0] != taking[1]


def keyless(paths: PublicPathsFacts | None, path: str) -> Heard:
    """What a required path answered without a key."""
    required = paths.required if paths else ()
    found = next(((n, a) for n, a in enumerate(required) if a.path == path), None)
    if found is None:
        return Heard(None, PublicPathsFacts, "")
    return Heard(found[1], PublicPathsFacts, f"required[{found[0]}]")


def unasked(way: Way, paths: PublicPathsFacts | None) -> Heard:
    """What a path of the registry host answered without a key; nobody asks such paths of other hosts."""
    public = enumerate(paths.public if paths and way.host == "registry" else ())
    found = next(((n, a) for n, a in public if a.path == way.path), None)
    if found is not None:
        return Heard(found[1], PublicPathsFacts, f"public[{found[0]}]")
    return keyless(paths if way.host == "registry" else None, way.path)


def asks_for_key(answer: Answer | None) -> bool | None:
    """Whether this is the gateway, which asks for a key before all else; no other service does (contract 3).

    No: a 404 without a key, whoever says it. None: nobody can tell.
    """
    if answer is None:
        return None
    if answer.status == 401 and responder(answer) == "gateway":
        return True
    return False if answer.status == 404 else None


def heard(way: Way, hosts: HostsFacts, api: MlflowApiFacts | None, paths: PublicPathsFacts | None) -> Heard:
    """What outside eyes saw on a way, or on the one nearest to it."""
    if (way.host, way.path) == (ARTIFACTS.host, ARTIFACTS.path):
        return keyless(paths, way.path)
    if (way.host, way.path) == (REST.host, REST.path):
        return Heard(api.search if api else None, MlflowApiFacts, "search")
    if not way.is_main and way.path != "/health":
        return unasked(way, paths)
    return Heard(hosts.health(way.host), HostsFacts, f"hosts.{way.host}.health")


def balancer_answers_404(way: Way, seen: Heard) -> Claim:
    """That the load balancer itself answers 404 with a fixed response (INC-17)."""
    answer, holds = seen.answer, None
    if answer is not None:
        mine = answer.status == 404 and responder(answer) in {"load-balancer", "unknown"}
        holds = True if mine and answer.content_type == "text/plain" else _else(way, answer)
    return answered(
        f"the {way.host} host's load balancer answers {way.path} itself"
        + (f": {said(answer)}" if answer else ""),
        holds,
        answer,
        seen.place,
        by=seen.by,
    )


def _else(way: Way, answer: Answer) -> bool | None:
    """No, if the service behind the rule answered; hidden otherwise."""
    return False if responder(answer) == way.service else None


def another_service_answers(
    way: Way,
    seen: Heard,
    hosts: HostsFacts,
    paths: PublicPathsFacts | None,
    validation: KeyValidationFacts | None,
) -> tuple[Claim, ...]:
    """That outside eyes see another service than the way's own answer on it."""
    if not way.is_main:
        return (_not_its_own(way, seen), *_no_target(way, seen, hosts))
    if way.host == "auth":
        return (_gateway_at_auth(validation),)
    return (*_another_answers(way, seen, keyless(paths, way.path)), *_no_target(way, seen, hosts))


def _not_its_own(way: Way, seen: Heard) -> Claim:
    """A 404 in the words of gateway and auth service alike is nobody's for certain; it is out of place."""
    answer = seen.answer
    who = responder(answer) if answer else None
    holds: bool | None = None
    if answer is not None and who in SERVICES:
        holds = who != way.service if answer.status != 404 else ("required-paths" in way.hops or None)
    return answered(
        f"not {whose(way.service)} answer on {way.path}" + (f": {said(answer)}" if answer else ""),
        holds,
        answer,
        seen.place,
        by=seen.by,
    )


def _gateway_at_auth(validation: KeyValidationFacts | None) -> Claim:
    """The gateway asks for a key on any path, real or not; the auth service has no such path."""
    answer = validation.unknown_path if validation else None
    holds = None
    if answer is not None and answer.status in {401, 404}:
        holds = answer.status == 401 and detail(answer) == "API key required"
    return answered(
        "the gateway answers under the auth host's /api" + (f": {said(answer)}" if answer else ""),
        holds,
        answer,
        "unknown_path",
        by=KeyValidationFacts,
    )


def _another_answers(way: Way, seen: Heard, unasked: Heard) -> Iterator[Claim]:
    """Another service answers in its own way. That no key is asked for gives away one of the same words."""
    answer = seen.answer
    if seen.by is not PublicPathsFacts:
        who = responder(answer) if answer else None
        misplaced = answer and who in SERVICES and who != way.service and answer.status == 404
        yield answered(
            f"another service answers on {way.path}" + (f": {said(answer)}" if answer else ""),
            True if misplaced else (False if answer and answer.status == 200 else None),
            answer,
            seen.place,
            by=seen.by,
        )
    if way.host == "registry":
        asks = asks_for_key(unasked.answer)
        named = responder(unasked.answer) in SERVICES if unasked.answer else False
        yield answered(
            f"{way.path} asks for no key" + (f": {said(unasked.answer)}" if unasked.answer else ""),
            False if asks else (True if asks is False and named else None),
            unasked.answer,
            unasked.place,
            by=PublicPathsFacts,
        )


def _no_target(way: Way, seen: Heard, hosts: HostsFacts) -> Iterator[Claim]:
    """503 of the load balancer on a path alone: its rule leads to a group without a target (AWS).

    The service answers on another path, or at another of its hosts.
    """
    empty = seen.answer and seen.answer.status == 503 and responder(seen.answer) == "load-balancer"
    if empty and seen.answer and _answers_somewhere(way.service, hosts):
        yield answered(
            f"nobody serves {way.path} at the {way.host} host, and the {NAMES[way.service]} answers "
            f"elsewhere: {said(seen.answer)}",
            seen.answer.status == 503,
            seen.answer,
            seen.place,
            by=seen.by,
        )


def _answers_somewhere(service: str, hosts: HostsFacts) -> bool:
    """Whether a service answers for its health at any of its hosts, so that it has a target."""
    its = (hosts.health(host) for host in hosts.hosts if SERVICE_OF_HOST[host] == service)
    return any(answer is not None and responder(answer) == service for answer in its)


def served_on_80(
    way: Way, found: Routed, plain: PlainHttpFacts | None, refused: Claim, *, wanted: bool
) -> Iterator[Claim]:
    """That a service answers a path on port 80, or that none does; nothing where the rules were read.

    It counts only beside ``refused``: port 443 was seen to answer the path itself. Then a rule on port 80,
    and no default there that takes everything, is what no other defect shows.
    """
    if found.https is not None or ASKED[way.host] != way.path:
        return
    serves = plain.serves(way.host, way.path) if plain else None
    answer = plain.answers.get(way.host) if plain else None
    yield answered(
        f"port 80 of the {way.host} host {'leads' if wanted else 'does not lead'} {way.path} to a service"
        + (f": {said(answer)}" if answer else ""),
        beside(refused.holds, fact=None if serves is None else serves == wanted),
        answer,
        f"answers.{way.host}",
        by=PlainHttpFacts,
        telling=wanted,
    )


def meant(found: Routed, way: Way, ecs: EcsServicesFacts | None, target: Target) -> Rule | None:
    """The rule that would take a way to its service, did not a broader one with a smaller number take it.

    Broader: it takes each path that the other one names. None: there is no such rule, or nothing is known.
    """
    listener, taking = found.listener(443), found.https
    if listener is None or taking is None or found.owner in {way.service, way.service_too}:
        return None
    if taking.action.type == "forward" and found.owner is None:
        return None
    later = [rule for rule in listener.rules if rule is not taking and rule.priority != "default"]
    rest = listener.model_copy(update={"rules": tuple(later)})
    rule = route(rest, host_name(target, way.host), way.path)
    if rule is None or owner_of(ecs, rule.action.target_groups) != way.service:
        return None
    return rule if _covers(taking, rule, listener, host_name(target, way.host)) else None


def shadowed(
    taking: Rule,
    host: HostName,
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
    target: Target,
) -> tuple[Rule, ...]:
    """Every rule that one rule keeps from a promised path of its host, in the order of their priorities."""
    here = [way for way in (*WAYS, *_others(target)) if way.host == host]
    taken = (
        (way, found) for way in here if (found := routed(rules, ecs, target, way, groups)).https == taking
    )
    kept = {rule.arn: rule for way, found in taken if (rule := meant(found, way, ecs, target))}
    return tuple(sorted(kept.values(), key=lambda rule: int(rule.priority)))


def _covers(broad: Rule, narrow: Rule, listener: Listener, host: str) -> bool:
    """Whether one rule takes every path that another one names."""
    alone = listener.model_copy(update={"rules": (broad,)})
    named = [value for c in narrow.conditions if c.field == "path-pattern" for value in c.values]
    return bool(named) and all(route(alone, host, value) is not None for value in named)


def belonging(owner: str | None) -> str:
    """Whose target group it is, as words that follow ``to``."""
    if owner is None or owner == NOBODY:
        return "a target group that no service registers with"
    return f"{whose(owner)} target group"


def place_of(way: Way, found: Routed, port: int, rule: Rule | None) -> str:
    """Where a rule lies in the facts."""
    listener = found.listener(port)
    if found.balancer is None or listener is None or rule is None:
        return ""
    where = f"listeners[{found.balancer.listeners.index(listener)}].rules[{listener.rules.index(rule)}]"
    return f"balancers.{LOAD_BALANCER_OF_HOST[way.host]}.{where}"


# --- commands ---------------------------------------------------------------------------------------

_CONFIG = {
    "path-pattern": "PathPatternConfig",
    "host-header": "HostHeaderConfig",
    "source-ip": "SourceIpConfig",
    "http-request-method": "HttpRequestMethodConfig",
}
_PRIORITIES = 50_000  # AWS: a rule's priority is at most this


def describe(way: Way, found: Routed) -> str:
    """The AWS CLI call that shows the rules of a way."""
    listener = found.listener(443)
    arn = word(listener.arn if listener else None, f"{way.host.upper()}_LISTENER")
    return one_line(f"aws elbv2 describe-rules --listener-arn {arn}")


def group_for(way: Way, found: Routed, rules: ListenerRulesFacts | None, ecs: EcsServicesFacts | None) -> str:
    """A target group of the way's service that its load balancer may use, as a word of a command.

    AWS attaches a target group to one load balancer only: one that another load balancer's rules
    forward to is of no use here.
    """
    groups = ecs.services[way.service].target_groups if ecs and way.service in ecs.services else ()
    here = _groups_of(found.balancer)
    others = (b for b in (rules.balancers.values() if rules else ()) if b != found.balancer)
    elsewhere = {arn for balancer in others for arn in _groups_of(balancer)}
    free = (arn for arn in groups if arn not in elsewhere)
    arn = next((arn for arn in groups if arn in here), None) or next(free, None)
    return word(arn, f"{way.service.upper()}_FREE_GROUP")


def _groups_of(balancer: Balancer | None) -> set[str]:
    rules = (rule for listener in (balancer.listeners if balancer else ()) for rule in listener.rules)
    return {arn for rule in rules for arn in rule.action.target_groups}


def free_priority(taken: Iterable[str], wanted: str, before: str = "") -> str | None:
    """A priority that no rule has: the wanted one or one after it, or the last free one before a rule."""
    used = {int(p) for p in taken if p.isdigit()}
    behind = range(int(wanted), _PRIORITIES + 1)
    ahead = range(int(before) - 1, 0, -1) if before.isdigit() else behind
    return next((str(n) for n in ahead if n not in used), None)


def order(listener: Listener, broad: Rule, rules: Sequence[Rule]) -> tuple[tuple[Rule, str], ...]:
    """New priorities with which rules come before a broad one; where they cannot, the broad one goes behind.

    Rules that get new numbers keep their order. Empty: AWS has no number left.
    """
    used = {int(r.priority) for r in listener.rules if r.priority.isdigit()}
    ahead = [n for n in range(1, int(broad.priority)) if n not in used][-len(rules) :]
    if len(ahead) == len(rules):
        return tuple(zip(rules, map(str, ahead), strict=True))
    last = max(int(rule.priority) for rule in rules)
    behind = free_priority((r.priority for r in listener.rules), str(last + 1))
    return () if behind is None else ((broad, behind),)


def can_copy(rule: Rule) -> bool:
    """Whether all that a rule says is in the facts: header names, queries and weights are not."""
    return len(rule.action.target_groups) == 1 and all(c.field in _CONFIG for c in rule.conditions)


def create_rule(listener: Listener, priority: str, conditions: Iterable[Condition], group: str) -> str:
    """The AWS CLI call that makes a rule. ``group`` is a word of a command."""
    listed = [{"Field": c.field, _CONFIG[c.field]: {"Values": list(c.values)}} for c in conditions]
    return (
        f"aws elbv2 create-rule --listener-arn {quote(listener.arn)} --priority {priority} "
        f"--conditions {quote(json.dumps(listed))} --actions Type=forward,TargetGroupArn={group}"
    )


def delete_rule(listener: Listener, priority: str) -> str:
    """The AWS CLI call that takes a rule away again, found by its priority."""
    query = f"Rules[?Priority=='{priority}'].RuleArn"
    found = f'aws elbv2 describe-rules --listener-arn {quote(listener.arn)} --query "{query}" --output text'
    return f'aws elbv2 delete-rule --rule-arn "$({found})"'
