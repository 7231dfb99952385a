"""Our own machine reaches nobody."""

from collections.abc import Iterator

from hokusai_probe.answers import said
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.control_host import ControlHostFacts, silent
from hokusai_probe.probes.hosts import HostsFacts

OUT_OF_REACH = frozenset({"unreachable", "timeout"})


@cause(
    component="probe",
    blame="network",
    priority="high",
    effort="minutes",
    entails=("host-does-not-resolve", "auth-service-down", "gateway-down", "mlflow-down"),
    look_alikes={
        "host-does-not-resolve": "there another name resolves, such as the control host's",
        "https-listener-missing": "there the control host answers",
        "gateway-down": "there the control host answers",
    },
    source="RFC 1122 section 3.3.1 (no route); RFC 2308 (no answer from a resolver)",
)
def probe_has_no_network(
    hosts: HostsFacts, control: ControlHostFacts | None, identity: AwsIdentityFacts | None
) -> Iterator[Case]:
    """Nothing resolves or connects from where the probe runs, not even the control host.

    Texts: ``Temporary failure in name resolution``, ``Network is unreachable``, ``No route to host``. Of the
    platform nothing is known then. Without a control host in the target it cannot be told from a platform
    that is gone.
    """
    alone = control is None or control.answer is None
    quiet = [
        h for h, seen in hosts.hosts.items() if silent(seen.health) and not (alone and _refused(seen.health))
    ]
    names = control is not None and control.answer is not None and _kind(control) == "dns"
    yield Case(
        subject="probe",
        breaks=("network", *(("aws",) if _aws_is_silent(identity) else ())),
        claims=(
            _no_host(hosts, all_quiet=len(quiet) == len(hosts.hosts)),
            _no_control(control),
            *(() if identity is None or names else (_no_aws(identity),)),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Give the machine of the probe a network: a resolver that answers and a way out.",
            before=("getent hosts example.com", "ip route"),
            rollback="None needed.",
            also_touches="Nothing of the platform.",
            verify="hokusai-probe run --only we-reach-somebody",
        ),
    )


def _refused(answer: Answer) -> bool:
    """A refusal is somebody's answer, if nothing more: where nobody else was asked, there is a network."""
    return answer.failure is not None and answer.failure.kind == "refused"


def _kind(control: ControlHostFacts) -> str | None:
    failure = control.answer.failure if control.answer else None
    return failure.kind if failure else None


def _no_host(hosts: HostsFacts, *, all_quiet: bool) -> Claim:
    host, seen = next(iter(hosts.hosts.items()))
    return answered(
        f"no host of the target is reached: {said(seen.health)}" if all_quiet else "no host is reached",
        all_quiet,
        seen.health,
        f"hosts.{host}.health",
        by=HostsFacts,
    )


def _no_control(control: ControlHostFacts | None) -> Claim:
    if control is None or control.answer is None:
        return claim("not even a host that is no part of the platform is reached", None, by=ControlHostFacts)
    quiet = silent(control.answer)
    return answered(
        f"not even the control host is reached: {said(control.answer)}" if quiet else "nobody is reached",
        quiet,
        control.answer,
        "answer",
        by=ControlHostFacts,
        telling=True,
    )


def _aws_is_silent(identity: AwsIdentityFacts | None) -> bool:
    return bool(identity and identity.failure and identity.failure.kind in OUT_OF_REACH)


def _no_aws(identity: AwsIdentityFacts) -> Claim:
    """AWS's word of any kind is a network; that no credentials were found says nothing of it."""
    failure = identity.failure
    missing = failure is not None and failure.kind == "credentials-missing"
    return claim(
        "AWS is not reached either",
        None if missing else _aws_is_silent(identity),
        by=AwsIdentityFacts,
        fact="failure.kind" if failure else "failure",
        value=failure.kind if failure else None,
    )
