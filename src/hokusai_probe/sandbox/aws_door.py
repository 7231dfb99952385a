"""The AWS door: what a target file names as the endpoint of AWS, and whom AWS refuses there.

Sources: the IAM user guide, "Troubleshoot Signature Version 4 signing for AWS API requests" (a signature is
good for five minutes either way, and the words with which an older or newer one is refused); the Amazon S3
API reference, "Error responses" (RequestTimeTooSkewed, fifteen minutes; InvalidAccessKeyId); the Amazon EC2
user guide, "Error codes" (AuthFailure; RequestExpired, fifteen minutes); "Common error types" of each
service's API reference (InvalidClientTokenId and UnrecognizedClientException of a key that does not exist).

Signatures themselves are not verified, and where keys are not refused altogether every key is good.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from hokusai_probe.sandbox.aws_calls import ErrorAnswer, error_answer, protocol_of, scope_of
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.wire import Outgoing

EDGE = "client->aws"

_STAMP = "%Y%m%dT%H%M%SZ"
_SKEW = timedelta(minutes=5)
_WIDE_SKEW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class AwsGate:
    """Whom AWS lets in.

    Attributes:
        clock: The platform's.
        refuses_keys: Whether no access key exists, whatever it looks like.

    """

    clock: PlatformClock
    refuses_keys: bool = False

    def refuse(self, request: Outgoing) -> ErrorAnswer | None:
        """The answer to a request that AWS does not let in; None: it does."""
        protocol = protocol_of(scope_of(_credential(request)), request.header("content-type"))
        if self.refuses_keys:
            return unknown_key(protocol)
        signed = signed_at(request)
        return wrong_time(protocol, signed, self.clock.now()) if signed else None

    def instead(self, request: Outgoing, status: int) -> ErrorAnswer | None:  # noqa: ARG002 - as the gate asks
        """Nothing: what got in is moto's to answer."""
        return None


def _credential(request: Outgoing) -> str:
    """The Authorization header, or the presigned credential of the query."""
    presigned = parse_qs(urlsplit(request.url).query).get("X-Amz-Credential", [""])[0]
    return request.header("authorization") or (presigned and f"Credential={presigned}")


def signed_at(request: Outgoing) -> datetime | None:
    """When a request was signed, in UTC; None when it does not say, or is presigned and good for longer."""
    try:
        return datetime.strptime(request.header("x-amz-date"), _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def unknown_key(protocol: str) -> ErrorAnswer:
    """What AWS answers to an access key that does not exist."""
    if protocol == "s3":
        message = "The AWS Access Key Id you provided does not exist in our records."
        return error_answer(protocol, 403, "InvalidAccessKeyId", message)
    if protocol == "ec2":
        message = "AWS was not able to validate the provided access credentials"
        return error_answer(protocol, 401, "AuthFailure", message)
    status, code = {
        "json": (400, "UnrecognizedClientException"),
        "rest-json": (403, "UnrecognizedClientException"),
    }.get(protocol, (403, "InvalidClientTokenId"))
    return error_answer(protocol, status, code, "The security token included in the request is invalid.")


def wrong_time(protocol: str, signed: datetime, now: datetime) -> ErrorAnswer | None:
    """What AWS answers to a request signed at a time too far from its own; None when it is near enough."""
    allowed = _WIDE_SKEW if protocol in ("s3", "ec2") else _SKEW
    if abs(now - signed) <= allowed:
        return None
    if protocol == "s3":
        message = "The difference between the request time and the current time is too large."
        return error_answer(protocol, 403, "RequestTimeTooSkewed", message)
    if protocol == "ec2":
        return error_answer(protocol, 400, "RequestExpired", "Request has expired.")
    status, code = {
        "json": (400, "InvalidSignatureException"),
        "rest-json": (403, "InvalidSignatureException"),
    }.get(protocol, (403, "SignatureDoesNotMatch"))
    return error_answer(protocol, status, code, _said(signed, now))


def _said(signed: datetime, now: datetime) -> str:
    at, then = now.strftime(_STAMP), signed.strftime(_STAMP)
    early, late = (now - _SKEW).strftime(_STAMP), (now + _SKEW).strftime(_STAMP)
    if signed < now:
        return f"Signature expired: {then} is now earlier than {early} ({at} - 5 min.)"
    return f"Signature not yet current: {then} is still later than {late} ({at} + 5 min.)"
