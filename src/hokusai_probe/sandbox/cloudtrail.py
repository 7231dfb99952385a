"""CloudTrail's event history: every management call that really reached the control plane, and LookupEvents.

moto 5.2 knows trails and no events. `Recorded` wraps moto's application and notes each call with its answer;
`ServedCloudTrail` answers LookupEvents from there. Sources: the CloudTrail user guide, "Working with
CloudTrail event history"; the API reference of LookupEvents (one attribute at most, 50 events a page, newest
first).

Other than in AWS, where an event typically shows within 15 minutes and is kept for 90 days, it shows at once
here, and nothing is forgotten during a sandbox's life. What moto answers with 5xx is a gap of moto's and no
event. LookupEvents is not limited to two calls a second. What AWS services do by themselves, as ECS registers
targets in the name of its service-linked role, is not shown.
"""

import base64
import io
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from moto.cloudtrail import urls
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from hokusai_probe.sandbox.aws_calls import Raw, Scope, scope_of
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.cloudtrail_event import ATTRIBUTES, Event, Exchange, event_of, flag

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class EventHistory:
    """The events of one account, newest first.

    Args:
        account: The AWS account.
        clock: The platform's.

    """

    def __init__(self, account: str, clock: PlatformClock) -> None:
        self._account = account
        self._clock = clock
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self.recording = False

    def start(self) -> None:
        """Record from now on: what built the platform is older than the history."""
        self.recording = True

    def note(self, raw: Raw, scope: Scope, answer: tuple[int, Mapping[str, str], bytes], peer: str) -> None:
        """Record a call with its answer, unless it is none that the history holds."""
        status, headers, body = answer
        if status >= 500:
            return
        at = self._clock.now().replace(microsecond=0)
        exchange = Exchange(at, raw, scope, status, headers, body, peer)
        event = event_of(exchange, _identity(self._account, scope.access_key_id))
        if event is None:
            return
        with self._lock:
            self._events.append(event)

    def events(self) -> Sequence[Event]:
        """All events, newest first."""
        with self._lock:
            return self._events[::-1]


