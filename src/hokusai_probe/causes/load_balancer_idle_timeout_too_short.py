"""The load balancer gives up before the answer comes."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._rules import ARTIFACT_PATH, asks_for_key, keyless
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, Remedy, Target
from hokusai_probe.probes.artifact_sizes import ArtifactSizesFacts
from hokusai_probe.probes.hosts import EXPECTED, HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.load_balancer_attributes import (
    IDLE,
    LoadBalancerAttributesFacts,
    longest_s,
)
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts

_BREAKS = {
    # whatever waits for MLflow, the gateway's own look at it included
    "registry": ("rule.mlflow", "mlflow-health", "public.registry/public-paths"),
    "auth": ("validation",),
}


@cause(
    component="load-balancer",
    priority="high",
    effort="minutes",
    look_alikes={
        "gateway-proxy-timeout-too-short": "there the 504 is the gateway's own JSON",
        "security-group-blocks-load-balancer": "there every request is 504, also the quick ones",
        "gateway-event-loop-blocked": "there every path is slow at once",
    },
    source="AWS: Edit attributes for your Application Load Balancer (idle timeout, 60 s); HTTP 504",
)
def load_balancer_idle_timeout_too_short(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    rules: ListenerRulesFacts | None,
    attributes: LoadBalancerAttributesFacts | None,
    sizes: ArtifactSizesFacts | None,
    paths: PublicPathsFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The load balancer's idle timeout is shorter than what is behind it may take.

    Slow requests end in ``504 Gateway Time-out`` of the load balancer's own, always after the same time,
    while the service finishes them: its log has a 200 (or the upload is there) and the client was told
    otherwise. Quick ones are fine.
    """
    if hosts.bare:
        return
    for balancer, hops in _BREAKS.items():
        yield Case(
            subject=balancer,
            breaks=hops,
            claims=(
                *(_slow_ones_are_cut(hosts, api, sizes, paths, target) if balancer == "registry" else ()),
                _short(attributes, target, balancer),
            ),
            remedy=_remedy(rules, attributes, target, balancer),
        )


def _slow_ones_are_cut(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    sizes: ArtifactSizesFacts | None,
    paths: PublicPathsFacts | None,
    target: Target,
) -> Iterator[Claim]:
    """The load balancer's own 504 on a call to MLflow while the gateway answers at the same host.

    Storing an artifact takes longest, and may have a rule of its own: that this one leads to the gateway is
    seen by its asking for a key, and that the load balancer gave up first by the gateway's limit.
    """
    health, search = hosts.health("registry"), api.search if api else None
    quick = health is not None and responder(health) == EXPECTED["registry"]
    yield _cut("a call to MLflow", search, "search", MlflowApiFacts, holds=quick)
    if sizes is not None:
        early = sizes.upload.elapsed_s < target.timeouts.gateway_proxy_s
        there = asks_for_key(keyless(paths, ARTIFACT_PATH).answer)
        holds = bool(quick and early and there)
        yield _cut("storing an artifact", sizes.upload, "upload", ArtifactSizesFacts, holds=holds)


def _cut(what: str, answer: Answer | None, place: str, by: type[Facts], *, holds: bool) -> Claim:
    cut = answer is not None and answer.status == 504 and responder(answer) == "load-balancer"
    return answered(
        f"{what} ends at the load balancer while the gateway answers at the same host"
        + (f": {said(answer)} after {answer.elapsed_s:.1f} s" if cut and answer else ""),
        True if cut and holds else None,
        answer,
        place,
        by=by,
    )


def _short(attributes: LoadBalancerAttributesFacts | None, target: Target, balancer: str) -> Claim:
    idle_s = attributes.idle_s.get(balancer) if attributes else None
    longest = longest_s(target, balancer)
    return claim(
        f"the {balancer} load balancer gives up after {idle_s:g} s; what is behind it may take {longest:g} s"
        if idle_s is not None
        else f"the {balancer} load balancer gives up before what is behind it does",
        None if idle_s is None else idle_s < longest,
        by=LoadBalancerAttributesFacts,
        fact=f"idle_s.{balancer}" if idle_s is not None else "",
        value=idle_s,
        telling=True,
        aws_cli="aws elbv2 describe-load-balancers",
    )


def _remedy(
    rules: ListenerRulesFacts | None,
    attributes: LoadBalancerAttributesFacts | None,
    target: Target,
    balancer: str,
) -> Remedy | None:
    one = rules.balancers.get(balancer) if rules else None
    idle_s = attributes.idle_s.get(balancer) if attributes else None
    if one is None or not one.arn or idle_s is None:
        return None
    arn, wanted = quote(one.arn), max(60, round(2 * longest_s(target, balancer)))
    change = f"aws elbv2 modify-load-balancer-attributes --load-balancer-arn {arn} --attributes"
    return Remedy(
        kind="automatic",
        summary=f"Have {one.name} wait {wanted} s for an answer, longer than everything behind it does.",
        before=(f"aws elbv2 describe-load-balancer-attributes --load-balancer-arn {arn}",),
        aws_cli=(f"{change} Key={IDLE},Value={wanted}",),
        terraform=f'# in aws_lb "{one.name}"\nidle_timeout = {wanted}\n',
        rollback=f"{change} Key={IDLE},Value={idle_s:g}",
        also_touches="Every connection through this load balancer. A target has to keep connections alive "
        "longer than that, or requests end in 502.",
        verify="hokusai-probe verify load-balancer-idle-timeout-too-short",
    )
