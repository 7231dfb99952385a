"""AWS was asked for and nobody gave us credentials."""

from collections.abc import Iterator

from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.aws_identity import AwsIdentityFacts


@cause(
    component="probe",
    priority="medium",
    effort="minutes",
    look_alikes={"aws-credentials-refused": "there credentials are found and AWS does not accept them"},
    source="boto3: NoCredentialsError",
)
def aws_credentials_missing(identity: AwsIdentityFacts) -> Iterator[Case]:
    """The target asks for AWS and this run found no credentials. Nothing follows about the platform.

    Without AWS the causes that only AWS shows stay undecided. Give credentials, or say ``--no-aws``.
    """
    kind = identity.failure.kind if identity.failure else None
    yield Case(
        subject="aws",
        breaks=("aws",),
        claims=(
            claim(
                "no AWS credentials were found",
                kind == "credentials-missing",
                by=AwsIdentityFacts,
                fact="failure.kind",
                value=kind,
                telling=True,
                aws_cli="aws sts get-caller-identity",
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Set AWS_PROFILE or a role for this run, or run with --no-aws.",
            before=("aws sts get-caller-identity",),
            rollback="None needed.",
            also_touches="Nothing.",
            verify="hokusai-probe doctor",
        ),
    )
