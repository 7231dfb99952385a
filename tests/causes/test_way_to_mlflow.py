"""Causes on the way from the gateway to MLflow, and of what it carries: named where the facts decide."""

from typing import Any

import pytest
from _evidence import unfounded
from _facts import (
    HTML,
    OUTSIDE,
    SEARCH,
    TARGET,
    TEXT,
    answer,
    api_facts,
    definition_facts,
    discovery_facts,
    group,
    group_facts,
    inside,
    mlflow_404,
    outside,
    path_facts,
    refusal,
    registered,
)
from test_diagnoses import concluded, lines, named, registration

from hokusai_probe.causes._mlflow_address import heard
from hokusai_probe.causes.mlflow_refuses_host import admits
from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, Target
from hokusai_probe.probes.artifact_sizes import ArtifactSizesFacts, Tried
from hokusai_probe.probes.latency import Beat, LatencyFacts
from hokusai_probe.probes.log_tails import LogLine, LogTailsFacts, ServiceLog
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts
from hokusai_probe.probes.multipart_uploads import MultipartUploadsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts
from hokusai_probe.probes.versions import VersionsFacts

OLD, NEW = "10.0.1.173", "10.0.1.10"
LATE = refusal(504, "MLflow server request timeout after 30.0s", path=SEARCH)
BROKEN = refusal(500, "Internal server error while proxying to MLflow", path=SEARCH)
GUARD = answer(403, "Invalid Host header - possible DNS rebinding attack detected", TEXT, path=SEARCH)
TIMED_OUT = refusal(503, "Authentication service timeout", path=SEARCH)
TOO_LARGE = answer(413, "<h1>413 Request Entity Too Large</h1>", HTML, path="/large")
OURS = group_facts(mlflow=group("mlflow", registered(5000, ip=NEW), registered(5000, "draining", ip=OLD)))


def unreached(url: str) -> Answer:
    """The gateway's 502."""
    return refusal(502, f"Failed to connect to MLflow server at {url}", path=SEARCH)


def health(url: str = "http://mlflow.hokusai.local:5000/mlflow", **errors: str) -> Answer:
    """The gateway's own check of MLflow; ``connectivity="Tls"`` is what went wrong in one part."""
    parts = dict.fromkeys(("connectivity", "experiments_api", "artifacts_api"), "") | errors
    checks = {n: {"status": "unhealthy" if e else "healthy", "error": e or None} for n, e in parts.items()}
    body: dict[str, Any] = {
        "mlflow_server": url,
        "checks": checks,
        "status": "unhealthy" if errors else "healthy",
    }
    return answer(503 if errors else 200, {"detail": body} if errors else body, path="/api/health/mlflow")


def seen(search: Answer, checked: Answer | None = None, **more: Facts) -> dict[str, Facts]:
    """What outside eyes see where searching is answered so, and the gateway's own check so."""
    paths = path_facts([checked] if checked else [])
    return outside(mlflow_api=api_facts(search), public_paths=paths) | more


def told(url: str, **mlflow: Any) -> TaskDefinitionsFacts:
    """Task definitions: the gateway's address of MLflow, and what is different of MLflow's own."""
    facts = definition_facts(url)
    own = TaskDefinition(arn="mlflow:1", container="mlflow", ports=(5000,), **mlflow)
    return TaskDefinitionsFacts(definitions=dict(facts.definitions) | {"mlflow": own})


def log(service: str, text: str) -> LogTailsFacts:
    """One line in one service's log."""
    line = LogLine(at="2025-08-05T09:27:00Z", text=text)
    quiet = {s: ServiceLog(group=s) for s in ("auth", "gateway", "mlflow")}
    return LogTailsFacts(logs=quiet | {service: ServiceLog(group=service, lines=(line,))})


def beating(beat: Beat) -> LatencyFacts:
    """The same beat eight times."""
    return LatencyFacts(constants={"/live": 0.01}, asked=("/live", "/live"), beats=(beat,) * 8)


