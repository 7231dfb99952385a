"""Facts made by hand: answers as the platform's parts write them, and whole states of the platform."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hokusai_probe import config
from hokusai_probe.aws import AwsFailure
from hokusai_probe.failures import Failure, FailureKind
from hokusai_probe.http import Answer, Resolution
from hokusai_probe.model import Facts, Hosts, Target
from hokusai_probe.probes._firewall import AclEntry, GroupRule, Part, SecurityGroup
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.hosts import HostSeen, HostsFacts
from hokusai_probe.probes.invalid_keys import FAKES, MALFORMED, InvalidKeysFacts
from hokusai_probe.probes.key_forms import ACCEPTED, KeyFormsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.listener_rules import (
    Action,
    Balancer,
    Condition,
    Listener,
    ListenerRulesFacts,
    Rule,
)
from hokusai_probe.probes.load_balancer_attributes import LoadBalancerAttributesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts, is_search_result
from hokusai_probe.probes.network_acls import Acl, NetworkAclsFacts
from hokusai_probe.probes.no_key import NoKeyFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.security_groups import Edge, SecurityGroupsFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts, TargetSeen
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

TARGET = config.load("hokusai-development", {})
OUTSIDE = TARGET.model_copy(update={"aws": None})
BARE = Target(name="plain", hosts=Hosts(registry="http://127.0.0.1:5000"), paths={"mlflow": None})

JSON, HTML, TEXT = "application/json", "text/html", "text/plain"
SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search"


def answer(
    status: int | None = 200,
    body: object = "",
    content_type: str | None = None,
    *,
    path: str = "/health",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Answer:
    """What came back for one request. A body that is no text is written as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(
        method=method,
        url=f"https://registry.example{path}",
        path=path,
        status=status,
        content_type=content_type or (TEXT if isinstance(body, str) else JSON),
        body=text,
        body_bytes=len(text),
        headers=headers or {},
        reproduce=f"curl https://registry.example{path}",
        **more,
    )


def silence(kind: FailureKind = "refused", detail: str = "connecting was refused", **more: Any) -> Answer:
    """A request that nobody answered."""
    return answer(None, failure=Failure(kind=kind, detail=detail), **more)


def balancer_page(status: int, words: str, **more: Any) -> Answer:
    """A page of the load balancer's own."""
    said = f"{status} {words}"
    page = f"<html><head><title>{said}</title></head><body><center><h1>{said}</h1></center></body></html>"
    return answer(status, page, HTML, headers={"server": "awselb/2.0"}, **more)


def bad_gateway(**more: Any) -> Answer:
    """The load balancer's 502."""
    return balancer_page(502, "Bad Gateway", **more)


def unavailable(**more: Any) -> Answer:
    """The load balancer's 503: no target is registered."""
    return balancer_page(503, "Service Temporarily Unavailable", **more)


def fixed_404(**more: Any) -> Answer:
    """A listener's fixed response."""
    return answer(404, "Not Found", TEXT, headers={"server": "awselb/2.0"}, **more)


def mlflow_404(**more: Any) -> Answer:
    """MLflow's router has no such path."""
    page = (
        "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
        "<p>The requested URL was not found on the server.</p>\n"
    )
    return answer(404, page, HTML, **more)


def refusal(status: int, detail: object, **more: Any) -> Answer:
    """A refusal as FastAPI writes it."""
    return answer(status, {"detail": detail}, **more)


GATEWAY_OK = {"status": "healthy", "version": "1.0.0", "services": {"mlflow": "healthy", "redis": "healthy"}}
AUTH_OK = {"status": "healthy", "service": "hokusai-auth-service", "version": "1.0.0"}
NO_MODEL = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model not found"}
GOOD_KEY = {"is_valid": True, "service_id": "platform", "scopes": ["model:write"]}


def resolved(name: str = "registry.hokus.ai") -> Resolution:
    """A name with an address."""
    return Resolution(name=name, addresses=("127.0.0.1",))


def unresolved(name: str = "registry.hokus.ai") -> Resolution:
    """A name without one."""
    return Resolution(
        name=name, failure=Failure(kind="dns", detail=f"{name}: does not exist", code="nxdomain")
    )


def hosts_facts(bare: bool = False, **health: Answer) -> HostsFacts:
    """Healthy hosts, some of them with another answer; a host that does not resolve says so twice."""
    healthy = {
        "auth": answer(body=AUTH_OK),
        "registry": answer(body=GATEWAY_OK),
        "api": answer(body=GATEWAY_OK),
    }
    return HostsFacts(hosts={n: _seen(n, a) for n, a in (healthy | health).items()}, bare=bare)


