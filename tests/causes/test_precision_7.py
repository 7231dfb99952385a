"""Causes that were named on evidence that something else shows, too; each test is one such mistake."""

from datetime import datetime, timedelta

import pytest
from _deaths import EXITED
from _edge import NOW, certificate, control, dated, records, refused_for, tls_facts
from _evidence import unfounded
from _facts import (
    BARE,
    NO_MODEL,
    OUTSIDE,
    SEARCH,
    TARGET,
    answer,
    api_facts,
    balancer_page,
    bare_facts,
    ecs_facts,
    hosts_facts,
    inside,
    invalid_facts,
    outside,
    path_facts,
    refusal,
    unavailable,
    validation_facts,
)
from test_diagnoses import NOBODY_KNOWS, behind_auth, behind_gateway, concluded, lines, named, registration
from test_ecs_causes import down, twice

from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts, Target
from hokusai_probe.probes.cache_effect import CacheEffectFacts
from hokusai_probe.probes.dns_records import Record
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.log_tails import LogLine, LogTailsFacts, ServiceLog
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts
from hokusai_probe.probes.revisions import Family, RevisionsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition
from hokusai_probe.sandbox.scenario import BEHAVIOURS

# --- who answers is not down ----------------------------------------------------------------------------

TASKS_ARE_GONE = {"ecs-service-missing", "ecs-service-scaled-to-zero", "image-cannot-be-pulled"}


def test_a_gateway_that_answers_at_its_other_host_is_not_down(real: Catalogue) -> None:
    """503 at the registry alone is a rule or a target group; the gateway's tasks run."""
    sick = behind_gateway(unavailable()) | {"hosts": hosts_facts(registry=unavailable())}
    assert "gateway-down" in named(
        concluded(real, behind_gateway(unavailable()).values(), OUTSIDE), "present"
    )
    found = concluded(real, sick.values(), OUTSIDE)
    assert named(found, "present") == set()
    assert "gateway-down" in named(found, "ruled_out")
    assert not named(found, "undecided") & TASKS_ARE_GONE
    with_aws = concluded(real, (sick | inside()).values())
    assert "gateway-down" not in named(with_aws, "present")


def test_an_auth_service_that_judges_keys_is_not_down(real: Catalogue) -> None:
    """Its health path fails, and it validates the key all the same, with and without AWS."""
    sick = outside(hosts=hosts_facts(auth=balancer_page(502, "Bad Gateway")))
    found = concluded(real, sick.values(), OUTSIDE)
    assert named(found, "present") == set()
    assert "auth-service-down" in named(found, "ruled_out")
    unwell = outside(hosts=hosts_facts(auth=unavailable()))
    open_ones = named(concluded(real, unwell.values(), OUTSIDE), "undecided")
    assert not open_ones & {"ecs-service-missing", "ecs-service-scaled-to-zero", "target-group-empty"}
    assert "auth-service-down" not in named(concluded(real, (sick | inside()).values()), "present")


def test_an_auth_service_that_refuses_a_made_up_key_is_not_down(real: Catalogue) -> None:
    """Without a key of our own, what auth says of a made-up one shows that it is there."""
    sick = outside(hosts=hosts_facts(auth=unavailable()))
    sick["invalid_keys"] = invalid_facts().model_copy(update={"direct": NOBODY_KNOWS})
    del sick["key_validation"]
    assert "auth-service-down" in named(concluded(real, sick.values(), OUTSIDE), "ruled_out")


def test_an_auth_service_whose_validation_nobody_asked_for_is_not_denied_to_be_down(real: Catalogue) -> None:
    """A well /health says nothing of its API: without that look it stays open whether auth is down."""
    sick = behind_auth(hosts_facts().hosts["auth"].health)
    del sick["key_validation"]
    assert "auth-service-down" not in named(concluded(real, sick.values(), OUTSIDE), "ruled_out")


# --- a certificate that does not hold may be a stranger's -----------------------------------------------

FAR = timedelta(days=3)
STRANGER = ("*.site.example", "site.example")


def at(address: str, facts: HostsFacts, host: str = "api") -> HostsFacts:
    """The same, with a host's name leading to another address."""
    seen = facts.hosts[host]
    moved = seen.model_copy(
        update={"resolution": seen.resolution.model_copy(update={"addresses": (address,)})}
    )
    return facts.model_copy(update={"hosts": {**facts.hosts, host: moved}})


