"""AWS does not accept the credentials of this run."""

from collections.abc import Iterator

from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.control_host import too_old_for_aws


@cause(
    component="probe",
    priority="medium",
    effort="minutes",
    look_alikes={
        "aws-credentials-missing": "there none are found at all",
        "clock-skewed": "there AWS says that the signature is too old or too new",
    },
    source="AWS: IAM user guide, Troubleshoot Signature Version 4; Common error types of the API references",
)
def aws_credentials_refused(identity: AwsIdentityFacts) -> Iterator[Case]:
    """Credentials are found and AWS does not take them: deleted, out of date, or not allowed into the role.

    Codes: ``InvalidClientTokenId``, ``UnrecognizedClientException``, ``ExpiredToken``, ``AuthFailure``,
    ``SignatureDoesNotMatch`` (a secret that does not belong to the key), ``AccessDenied`` for the role that
    the target names. Nothing follows about the platform.
    """
    failure = identity.failure
    refused = failure is not None and failure.kind in {"credentials-refused", "denied"}
    yield Case(
        subject="aws",
        breaks=("aws",),
        claims=(
            claim(
                f"AWS refuses the credentials of this run ({failure.code})" if failure else "AWS refuses us",
                refused,
                by=AwsIdentityFacts,
                fact="failure.code" if failure else "",
                value=failure.code if failure else None,
                telling=True,
                aws_cli="aws sts get-caller-identity",
            ),
            claim(
                "AWS does not say that it is a matter of time",
                not too_old_for_aws(failure),
                by=AwsIdentityFacts,
                fact="failure.detail" if failure else "",
                value=failure.detail if failure else None,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Give this run credentials that AWS accepts: renew the session or the key, or have "
            "the role that the target names trust them; or run with --no-aws.",
            before=("aws sts get-caller-identity", "aws configure list"),
            rollback="None needed.",
            also_touches="Nothing.",
            verify="hokusai-probe doctor",
        ),
    )