STALE = f"http://{OLD}:5000/mlflow"
NAME = "http://mlflow.hokusai.local:5000/mlflow"
TLS = "https://mlflow.hokusai.local:5000/mlflow"
WELL = LatencyFacts(constants={"/live": 0.01, "/version": 0.01}, asked=("/live", "/version"))
HELD = WELL.model_copy(
    update={"beats": (*(Beat(one=1.2, other=1.21, auth=0.01),) * 3, Beat(one=0.01, other=0.01, auth=0.01))}
)
SMALL = Tried(size=1024, answer=answer(body={}, path="/small"))
LIMITED = ArtifactSizesFacts(size=1_048_576, sent_sha256="x", upload=TOO_LARGE, tried=(SMALL,))
READS = dict.fromkeys(("models", "versions", "runs", "pages"), answer(body={}))

Story = tuple[dict[str, Facts], list[str]]
WITH_AWS: dict[str, Story] = {
    "an address of nobody": (
        seen(LATE, health(STALE, connectivity="ConnectTimeout"))
        | inside(task_definitions=told(STALE), target_groups=OURS),
        ["confirmed gateway-mlflow-address-stale gateway"],
    ),
    "an address that somebody else has now": (
        seen(unreached(STALE)) | inside(task_definitions=told(STALE), target_groups=OURS),
        ["confirmed gateway-mlflow-address-stale gateway"],
    ),
    "https to a server that speaks http": (
        seen(unreached(TLS), health(TLS, connectivity="[SSL: WRONG_VERSION_NUMBER] wrong version number"))
        | inside(task_definitions=told(TLS)),
        ["confirmed mlflow-scheme-mismatch mlflow"],
    ),
    "a certificate that is not trusted": (
        seen(unreached(TLS))
        | inside(
            task_definitions=told(TLS, names=("MLFLOW_MTLS_ENABLED",)),
            log_tails=log("gateway", "mlflow: certificate verify failed: unable to get local issuer"),
        ),
        ["confirmed mlflow-scheme-mismatch mlflow"],
    ),
    "http to a server that speaks https": (
        seen(BROKEN, health(NAME, connectivity="BrokenConnection"))
        | inside(task_definitions=told(NAME, names=("MLFLOW_MTLS_ENABLED",))),
        ["confirmed mlflow-scheme-mismatch mlflow"],
    ),
    "the Host guard behind a key that is refused": (
        seen(
            refusal(401, "Invalid or expired API key", path=SEARCH),
            health(NAME, experiments_api="HTTP 403", artifacts_api="HTTP 403"),
        )
        | inside(task_definitions=told(NAME, addresses={"MLFLOW_SERVER_ALLOWED_HOSTS": "localhost,10.*"})),
        ["confirmed mlflow-refuses-host mlflow"],
    ),
    "late now and then": (
        seen(LATE, health())
        | inside(task_definitions=told(NAME), log_tails=log("gateway", "nothing")),
        ["confirmed gateway-proxy-timeout-too-short gateway"],
    ),
    "late always, MLflow well": (
        seen(LATE, health(experiments_api="AnswerTimeout"))
        | inside(task_definitions=told(NAME), log_tails=log("gateway", "nothing")),
        ["likely gateway-proxy-timeout-too-short gateway"],
    ),
}  # fmt: skip
FROM_OUTSIDE: dict[str, Story] = {
    "the Host guard's own words": (seen(GUARD), ["confirmed mlflow-refuses-host mlflow"]),
    "constant paths held up together": (
        outside(latency=HELD, mlflow_api=api_facts(TIMED_OUT)),
        ["confirmed gateway-event-loop-blocked gateway"],
    ),
    "413 above a size": (outside(sizes=LIMITED), ["confirmed gateway-body-limit gateway"]),
    "a route that came with the client's major version": (
        outside(
            versions=VersionsFacts(
                answer=answer(body="2.9.2"), server="2.9.2", client="3.4.0", needed=mlflow_404()
            )
        ),
        ["confirmed mlflow-version-skew client"],
    ),
    "MLflow's own path loses its prefix": (
        outside(
            routes=MlflowRoutesFacts(
                reads=READS,
                listing=answer(body={}),
                own_path=answer(404, {"error_code": "RESOURCE_NOT_FOUND"}, path="/api/2.0/x"),
            )
        ),
        ["confirmed gateway-translates-path-wrongly /api/2.0/x"],
    ),
    "uploads in parts have no route, others do": (
        outside(
            registration=registration(),
            parts=MultipartUploadsFacts(begun=mlflow_404(path="/mpu"), has_id=False),
            versions=VersionsFacts(answer=answer(), server="3.17.2", client=None),
        ),
        ["confirmed gateway-translates-path-wrongly uploads in parts"],
    ),
}  # fmt: skip
LEFT_OPEN: dict[str, tuple[dict[str, Facts], set[str]]] = {
    # without AWS: what must be among the undecided, none of ours present
    "an address that may be anybody's": (seen(unreached(STALE)), {"gateway-mlflow-address-stale"}),
    "https that is not answered": (seen(unreached(TLS)), {"mlflow-scheme-mismatch"}),
    "late now and then": (seen(LATE, health()), {"gateway-proxy-timeout-too-short"}),
}
OURS_TO_NAME = {
    "gateway-mlflow-address-stale", "mlflow-scheme-mismatch", "mlflow-refuses-host", "gateway-body-limit",
    "gateway-proxy-timeout-too-short", "gateway-event-loop-blocked", "mlflow-version-skew",
}  # fmt: skip