def shown(code: str, *names: str, address: str = "127.0.0.77", **dates: datetime) -> dict[str, Facts]:
    """The api host's name leads to an address of its own, where this certificate is shown."""
    bad = certificate(*names, issuer="Stranger" if code == "untrusted" else "Good CA", **dates)
    clock = control(dated(0))
    return outside(tls=tls_facts(api=bad), control=clock, hosts=at(address, refused_for(code)))


@pytest.mark.parametrize(
    ("slug", "facts"),
    [
        ("certificate-wrong-name", shown("wrong-name", *STRANGER)),
        ("certificate-untrusted", shown("untrusted", *STRANGER)),
        ("certificate-expired", shown("wrong-name", *STRANGER, ends=NOW - FAR)),
    ],
)
def test_without_aws_a_certificate_for_other_names_may_be_a_strangers(
    real: Catalogue, slug: str, facts: dict[str, Facts]
) -> None:
    """Whether the certificate or the name is wrong cannot be seen from outside: both are listed."""
    found = concluded(real, facts.values(), OUTSIDE)
    assert named(found, "present") == set()
    assert {slug, "host-resolves-to-wrong-place"} <= named(found, "undecided")


def test_at_the_load_balancers_own_address_a_certificate_for_other_names_is_wrong(real: Catalogue) -> None:
    """AWS says where the load balancer is; there nobody else can show a certificate."""
    facts = shown("wrong-name", *STRANGER) | inside(dns=records("127.0.0.77", host="api"))
    assert lines(concluded(real, facts.values()), "present") == ["confirmed certificate-wrong-name api"]


def test_at_an_address_of_the_same_load_balancer_a_certificate_for_other_names_is_wrong(
    real: Catalogue,
) -> None:
    """Another host of the same load balancer is well at the address, so the name does not lead astray."""
    assert TARGET.aws is not None
    one = dict.fromkeys(TARGET.aws.load_balancers, "the-only-one")
    shared = TARGET.model_copy(update={"aws": TARGET.aws.model_copy(update={"load_balancers": one})})
    facts = shown("wrong-name", *STRANGER)
    facts["hosts"] = refused_for("wrong-name")
    assert lines(concluded(real, facts.values(), shared), "present") == [
        "confirmed certificate-wrong-name api"
    ]


def test_a_strangers_certificate_elsewhere_does_not_accuse_the_load_balancer(real: Catalogue) -> None:
    """The name leads elsewhere by AWS: that alone is wrong, whether Route 53 holds the record or not."""
    facts = shown("wrong-name", *STRANGER) | inside(dns=records("127.0.0.9", host="api", records=()))
    assert lines(concluded(real, facts.values()), "present") == ["likely host-resolves-to-wrong-place api"]


def test_in_front_of_the_load_balancer_it_stays_open_whose_certificate_is_wrong(real: Catalogue) -> None:
    """What stands in front on purpose has addresses of its own; they say nothing against the name."""
    front = Record(type="A", alias="d111111abcdef8.cloudfront.net")
    facts = shown("wrong-name", *STRANGER) | inside(dns=records("127.0.0.9", host="api", records=(front,)))
    found = concluded(real, facts.values())
    assert named(found, "present") == set()
    assert "certificate-wrong-name" in named(found, "undecided")


# --- late, and never finished ---------------------------------------------------------------------------

TOO_SHORT = "gateway-proxy-timeout-too-short"
LATE_UPLOAD = refusal(
    504, "MLflow server request timeout after 30.0s", path="/api/mlflow/api/2.0/mlflow-artifacts/artifacts/x"
)
LATE = refusal(504, "MLflow server request timeout after 30.0s", path=SEARCH)
WELL_ALL_THE_SAME = answer(body={"checks": {}, "status": "healthy"}, path="/api/health/mlflow")


def mlflow_log(*texts: str, hours_ago: int = 0) -> LogTailsFacts:
    """What MLflow wrote, so many hours before its newest line."""
    lines = [LogLine(at=NOW - timedelta(hours=hours_ago), text=text) for text in texts]
    newest = LogLine(at=NOW, text="GET /health 200")
    return LogTailsFacts(logs={"mlflow": ServiceLog(group="mlflow", lines=(*lines, newest))})