def _seen(name: str, health: Answer) -> HostSeen:
    lost = health.failure is not None and health.failure.kind == "dns"
    return HostSeen(resolution=(unresolved if lost else resolved)(f"{name}.hokus.ai"), health=health)


def bare_facts(health: Answer) -> HostsFacts:
    """A plain MLflow server."""
    return HostsFacts(hosts={"registry": HostSeen(resolution=resolved(), health=health)}, bare=True)


def api_facts(search: Answer | None = None, unknown_model: Answer | None = None) -> MlflowApiFacts:
    """MLflow's API through the gateway, well unless told otherwise; what fails, fails for both requests."""
    found = search or answer(body={"experiments": []}, path=SEARCH)
    return MlflowApiFacts(
        prefix="/api/mlflow",
        search=found,
        unknown_model=unknown_model or search or answer(404, NO_MODEL),
        works=is_search_result(found),
    )


def form_facts(refused_with: Answer | None = None, **changed: Answer) -> KeyFormsFacts:
    """The forms of a good key; with ``refused_with`` every form that should be let in gets that."""
    let_in = refused_with or refusal(404, "Not Found")
    answers = dict.fromkeys(ACCEPTED, let_in)
    return KeyFormsFacts(answers=answers | {k.replace("_", "-"): a for k, a in changed.items()})


def no_key_facts(given: Answer | None = None) -> NoKeyFacts:
    """A gateway that asks for a key, unless told otherwise."""
    return NoKeyFacts(answer=given or refusal(401, "API key required"))


def invalid_facts(
    fakes: Answer | None = None, malformed: Answer | None = None, **changed: Answer
) -> InvalidKeysFacts:
    """A gateway that refuses for the right reasons, unless told otherwise."""
    forms = dict.fromkeys(MALFORMED, malformed or refusal(401, "API key required", echoes=False))
    return InvalidKeysFacts(
        fakes=dict.fromkeys(FAKES, fakes or refusal(401, "Invalid or expired API key", echoes=False)),
        malformed=forms | {k.replace("_", "-"): a for k, a in changed.items()},
    )


def validation_facts(
    platform: Answer | None = None, without: Answer | None = None, unknown: Answer | None = None
) -> KeyValidationFacts:
    """Auth's own word on the key: good unless told otherwise."""
    good = answer(body=GOOD_KEY)
    return KeyValidationFacts(
        for_platform=platform or good,
        without_service=without or platform or good,
        unknown_path=unknown or refusal(404, "Not Found"),
    )


def path_facts(public: Iterable[Answer] = (), required: Iterable[Answer] = ()) -> PublicPathsFacts:
    """Public and required paths, well unless told otherwise."""
    return PublicPathsFacts(
        public=tuple(public) or (answer(body=GATEWAY_OK),),
        required=tuple(required) or (refusal(401, "API key required", path=SEARCH),),
    )


# --- AWS --------------------------------------------------------------------------------------------

DENIED = AwsFailure(kind="denied", code="AccessDenied", detail="not authorised")
PORTS = {"auth": 8000, "gateway": 8001, "mlflow": 5000}
NAMES = TARGET.aws.services if TARGET.aws else {}
ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"


def group_arn(service: str) -> str:
    """The ARN of a service's target group."""
    return f"{ELB}:targetgroup/{service}/0123456789abcdef"


def ecs_facts(**changed: Mapping[str, Any]) -> EcsServicesFacts:
    """All services running one task; ``mlflow={"missing": True}`` changes one."""
    return EcsServicesFacts(
        cluster="hokusai-development",
        services={s: EcsService(**(_service(s) | changed.get(s, {}))) for s in PORTS},
    )


def _service(service: str) -> dict[str, Any]:
    return {
        "name": NAMES[service],
        "status": "ACTIVE",
        "desired": 1,
        "running": 1,
        "deployments": 1,
        "task_definition": f"{service}:1",
        "container": service,
        "container_port": PORTS[service],
        "target_groups": (group_arn(service),),
    }


def gone(service: str) -> dict[str, Any]:
    """A service that ECS does not have."""
    return {**dict.fromkeys(("desired", "running", "deployments"), 0), "missing": True, "status": "",
            "task_definition": "", "target_groups": (), "name": NAMES[service]}  # fmt: skip