def roots(real: Catalogue, facts: dict[str, Facts], target: Target) -> list[str]:
    """Present diagnoses that nothing else caused, each with evidence that lies in the facts."""
    found = concluded(real, facts.values(), target)
    assert found.errors == ()
    assert unfounded(found.diagnoses, facts.values()) == []
    return lines(found.__class__(tuple(d for d in found.diagnoses if not d.caused_by), (), ()), "present")


@pytest.mark.parametrize("name", WITH_AWS)
def test_with_aws_the_one_cause_is_named(real: Catalogue, name: str) -> None:
    """The gateway's and MLflow's settings decide what the gateway's words leave open."""
    facts, expected = WITH_AWS[name]
    assert roots(real, facts, TARGET) == expected


@pytest.mark.parametrize("name", FROM_OUTSIDE)
def test_what_only_one_defect_shows_needs_no_aws(real: Catalogue, name: str) -> None:
    """Present with AWS and without."""
    facts, expected = FROM_OUTSIDE[name]
    assert roots(real, facts, OUTSIDE) == expected
    assert roots(real, facts | inside(), TARGET) == expected


@pytest.mark.parametrize("name", LEFT_OPEN)
def test_without_aws_what_the_words_fit_stays_open(real: Catalogue, name: str) -> None:
    """Undecided, never present."""
    facts, expected = LEFT_OPEN[name]
    found = concluded(real, facts.values(), OUTSIDE)
    assert expected <= named(found, "undecided")
    assert named(found, "present") & OURS_TO_NAME == set()


