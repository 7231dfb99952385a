"""The real causes on facts made by hand: named where proven, open where possible, never denied unseen."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any

import pytest
from _evidence import unfounded
from _facts import (
    AUTH_RULES,
    BARE,
    DENIED,
    GATEWAY_OK,
    HTML,
    MAIN_DEFAULT,
    MAIN_RULE,
    NO_MODEL,
    NOT_FOUND,
    OUTSIDE,
    REGISTRY_RULES,
    SEARCH,
    TARGET,
    answer,
    api_facts,
    bad_gateway,
    balancer,
    balancer_page,
    bare_facts,
    definition_facts,
    discovery_facts,
    ecs_facts,
    fixed_404,
    form_facts,
    forward,
    gone,
    group,
    group_facts,
    hosts_facts,
    inside,
    invalid_facts,
    mlflow_404,
    no_key_facts,
    outside,
    path_facts,
    refusal,
    registered,
    rule,
    rules_facts,
    silence,
    unavailable,
    validation_facts,
)

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import Conclusion, diagnose
from hokusai_probe.engine import judge
from hokusai_probe.http import Answer, Failure, Resolution
from hokusai_probe.model import Diagnosis, Facts, Observation, Target, Verdict
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostSeen, HostsFacts
from hokusai_probe.probes.listener_rules import Balancer, ListenerRulesFacts, Rule
from hokusai_probe.probes.log_tails import LogTailsFacts, ServiceLog
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

WHEN = datetime(2025, 8, 5, 9, 27, tzinfo=UTC)


def judged(
    real: Catalogue, facts: Iterable[Facts], target: Target
) -> tuple[list[Observation], tuple[Verdict, ...]]:
    """Observations and verdicts on these facts."""
    seen = [
        Observation(probe=f.probe, started_at=WHEN, duration_s=0.1, status="seen", facts=f) for f in facts
    ]
    return seen, judge(real, seen, target, frozenset(real.checks))


def concluded(real: Catalogue, facts: Iterable[Facts], target: Target = TARGET) -> Conclusion:
    """What the real causes make of these facts."""
    seen, verdicts = judged(real, facts, target)
    return diagnose(real, seen, verdicts, target)


def lines(found: Conclusion, status: str) -> list[str]:
    """Certainty, cause and subjects of each diagnosis of a status."""
    return [
        " ".join((d.certainty or "-", d.cause, *d.subjects)) for d in found.diagnoses if d.status == status
    ]


def named(found: Conclusion, status: str) -> set[str]:
    """The causes of a status."""
    return {d.cause for d in found.diagnoses if d.status == status}


def registration(
    refused: Answer | None = None, upload: Answer | None = None, **more: Any
) -> RegistrationFacts:
    """A registration whose every creating request is refused, or only the upload."""
    ok = refused or answer(body={})
    steps = dict.fromkeys(("experiment", "run", "model"), ok) | {
        "upload": upload or ok,
        "download": upload or ok,
    }
    return RegistrationFacts(**({"name": "n", "sent_sha256": "abc"} | steps | more))


# --- a whole platform behind one broken thing -----------------------------------------------------------

DEAD_AUTH = refusal(503, "Authentication service error")
UNREACHED = refusal(502, "Failed to connect to MLflow server at http://x:5000", path=SEARCH)
NOBODY_KNOWS = refusal(401, "Invalid or expired API key")


def behind_auth(health: Answer, **more: Facts) -> dict[str, Facts]:
    """The auth host answers so, and the gateway has no verdict on any key."""
    return outside(
        hosts=hosts_facts(auth=health),
        invalid_keys=invalid_facts(DEAD_AUTH),
        key_forms=form_facts(DEAD_AUTH),
        key_validation=validation_facts(health),
        mlflow_api=api_facts(DEAD_AUTH),
    ) | more  # fmt: skip


def behind_gateway(health: Answer) -> dict[str, Facts]:
    """Both hosts of the gateway answer so, on every path."""
    return outside(
        hosts=hosts_facts(registry=health, api=health),
        public_paths=path_facts([health], [health]),
        no_key=no_key_facts(health),
        invalid_keys=invalid_facts(health, health),
        key_forms=form_facts(health),
        mlflow_api=api_facts(health),
    )  # fmt: skip


def mlflow_unreached(**more: Facts) -> dict[str, Facts]:
    """The gateway cannot reach MLflow."""
    return outside(mlflow_api=api_facts(UNREACHED)) | more


def misrouted(**more: Facts) -> dict[str, Facts]:
    """``/api/mlflow/*`` goes straight to MLflow (INC-16)."""
    facts = {
        "mlflow_api": api_facts(mlflow_404(path=SEARCH)),
        "public_paths": path_facts(required=[mlflow_404(path=SEARCH)]),
    }
    return outside(**(facts | more))


def bad_key(platform: Answer = NOBODY_KNOWS, without: Answer = NOBODY_KNOWS) -> dict[str, Facts]:
    """The gateway refuses the key, and auth says so itself."""
    return outside(
        key_forms=form_facts(NOBODY_KNOWS),
        key_validation=validation_facts(platform, without),
        mlflow_api=api_facts(NOBODY_KNOWS),
    )


_AT_AUTH = hosts_facts(auth=silence("dns", "no answer", path="/health"))
SILENT_NAME = HostsFacts(
    hosts=dict(_AT_AUTH.hosts)
    | {
        "auth": HostSeen(
            resolution=Resolution(
                name="auth.hokus.ai", failure=Failure(kind="dns", detail="no answer", code="timeout")
            ),
            health=_AT_AUTH.hosts["auth"].health,
        )
    },
    bare=False,
)
WRONG_PORT = group_facts(
    auth=group("auth", registered(9000, "unhealthy", reason="Target.FailedHealthChecks"))
)
QUIET_LOG = LogTailsFacts(logs={"mlflow": ServiceLog(group="/ecs/mlflow")})
MLFLOW_UNWELL = group_facts(mlflow=group("mlflow", registered(5000, "unhealthy", reason="Target.Timeout")))
TO_MLFLOW = rules_facts(
    registry=balancer(
        "registry", rule("110", forward("mlflow"), path_pattern=("/api/mlflow/*",)), *REGISTRY_RULES[2:]
    )
)
ONLY_ON_80 = rules_facts(main=balancer("main", MAIN_DEFAULT, http=(MAIN_RULE,)))
NO_RULE = rules_facts(main=balancer("main", MAIN_DEFAULT))
API_404 = hosts_facts(api=fixed_404())
SERVICES_GONE = ecs_facts(gateway=gone("gateway"), mlflow=gone("mlflow"))
GROUPS_EMPTY = group_facts(gateway=group("gateway"), mlflow=group("mlflow"))
ONLY_AUTH_RUNS = TaskDefinitionsFacts(definitions={"auth": TaskDefinition(arn="a", ports=(8000,))})
NO_UPLOAD = registration(upload=answer(404, {"error_code": "RESOURCE_NOT_FOUND"}))
ARTIFACTS_OFF = registration(upload=refusal(503, {"error": "ARTIFACTS_DISABLED"}))
NO_SCOPE = answer(403, {"detail": "no", "error": "FORBIDDEN", "required_scope": "model:write"})

Story = tuple[dict[str, Facts], list[str], list[str]]

WITH_AWS: dict[str, Story] = {
    # facts -> present, undecided; nothing stays unexplained
    "healthy": (outside() | inside(), [], []),
    "target-port-mismatch": (
        behind_auth(bad_gateway()) | inside(target_groups=WRONG_PORT),
        ["confirmed target-port-mismatch auth"],
        [],
    ),
    "ecs-service-missing": (
        behind_gateway(unavailable()) | inside(
            ecs_services=SERVICES_GONE, target_groups=GROUPS_EMPTY,
            task_definitions=ONLY_AUTH_RUNS,
        ),
        ["confirmed ecs-service-missing gateway mlflow"],
        [],
    ),
    "target-group-empty": (
        behind_auth(unavailable()) | inside(target_groups=group_facts(auth=group("auth"))),
        ["confirmed target-group-empty auth"],
        [],
    ),
    "listener-rules-only-on-http": (
        outside(hosts=API_404) | inside(listener_rules=ONLY_ON_80),
        ["confirmed listener-rules-only-on-http api /health"],
        [],
    ),
    "listener-rule-missing": (
        outside(hosts=API_404) | inside(listener_rules=NO_RULE),
        ["confirmed listener-rule-missing api /health"],
        [],
    ),
    "listener-rule-wrong-target-group": (
        misrouted() | inside(listener_rules=TO_MLFLOW),
        ["confirmed listener-rule-wrong-target-group registry /api/mlflow/*"],
        [],
    ),
    "gateway-mlflow-url-wrong, zone": (
        mlflow_unreached() | inside(task_definitions=definition_facts("http://mlflow.old.local:5000")),
        ["confirmed gateway-mlflow-url-wrong gateway"],
        [],
    ),
    "gateway-mlflow-url-wrong, port": (
        mlflow_unreached() | inside(task_definitions=definition_facts("http://mlflow.hokusai.local:8001")),
        ["confirmed gateway-mlflow-url-wrong gateway"],
        [],
    ),
    "gateway-route-missing": (
        outside(mlflow_api=api_facts(refusal(404, "Not Found", path=SEARCH))) | inside(),
        ["confirmed gateway-route-missing /api/mlflow"],
        [],
    ),
    "key-unknown-or-expired": (bad_key() | inside(), ["confirmed key-unknown-or-expired key"], []),
    "key-for-another-service": (
        bad_key(refusal(401, "API key does not have access to service 'x'"), answer(body={"is_valid": True}))
        | inside(),
        ["confirmed key-for-another-service key"],
        [],
    ),
    "key-lacks-scope": (
        outside(registration=registration(NO_SCOPE)) | inside(),
        ["confirmed key-lacks-scope key"],
        [],
    ),
    "gateway-translates-path-wrongly": (
        outside(registration=NO_UPLOAD) | inside(),
        ["confirmed gateway-translates-path-wrongly artifacts"],
        [],
    ),
    "mlflow-artifacts-disabled": (
        outside(registration=ARTIFACTS_OFF) | inside(),
        ["confirmed mlflow-artifacts-disabled artifacts"],
        [],
    ),
    "host-does-not-resolve": (
        outside(hosts=hosts_facts(api=silence("dns", "does not exist"))) | inside(),
        ["confirmed host-does-not-resolve api"],
        [],
    ),
    "a fallback where AWS shows nothing deeper": (
        mlflow_unreached() | inside(target_groups=MLFLOW_UNWELL, log_tails=QUIET_LOG),
        ["likely mlflow-down mlflow"],
        [],
    ),
}  # fmt: skip


def story(table: dict[str, Story], name: str, found: Conclusion) -> None:
    """Compare a conclusion with what a table says of it."""
    _, present, undecided = table[name]
    seen = (lines(found, "present"), lines(found, "undecided"), found.errors)
    assert seen == (present, undecided, ())


def left_over(found: Conclusion) -> set[str]:
    """What stays unexplained, without the stages of a registration, which these tables cut short."""
    return {c for c in found.unexplained if not c.startswith(("experiment-can", "run-", "model-"))}


@pytest.mark.parametrize("name", WITH_AWS)
def test_with_aws_the_cause_is_named_and_nothing_else(real: Catalogue, name: str) -> None:
    """Each cause on its own, seen from outside and through AWS: exactly that one is present."""
    found = concluded(real, WITH_AWS[name][0].values())
    story(WITH_AWS, name, found)
    assert left_over(found) == set()


WITHOUT_AWS: dict[str, Story] = {
    "healthy": (outside(), [], []),
    "auth answers 502": (
        behind_auth(bad_gateway()),
        ["- auth-service-down auth"],
        ["- target-port-mismatch auth"],
    ),
    "auth answers 503": (
        behind_auth(unavailable()),
        ["- auth-service-down auth"],
        [
            "- ecs-service-missing auth",
            "- network-acl-blocks-subnet auth",
            "- security-group-blocks-load-balancer auth",
            "- target-group-detached auth",
            "- target-group-empty auth",
        ],
    ),
    "gateway answers 503": (
        behind_gateway(unavailable()),
        ["- gateway-down gateway"],
        [
            "- ecs-service-missing gateway",
            "- network-acl-blocks-subnet gateway",
            "- security-group-blocks-load-balancer gateway",
            "- target-group-detached gateway",
            "- target-group-empty gateway",
        ],
    ),
    "gateway answers 504": (
        behind_gateway(balancer_page(504, "Gateway Time-out")),
        ["- gateway-down gateway"],
        [
            "- network-acl-blocks-subnet gateway",
            "- security-group-blocks-load-balancer gateway",
            "- target-port-mismatch gateway",
        ],
    ),
    "api host answers 404 itself": (
        outside(hosts=API_404),
        [],
        ["- listener-rule-missing api /health", "- listener-rules-only-on-http api /health"],
    ),
    "MLflow answers in the gateway's place": (
        misrouted(),
        [],
        [
            "- listener-rule-shadowed registry /api/mlflow/*",
            "- listener-rule-wrong-target-group registry /api/mlflow/*",
        ],
    ),
    "the gateway cannot reach MLflow": (
        mlflow_unreached(),
        ["- mlflow-down mlflow"],
        [
            "- ecs-service-missing mlflow",
            "- gateway-mlflow-url-wrong gateway",
            "- mlflow-database-password-wrong mlflow",
            "- mlflow-database-unreachable mlflow",
            "- network-acl-blocks-subnet mlflow",
            "- security-group-blocks-mlflow mlflow",
            "- service-discovery-name-missing mlflow",
        ],
    ),
    "the key is refused": (bad_key(), ["confirmed key-unknown-or-expired key"], []),
}


@pytest.mark.parametrize("name", WITHOUT_AWS)
def test_without_aws_the_component_is_named_and_the_rest_left_open(real: Catalogue, name: str) -> None:
    """From outside alone: what does not answer, and undecided beside it what may lie deeper."""
    found = concluded(real, WITHOUT_AWS[name][0].values(), OUTSIDE)
    _, present, undecided = WITHOUT_AWS[name]
    assert (lines(found, "present"), found.errors) == (present, ())
    assert set(undecided) <= set(lines(found, "undecided"))
    assert bool(undecided) == bool(lines(found, "undecided"))


def test_a_platform_that_is_well_from_outside_rules_out_what_would_show(real: Catalogue) -> None:
    """No AWS is needed to deny what every host and MLflow's API contradict."""
    found = concluded(real, outside().values(), OUTSIDE)
    assert named(found, "ruled_out") >= {
        *("auth-service-down", "gateway-down", "mlflow-down", "host-does-not-resolve"),
        *("ecs-service-missing", "target-group-empty", "target-port-mismatch"),
        *("gateway-mlflow-url-wrong", "key-unknown-or-expired"),
    }


# --- what looks alike ---------------------------------------------------------------------------------

ARTIFACTS = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts"
NO_PATH = refusal(404, "Not Found", path=SEARCH)
TO_AUTH = rules_facts(
    registry=balancer(
        "registry", rule("110", forward("auth"), path_pattern=("/api/mlflow/*",)), *REGISTRY_RULES[2:]
    )
)
ARTIFACTS_TO_MLFLOW = rules_facts(
    registry=balancer(
        "registry",
        rule("50", forward("mlflow"), path_pattern=("/api/mlflow/api/2.0/mlflow-artifacts/*",)),
        *REGISTRY_RULES,
    )
)
PAST_THE_GATEWAY = outside(
    registration=registration(upload=mlflow_404(path=ARTIFACTS)),
    public_paths=path_facts(
        required=[refusal(401, "API key required", path=SEARCH), mlflow_404(path=ARTIFACTS)]
    ),
)
WRONG, SHADOWED = "listener-rule-wrong-target-group", "listener-rule-shadowed"
MLFLOW = "registry /api/mlflow/*"
ARTIFACTS = "registry /api/mlflow/api/2.0/mlflow-artifacts/*"
AT_AUTH = outside(mlflow_api=api_facts(NO_PATH), public_paths=path_facts(required=[NO_PATH]))
ELSEWHERE = refusal(500, "Internal server error", path=SEARCH)
ALIKE: dict[str, tuple[dict[str, Facts], Target, list[str], list[str], bool]] = {
    # facts, target -> present, undecided, whether something stays unexplained
    "the auth service has the gateway's words": (
        AT_AUTH | inside(listener_rules=TO_AUTH),
        TARGET, [f"confirmed {WRONG} {MLFLOW}"], [], False,
    ),
    "the same from outside": (
        AT_AUTH, OUTSIDE, [], [f"- {SHADOWED} {MLFLOW}", f"- {WRONG} {MLFLOW}"], False,
    ),
    "the route is missing, from outside": (
        outside(mlflow_api=api_facts(NO_PATH)), OUTSIDE,
        ["confirmed gateway-route-missing /api/mlflow"], [], False,
    ),
    "the words alone": (
        outside(mlflow_api=api_facts(NO_PATH), public_paths=path_facts(required=[silence()])),
        OUTSIDE, [], ["- gateway-route-missing /api/mlflow"], True,
    ),
    "artifacts go past the gateway": (
        PAST_THE_GATEWAY | inside(listener_rules=ARTIFACTS_TO_MLFLOW),
        TARGET, [f"confirmed {WRONG} {ARTIFACTS}"], [], False,
    ),
    "artifacts go past the gateway, from outside": (
        PAST_THE_GATEWAY, OUTSIDE, [], [f"- {SHADOWED} {ARTIFACTS}", f"- {WRONG} {ARTIFACTS}"], False,
    ),
    "another error code of MLflow's is no missing route": (
        outside(registration=registration(upload=answer(404, NO_MODEL))) | inside(), TARGET, [], [], True,
    ),
    "a 500 that names nobody": (outside(mlflow_api=api_facts(ELSEWHERE)), OUTSIDE, [], [], True),
    "a healthy MLflow that the gateway does not reach": (
        mlflow_unreached() | inside(), TARGET, [], [], True,
    ),
    "a name server that is silent": (
        outside(hosts=SILENT_NAME, key_validation=validation_facts(silence("dns", "no answer"))),
        OUTSIDE, [], [], True,
    ),
    "a 200 that does not say that the key is valid": (
        bad_key(refusal(401, "API key does not have access to service 'x'"), answer(body={})),
        OUTSIDE, [], ["- key-for-another-service key"], False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_what_looks_alike_is_told_apart_or_left_open(real: Catalogue, name: str) -> None:
    """Two defects with the same words: the one that is there, both as undecided, or neither."""
    facts, target, there, open_ones, unexplained = ALIKE[name]
    found = concluded(real, facts.values(), target)
    assert (lines(found, "present"), lines(found, "undecided"), found.errors) == (there, open_ones, ())
    assert bool(left_over(found)) is unexplained
    assert unfounded(found.diagnoses, facts.values()) == []


# --- several at once (incidents, section 6) -----------------------------------------------------------

AUGUST: dict[str, Facts] = {
    **behind_auth(bad_gateway()),
    "hosts": hosts_facts(auth=bad_gateway(), api=fixed_404()),
    "mlflow_api": api_facts(mlflow_404(path=SEARCH)),
    "public_paths": path_facts(required=[mlflow_404(path=SEARCH)]),
}
AUGUST_AWS = inside(
    target_groups=WRONG_PORT,
    listener_rules=ListenerRulesFacts(
        balancers=dict(TO_MLFLOW.balancers) | {"main": ONLY_ON_80.balancers["main"]}
    ),
)


def test_5_august_with_aws_is_three_independent_causes(real: Catalogue) -> None:
    """Auth 502, MLflow's HTML 404, the api host's text 404: three causes, not four issues of one 404."""
    found = concluded(real, (AUGUST | AUGUST_AWS).values())
    assert sorted(lines(found, "present")) == [
        "confirmed listener-rule-wrong-target-group registry /api/mlflow/*",
        "confirmed listener-rules-only-on-http api /health",
        "confirmed target-port-mismatch auth",
    ]
    assert (lines(found, "undecided"), found.unexplained) == ([], ())
    assert {d.caused_by for d in found.diagnoses} == {None}


def test_5_august_without_aws_is_one_outage_and_what_may_lie_behind(real: Catalogue) -> None:
    """Auth does not answer; the three true causes are all among the undecided and none is denied."""
    found = concluded(real, AUGUST.values(), OUTSIDE)
    assert lines(found, "present") == ["- auth-service-down auth"]
    assert named(found, "undecided") >= {
        "listener-rule-wrong-target-group",
        "listener-rules-only-on-http",
        "target-port-mismatch",
    }
    assert found.unexplained == ()


ROUTE_GONE = refusal(404, "Not Found", path=SEARCH)
CHAIN: dict[str, tuple[dict[str, Facts], str]] = {
    # what stood in front of the removed route while each fault was mended (16 -> 19 -> 21 -> 23 -> 24)
    "html 404": (misrouted(), "listener-rule-wrong-target-group"),
    "401": (behind_auth(bad_gateway()), "target-port-mismatch"),
    # a 502 in the proxy's own words is not among them: it comes from the route itself
}


@pytest.mark.parametrize("name", CHAIN)
def test_what_a_nearer_fault_hides_is_not_denied(real: Catalogue, name: str) -> None:
    """The route may be missing behind each of these: nobody has asked the router yet."""
    facts, nearer = CHAIN[name]
    found = concluded(real, facts.values(), OUTSIDE)
    assert nearer in named(found, "undecided")
    assert "gateway-route-missing" not in named(found, "ruled_out")


@pytest.mark.parametrize(
    ("later", "slug"), [(AUTH_RULES, SHADOWED), (AUTH_RULES[-1:], WRONG)], ids=["INC-06", "INC-07"]
)
def test_the_auth_host_led_to_the_gateway(real: Catalogue, later: tuple[Rule, ...], slug: str) -> None:
    """A rule forwards ``auth/api/*`` to the gateway: ``/health`` is well, validation times out.

    Where a narrower rule for the auth service comes after it that one is shadowed; else the rule is wrong.
    """
    stray = rule("80", forward("gateway"), path_pattern=("/api/*",))
    late = refusal(503, "Authentication service timeout")
    facts = behind_auth(late, hosts=hosts_facts())
    facts["key_validation"] = validation_facts(late, unknown=refusal(401, "API key required"))
    found = concluded(
        real, (facts | inside(listener_rules=rules_facts(auth=balancer("auth", stray, *later)))).values()
    )
    assert lines(found, "present") == [f"confirmed {slug} auth /api/v1/*"]
    assert found.unexplained == ()


def test_inc_08_an_auth_outage_does_not_blame_the_key(real: Catalogue) -> None:
    """``Authentication service error`` says nothing of the key: no key cause is even suspected."""
    found = concluded(real, behind_auth(unavailable()).values(), OUTSIDE)
    keys = {"key-unknown-or-expired", "key-for-another-service"}
    assert not keys & (named(found, "present") | named(found, "undecided"))
    assert not keys & named(found, "ruled_out")


def test_inc_12_a_missing_service_outranks_what_it_entails(real: Catalogue) -> None:
    """Its empty target group is its consequence, not a second root."""
    found = concluded(
        real,
        (behind_auth(unavailable()) | inside(
            ecs_services=ecs_facts(auth={"status": "INACTIVE", "running": 0, "desired": 0}),
            target_groups=group_facts(auth=group("auth")),
        )).values(),
    )  # fmt: skip
    assert [d.cause for d in found.diagnoses if d.status == "present" and d.caused_by is None] == [
        "ecs-service-missing"
    ]


# --- what was not seen --------------------------------------------------------------------------------

BLIND: dict[str, Facts] = {
    "aws_identity": AwsIdentityFacts(failure=None),
    "ecs_services": EcsServicesFacts(cluster="c", failure=DENIED),
    "target_groups": TargetGroupsFacts(failure=DENIED),
    "listener_rules": ListenerRulesFacts(
        balancers={n: Balancer(name=n, failure=DENIED) for n in ("auth", "registry", "main")}
    ),
    "service_discovery": ServiceDiscoveryFacts(failure=DENIED),
    "task_definitions": TaskDefinitionsFacts(
        definitions={"gateway": TaskDefinition(arn="g", failure=DENIED)}
    ),
}
MASKS = {
    "timeout": silence("timeout", "no whole answer within 20 s"),
    "refused": silence(),
    "502": bad_gateway(),
    "503": unavailable(),
    "504": balancer_page(504, "Gateway Time-out"),
}


@pytest.mark.parametrize("mask", MASKS)
def test_what_nobody_could_see_is_not_denied(real: Catalogue, mask: str) -> None:
    """Everything behind one answer, AWS denied: only what was really looked at may be ruled out."""
    nothing = MASKS[mask]
    facts = behind_gateway(nothing) | {
        "hosts": hosts_facts(auth=nothing, registry=nothing, api=nothing),
        "key_validation": validation_facts(nothing),
        "registration": registration(nothing),
    }
    found = concluded(real, [*facts.values(), *BLIND.values()])
    answered = {"https-listener-missing"} if nothing.status else set()
    ours = {"aws-credentials-missing", "aws-credentials-refused", "clock-skewed", "probe-has-no-network"}
    assert named(found, "ruled_out") <= {"host-does-not-resolve", *ours, *answered}


@pytest.mark.parametrize("mask", MASKS)
def test_blindness_in_aws_is_never_proof(real: Catalogue, mask: str) -> None:
    """AWS denied, for each group too: nothing is confirmed by what could not be read."""
    facts = behind_auth(MASKS[mask])
    groups = TargetGroupsFacts(groups=tuple(group(s, failure=DENIED) for s in ("auth", "gateway", "mlflow")))
    found = concluded(real, [*facts.values(), *inside(**{**BLIND, "target_groups": groups}).values()])
    assert [d.cause for d in found.diagnoses if d.certainty == "confirmed"] == []


def test_targets_that_could_not_be_read_prove_and_deny_nothing(real: Catalogue) -> None:
    """DescribeTargetHealth denied for the auth group: neither empty nor on the wrong port nor right."""
    found = concluded(
        real,
        (
            behind_auth(bad_gateway()) | inside(target_groups=group_facts(auth=group("auth", failure=DENIED)))
        ).values(),
    )
    assert lines(found, "present") == ["- auth-service-down auth"]
    assert "target-port-mismatch" in named(found, "undecided")
    assert "target-group-empty" not in named(found, "ruled_out") | named(found, "present")


def test_a_rule_on_port_80_that_cannot_be_told_leaves_both_causes_open(real: Catalogue) -> None:
    """Missing or only on port 80: a rule that looks at a header cannot be decided from here."""
    header = rule("1", forward("gateway"), http_header=("x",))
    facts = outside(hosts=API_404) | inside(
        listener_rules=rules_facts(main=balancer("main", MAIN_DEFAULT, http=(header,)))
    )
    found = concluded(real, facts.values())
    assert lines(found, "present") == []
    assert named(found, "undecided") >= {"listener-rule-missing", "listener-rules-only-on-http"}


# --- not the platform's fault -------------------------------------------------------------------------


def test_a_dead_resolver_of_ours_blames_nobodys_records(real: Catalogue) -> None:
    """No name of the target resolves: our own resolver is as likely, so nothing is present."""
    lost = silence("dns", "does not exist")
    facts = behind_gateway(lost) | {
        "hosts": hosts_facts(auth=lost, registry=lost, api=lost),
        "key_validation": validation_facts(lost),
    }
    found = concluded(real, facts.values(), OUTSIDE)
    assert lines(found, "present") == []
    assert "host-does-not-resolve" in named(found, "undecided")


def test_a_certificate_is_not_a_service_that_is_down(real: Catalogue) -> None:
    """TLS failed at the auth host: the service behind it was never asked, so it is not called down."""
    facts = behind_auth(silence("tls", "the certificate does not hold: expired", path="/health"))
    found = concluded(real, facts.values(), OUTSIDE)
    assert "auth-service-down" not in named(found, "present")


def test_missing_credentials_of_ours_blame_us(real: Catalogue) -> None:
    """The one present cause is ours; a healthy platform stays healthy."""
    missing = AwsFailure(kind="credentials-missing", detail="no credentials")
    found = concluded(real, (outside() | {"aws": AwsIdentityFacts(failure=missing)}).values())
    assert lines(found, "present") == ["confirmed aws-credentials-missing aws"]
    assert [d.component for d in found.diagnoses if d.status == "present"] == ["probe"]


PLAIN = {
    "well": (answer(body="OK", content_type=HTML), None, []),
    "wrong prefix": (answer(body="OK", content_type=HTML), mlflow_404(path=SEARCH), []),
    "silent": (silence(), silence(), ["likely mlflow-down mlflow"]),
    "behind a proxy that finds nobody": (bad_gateway(), bad_gateway(), ["likely mlflow-down mlflow"]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_server_hears_nothing_of_load_balancers_and_ecs(real: Catalogue, name: str) -> None:
    """No gateway, no auth, no AWS: what is said of it is calm, and about MLflow."""
    health, search, present = PLAIN[name]
    found = concluded(real, [bare_facts(health), api_facts(search)], BARE)
    assert lines(found, "present") == present
    assert lines(found, "undecided") == []


# --- what is said of them -----------------------------------------------------------------------------


def present(real: Catalogue, name: str) -> Diagnosis:
    """The one present diagnosis of a story."""
    (found,) = (d for d in concluded(real, WITH_AWS[name][0].values()).diagnoses if d.status == "present")
    return found


SINGLE = [name for name, (_, told, _) in WITH_AWS.items() if len(told) == 1]


@pytest.mark.parametrize("name", SINGLE)
def test_evidence_cites_looks_that_exist_and_facts_that_were_there(real: Catalogue, name: str) -> None:
    """Every fact that evidence names can be found in the facts, with the value it gives."""
    found = present(real, name)
    assert found.evidence
    assert unfounded([found], WITH_AWS[name][0].values()) == []


@pytest.mark.parametrize("name", WITHOUT_AWS)
def test_evidence_from_outside_is_there_too(real: Catalogue, name: str) -> None:
    """Also that of what is undecided."""
    facts = WITHOUT_AWS[name][0].values()
    assert unfounded(concluded(real, facts, OUTSIDE).diagnoses, facts) == []


def test_evidence_of_a_refused_connection_is_its_failure(real: Catalogue) -> None:
    """There is no status to cite."""
    facts = behind_auth(silence()).values()
    found = concluded(real, facts, OUTSIDE)
    cited = {(e.probe, e.fact, e.value) for d in found.diagnoses for e in d.evidence}
    assert ("hosts", "hosts.auth.health.failure.kind", "refused") in cited
    assert unfounded(found.diagnoses, facts) == []


def test_evidence_that_is_not_there_is_found_out(real: Catalogue) -> None:
    """The measure measures: a place that the facts do not have, another value, facts that nobody gave."""
    found = present(real, "target-port-mismatch")
    facts = WITH_AWS["target-port-mismatch"][0]
    other = found.evidence[1].model_copy(update={"value": 8000})
    lost = found.evidence[1].model_copy(update={"fact": "groups[9].targets[0].port"})
    assert [e.fact for e in found.evidence] == ["hosts.auth.health.status", "groups[0].targets[0].port"]
    assert len(unfounded([found.model_copy(update={"evidence": (other, lost)})], facts.values())) == 2
    assert len(unfounded([found], [])) == 2


@pytest.mark.parametrize("name", SINGLE)
def test_a_remedy_can_be_verified_and_undone(real: Catalogue, name: str) -> None:
    """It says what it does, how to go back, and the command that shows that it helped."""
    found = present(real, name)
    remedy = found.remedy
    assert remedy is not None
    assert remedy.summary
    assert remedy.rollback
    assert remedy.verify.startswith(("hokusai-probe verify ", "hokusai-probe doctor", "hokusai-probe run "))
    verb, _, slug = remedy.verify.removeprefix("hokusai-probe ").partition(" ")
    assert verb != "verify" or slug == found.cause
    assert remedy.kind != "automatic" or not any("<" in line for line in remedy.aws_cli)


def test_a_port_remedy_moves_the_serving_target_only(real: Catalogue) -> None:
    """A target that is draining belongs to a task that is going: it is not registered anew."""
    targets = (registered(9000, "unhealthy", "10.0.1.10"), registered(9000, "draining", "10.0.1.99"))
    facts = behind_auth(bad_gateway()) | inside(target_groups=group_facts(auth=group("auth", *targets)))
    (found,) = (d for d in concluded(real, facts.values()).diagnoses if d.status == "present")
    assert found.remedy is not None
    assert not any("10.0.1.99" in line and " register-targets" in line for line in found.remedy.aws_cli)


def test_causes_name_only_causes_that_exist_or_are_catalogued(real: Catalogue) -> None:
    """Entailment names known causes; every cause has a source and says what looks like it."""
    slugs = set(real.causes)
    assert {e for c in real.causes.values() for e in c.entails} <= slugs
    assert [c.slug for c in real.causes.values() if not c.source or not c.look_alikes] == []
    assert [c.slug for c in real.causes.values() if c.slug in c.look_alikes or c.slug in c.entails] == []
    assert [c.slug for c in real.causes.values() if c.fallback and not c.slug.endswith("-down")] == []


def test_entailment_has_no_loop(real: Catalogue) -> None:
    """A cause is never its own consequence, however far."""
    deeper = {c.slug: set(c.entails) for c in real.causes.values()}
    for slug, nearest in deeper.items():
        seen: set[str] = set()
        todo = set(nearest)
        while todo - seen:
            seen |= todo
            todo = {e for s in todo for e in deeper[s]}
        assert slug not in seen


def test_the_made_facts_are_what_they_say() -> None:
    """The tables above lean on these shapes."""
    assert answer(body=GATEWAY_OK).json() == GATEWAY_OK
    assert NO_MODEL["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert NOT_FOUND.type == "fixed-response"
    assert discovery_facts().leads("http://mlflow.hokusai.local:5000") == "somewhere"


def test_ten_thousand_observations_are_diagnosed_within_a_second(real: Catalogue) -> None:
    """However much other packages' looks record, what is known of the platform is judged as quickly."""
    seen, verdicts = judged(real, WITH_AWS["target-port-mismatch"][0].values(), TARGET)
    fillers = (o.model_copy(update={"probe": f"{o.probe}-{n}"}) for n in count() for o in seen)
    many = (*seen, *islice(fillers, 10_000 - len(seen)))

    began = time.process_time()
    again = diagnose(real, many, judge(real, many, TARGET, frozenset(real.checks)), TARGET)

    assert time.process_time() - began < 1.0
    assert again == diagnose(real, seen, verdicts, TARGET)