def registered(port: int, state: str = "healthy", ip: str = "10.0.1.10", reason: str = "") -> TargetSeen:
    """A registered target."""
    return TargetSeen(id=ip, port=port, state=state, reason=reason)


def group(service: str, *targets: TargetSeen, **more: Any) -> Group:
    """One service's target group."""
    given = {"attached": True, "service": service, "health_path": "/health", "matcher": "200"} | more
    return Group(arn=group_arn(service), name=f"{service}-tg", port=PORTS[service], targets=targets, **given)


def group_facts(**changed: Group) -> TargetGroupsFacts:
    """Each group with its one healthy target, some changed."""
    healthy = {s: group(s, registered(p)) for s, p in PORTS.items()}
    return TargetGroupsFacts(groups=tuple((healthy | changed).values()))


def definition_facts(url: str = "http://mlflow.hokusai.local:5000/mlflow") -> TaskDefinitionsFacts:
    """Task definitions whose gateway is told this address of MLflow."""
    given = {"gateway": {"MLFLOW_SERVER_URL": url}}
    return TaskDefinitionsFacts(
        definitions={
            s: TaskDefinition(arn=f"{s}:1", container=s, ports=(p,), addresses=given.get(s, {}))
            for s, p in PORTS.items()
        }
    )


def discovery_facts(**names: tuple[str, ...]) -> ServiceDiscoveryFacts:
    """Cloud Map with one zone and a name for each service, some changed; () is a name with no address."""
    known = dict.fromkeys(PORTS, ("10.0.1.10",)) | names
    return ServiceDiscoveryFacts(
        zones=("hokusai.local",), names={f"{s}.hokusai.local": a for s, a in known.items()}, hosted=()
    )


def rule(priority: str, action: Action, **conditions: tuple[str, ...]) -> Rule:
    """One rule; conditions by field, with _ for -."""
    return Rule(
        arn=f"{ELB}:listener-rule/{priority}",
        priority=priority,
        conditions=tuple(Condition(field=f.replace("_", "-"), values=v) for f, v in conditions.items()),
        action=action,
    )


def forward(service: str) -> Action:
    """Forward to a service's group."""
    return Action(type="forward", target_groups=(group_arn(service),))


NOT_FOUND = Action(type="fixed-response", status="404")
REDIRECT = Action(type="redirect", redirect="HTTPS:443")


def listener(port: int, *rules: Rule, name: str = "lb") -> Listener:
    """One listener."""
    return Listener(arn=f"{ELB}:listener/{name}/{port}", port=port, protocol="HTTPS", rules=rules)


def balancer(name: str, *rules: Rule, http: Iterable[Rule] = (), plain: Action = REDIRECT) -> Balancer:
    """A load balancer whose port 443 has these rules, and whose port 80 redirects after ``http``."""
    last = rule("default", plain)
    return Balancer(
        name=name, listeners=(listener(443, *rules, name=name), listener(80, *http, last, name=name))
    )


AUTH_RULES = (rule("100", forward("auth"), path_pattern=("/api/v1/*",)), rule("default", forward("auth")))
REGISTRY_RULES = (
    rule("100", forward("mlflow"), path_pattern=("/mlflow", "/mlflow/*"), source_ip=("10.0.0.0/8",)),
    rule("110", forward("gateway"), path_pattern=("/api/mlflow/*",)),
    rule("120", forward("gateway"), path_pattern=("/api/*",)),
    rule("default", forward("gateway")),
)
MAIN_RULE = rule("100", forward("gateway"), path_pattern=("/api/*", "/health"))
MAIN_DEFAULT = rule("default", NOT_FOUND)


def rules_facts(**changed: Balancer) -> ListenerRulesFacts:
    """The healthy layout, some load balancers changed."""
    healthy = {
        "auth": balancer("auth", *AUTH_RULES),
        "registry": balancer("registry", *REGISTRY_RULES),
        "main": balancer("main", MAIN_RULE, MAIN_DEFAULT),
    }
    return ListenerRulesFacts(balancers=healthy | changed)


