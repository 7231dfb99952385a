"""Client and server are of different major versions."""

from collections.abc import Iterator

from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.versions import VersionsFacts, major


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
def mlflow_version_skew(versions: VersionsFacts) -> Iterator[Case]:
    """The MLflow client and the server do not match.

    Odd errors in the client: ``RestException: ENDPOINT_NOT_FOUND``, 404 for calls that the server does not
    have, unknown fields in answers. Requests made by hand work.
    """
    server, client = versions.server, versions.client
    known = server is not None and client is not None
    yield Case(
        subject="client",
        breaks=("client/version",),
        claims=(
            claim(
                f"the server is MLflow {server}, the client {client}",
                major(server) != major(client) if server and client else None,
                by=VersionsFacts,
                fact="server" if known else "",
                value=server if known else None,
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