LOOK_ALIKES: dict[str, tuple[dict[str, Facts], set[str]]] = {
    # facts -> which of ours must not be present
    "the address is one of MLflow's": (
        seen(LATE, health(f"http://{NEW}:5000/mlflow", connectivity="ConnectTimeout"))
        | inside(task_definitions=told(f"http://{NEW}:5000/mlflow"), target_groups=OURS),
        OURS_TO_NAME,
    ),
    "MLflow hangs": (
        seen(LATE, health(connectivity="AnswerTimeout"))
        | inside(
            task_definitions=told(NAME),
            target_groups=group_facts(mlflow=group("mlflow", registered(5000, "unhealthy"))),
        ),
        OURS_TO_NAME,
    ),
    "another major version that lacks nothing": (
        outside(versions=VersionsFacts(answer=answer(body="5.0.1"), server="5.0.1", client="3.4.0")),
        OURS_TO_NAME,
    ),
    "plain http is refused": (seen(unreached(NAME)) | inside(task_definitions=told(NAME)), OURS_TO_NAME),
    "a 403 of the gateway's": (seen(refusal(403, "no", path=SEARCH)) | inside(), OURS_TO_NAME),
    "a rule leads to MLflow, whose guard refuses": (
        outside(
            mlflow_api=api_facts(GUARD), public_paths=path_facts(required=[mlflow_404(path=SEARCH)])
        ) | inside(),
        {"mlflow-refuses-host"},
    ),
    "all are slow, the auth host too": (
        outside(latency=beating(Beat(one=1.0, other=1.0, auth=0.9))) | inside(),
        OURS_TO_NAME,
    ),
    "slow one at a time": (
        outside(latency=beating(Beat(one=1.0, other=0.01, auth=0.01))) | inside(),
        OURS_TO_NAME,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_looks_alike_is_not_named(real: Catalogue, name: str) -> None:
    """A wrong name is worse than none."""
    facts, wrong = LOOK_ALIKES[name]
    assert named(concluded(real, facts.values(), TARGET), "present") & wrong == set()


def test_healthy_rules_all_of_them_out(real: Catalogue) -> None:
    """Where everything was looked at and is well, each is denied."""
    routes = MlflowRoutesFacts(
        reads=READS, listing=answer(body={}), own_path=answer(body={"experiments": []})
    )
    sizes = ArtifactSizesFacts(size=9, sent_sha256="x", upload=answer(), download=answer(sha256="x"))
    skew = VersionsFacts(answer=answer(body="3.4.0"), server="3.4.0", client="3.17.2")
    quick = WELL.model_copy(update={"beats": (Beat(one=0.01, other=0.01, auth=0.01),) * 3})
    facts = outside(r=routes, s=sizes, v=skew, latency=quick) | inside(task_definitions=told(NAME))
    found = concluded(real, facts.values())
    assert named(found, "ruled_out") >= OURS_TO_NAME
    assert named(found, "present") == set()


def test_the_remedy_of_a_stale_address_is_the_private_name(real: Catalogue) -> None:
    """Automatic, and the path of the present address is kept."""
    facts, _ = WITH_AWS["an address of nobody"]
    facts |= inside(task_definitions=told(STALE), target_groups=OURS, service_discovery=discovery_facts())
    found = concluded(real, facts.values())
    (remedy,) = [d.remedy for d in found.diagnoses if d.cause == "gateway-mlflow-address-stale"]
    assert remedy is not None
    assert remedy.kind == "automatic"
    assert any("MLFLOW_SERVER_URL http://mlflow.hokusai.local:5000/mlflow" in line for line in remedy.aws_cli)


def test_the_remedy_of_a_refused_host_adds_it_with_its_port(real: Catalogue) -> None:
    """What was allowed stays allowed."""
    facts, _ = WITH_AWS["the Host guard behind a key that is refused"]
    found = concluded(real, facts.values())
    (remedy,) = [d.remedy for d in found.diagnoses if d.cause == "mlflow-refuses-host"]
    assert remedy is not None
    assert remedy.kind == "automatic"
    assert any("'localhost,10.*,mlflow.hokusai.local:5000'" in line for line in remedy.aws_cli)


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ("MLflow gave no answer: Tls: [[SSL: WRONG_VERSION_NUMBER] wrong version number]", "tls"),
        ("mlflow: Cannot connect to host 10.0.1.2:5000 ssl:default [Connect call failed]", "refused"),
        ("mlflow HTTPSConnectionPool: Max retries exceeded (SSLCertVerificationError(1))", "tls"),
        ("mlflow: httpx.ConnectTimeout: timed out", "connect-timeout"),
        ("mlflow: HTTPConnectionPool: Read timed out. (read timeout=30)", "late"),
        ("mlflow: [Errno -2] Name or service not known", "name"),
        ("mlflow: ('Connection aborted.', RemoteDisconnected('Remote end closed'))", "broken"),
        ("redis: [SSL: WRONG_VERSION_NUMBER]", None),
    ],
)
def test_how_asking_fails_is_read_from_the_gateways_log(words: str, how: str | None) -> None:
    """In the words of httpx, aiohttp and requests; a line about something else is not read."""
    found = heard(None, log("gateway", words))
    assert (found.how if found else None) == how


@pytest.mark.parametrize(
    ("allowed", "header", "admitted"),
    [
        ("*", "mlflow.local:5000", True),
        ("localhost, mlflow.local:5000", "mlflow.local:5000", True),
        ("mlflow.local", "mlflow.local:5000", False),
        ("mlflow.local:*", "mlflow.local:5000", True),
        ("10.*", "10.0.1.2:5000", True),
        ("localhost", "10.0.1.2:5000", False),
    ],
)
def test_a_list_of_hosts_is_read_as_mlflow_reads_it(allowed: str, header: str, admitted: bool) -> None:
    """The header as it comes, port and all; a star stands for anything."""
    assert admits(allowed, header) is admitted
