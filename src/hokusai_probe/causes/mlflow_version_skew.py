"""The client needs what a server of another major version does not have."""

from collections.abc import Iterator

from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.mlflow_client import MlflowClientFacts
from hokusai_probe.probes.versions import VersionsFacts, missing


@cause(
    component="client",
    priority="low",
    effort="minutes",
    look_alikes={
        "gateway-translates-path-wrongly": "there a request that every version knows ends in a 404",
        "deployment-had-no-effect": "there the server is older than what was deployed",
    },
    source="S-07: client 2.9.0, server 3.4.0",
)
def mlflow_version_skew(versions: VersionsFacts, tried: MlflowClientFacts | None) -> Iterator[Case]:
    """The MLflow client and the server do not match: it asks for what this server does not have.

    Odd errors in the client: ``RestException: ENDPOINT_NOT_FOUND``, 404 for calls that the server does not
    have (``/api/2.0/mlflow/logged-models``, since 3.0), unknown fields in answers. By hand all works.
    That the two are of different major versions is not enough: much works all the same.
    """
    server, client = versions.server, versions.client
    lacks = versions.lacks or missing(tried) is not None
    yield Case(
        subject="client",
        breaks=("client/version",),
        claims=(
            claim(
                f"the server is MLflow {server}, the client {client}",
                versions.differ,
                by=VersionsFacts,
                fact="server" if server else "",
                value=server,
            ),
            claim(
                "the client needs a route that the server does not have",
                True if lacks else (False if tried and tried.works else None),
                by=VersionsFacts if versions.lacks else MlflowClientFacts,
                fact="needed.status" if versions.lacks else "works" if tried else "",
                value=404 if versions.lacks else tried.works if tried else None,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary=f"Install the client of the server's version: pip install 'mlflow=={server}'. Who "
            "deploys the server announces a new major version to those who use it.",
            rollback=f"pip install 'mlflow=={client}'",
            also_touches="Models that were logged with the other client may need it to be loaded.",
            verify="hokusai-probe verify mlflow-version-skew",
        )
        if server and client
        else None,
    )
