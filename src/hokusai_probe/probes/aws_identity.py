"""Whether AWS knows us at all: credentials missing, refused, or good."""

from __future__ import annotations

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts


class AwsIdentityFacts(Facts):
    """``failure`` None: AWS named us. The account and the ARN stay inside the door."""

    failure: AwsFailure | None


@probe(area="infrastructure", needs=("aws",), cost=1)
async def aws_identity(look: Look) -> AwsIdentityFacts:
    """Whether AWS accepts the credentials of this run.

    Asks ``sts:GetCallerIdentity``, which needs no permission of its own (AWS: STS API reference).
    """
    answer = await look.cloud().call("sts", "get_caller_identity")
    return AwsIdentityFacts(failure=answer.failure)


@check(hop="aws")
def aws_knows_us(facts: AwsIdentityFacts) -> Sentence:
    """AWS accepts the credentials of this run."""
    if facts.failure is None:
        return None
    return f"sts:GetCallerIdentity: {facts.failure.kind} ({facts.failure.detail})"
