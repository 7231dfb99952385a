"""The storage door: S3 as MLflow's task reaches it, with the network between them and the task role's rights.

Bucket policies moto keeps itself. What it does not know is who asks: here it is the task, so its role's own
policies decide, as `iam.permits` reads them. Sources: the Amazon S3 user guide, "Required permissions for
Amazon S3 API operations" (which action an operation needs; that an object is missing is only told to whoever
may list the bucket) and "Troubleshoot access denied (403 Forbidden) errors in Amazon S3" (the words).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from hokusai_probe.sandbox import iam
from hokusai_probe.sandbox.aws_calls import ErrorAnswer, error_answer
from hokusai_probe.sandbox.door import Door, Place
from hokusai_probe.sandbox.front import Reach
from hokusai_probe.sandbox.network import HTTPS, NetworkView
from hokusai_probe.sandbox.wire import Outgoing

EDGE, MLFLOW = "mlflow->storage", "mlflow"

Running = Literal["running", "stopped", "hung"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The task that asks: its role, and the name of the role's session, which is the task's id."""

    role_arn: str
    session: str

    @property
    def arn(self) -> str:
        """The session's ARN, as messages name it."""
        account, name = self.role_arn.split(":")[4], self.role_arn.rpartition("/")[2]
        return f"arn:aws:sts::{account}:assumed-role/{name}/{self.session}"


@dataclass(frozen=True, slots=True)
class Right:
    """What an operation needs: an action on a resource."""

    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class StorageGate:
    """What the task role's policies let through.

    Attributes:
        account: The AWS account.
        caller: Who asks at this moment; None: nobody that is known, who may do nothing.

    """

    account: str
    caller: Callable[[], Caller | None]

    def refuse(self, request: Outgoing) -> ErrorAnswer | None:
        """AccessDenied for an operation that the role may not do; None: it may."""
        right = needed(request)
        return None if self._may(right) else self._denied(right)

    def instead(self, request: Outgoing, status: int) -> ErrorAnswer | None:
        """AccessDenied in the place of moto's bare 403, and of 404 for whoever may not list the bucket."""
        if status == 403:
            return self._denied(needed(request), "with an explicit deny in a resource-based policy")
        bucket, key = bucket_and_key(request)
        listing = Right("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        if status != 404 or not key or request.method not in ("GET", "HEAD") or self._may(listing):
            return None
        return self._denied(listing)

    def _may(self, right: Right) -> bool:
        caller = self.caller()
        return caller is not None and iam.permits(self.account, caller.role_arn, right.action, right.resource)

    def _denied(self, right: Right, because: str = "") -> ErrorAnswer:
        caller = self.caller()
        if caller is None:
            return error_answer("s3", 403, "AccessDenied", "Access Denied")
        because = because or f"because no identity-based policy allows the {right.action} action"
        what = f'{right.action} on resource: "{right.resource}"'
        message = f"User: {caller.arn} is not authorized to perform: {what} {because}"
        return error_answer("s3", 403, "AccessDenied", message)


def bucket_and_key(request: Outgoing) -> tuple[str, str]:
    """What a path-style URL names; empty where it names none."""
    bucket, _, key = urlsplit(request.url).path.lstrip("/").partition("/")
    return unquote(bucket), unquote(key)


_OBJECT_ACTIONS: Mapping[str, str] = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}
_BUCKET_ACTIONS: Mapping[str, str] = {
    "GET": "s3:ListBucket",
    "HEAD": "s3:ListBucket",
    "PUT": "s3:CreateBucket",
    "DELETE": "s3:DeleteBucket",
}


def needed(request: Outgoing) -> Right:
    """The right that an S3 operation needs."""
    bucket, key = bucket_and_key(request)
    query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
    arn = f"arn:aws:s3:::{bucket}"
    if not bucket:
        return Right("s3:ListAllMyBuckets", "*")
    if key:
        return Right(_object_action(request.method, query), f"{arn}/{key}")
    if "delete" in query:
        return Right("s3:DeleteObject", f"{arn}/*")
    return Right(_bucket_action(request.method, query), arn)


def _object_action(method: str, query: Mapping[str, str]) -> str:
    if "uploadId" in query and method in ("GET", "DELETE"):
        return {"GET": "s3:ListMultipartUploadParts", "DELETE": "s3:AbortMultipartUpload"}[method]
    return _OBJECT_ACTIONS.get(method, "s3:GetObject")


def _bucket_action(method: str, query: Mapping[str, str]) -> str:
    if "location" in query:
        return "s3:GetBucketLocation"
    if "uploads" in query:
        return "s3:ListBucketMultipartUploads"
    return _BUCKET_ACTIONS.get(method, "s3:ListBucket")


class StorageDoor(Door):
    """The door to S3 that MLflow uses.

    Args:
        place: Where it is.
        gate: What the task role may do.
        network: Who may connect to whom.

    Attributes:
        running: Whether storage works, does not listen (stopped), or listens and never answers (hung).

    """

    def __init__(self, place: Place, gate: StorageGate, network: NetworkView) -> None:
        super().__init__(EDGE, place, gate)
        self._network = network
        self.running: Running = "running"

    def reach(self) -> Reach:
        """What a connect of MLflow's comes to."""
        if self._network.dropped(MLFLOW, self._place.ip, HTTPS):
            return "dropped"
        return "refused" if self.running == "stopped" else super().reach()

    def answers(self) -> bool:
        """Whether requests are answered at all."""
        return self.running != "hung"
