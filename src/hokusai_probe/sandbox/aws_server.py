"""The HTTP server in front of the sandbox's control plane: moto, with what it lacks and a reader needs.

* `cloudtrail`: the event history. * `served_cloudwatch`: the load balancers' metrics.
* `ServedIam`: SimulatePrincipalPolicy and SimulateCustomPolicy. * `ServedScaling`: DescribeScalingActivities,
  of which there are none: nothing scales here. * `ServedCache`: DescribeEvents of ElastiCache, none either.
* `introduce_users`: the two people whose access keys the sandbox hands out.

Each is a subclass of moto's own class, put in its place by `install`.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from moto.applicationautoscaling import urls as scaling_urls
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.elasticache import urls as cache_urls
from moto.elasticache.responses import ElastiCacheResponse
from moto.iam import urls as iam_urls
from moto.iam.models import IAMBackend, Role, User, iam_backends
from moto.iam.responses import IamResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from hokusai_probe.sandbox import cloudtrail, iam, served_cloudwatch
from hokusai_probe.sandbox.metrics import Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ADMIN, PROBER = "infra-admin", "hokusai-probe"
"""Who does what a scenario says, and who looks at the platform from outside."""

_POLL_S = 0.05
"""How often the server looks whether it is to stop, which is how long a stop takes."""

_READING = (
    "acm", "application-autoscaling", "cloudtrail", "cloudwatch", "ec2", "ecr", "ecs", "elasticache",
    "elasticloadbalancing", "iam", "logs", "rds", "route53", "s3", "secretsmanager", "servicediscovery",
    "ssm",
)  # fmt: skip
_READING_TOO = (
    "cloudtrail:LookupEvents",
    "iam:SimulatePrincipalPolicy",
    "logs:FilterLogEvents",
    "servicediscovery:DiscoverInstances",
)
_SECRET_READS = ("secretsmanager:GetSecretValue", "ssm:GetParameter*")


class ServedIam(IamResponse):
    """moto's IAM with simulations."""

    def simulate_principal_policy(self) -> ActionResult:
        """Answer SimulatePrincipalPolicy with the principal's own policies and those given beside them."""
        own = _statements_of(self.backend, self._get_param("PolicySourceArn"))
        return self._simulated([*own, *self._given()])

    def simulate_custom_policy(self) -> ActionResult:
        """Answer SimulateCustomPolicy."""
        return self._simulated(self._given())

    def _given(self) -> list[iam.Statement]:
        documents: Sequence[str] = self._get_param("PolicyInputList") or []
        return [entry for document in documents for entry in iam.statements(document)]

    def _simulated(self, policy: Sequence[iam.Statement]) -> ActionResult:
        resources = self._get_param("ResourceArns") or ["*"]
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": decision(policy, action, resource),
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in self._get_param("ActionNames")
            for resource in resources
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def decision(policy: Sequence[iam.Statement], action: str, resource: str) -> str:
    """``allowed``, ``explicitDeny`` or ``implicitDeny``, as the simulator says."""
    if iam.allows(policy, action, resource):
        return "allowed"
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    return "implicitDeny" if iam.allows([*policy, everything], action, resource) else "explicitDeny"


def _statements_of(backend: IAMBackend, arn: str) -> list[iam.Statement]:
    principals: list[Role | User] = [*backend.roles.values(), *backend.users.values()]
    found = next((one for one in principals if one.arn == arn), None)
    if found is None:
        raise NoPrincipalError
    return iam.statements_of(found)


class NoPrincipalError(ServiceException):
    """A simulation for a principal that does not exist."""

    code = "NoSuchEntity"
    message = "The principal cannot be found."


class ServedScaling(ApplicationAutoScalingResponse):
    """moto's Application Auto Scaling, in which nothing was ever scaled."""

    def describe_scaling_activities(self) -> ActionResult:
        """Answer DescribeScalingActivities."""
        return ActionResult({"ScalingActivities": []})


class ServedCache(ElastiCacheResponse):
    """moto's ElastiCache, in which nothing ever happened."""

    def describe_events(self) -> ActionResult:
        """Answer DescribeEvents."""
        return ActionResult({"Events": []})


def install(history: cloudtrail.EventHistory, recorder: Recorder) -> None:
    """Put all of this in moto's place. Call it before the first request."""
    cloudtrail.install(history)
    served_cloudwatch.install(recorder)
    iam_urls.url_paths = {"{0}/$": ServedIam.dispatch}
    scaling_urls.url_paths = {"{0}/$": ServedScaling.dispatch}
    cache_urls.url_paths = {"{0}/$": ServedCache.dispatch}


def introduce_users(account: str, keys: Mapping[str, str]) -> None:
    """Create the IAM users whose access keys the sandbox hands out.

    Args:
        account: The AWS account.
        keys: The access key id of each user, `ADMIN` and `PROBER`.

    """
    backend = iam_backends[account]["aws"]
    for name, access_key_id in keys.items():
        backend.create_user("us-east-1", name)
        backend.create_access_key(name, "AKIA").access_key_id = access_key_id
        document = {"Version": "2012-10-17", "Statement": _permissions(name)}
        backend.put_user_policy(name, "sandbox", json.dumps(document))


def _permissions(name: str) -> list[dict[str, object]]:
    if name == ADMIN:
        return [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    reads = [f"{service}:{verb}*" for service in _READING for verb in ("Describe", "Get", "List")]
    return [
        {"Effect": "Allow", "Action": [*reads, *_READING_TOO], "Resource": "*"},
        {"Effect": "Deny", "Action": list(_SECRET_READS), "Resource": "*"},
    ]


class _Dispatcher(DomainDispatcherApplication):
    """moto's choice of a service for a request, made once for each host that it infers.

    moto lists its own directory for every request, under a lock that all requests wait for: half of the time
    that answering a call took.
    """

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._services: dict[str | None, object] = {}

    def get_backend_for_host(self, host: str | None) -> object:
        """The name of the service that answers at a host, None where there is none."""
        if host not in self._services:
            self._services[host] = super().get_backend_for_host(host)
        return self._services[host]


class Server:
    """The moto server on one address of this sandbox; the port is picked by the system.

    Args:
        ip: The address.
        history: Where calls are noted.
        recorder: What the load balancers count.

    """

    def __init__(self, ip: str, history: cloudtrail.EventHistory, recorder: Recorder) -> None:
        install(history, recorder)
        application: WSGIApplication = _Dispatcher()
        self._server = make_server(
            ip,
            0,
            cloudtrail.Recorded(application, history),
            threaded=True,
            request_handler=MotoRequestHandler,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True)

    @property
    def url(self) -> str:
        """The endpoint."""
        ip, port = self._server.server_address[:2]
        return f"http://{ip!s}:{port}"

    def start(self) -> str:
        """Serve; returns the endpoint's URL."""
        self._thread.start()
        return self.url

    def close(self) -> None:
        """Serve no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