def test_an_upload_that_hangs_may_hang_on_the_storage(real: Catalogue) -> None:
    """MLflow waits for its storage in vain, and the rest works: no proof that it would have finished."""
    facts = outside(model_registration=registration(upload=LATE_UPLOAD, download=None)) | inside(
        log_tails=mlflow_log()
    )
    found = concluded(real, facts.values())
    assert TOO_SHORT not in named(found, "present")
    words = "botocore.exceptions.ConnectTimeoutError: Connect timeout on endpoint URL"
    found = concluded(real, (facts | {"log_tails": mlflow_log(words)}).values())
    assert TOO_SHORT in named(found, "ruled_out")
    assert unfounded(found.diagnoses, facts.values()) == []


def test_what_is_there_afterwards_proves_that_mlflow_finished(real: Catalogue) -> None:
    """The upload was given up and can be fetched all the same, or another try says that it exists."""
    there = registration(upload=LATE_UPLOAD, download=answer(body={}, path="/x"))
    found = concluded(real, outside(model_registration=there).values(), OUTSIDE)
    assert lines(found, "present") == [f"confirmed {TOO_SHORT} gateway"]
    again = registration(
        upload=LATE_UPLOAD,
        download=None,
        version=answer(400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "x"}),
    )
    found = concluded(real, outside(model_registration=again).values(), OUTSIDE)
    assert f"confirmed {TOO_SHORT} gateway" in lines(found, "present")


def test_a_database_that_hangs_is_not_the_proxys_fault(real: Catalogue) -> None:
    """Every request that needs the database is late; a healthy /health is no answer of the database's."""
    late = api_facts(LATE, LATE)
    facts = outside(mlflow_api=late, public_paths=path_facts([WELL_ALL_THE_SAME])) | inside()
    assert f"confirmed {TOO_SHORT} gateway" not in lines(concluded(real, facts.values()), "present")
    words = mlflow_log("psycopg.OperationalError: connection timeout expired")
    assert TOO_SHORT in named(concluded(real, (facts | {"log_tails": words}).values()), "ruled_out")


def test_trouble_of_hours_ago_is_not_why_a_request_is_late_now(real: Catalogue) -> None:
    """One search is late and others are not; that the database was gone in the morning says nothing."""
    facts = outside(mlflow_api=api_facts(LATE, answer(404, NO_MODEL))) | inside(
        log_tails=mlflow_log("psycopg.OperationalError: server closed the connection", hours_ago=5)
    )
    assert lines(concluded(real, facts.values()), "present") == [f"confirmed {TOO_SHORT} gateway"]


# --- words of long ago ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours_ago", "present"), [(0, True), (5, False)])
def test_a_handshake_that_failed_hours_ago_is_no_scheme_mismatch(
    real: Catalogue, hours_ago: int, present: bool
) -> None:
    """The gateway cannot reach MLflow now, and its log of this morning speaks of TLS."""
    refused = refusal(502, "Failed to connect to MLflow server at http://mlflow.x:5000/mlflow", path=SEARCH)
    tls = LogLine(
        at=NOW - timedelta(hours=hours_ago),
        text="mlflow: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
    )
    log = ServiceLog(group="gateway", lines=(tls, LogLine(at=NOW, text="GET /health 200")))
    facts = outside(mlflow_api=api_facts(refused, refused)) | inside(
        log_tails=LogTailsFacts(logs={"gateway": log})
    )
    found = concluded(real, facts.values())
    assert ("mlflow-scheme-mismatch" in named(found, "present")) is present


# --- what the target accepts ----------------------------------------------------------------------------

NOT_SILENCED = {
    "admin-only": "what the target's key may not do cannot be seen with it",
    "artifact-path-untranslated": "artifacts are what a third party comes for",
    "artifacts-disabled": "artifacts are what a third party comes for",
    "auth-header-dropped": "the documented form of a key does not work",
    "breaker-open-500": "no check wants 503 rather than 500 while the breaker is open",
    "breaker-stuck-open": "it makes health endpoints and load balancers turn away a well service",
    "event-loop-blocked": "whatever is asked in that moment fails with it",
    "health-constant": "it is no defect: it only proves less",
    "key-sent-in-body": "no key works",
    "mlflow-open-from-outside": "no check looks at it: the rule admits the prober's network on purpose",
    "no-scope-check": "no check fails of more being allowed",
    "route-missing": "the registry does not work",
}


def test_each_behaviour_silences_a_check_or_has_a_reason_not_to(real: Catalogue) -> None:
    """Whoever adds a behaviour says what its acceptance means."""
    silenced = {check.behaviour for check in real.checks.values()} - {None}
    assert silenced | set(NOT_SILENCED) == set(BEHAVIOURS)
    assert not silenced & set(NOT_SILENCED)