VPC, ANYWHERE = "10.0.0.0/16", "0.0.0.0/0"
CIDRS = {"subnet-p": "10.0.101.0/24", "subnet-a": "10.0.1.0/24", "subnet-b": "10.0.2.0/24"}
PARTS = {
    "load-balancer.auth": Part(groups=("sg-lb",), subnets=("subnet-p",), balancer=True),
    "load-balancer.registry": Part(groups=("sg-lb",), subnets=("subnet-p",), balancer=True),
    "load-balancer.main": Part(groups=("sg-lb",), subnets=("subnet-p",), balancer=True),
    "auth": Part(groups=("sg-auth",), subnets=("subnet-a",), port=8000),
    "gateway": Part(groups=("sg-gateway",), subnets=("subnet-a",), port=8001),
    "mlflow": Part(groups=("sg-mlflow",), subnets=("subnet-b",), port=5000),
    "cache": Part(groups=("sg-cache",), subnets=("subnet-b",), port=6379),
    "database": Part(groups=("sg-database",), subnets=("subnet-a",), port=5432),
}
EDGES = (
    ("load-balancer.auth", "auth"),
    ("load-balancer.registry", "gateway"),
    ("load-balancer.main", "gateway"),
    ("load-balancer.registry", "mlflow"),
    ("gateway", "mlflow"),
    ("gateway", "cache"),
    ("gateway", "database"),
    ("mlflow", "database"),
)


def security_group(*admitted: tuple[str, int], out: bool = True) -> SecurityGroup:
    """A security group that admits these groups on these ports, and lets everything out."""
    outwards = (GroupRule(protocol="-1", cidrs=(ANYWHERE,)),) if out else ()
    ingress = (
        GroupRule(protocol="tcp", from_port=port, to_port=port, groups=(peer,)) for peer, port in admitted
    )
    return SecurityGroup(name="sg", ingress=tuple(ingress), egress=outwards)


def security_facts(**changed: SecurityGroup) -> SecurityGroupsFacts:
    """Groups that admit who needs it, some changed: ``cache=security_group()`` admits nobody."""
    healthy = {
        "lb": security_group(),
        "auth": security_group(("sg-lb", 8000)),
        "gateway": security_group(("sg-lb", 8001)),
        "mlflow": security_group(("sg-lb", 5000), ("sg-gateway", 5000)),
        "cache": security_group(("sg-gateway", 6379)),
        "database": security_group(("sg-gateway", 5432), ("sg-mlflow", 5432)),
    }
    return SecurityGroupsFacts(
        parts=PARTS,
        groups={f"sg-{name}": one for name, one in (healthy | changed).items()},
        edges=tuple(Edge(source=s, target=t, port=PARTS[t].port or 0) for s, t in EDGES),
        cidrs=CIDRS,
    )


ALL_IN = AclEntry(number=100, allow=True, egress=False, protocol="-1", cidr=ANYWHERE)
ALL_OUT = ALL_IN.model_copy(update={"egress": True})
DENIED_IN = ALL_IN.model_copy(update={"number": 32767, "allow": False})
DENIED_OUT = DENIED_IN.model_copy(update={"egress": True})


def acl_facts(**changed: Iterable[AclEntry]) -> NetworkAclsFacts:
    """An open ACL for each subnet, some with these rules before their last ones: ``a=[...]``."""
    rules = dict.fromkeys("pab", (ALL_IN, ALL_OUT)) | changed
    return NetworkAclsFacts(
        acls={f"acl-{k}": Acl(name=k, entries=(*r, DENIED_IN, DENIED_OUT)) for k, r in rules.items()},
        of_subnet={f"subnet-{k}": f"acl-{k}" for k in rules},
    )


def outside(**changed: Facts) -> dict[str, Facts]:
    """What outside eyes see of a healthy platform, by look, some facts changed."""
    healthy: dict[str, Facts] = {
        "hosts": hosts_facts(),
        "public_paths": path_facts(),
        "no_key": no_key_facts(),
        "invalid_keys": invalid_facts(),
        "key_forms": form_facts(),
        "key_validation": validation_facts(),
        "mlflow_api": api_facts(),
    }
    return healthy | changed


def inside(**changed: Facts) -> dict[str, Facts]:
    """What AWS shows of a healthy platform, by look, some facts changed."""
    healthy: dict[str, Facts] = {
        "aws_identity": AwsIdentityFacts(failure=None),
        "ecs_services": ecs_facts(),
        "target_groups": group_facts(),
        "listener_rules": rules_facts(),
        "service_discovery": discovery_facts(),
        "task_definitions": definition_facts(),
        "security_groups": security_facts(),
        "network_acls": acl_facts(),
        "load_balancer_attributes": LoadBalancerAttributesFacts(
            idle_s=dict.fromkeys(("auth", "registry"), 60)
        ),
    }
    return healthy | changed
