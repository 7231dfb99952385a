"""What the causes about health checks share: the code not accepted, and whether the service works."""

from __future__ import annotations

import re
from dataclasses import dataclass
from shlex import quote
from urllib.parse import urlsplit

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._symptoms import HOST_OF_SERVICE
from hokusai_probe.causes._words import answered, ready, word
from hokusai_probe.declare import Claim, claim
from hokusai_probe.model import Remedy, RemedyKind
from hokusai_probe.probes.hosts import EXPECTED, HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.target_groups import TRAFFIC_PORT, Group, TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts
from hokusai_probe.topology import NAMES

MISMATCH = "Target.ResponseCodeMismatch"
_NOT_YET_OR_NO_MORE = frozenset({"initial", "draining"})
_CODE = re.compile(r"\[\s*(\d{3})")


@dataclass(frozen=True, slots=True)
class Refused:
    """A group whose every target answers the health check with a code that is not accepted, and where."""

    group: Group
    place: str
    number: int
    code: int

    @property
    def text(self) -> str:
        """As a sentence."""
        asked = f"{self.group.name} asks {self.group.health_path}"
        return f"{asked}, accepts {self.group.matcher} and gets {self.code}"


def refused(groups: TargetGroupsFacts | None, service: str) -> Refused | None:
    """The first group of a service whose targets all answer, and none as the matcher wants.

    Its newest target speaks for it: while a deployment is under way the others are of the last revision.
    One that has not been asked yet says nothing.
    """
    for number, group in enumerate(groups.groups if groups else ()):
        serving = [(n, t) for n, t in enumerate(group.targets) if t.state not in _NOT_YET_OR_NO_MORE]
        codes = [_CODE.search(t.description) for _, t in serving if t.reason == MISMATCH]
        mine = group.service == service and group.attached and group.failure is None
        if mine and serving and len(codes) == len(serving) and codes[-1] is not None:
            return Refused(group, f"groups[{number}]", serving[-1][0], int(codes[-1][1]))
    return None


@dataclass(frozen=True, slots=True)
class Misdirected:
    """A group whose health check asks where its targets do not listen, or as they do not speak; and where."""

    group: Group
    place: str
    field: str
    asked: str
    right: str
    why: str

    @property
    def text(self) -> str:
        """As a sentence."""
        return f"the health check of {self.group.name} asks {self.why}"

    def option(self, value: str) -> str:
        """The CLI's option with this value."""
        return f"--{self.field.replace('health', 'health-check').replace('_', '-')} {value}"

    @property
    def attribute(self) -> str:
        """Terraform's, set right."""
        return f'{self.field.removeprefix("health_")} = "{self.right}"'


def misdirected(
    groups: TargetGroupsFacts | None, definitions: TaskDefinitionsFacts | None, service: str
) -> Misdirected | None:
    """The first group of a service that finds no target well, and has a check of its own port or protocol.

    That port is none that the task definition maps, or the protocol is not that of the requests.
    """
    definition = definitions.of(service) if definitions else None
    ports = tuple(str(port) for port in definition.ports) if definition else ()
    for number, group in enumerate(groups.groups if groups else ()):
        asked = [t for t in group.targets if t.state not in _NOT_YET_OR_NO_MORE]
        mine = group.service == service and group.attached and group.failure is None
        if mine and asked and all(t.state == "unhealthy" for t in asked):
            found = _other_port(group, f"groups[{number}]", ports) or _other_words(group, f"groups[{number}]")
            if found is not None:
                return found
    return None


def _other_port(group: Group, place: str, ports: tuple[str, ...]) -> Misdirected | None:
    port = group.health_port
    if port == TRAFFIC_PORT or not ports or port in ports:
        return None
    why = f"port {port}, and the task definition maps {', '.join(ports)}"
    return Misdirected(group, place, "health_port", port, TRAFFIC_PORT, why)