def accepting(*behaviours: str) -> Target:
    """The target, accepting these."""
    return OUTSIDE.model_copy(update={"accept": OUTSIDE.accept.model_copy(update={"behaviours": behaviours})})


LOST_PREFIX = answer(404, {"error_code": "RESOURCE_NOT_FOUND"}, path="/api/2.0/mlflow/x")
ANY_KEY = invalid_facts(refusal(404, "Not Found"))
SAYS_NO = answer(200, {"is_valid": False}, path="/api/v1/keys/validate")
AGAINST_AUTH = ANY_KEY.model_copy(update={"direct": SAYS_NO})


@pytest.mark.parametrize(
    ("behaviour", "slug", "facts"),
    [
        (
            "api-2.0-mount-strips-prefix",
            "gateway-translates-path-wrongly",
            MlflowRoutesFacts(reads={}, listing=answer(body={}), own_path=LOST_PREFIX),
        ),
        ("invalid-key-accepted", "key-accepted-when-invalid", ANY_KEY),
        ("is-valid-ignored", "key-accepted-when-invalid", AGAINST_AUTH),
        (
            "file-store",
            "mlflow-file-store",
            MlflowStoresFacts(definition="mlflow:1", backend="unset"),
        ),
    ],
)
def test_what_is_accepted_is_no_cause(real: Catalogue, behaviour: str, slug: str, facts: Facts) -> None:
    """The same facts name the cause where nothing is accepted, and do not where it is."""
    seen = [f for f in outside().values() if type(f) is not type(facts)] + [facts]
    assert slug in named(concluded(real, seen, OUTSIDE), "present")
    assert slug not in named(concluded(real, seen, accepting(behaviour)), "present")


def test_a_revoked_key_that_is_let_in_may_lie_in_the_gateways_cache(real: Catalogue) -> None:
    """Contract 3.5: a key is good for minutes after its end; without a cache it never is."""
    facts = outside(key_validation=validation_facts(SAYS_NO))
    slug = "key-accepted-when-invalid"
    assert slug not in named(concluded(real, facts.values(), OUTSIDE), "present")
    assert slug in named(concluded(real, facts.values(), accepting("cache-off")), "present")
    asked = CacheEffectFacts(group="auth", calls=(404,) * 5, validations=(1,) * 4)
    assert slug in named(concluded(real, (facts | {"cache": asked}).values(), OUTSIDE), "present")


# --- one witness, one word, one moment ------------------------------------------------------------------


def test_a_script_that_cannot_be_run_may_lack_its_first_line(real: Catalogue) -> None:
    """The same words come of a missing interpreter's name and of another processor."""
    for program, present in (("/entrypoint.sh", False), ("/app/start.py", False), ("/bin/x", True)):
        words = f"exec {program}: exec format error"
        found = concluded(real, down(*twice(EXITED, words, exit_code=1)).values())
        assert ("image-wrong-architecture" in named(found, "present")) is present


def test_one_server_with_another_time_does_not_prove_our_clock_wrong(real: Catalogue) -> None:
    """Its own clock may be wrong; two servers that agree are another matter."""
    late = answer(body="OK", headers=dated(1620).headers)
    seen = bare_facts(late)
    seen = seen.model_copy(
        update={"hosts": {"registry": seen.hosts["registry"].model_copy(update={"at": NOW})}}
    )
    assert "clock-skewed" not in named(concluded(real, [seen], BARE), "present")
    assert "clock-skewed" in named(concluded(real, [seen, control(dated(1620))], BARE), "present")


@pytest.mark.parametrize(("age_s", "kind"), [(20, "needs-value"), (1200, "automatic")])
def test_a_revision_of_a_moment_ago_is_left_to_its_pipeline(real: Catalogue, age_s: int, kind: str) -> None:
    """What to paste says to wait, where whoever registered the revision may be about to deploy it."""
    registered = NOW - timedelta(seconds=age_s)
    before = TaskDefinition(arn="arn:gateway:1")
    after = TaskDefinition(arn="arn:gateway:2", registered_at=registered)
    facts = inside(
        ecs_services=ecs_facts(gateway={"task_definition": before.arn}),
        revisions=RevisionsFacts(families={"gateway": Family(name="gateway", newest=after)}),
        ecs_tasks=EcsTasksFacts(services={}, asked_at=NOW),
    )
    found = concluded(real, (outside() | facts).values())
    (remedy,) = (d.remedy for d in found.diagnoses if d.cause == "deployment-had-no-effect" and d.remedy)
    assert remedy.kind == kind