class Recorded:
    """A WSGI application whose calls are noted in a history."""

    def __init__(self, application: "WSGIApplication", history: EventHistory) -> None:
        self._application = application
        self._history = history

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer as the application does."""
        scope = scope_of(environ.get("HTTP_AUTHORIZATION", "")) if self._history.recording else None
        if scope is None or _is_about_object(scope, environ["PATH_INFO"]):
            return self._application(environ, start_response)
        raw = _raw(environ)
        said: list[tuple[int, Mapping[str, str]]] = []

        def hear(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            said.append((int(status.split(maxsplit=1)[0]), dict(headers)))
            return start_response(status, headers, *rest)

        body = _whole(self._application(environ, hear))
        self._history.note(raw, scope, (*said[-1], body), environ.get("REMOTE_ADDR", ""))
        return [body]


def _is_about_object(scope: Scope, path: str) -> bool:
    return scope.service == "s3" and "/" in path.strip("/")


def _raw(environ: "WSGIEnvironment") -> Raw:
    """The request, whose body the application can read again."""
    length = environ.get("CONTENT_LENGTH") or "0"
    body = environ["wsgi.input"].read(int(length)) if int(length) else b""
    if body:
        environ["wsgi.input"] = io.BytesIO(body)
    headers = {key[5:].replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_")}
    headers["Content-Type"] = environ.get("CONTENT_TYPE") or ""
    query = environ.get("QUERY_STRING") or ""
    url = f"http://{environ.get('HTTP_HOST', 'localhost')}{environ['PATH_INFO']}?{query}"
    return Raw(environ["REQUEST_METHOD"], url, headers, body)


def _whole(parts: Iterable[bytes]) -> bytes:
    try:
        return b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


def _identity(account: str, access_key_id: str) -> Mapping[str, str]:
    """Who an access key belongs to; a key that IAM does not know is an unknown principal of the account."""
    role = sts_backends[account]["aws"].get_assumed_role_from_access_key(access_key_id)
    if role is not None:
        return {"type": "AssumedRole", "principalId": role.user_id, "arn": role.arn, "accountId": account}
    user = iam_backends[account]["aws"].get_user_from_access_key_id(access_key_id)
    if user is None:
        return {"type": "Unknown", "principalId": access_key_id, "arn": "", "accountId": account}
    return {
        "type": "IAMUser",
        "principalId": user.id,
        "arn": user.arn,
        "accountId": account,
        "userName": user.name,
    }


# Looking up


class NextTokenError(ServiceException):
    """A token that no earlier page gave to the same question."""

    code = "InvalidNextTokenException"
    message = "The token is invalid, or was given for other parameters."


class MaxResultsError(ServiceException):
    """A page of no or too many events."""

    code = "InvalidMaxResultsException"
    message = "MaxResults must be between 1 and 50."


class LookupAttributesError(ServiceException):
    """More than one attribute, or one that does not exist."""

    code = "InvalidLookupAttributesException"
    message = "Give one lookup attribute at most, of a key that exists."


class TimeRangeError(ServiceException):
    """A range that ends before it starts."""

    code = "InvalidTimeRangeException"
    message = "The start time must not be after the end time."


class EventCategoryError(ServiceException):
    """A category that does not exist."""

    code = "InvalidEventCategoryException"
    message = "The only category that can be given is insight."


@dataclass(frozen=True, slots=True)
class Question:
    """What LookupEvents is asked for. Times are UTC; both ends are part of the range."""

    region: str
    attribute: tuple[str, str] | None = None
    start: datetime | None = None
    end: datetime | None = None

    def takes(self, event: Event) -> bool:
        """Whether an event is asked for."""
        return (
            event.region == self.region
            and (self.attribute is None or event.has(*self.attribute))
            and (self.start is None or event.time >= self.start)
            and (self.end is None or event.time <= self.end)
        )


def page(events: Sequence[Event], question: Question, most: int, token: str) -> tuple[list[Event], str]:
    """One page of the events asked for, newest first, and the next page's token, empty after the last.

    Raises:
        NextTokenError: The token is none that an earlier page gave to the same question.

    """
    found = [event for event in events if question.takes(event)]
    start = _after(found, token) if token else 0
    shown, rest = found[start : start + most], found[start + most :]
    return shown, _token(shown[-1]) if rest else ""


def _after(found: Sequence[Event], token: str) -> int:
    position = next((number for number, event in enumerate(found) if _token(event) == token), None)
    if position is None:
        raise NextTokenError
    return position + 1


def _token(event: Event) -> str:
    return base64.urlsafe_b64encode(event.id.encode()).decode()


class ServedCloudTrail(CloudTrailResponse):
    """moto's CloudTrail with LookupEvents."""

    history: ClassVar[EventHistory]

    def lookup_events(self) -> ActionResult:
        """Answer LookupEvents."""
        self.parse_parameters(self.normalized_request)
        params: Mapping[str, Any] = self.params
        most = int(params.get("MaxResults", 50))
        if not 1 <= most <= 50:
            raise MaxResultsError
        question = asked(params, self.region)
        shown, token = page(type(self).history.events(), question, most, params.get("NextToken") or "")
        answer: dict[str, object] = {"Events": [_as_answer(event) for event in shown]}
        return ActionResult(answer | ({"NextToken": token} if token else {}))


def asked(params: Mapping[str, Any], region: str) -> Question:
    """What the parameters of LookupEvents ask for.

    Raises:
        LookupAttributesError: More than one attribute, or an unknown one.
        TimeRangeError: The range ends before it starts.
        EventCategoryError: A category other than insight, of which there are no events here.

    """
    attributes = params.get("LookupAttributes") or []
    if len(attributes) > 1 or any(one.get("AttributeKey") not in ATTRIBUTES for one in attributes):
        raise LookupAttributesError
    pairs = [(one["AttributeKey"], one["AttributeValue"]) for one in attributes]
    start, end = _utc(params.get("StartTime")), _utc(params.get("EndTime"))
    if start and end and start > end:
        raise TimeRangeError
    category = params.get("EventCategory")
    if category not in (None, "insight"):
        raise EventCategoryError
    return Question("" if category else region, pairs[0] if pairs else None, start, end)


def _utc(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value else None


def _as_answer(event: Event) -> dict[str, object]:
    named = [
        {"ResourceName": one.name} | ({"ResourceType": one.type} if one.type else {})
        for one in event.resources
    ]
    return {
        "EventId": event.id,
        "EventName": event.name,
        "ReadOnly": flag(event.read_only),
        "AccessKeyId": event.access_key_id,
        "EventTime": event.time.replace(tzinfo=None),  # moto writes naive times as UTC
        "EventSource": event.source,
        "Username": event.user,
        "Resources": named,
        "CloudTrailEvent": event.document,
    }


def install(history: EventHistory) -> None:
    """Have moto answer LookupEvents from a history. Call it before the first request."""
    ServedCloudTrail.history = history
    urls.url_paths = {"{0}/$": ServedCloudTrail.dispatch}
