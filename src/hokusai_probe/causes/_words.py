"""What claims and remedies are written with: where evidence lies, and commands that can be pasted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from shlex import quote

from pydantic import JsonValue

from hokusai_probe.declare import Claim, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, RemedyKind
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition
from hokusai_probe.topology import HOSTS, NAMES, SERVICES

# --- claims -----------------------------------------------------------------------------------------


def seen_in(answer: Answer, place: str) -> tuple[str, JsonValue]:
    """The fact that says what became of a request, with its value: the status, or why there is none."""
    if answer.failure is not None:
        return f"{place}.failure.kind", answer.failure.kind
    return f"{place}.status", answer.status


def answered(
    text: str, holds: object, answer: Answer | None, place: str, *, by: type[Facts], telling: bool = False
) -> Claim:
    """A claim about the answer to one request; ``place`` is where it lies in the facts of ``by``."""
    fact, value = seen_in(answer, place) if answer else ("", None)
    return claim(text, holds, by=by, fact=fact, value=value, telling=telling)


def beside(symptom: object, *, fact: bool | None) -> bool | None:
    """A fact that counts only where the symptom was seen: what is always so speaks for no cause."""
    return fact if symptom else None


def whose(service: str) -> str:
    """``the gateway's``, and ``MLflow's`` for what people call MLflow."""
    return "MLflow's" if service == "mlflow" else f"the {NAMES[service]}'s"


# --- commands ---------------------------------------------------------------------------------------

_OF_A_SERVICE = {
    "SERVICE": "name of the ECS service of the {}",
    "GROUP": "ARN of the target group of the {}",
    "FAMILY": "family of the task definition of the {}",
    "CONTAINER": "name of the container of the {}",
    "PORT": "port on which the container of the {} listens",
    "REVISION": "ARN of the last good task definition of the {}",
    "DEFINITION": "ARN of the task definition in use of the {}",
    "LOGS": "name of the log group of the {}",
    "SECURITY_GROUP": "id of the security group of the tasks of the {}",
    "FREE_GROUP": "ARN of a target group of the {} that is attached to this load balancer or to none",
}
BLANKS: Mapping[str, str] = {
    "CLUSTER": "name of the ECS cluster",
    "SUBNETS": "ids of the private subnets, separated by commas",
    "MLFLOW_URL": "private address of MLflow with its static prefix, such as http://HOST:5000/mlflow",
    **{f"{h.upper()}_BALANCER": f"ARN of the load balancer of the {h} host" for h in HOSTS},
    "MLFLOW_HOSTS": "Host headers that MLflow shall answer to, separated by commas, each with its port",
    **{f"{h.upper()}_LISTENER": f"ARN of the port 443 listener of the {h} host" for h in HOSTS},
    **{
        f"{h.upper()}_CERTIFICATE": f"ARN of a certificate for the {h} host, issued and in date"
        for h in HOSTS
    },
    "HEALTH_PATH": "path on which the service says that it is well",
    "FAMILY": "family of the task definition",
    "DEFINITION": "ARN of the task definition in use",
    "EXECUTION_ROLE": "name of the execution role in the task definition",
    "REPOSITORY": "name of the ECR repository",
    "SECRET_ARN": "ARN of the secret, with :key:: where it is one key of a JSON object",
    "SECRET_NAME": "name of the secret, without the six characters that end its ARN",
    "PARAMETER_NAME": "name of the SSM parameter",
    "PARAMETER_VALUE": "value of the SSM parameter",
    "VARIABLE_VALUE": "value of the variable",
    "HOSTED_ZONE": "id of the Route 53 hosted zone that holds the name",
    "ALIAS_ZONE": "canonical hosted zone id of the load balancer",
    **{f"{h.upper()}_ALIAS": f"DNS name of the load balancer of the {h} host" for h in HOSTS},
    **{f"{s.upper()}_{k}": t.format(NAMES[s]) for s in SERVICES for k, t in _OF_A_SERVICE.items()},
}
"""What only a person knows, by the shell variable that stands for it in a command."""

_BLANK = re.compile(r"\$(" + "|".join(sorted(BLANKS, key=len, reverse=True)) + r")\b")


def word(known: object, blank: str) -> str:
    """A word of a command: what is known, quoted for the shell, or the variable that a person sets."""
    return quote(str(known)) if known else f'"${blank}"'


def ready(*commands: str) -> tuple[str, ...]:
    """Commands that can be pasted, after a line for each variable that a person must set first."""
    names = dict.fromkeys(name for line in commands for name in _BLANK.findall(line))
    return (*(f"{name}={quote(BLANKS[name])}" for name in names), *commands)


def one_line(command: str) -> str:
    """A command with what must be set first, as one line."""
    return "; ".join(ready(command))


def readiness(*commands: str) -> RemedyKind:
    """Whether these commands work as they are, or a value is missing."""
    whole = commands and not any(_BLANK.search(line) or line.startswith("#") for line in commands)
    return "automatic" if whole else "needs-value"


def describe_definition(definition: TaskDefinition | None, service: str = "") -> str:
    """The AWS CLI call that shows a task definition; ``service`` names the blank for an unknown ARN."""
    blank = "_".join(filter(None, (service.upper(), "DEFINITION")))
    arn = word(definition.arn if definition else None, blank)
    return one_line(f"aws ecs describe-task-definition --task-definition {arn}")


def cluster(ecs: EcsServicesFacts | None) -> str:
    """``--cluster`` of the platform's ECS cluster."""
    return f"--cluster {word(ecs.cluster if ecs else None, 'CLUSTER')}"


def service_name(ecs: EcsServicesFacts | None, service: str) -> str:
    """The name of a service's ECS service, as a word of a command."""
    one = ecs.services.get(service) if ecs else None
    return word(one.name if one else None, f"{service.upper()}_SERVICE")


def update_service(ecs: EcsServicesFacts | None, service: str, change: str) -> str:
    """The AWS CLI call that changes an ECS service."""
    return f"aws ecs update-service {cluster(ecs)} --service {service_name(ecs, service)} {change}"


def previous_revision(ecs: EcsServicesFacts | None, service: str) -> str:
    """The AWS CLI call that deploys a service's last good revision again."""
    revision = word(None, f"{service.upper()}_REVISION")
    return one_line(update_service(ecs, service, f"--task-definition {revision}"))


def wait_for(ecs: EcsServicesFacts | None, service: str) -> str:
    """The AWS CLI call that returns when a deployment is through."""
    return one_line(f"aws ecs wait services-stable {cluster(ecs)} --services {service_name(ecs, service)}")


def group_of(groups: TargetGroupsFacts | None, service: str) -> tuple[Group | None, str]:
    """The first attached group of a service, and its place in the facts."""
    found = groups.of(service) if groups else ()
    if not groups or not found:
        return None, ""
    return found[0], f"groups[{groups.groups.index(found[0])}]"


def describe_health(group: Group | None, service: str) -> str:
    """The AWS CLI call that shows who is registered with a service's target group."""
    arn = word(group.arn if group else None, f"{service.upper()}_GROUP")
    return one_line(f"aws elbv2 describe-target-health --target-group-arn {arn}")
