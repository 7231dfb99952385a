"""An HTTP request to AWS, read: who signed it, for which service, what it calls with which parameters.

The protocols of AWS (query, ec2, json, rest-xml, rest-json) are read by moto's parsers, from botocore's
service models, so that a call is named here exactly as the service itself names it.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from botocore.exceptions import UnknownServiceError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

if TYPE_CHECKING:
    from moto.core.model import ServiceModel

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request")
_MODELS = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}
"""Services whose signing name is not botocore's name."""

_GLOBAL = frozenset({"cloudfront", "iam", "route53"})
"""Services with one endpoint for all regions."""

_CLASSIC_BALANCERS = "2012-06-01"


@dataclass(frozen=True, slots=True)
class Scope:
    """What the signature of a request names (AWS, "Elements of an AWS API request signature")."""

    access_key_id: str
    region: str
    service: str  # the signing name: elasticloadbalancing, monitoring, ecs


@dataclass(frozen=True, slots=True)
class Raw:
    """A request as it came."""

    method: str
    url: str  # with path and query
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """A header's value, empty when there is none."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Call:
    """A call in the service's own words."""

    service: str  # botocore's name
    endpoint: str  # the host's first label: elasticloadbalancing, monitoring, api.ecr
    operation: str
    params: Mapping[str, Any]


def scope_of(authorization: str) -> Scope | None:
    """What an Authorization header of Signature Version 4, or a presigned credential, names."""
    found = _CREDENTIAL.search(authorization.replace("%2F", "/"))
    return Scope(found[1], found[3], found[4]) if found else None


def read_call(raw: Raw, scope: Scope) -> Call | None:
    """The call in a request; None when no service of botocore's knows it."""
    model = _model(scope.service, raw.body)
    if model is None:
        return None
    request = Request.from_primitives(raw.method, raw.url, raw.headers, raw.body)
    operation, path_params = _operation(model, request)
    if operation not in model.operation_names:
        return None
    params = _params(model, operation, request, path_params)
    return Call(model.service_name, str(model.metadata["endpointPrefix"]), operation, params)


def _model(signing_name: str, body: bytes) -> "ServiceModel | None":
    name = _MODELS.get(signing_name, signing_name)
    if name == "elbv2" and f"Version={_CLASSIC_BALANCERS}".encode() in body:
        name = "elb"
    try:
        return get_service_model(name)
    except UnknownServiceError:
        return None


def _operation(model: "ServiceModel", request: Request) -> tuple[str, Mapping[str, Any]]:
    action = request.values.get("Action") or request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    if action:
        return str(action), {}
    try:
        operation, path_params = get_service_router(model.service_name).match(request)
    except (NotFound, NotImplementedError):
        return "", {}
    return str(operation.name), path_params


def _params(
    model: "ServiceModel", operation: str, request: Request, path_params: Mapping[str, Any]
) -> Mapping[str, Any]:
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)]
    found: Mapping[str, Any] = parser(model.operation_model(operation)).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": dict(path_params),
        }
    )
    return found


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as the service writes it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


_QUERY_ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    "<RequestId>{request}</RequestId></ErrorResponse>"
)
_XML_ERRORS = {
    "query": _QUERY_ERROR,
    "rest-xml": _QUERY_ERROR,
    "ec2": (
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        "<RequestID>{request}</RequestID></Response>"
    ),
    "s3": "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request}</RequestId></Error>",
}


def protocol_of(scope: Scope | None, content_type: str) -> str:
    """How this request speaks: query, ec2, json, rest-json, rest-xml or s3; json when nobody knows."""
    model = _model(scope.service, b"") if scope else None
    if model is None:
        return "json"
    if model.service_name == "s3":
        return "s3"
    try:
        return determine_request_protocol(model, content_type)
    except NotImplementedError:
        return str(model.protocol)


def error_answer(protocol: str, status: int, code: str, message: str) -> ErrorAnswer:
    """An error in the form that the protocol has for errors."""
    request = str(uuid.uuid4())
    if protocol not in _XML_ERRORS:
        body = json.dumps({"__type": code, "message": message})
        kind = "application/json" if protocol == "rest-json" else "application/x-amz-json-1.1"
        headers = {"Content-Type": kind, "x-amzn-ErrorType": code, "x-amzn-RequestId": request}
        return ErrorAnswer(status, headers, body.encode())
    xml = _XML_ERRORS[protocol].format(code=escape(code), message=escape(message), request=request)
    headers = {"Content-Type": "application/xml" if protocol == "s3" else "text/xml"}
    return ErrorAnswer(status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}'.encode())


def host_of(scope: Scope) -> str:
    """AWS's own host of the service: ``ecs.us-east-1.amazonaws.com``, ``iam.amazonaws.com``."""
    model = _model(scope.service, b"")
    prefix = str(model.metadata["endpointPrefix"]) if model else scope.service
    return f"{prefix}.amazonaws.com" if prefix in _GLOBAL else f"{prefix}.{scope.region}.amazonaws.com"