def _other_words(group: Group, place: str) -> Misdirected | None:
    asked, right = group.health_protocol, group.protocol
    if not asked or not right or asked == right:
        return None
    why = f"over {asked}, and requests go to its targets over {right}"
    return Misdirected(group, place, "health_protocol", asked, right, why)


def known_well(groups: TargetGroupsFacts | None, service: str) -> bool:
    """Whether it was seen that health checks of a service succeed.

    Targets that have not been asked yet, or are leaving, do not show it. Nor do those that do not answer:
    what keeps the check from them, a security group for one, hides what they would say to it.
    """
    found = groups.of(service) if groups and groups.failure is None else ()
    return bool(found) and all(_judged(g) for g in found) and refused(groups, service) is None


def _judged(group: Group) -> bool:
    return group.failure is None and group.serves


def not_accepted(
    groups: TargetGroupsFacts | None, service: str, *, holds: bool | None, telling: bool
) -> Claim:
    """A code that is not accepted, which says what ``holds`` says; refuted where none was refused."""
    found = refused(groups, service)
    if found is None:
        return claim(
            f"health checks of the {NAMES[service]} get an answer that is not accepted",
            False if known_well(groups, service) else None,
            by=TargetGroupsFacts,
        )
    return claim(
        found.text,
        holds,
        by=TargetGroupsFacts,
        fact=f"{found.place}.targets[{found.number}].description",
        value=found.group.targets[found.number].description,
        telling=telling,
    )


def works(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    groups: TargetGroupsFacts | None,
    service: str,
    *,
    missed: bool = False,
) -> Claim:
    """The service itself does its work; refuted by an error of its own.

    It speaks for nothing where no health check was refused, or ``missed`` the service: that a service works
    is what is always so.
    """
    if service in HOST_OF_SERVICE:
        host = HOST_OF_SERVICE[service]
        answer, place = hosts.health(host), f"hosts.{host}.health"
        own, by = answer is not None and responder(answer) == EXPECTED[host], HostsFacts
        well = own and answer is not None and answer.status == 200
    else:
        answer, place, by = (api.search if api else None), "search", MlflowApiFacts  # type: ignore[assignment]
        own = answer is not None and responder(answer) == "mlflow"
        well = bool(api and api.works)
    sick = own and answer is not None and (answer.status or 0) >= 500
    text = f"the {NAMES[service]} works" + (f": {said(answer)}" if answer else "")
    well = well and (missed or refused(groups, service) is not None)
    return answered(text, True if well else (False if sick else None), answer, place, by=by)


# --- mending --------------------------------------------------------------------------------------------


def good_path(definitions: TaskDefinitionsFacts | None, service: str) -> str | None:
    """A path that says whether the service lives; MLflow's is behind its static prefix (since 3.x)."""
    if service != "mlflow":
        return "/health"
    gateway = definitions.of("gateway") if definitions else None
    url = gateway.addresses.get("MLFLOW_SERVER_URL") if gateway else None
    return f"{urlsplit(url).path.rstrip('/')}/health" if url else None


def change(
    found: Refused | Misdirected, option: str, before: str, *, summary: str, attribute: str, verify: str
) -> Remedy:
    """One setting of a target group's health check changed; ``option`` is the CLI's, with its value."""
    arn = quote(found.group.arn)
    kind: RemedyKind = "needs-value" if "$" in option else "automatic"
    return Remedy(
        kind=kind,
        summary=summary,
        before=(f"aws elbv2 describe-target-groups --target-group-arns {arn}",),
        aws_cli=ready(f"aws elbv2 modify-target-group --target-group-arn {arn} {option}"),
        terraform=f'# in aws_lb_target_group "{found.group.name}"\nhealth_check {{\n  {attribute}\n}}\n',
        rollback=f"aws elbv2 modify-target-group --target-group-arn {arn} {before}",
        also_touches="ECS stops replacing the tasks once they count as healthy.",
        verify=f"hokusai-probe verify {verify}",
    )


def path_option(path: str | None) -> str:
    """The CLI's option for a health check's path; without one a person says which."""
    return f"--health-check-path {word(path, 'HEALTH_PATH')}"
