"""A load balancer does not listen where clients come."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.answers import said
from hokusai_probe.causes._words import answered, one_line, ready, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import HostName, Remedy, Target
from hokusai_probe.probes.certificates import CertificatesFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import UNCONNECTED, HostsFacts
from hokusai_probe.probes.listener_rules import Balancer, ListenerRulesFacts, host_name, plain_http
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST, SERVICE_OF_HOST


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    entails=(
        "auth-service-down",
        "gateway-down",
        "mlflow-down",
        "target-group-detached",
        "target-group-empty",
        "listener-rule-missing",
        "listener-rules-only-on-http",
    ),
    look_alikes={
        "host-resolves-to-wrong-place": "there the load balancer listens, and the name leads elsewhere",
        "probe-has-no-network": "there not even the control host is reached",
        "gateway-down": "there the load balancer itself answers 502, 503 or 504",
    },
    source="AWS: Listeners for your Application Load Balancers; contract 1 (port 80 redirects)",
)
def https_listener_missing(
    hosts: HostsFacts,
    rules: ListenerRulesFacts | None,
    groups: TargetGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    stored: CertificatesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """Port 443 of a load balancer has no HTTPS listener, or port 80 does not send clients there.

    Texts: ``Connection refused``, ``wrong version number`` where plain HTTP stands on 443. Deleted with its
    listener are all its rules, so the target groups behind them are ``unused`` (Target.NotInUse).
    """
    for host in () if hosts.bare else target.hosts.present():
        balancer = rules.of_host(host) if rules else None
        secure = _has_https(balancer)
        claims = (_nobody_listens(host, hosts.health(host)), _no_listener(host, balancer, secure=secure))
        remedy = _remedy(host, balancer, ecs, stored, target) if secure is False else None
        yield Case(subject=host, breaks=(f"listener.{host}",), claims=claims, remedy=remedy)
        for service in _unused(groups, balancer) if secure is False else ():
            yield Case(subject=service, breaks=(f"target-group.{service}",), claims=claims, remedy=remedy)
        if balancer is not None and secure and plain_http(balancer):
            yield _not_redirected(host, balancer)


def _has_https(balancer: Balancer | None) -> bool | None:
    if balancer is None:
        return None
    listener = balancer.listener(443)
    return listener is not None and listener.protocol == "HTTPS"


def _nobody_listens(host: HostName, answer: Answer | None) -> Claim:
    """Refused, silent, or no TLS there; whatever else came, came from a listener."""
    return answered(
        f"the {host} host takes no connection over TLS" + (f": {said(answer)}" if answer else ""),
        None if answer is None else _shut(answer),
        answer,
        f"hosts.{host}.health",
        by=HostsFacts,
    )


def _shut(answer: Answer) -> bool | None:
    if answer.status is not None:
        return False
    failure = answer.failure
    if failure is None or failure.kind == "dns":
        return None
    if failure.kind == "tls":
        return failure.code in {"not-tls", "handshake"} or None
    return failure.kind in UNCONNECTED or None


def _no_listener(host: HostName, balancer: Balancer | None, *, secure: bool | None) -> Claim:
    name = balancer.name if balancer else f"the {host} host's load balancer"
    key = LOAD_BALANCER_OF_HOST[host]
    return claim(
        f"{name} has no HTTPS listener on port 443",
        None if secure is None else not secure,
        by=ListenerRulesFacts,
        fact=f"balancers.{key}.name" if balancer else "",
        value=balancer.name if balancer else None,
        telling=True,
        aws_cli=_describe(host, balancer),
    )


def _describe(host: HostName, balancer: Balancer | None) -> str:
    arn = word(balancer.arn if balancer else None, f"{host.upper()}_BALANCER")
    return one_line(f"aws elbv2 describe-listeners --load-balancer-arn {arn}")


def _unused(groups: TargetGroupsFacts | None, balancer: Balancer | None) -> Iterator[str]:
    """The services whose targets are in no use any more, and that no other listener leads to."""
    for group in groups.groups if groups and balancer else ():
        idle = group.targets and all(t.reason == "Target.NotInUse" for t in group.targets)
        if group.service is not None and idle:
            yield group.service


def _not_redirected(host: HostName, balancer: Balancer) -> Case:
    listener = balancer.listener(80)
    number = balancer.listeners.index(listener) if listener else None
    place = f"balancers.{LOAD_BALANCER_OF_HOST[host]}"
    last = f".listeners[{number}].rules[{len(listener.rules) - 1}].action.type" if listener else ".name"
    return Case(
        subject=host,
        breaks=("listeners/redirect",),
        claims=(
            claim(
                f"{balancer.name} {plain_http(balancer)}",
                holds=True,
                by=ListenerRulesFacts,
                fact=place + last,
                value=listener.rules[-1].action.type if listener else balancer.name,
                telling=True,
                aws_cli=_describe(host, balancer),
            ),
        ),
        remedy=_redirect(host, balancer),
    )


_TO_HTTPS = "--default-actions 'Type=redirect,RedirectConfig={Protocol=HTTPS,Port=443,StatusCode=HTTP_301}'"


def _redirect(host: HostName, balancer: Balancer) -> Remedy:
    listener = balancer.listener(80)
    change = (
        f"aws elbv2 modify-listener --listener-arn {quote(listener.arn)} {_TO_HTTPS}"
        if listener
        else f"aws elbv2 create-listener --load-balancer-arn {quote(balancer.arn)} --protocol HTTP --port 80 "
        + _TO_HTTPS
    )
    return Remedy(
        kind="automatic",
        summary=f"Have port 80 of {balancer.name} redirect to https.",
        before=(_describe(host, balancer),),
        aws_cli=ready(change),
        terraform='# in the aws_lb_listener of port 80\ndefault_action {\n  type = "redirect"\n\n'
        '  redirect {\n    port        = "443"\n    protocol    = "HTTPS"\n    status_code = "HTTP_301"\n'
        "  }\n}\n",
        rollback="Give the listener the default action again that the first command showed.",
        also_touches="Clients that speak plain http to this load balancer.",
        verify="hokusai-probe verify https-listener-missing",
    )


def _remedy(
    host: HostName,
    balancer: Balancer | None,
    ecs: EcsServicesFacts | None,
    stored: CertificatesFacts | None,
    target: Target,
) -> Remedy | None:
    """The listener comes back with its default only; its rules are in no place but Terraform's."""
    if balancer is None:
        return None
    change = _listen(host, balancer, ecs, stored, target)
    return Remedy(
        kind="needs-value",
        summary=f"Make the HTTPS listener on port 443 of {balancer.name} again, then its rules.",
        before=(_describe(host, balancer),),
        aws_cli=(*ready(change), "# by hand: the rules that the listener had, as Terraform lists them"),
        terraform="# terraform plan shows the lost listener and its rules\n",
        rollback="Delete the new listener.",
        also_touches="Everything behind this load balancer.",
        verify="hokusai-probe verify https-listener-missing",
    )


def _listen(
    host: HostName,
    balancer: Balancer,
    ecs: EcsServicesFacts | None,
    stored: CertificatesFacts | None,
    target: Target,
) -> str:
    service, name, upper = SERVICE_OF_HOST[host], host_name(target, host), host.upper()
    groups = ecs.services[service].target_groups if ecs and service in ecs.services else ()
    group = word(groups[0] if groups else None, f"{service.upper()}_GROUP")
    fitting = [
        s.arn for s in (stored.certificates if stored else ()) if s.status == "ISSUED" and s.is_for(name)
    ]
    certificate = word(fitting[0] if len(fitting) == 1 else None, f"{upper}_CERTIFICATE")
    plain = balancer.listener(443)
    verb = (
        f"modify-listener --listener-arn {quote(plain.arn)}"
        if plain
        else f"create-listener --load-balancer-arn {quote(balancer.arn)} --port 443"
    )
    action = "" if plain else f" --default-actions Type=forward,TargetGroupArn={group}"
    return f"aws elbv2 {verb} --protocol HTTPS --certificates CertificateArn={certificate}{action}"
