"""Every check against facts made by hand: what passes, what fails, and with which words."""

from typing import Any

import pytest
from _deaths import ROLLED_BACK, STALLED, UNDER_WAY
from _facts import (
    AUTH_RULES,
    BARE,
    DENIED,
    GATEWAY_OK,
    HTML,
    JSON,
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
    bare_facts,
    definition_facts,
    discovery_facts,
    ecs_facts,
    fixed_404,
    form_facts,
    forward,
    gone,
    group,
    group_arn,
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
    validation_facts,
)

from hokusai_probe import config
from hokusai_probe.answers import said
from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import judge
from hokusai_probe.failures import Failure
from hokusai_probe.model import Facts, Observation, Target, Verdict
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.hosts import is_bare
from hokusai_probe.probes.listener_rules import Action, Balancer, ListenerRulesFacts, route
from hokusai_probe.probes.mlflow_api import MlflowApiFacts, is_search_result
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.public_paths import MLFLOW_HEALTH, PublicPathsFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts
from hokusai_probe.probes.trained_model import TrainedModelFacts

LOGIN = '<html><form action="/login"><input type="password"></form></html>'
Told = tuple[str, str | None, str]
PASS: Told = ("pass", None, "")


def verdict(real: Catalogue, check: str, *facts: Facts, target: Target = TARGET) -> Verdict:
    """The verdict of one real check on these facts; further looks it may read are not there."""
    seen = [
        Observation(probe=f.probe, started_at="2025-08-05T09:27:00Z", duration_s=0.1, status="seen", facts=f)
        for f in facts
    ]
    (found,) = judge(real, seen, target, frozenset({check}))
    return found


def told(found: Verdict) -> Told:
    """What a verdict says."""
    return found.status, found.skip_kind, found.reason


def failing(reason: str) -> Told:
    """A failure in these words."""
    return "fail", None, reason


def skipped(kind: str, reason: str) -> Told:
    """A skip in these words."""
    return "skip", kind, reason


# --- registering --------------------------------------------------------------------------------------

READ_BACK = {
    "run": {
        "data": {
            "metrics": [{"key": "accuracy", "value": 0.8725}],
            "params": [{"key": "alpha", "value": "0.01"}],
            "tags": [{"key": "hkprobe", "value": "1"}],
        }
    }
}
FOUND = {"registered_models": [{"name": "hkprobe-x"}]}


def registered_facts(**changed: Any) -> RegistrationFacts:
    """A registration that went well, some of it changed."""
    ok = answer(body={})
    done = dict.fromkeys(("experiment", "run", "logged", "model", "version", "version_read", "upload"), ok)
    done |= {"experiment": answer(body={"experiment": {"experiment_id": "1"}})}
    done |= {"run_read": answer(body=READ_BACK), "models_found": answer(body=FOUND)}
    done |= {"download": answer(body="x", sha256="abc")}
    return RegistrationFacts(**({"name": "hkprobe-x", "sent_sha256": "abc"} | done | changed))


def trained_facts(**changed: Any) -> TrainedModelFacts:
    """A model that came back and predicts the same, some of it changed."""
    ok = (answer(body="{}"),)
    given = {"uploads": ok, "downloads": ok, "before": ((0.5, 0.5),), "after": ((0.5, 0.5),)}
    return TrainedModelFacts(**(given | changed))


FORBIDDEN = answer(403, {"detail": "no", "error": "FORBIDDEN"}, path="/p", method="PUT")
SLOW = silence("timeout", "no whole answer within 20 s")
GATEWAY = "https://registry.example"
VALIDATE = "/api/v1/keys/validate"


def gateway_with(url: str | None) -> TaskDefinitionsFacts:
    """Only the gateway's definition, with this address of MLflow."""
    variables = {} if url is None else {"MLFLOW_SERVER_URL": url}
    return TaskDefinitionsFacts(definitions={"gateway": TaskDefinition(arn="g:1", addresses=variables)})


ROWS: list[tuple[str, tuple[Facts, ...], Told]] = [
    # hosts
    (
        "api-host-answers",
        (hosts_facts(api=answer(503, {"status": "unhealthy", "services": {"mlflow": "unhealthy"}})),),
        PASS,
    ),
    (
        "api-host-answers",
        (hosts_facts(api=answer(503, {"detail": "Service Unavailable"})),),
        failing(f"GET {GATEWAY}/health: 503 from the gateway ('Service Unavailable')"),
    ),
    ("auth-host-answers", (hosts_facts(),), PASS),
    (
        "auth-host-answers",
        (hosts_facts(auth=bad_gateway()),),
        failing(f"GET {GATEWAY}/health: 502 from the load balancer itself (text/html)"),
    ),
    (
        "auth-host-answers",
        (hosts_facts(auth=answer(body=GATEWAY_OK)),),
        failing(f"GET {GATEWAY}/health: 200 from the gateway (application/json)"),
    ),
    ("registry-host-answers", (hosts_facts(),), PASS),
    (
        "registry-host-answers",
        (hosts_facts(registry=answer(body="<p>It works!</p>", content_type=HTML)),),
        failing(f"GET {GATEWAY}/health: 200 from an unknown sender (text/html)"),
    ),
    ("registry-host-answers", (bare_facts(answer(body="OK", content_type=HTML)),), PASS),
    (
        "registry-host-answers",
        (bare_facts(answer(body="<title>Sign in</title>", content_type=HTML)),),
        failing(f"GET {GATEWAY}/health: 200 from an unknown sender (text/html)"),
    ),
    ("api-host-answers", (hosts_facts(),), PASS),
    (
        "api-host-answers",
        (hosts_facts(api=fixed_404()),),
        failing(f"GET {GATEWAY}/health: 404 from the load balancer itself (text/plain)"),
    ),
    (
        "api-host-answers",
        (bare_facts(answer()),),
        skipped("not-applicable", "the target has no api host"),
    ),
    ("hosts-take-connections", (hosts_facts(auth=bad_gateway()),), PASS),
    (
        "hosts-take-connections",
        (hosts_facts(api=silence(path="/health")),),
        failing(f"{GATEWAY}/health: no answer (refused: connecting was refused)"),
    ),
    (
        "hosts-take-connections",
        (hosts_facts(api=silence("dns", "does not exist")),),
        skipped("cannot-tell", "api: the name has no address"),
    ),
    (
        "hosts-take-connections",
        (bare_facts(silence()),),
        skipped("not-applicable", "a plain server has no listener apart from itself"),
    ),
    ("plain-http-is-redirected", (rules_facts(),), PASS),
    (
        "plain-http-is-redirected",
        (rules_facts(main=balancer("main", MAIN_RULE, MAIN_DEFAULT, plain=forward("gateway"))),),
        failing("main answers plain http on port 80 with forward in place of a redirect to https"),
    ),
    (
        "plain-http-is-redirected",
        (
            rules_facts(
                main=balancer("main", MAIN_DEFAULT, plain=Action(type="redirect", redirect="HTTP:8080"))
            ),
        ),
        failing("main answers plain http on port 80 with redirect HTTP:8080 in place of a redirect to https"),
    ),
    (
        "plain-http-is-redirected",
        (rules_facts(main=Balancer(name="main", failure=DENIED)),),
        skipped("cannot-tell", "not every load balancer could be read"),
    ),
    ("promised-paths-are-routed", (rules_facts(), ecs_facts(), group_facts()), PASS),
    (
        "promised-paths-are-routed",
        (
            rules_facts(
                main=balancer("main", rule("1", forward("gateway"), path_pattern=("/health",)), MAIN_DEFAULT)
            ),
            ecs_facts(),
            group_facts(),
        ),
        failing(f"rule default of the api host answers {SEARCH} with fixed-response 404"),
    ),
    # public paths
    ("public-paths-answer", (path_facts(),), PASS),
    (
        "public-paths-answer",
        (
            path_facts(
                public=[
                    answer(body=GATEWAY_OK),
                    refusal(401, "API key required", path="/ready"),
                    silence(path="/live"),
                ]
            ),
        ),
        failing(
            "/ready: 401 from the gateway ('API key required'); "
            "/live: no answer (refused: connecting was refused)"
        ),
    ),
    *(
        ("public-paths-answer", (path_facts(public=[given]),), failing(f"{given.path}: {said(given)}"))
        for given in (
            answer(503, "<html>Our site is being mended</html>", HTML),
            answer(302, "", HTML, path="/docs"),
            answer(200, LOGIN, HTML, path="/docs"),
            answer(200, LOGIN, HTML),
            answer(200, {}, path="/version"),
        )
    ),
    *(
        ("public-paths-answer", (path_facts(public=[given]),), PASS)
        for given in (
            refusal(503, "unhealthy", path=MLFLOW_HEALTH),
            answer(503, {"ready": False}, path="/ready"),
            answer(200, "<html><title>API - Swagger UI</title></html>", HTML, path="/docs"),
            answer(200, '{"openapi": "3.1.0", "paths": {', JSON, path="/openapi.json", truncated=True),
            answer(200, "up 1", path="/metrics"),
        )
    ),
    (
        "public-paths-answer",
        (PublicPathsFacts(),),
        skipped("not-applicable", "the target lists no public paths"),
    ),
    (
        "gateway-says-mlflow-is-well",
        (path_facts(public=[answer(body=GATEWAY_OK, path=MLFLOW_HEALTH)]),),
        PASS,
    ),
    (
        "gateway-says-mlflow-is-well",
        (path_facts(public=[answer(body={"status": "degraded"}, path=MLFLOW_HEALTH)]),),
        failing(f"{MLFLOW_HEALTH}: 200, and its body says degraded"),
    ),
    (
        "gateway-says-mlflow-is-well",
        (path_facts(public=[answer(200, LOGIN, HTML, path=MLFLOW_HEALTH)]),),
        failing(f"{MLFLOW_HEALTH}: 200 from an unknown sender (text/html)"),
    ),
    (
        "gateway-says-mlflow-is-well",
        (path_facts(public=[answer(body={"up": 1}, path=MLFLOW_HEALTH)]),),
        skipped("cannot-tell", f"{MLFLOW_HEALTH} does not say how MLflow is"),
    ),
    (
        "gateway-says-mlflow-is-well",
        (
            path_facts(),
            HealthBodiesFacts(answers={MLFLOW_HEALTH: answer(body=GATEWAY_OK, path=MLFLOW_HEALTH)}),
        ),
        PASS,
    ),
    (
        "gateway-says-mlflow-is-well",
        (
            path_facts(public=[refusal(401, "API key required", path=MLFLOW_HEALTH)]),
            HealthBodiesFacts(answers={MLFLOW_HEALTH: refusal(503, "unhealthy", path=MLFLOW_HEALTH)}),
        ),
        failing(f"{MLFLOW_HEALTH}: 503 from the gateway ('unhealthy')"),
    ),
    (
        "gateway-says-mlflow-is-well",
        (path_facts(),),
        skipped("not-applicable", f"{MLFLOW_HEALTH} is not among the target's public paths"),
    ),
    (
        "gateway-says-mlflow-is-well",
        (path_facts(public=[refusal(503, "unhealthy", path=MLFLOW_HEALTH)]),),
        failing(f"{MLFLOW_HEALTH}: 503 from the gateway ('unhealthy')"),
    ),
    (
        "gateway-says-mlflow-is-well",
        (path_facts(public=[refusal(401, "API key required", path=MLFLOW_HEALTH)]),),
        skipped("cannot-tell", f"{MLFLOW_HEALTH} asks for a key here"),
    ),
    ("required-paths-reach-gateway", (path_facts(),), PASS),
    (
        "required-paths-reach-gateway",
        (path_facts(required=[mlflow_404(path=SEARCH)]),),
        failing(f"{SEARCH}: 404 from MLflow (text/html)"),
    ),
    (
        "required-paths-reach-gateway",
        (path_facts(required=[refusal(404, "Not Found", path="/x")]),),
        failing("/x: 404 from the gateway ('Not Found')"),
    ),
    # keys
    ("no-key-is-refused", (no_key_facts(),), PASS),
    (
        "no-key-is-refused",
        (no_key_facts(answer(body={"experiments": []})),),
        failing("without a key: 200 from an unknown sender (application/json)"),
    ),
    (
        "no-key-is-refused",
        (no_key_facts(refusal(401, "Authentication service error")),),
        failing("without a key: 401 from the gateway ('Authentication service error')"),
    ),
    ("invalid-keys-are-refused", (invalid_facts(),), PASS),
    (
        "invalid-keys-are-refused",
        (invalid_facts(fakes=refusal(401, "Authentication service error")),),
        failing("a made-up key (unknown) gets 401 from the gateway ('Authentication service error')"),
    ),
    (
        "invalid-keys-are-refused",
        (invalid_facts(fakes=refusal(404, "Not Found")),),
        failing("a made-up key (unknown) gets 404 from the gateway ('Not Found')"),
    ),
    *(
        row
        for check, sent in (
            ("bearer-is-accepted", "sent as a Bearer token the key gets"),
            ("apikey-is-accepted", "sent under the scheme ApiKey the key gets"),
            ("x-api-key-is-accepted", "sent in the header X-API-Key the key gets"),
        )
        for row in (
            (check, (form_facts(),), PASS),
            (
                check,
                (form_facts(refusal(401, "Invalid or expired API key")),),
                failing(f"{sent} 401 from the gateway ('Invalid or expired API key')"),
            ),
            (
                check,
                (form_facts(mlflow_404()),),
                failing(f"{sent} 404 from MLflow (text/html)"),
            ),
        )
    ),
    ("refusals-repeat-no-key", (invalid_facts(),), PASS),
    (
        "refusals-repeat-no-key",
        (invalid_facts(fakes=refusal(401, "Invalid or expired API key: [redacted]", echoes=True)),),
        failing("/health: the answer repeats the key"),
    ),
    (
        "refusals-repeat-no-key",
        (invalid_facts(fakes=refusal(401, "Send Authorization: Bearer [redacted]", echoes=False)),),
        PASS,
    ),
    (
        "refusals-repeat-no-key",
        (invalid_facts(fakes=refusal(401, "Invalid or expired API key")),),
        skipped("cannot-tell", "the gateway answered no request with a made-up key"),
    ),
    (
        "refusals-repeat-no-key",
        (invalid_facts(fakes=bad_gateway()),),
        skipped("cannot-tell", "the gateway answered no request with a made-up key"),
    ),
    ("malformed-forms-are-refused", (invalid_facts(),), PASS),
    (
        "malformed-forms-are-refused",
        (invalid_facts(basic=refusal(404, "Not Found")),),
        failing("a key in the form basic gets 404 from the gateway ('Not Found')"),
    ),
    (
        "malformed-forms-are-refused",  # 401 for another reason: the form was taken and auth was asked
        (invalid_facts(raw=refusal(401, "Authentication service error")),),
        failing("a key in the form raw gets 401 from the gateway ('Authentication service error')"),
    ),
    ("auth-accepts-the-key", (validation_facts(),), PASS),
    (
        "auth-accepts-the-key",
        (validation_facts(refusal(401, "Invalid or expired API key")),),
        failing(f"{VALIDATE}: 401 from the auth service ('Invalid or expired API key')"),
    ),
    (
        "auth-accepts-the-key",
        (validation_facts(answer(body={"is_valid": False})),),
        failing(f"{VALIDATE}: 200 from an unknown sender (application/json)"),
    ),
    ("validation-is-in-time", (validation_facts(),), PASS),
    (
        "validation-is-in-time",
        (validation_facts(refusal(401, "API key not found or invalid", elapsed_s=6.0)),),
        failing(
            f"{VALIDATE}: 401 from the auth service ('API key not found or invalid') took 6.0 s; "
            "the gateway waits 5 s"
        ),
    ),
    (
        "validation-is-in-time",  # everything is as slow: our machine or the way
        (
            validation_facts(
                refusal(401, "unknown", elapsed_s=6.0), unknown=refusal(404, "Not Found", elapsed_s=5.5)
            ),
        ),
        PASS,
    ),
    (
        "validation-is-in-time",
        (validation_facts(bad_gateway()),),
        skipped(
            "blocked",
            f"{VALIDATE}: 502 from the load balancer itself (text/html), so there is no verdict whose time "
            "could be taken",
        ),
    ),
    ("refusals-are-about-the-key", (no_key_facts(), form_facts(), invalid_facts()), PASS),
    (
        "refusals-are-about-the-key",
        (no_key_facts(), form_facts(refusal(401, "Authentication service timeout"))),
        failing("/health: 401 from the gateway ('Authentication service timeout')"),
    ),
    (
        "refusals-are-about-the-key",
        (no_key_facts(), invalid_facts(refusal(401, "Rate limit exceeded"))),
        failing("/health: 401 from the gateway ('Rate limit exceeded')"),
    ),
    (
        "refusals-are-about-the-key",
        (no_key_facts(), form_facts(refusal(503, "Authentication service timeout"))),
        PASS,
    ),
    (
        "refusals-are-about-the-key",
        (no_key_facts(),),
        skipped("cannot-tell", "the gateway answered no request with a key"),
    ),
    # MLflow's API
    ("experiments-can-be-searched", (api_facts(),), PASS),
    ("experiments-can-be-searched", (api_facts(answer(body={})),), PASS),
    (
        "experiments-can-be-searched",
        (api_facts(answer(body="<title>Sign in</title>", content_type=HTML, path=SEARCH)),),
        failing(f"{SEARCH}: 200 from an unknown sender (text/html)"),
    ),
    (
        "experiments-can-be-searched",
        (api_facts(answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE"}, path=SEARCH)),),
        failing(f"{SEARCH}: 503 from MLflow ('TEMPORARILY_UNAVAILABLE')"),
    ),
    ("unknown-model-is-mlflows-404", (api_facts(),), PASS),
    (
        "unknown-model-is-mlflows-404",
        (api_facts(unknown_model=answer(404, {"error_code": "RESOURCE_NOT_FOUND"}, path="/m")),),
        failing("/m: 404 from the gateway ('RESOURCE_NOT_FOUND')"),
    ),
    (
        "unknown-model-is-mlflows-404",
        (api_facts(unknown_model=answer(200, NO_MODEL, path="/m")),),
        failing("/m: 200 from MLflow ('RESOURCE_DOES_NOT_EXIST')"),
    ),
    ("errors-give-nothing-away", (api_facts(),), PASS),
    (
        "errors-give-nothing-away",
        (api_facts(silence(), silence()),),
        skipped("cannot-tell", "neither of them gave an error"),
    ),
    (
        "errors-give-nothing-away",
        (api_facts(answer(503, "(psycopg2.OperationalError) could not connect", path=SEARCH)),),
        failing(f"GET {SEARCH}: the error shows SQL or the database driver's words"),
    ),
    # registering
    ("experiment-can-be-made", (registered_facts(),), PASS),
    (
        "experiment-can-be-made",
        (registered_facts(experiment=FORBIDDEN),),
        failing("experiment: 403 from the gateway ('no')"),
    ),
    ("run-can-be-logged", (registered_facts(),), PASS),
    (
        "run-can-be-logged",
        (registered_facts(run=FORBIDDEN),),
        failing("runs/create: 403 from the gateway ('no')"),
    ),
    (
        "run-can-be-logged",
        (registered_facts(logged=answer(500, {"error_code": "INTERNAL_ERROR"})),),
        failing("runs/log-batch: 500 from MLflow ('INTERNAL_ERROR')"),
    ),
    (
        "run-can-be-logged",
        (registered_facts(run_read=answer(body={"run": {"data": {"metrics": [{"value": 0.8725}]}}})),),
        failing("the run was read back without its metrics and params and tags"),
    ),
    (
        "run-can-be-logged",
        (registered_facts(run=None, stopped="/runs/create: no answer"),),
        skipped("blocked", "/runs/create: no answer"),
    ),
    ("model-can-be-registered", (registered_facts(),), PASS),
    (
        "model-can-be-registered",
        (registered_facts(model=FORBIDDEN, version=None),),
        failing("registered-models/create: 403 from the gateway ('no')"),
    ),
    (
        "model-can-be-registered",
        (registered_facts(version=answer(400, {"error_code": "INVALID_PARAMETER_VALUE"})),),
        failing("model-versions/create: 400 from MLflow ('INVALID_PARAMETER_VALUE')"),
    ),
    ("model-can-be-retrieved", (registered_facts(),), PASS),
    (
        "model-can-be-retrieved",
        (registered_facts(models_found=answer(body={})),),
        failing("the model was registered and searching does not find it"),
    ),
    (
        "model-can-be-retrieved",
        (registered_facts(models_found=answer(body={}), version_read=None),),
        skipped("blocked", "no model was registered, so there is none to find"),
    ),
    ("artifact-survives", (registered_facts(),), PASS),
    (
        "artifact-survives",
        (registered_facts(upload=mlflow_404()),),
        failing("storing: 404 from MLflow (text/html)"),
    ),
    (
        "artifact-survives",
        (registered_facts(download=answer(body="y", sha256="def", path="/a")),),
        failing("/a: what came back is not what was sent"),
    ),
    (
        "artifact-survives",  # cut off in the middle: there is no digest to compare
        (
            registered_facts(
                download=answer(body="y", path="/a", failure=Failure(kind="reset", detail="cut"))
            ),
        ),
        failing("fetching: no answer (reset: cut)"),
    ),
    ("trained-model-predicts-the-same", (trained_facts(),), PASS),
    (
        "trained-model-predicts-the-same",
        (trained_facts(uploads=(FORBIDDEN,), after=None),),
        failing("PUT /p: 403 from the gateway ('no')"),
    ),
    (
        "trained-model-predicts-the-same",
        (trained_facts(after=((0.4, 0.6),)),),
        failing("the fetched model predicts something else"),
    ),
    # AWS
    ("aws-knows-us", (AwsIdentityFacts(failure=None),), PASS),
    (
        "aws-knows-us",
        (AwsIdentityFacts(failure=DENIED),),
        ("error", None, "sts:GetCallerIdentity: denied (not authorised)"),
    ),
    ("deployments-went-through", (ecs_facts(),), PASS),
    (
        "deployments-went-through",
        (ecs_facts(gateway=ROLLED_BACK),),
        failing(f"{gone('gateway')['name']} was rolled back: rolling back to deployment ecs-svc/1."),
    ),
    (
        "deployments-went-through",
        (ecs_facts(auth=STALLED),),
        failing(f"the deployment ecs-svc/2 of {gone('auth')['name']} fails: 3 failed tasks"),
    ),
    ("deployments-went-through", (ecs_facts(mlflow=UNDER_WAY),), PASS),
    (
        "deployments-went-through",
        (EcsServicesFacts(cluster="c", failure=DENIED),),
        skipped("cannot-tell", "ecs:DescribeServices: denied"),
    ),
    (
        "deployments-went-through",
        (ecs_facts(auth=gone("auth"), gateway=gone("gateway"), mlflow=gone("mlflow")),),
        skipped("not-applicable", "there is no ECS service that could be deployed"),
    ),
    *(
        row
        for service in ("auth", "gateway", "mlflow")
        for row in (
            (f"{service}-tasks-run", (ecs_facts(),), PASS),
            (
                f"{service}-tasks-run",
                (ecs_facts(**{service: gone(service)}),),
                failing(f"ECS has no service {gone(service)['name']} in cluster hokusai-development"),
            ),
            (
                f"{service}-tasks-run",
                (ecs_facts(**{service: {"desired": 0, "running": 0}}),),
                failing(f"{gone(service)['name']} is scaled to zero"),
            ),
            (
                f"{service}-tasks-run",
                (ecs_facts(**{service: {"desired": 2}}),),
                failing(f"{gone(service)['name']} runs 1 of 2 tasks"),
            ),
            (
                f"{service}-tasks-run",
                (EcsServicesFacts(cluster="c", failure=DENIED),),
                skipped("cannot-tell", "ecs:DescribeServices: denied"),
            ),
            (f"{service}-targets-healthy", (group_facts(),), PASS),
            (
                f"{service}-targets-healthy",
                (group_facts(**{service: group(service)}),),
                failing(f"{service}-tg has no registered target"),
            ),
            (
                f"{service}-targets-healthy",
                (
                    group_facts(
                        **{service: group(service, registered(9, "unhealthy", reason="Target.Timeout"))}
                    ),
                ),
                failing(f"{service}-tg has no healthy target: 10.0.1.10:9 unhealthy Target.Timeout"),
            ),
            (
                f"{service}-targets-healthy",
                (group_facts(**{service: group(service, registered(9, "draining"))}),),
                failing(f"{service}-tg has no registered target"),
            ),
            (
                f"{service}-targets-healthy",
                (group_facts(**{service: group(service, registered(1), registered(2, "draining"))}),),
                PASS,
            ),
            (
                f"{service}-targets-healthy",
                (TargetGroupsFacts(failure=DENIED),),
                skipped("cannot-tell", "elasticloadbalancing:DescribeTargetGroups: denied"),
            ),
        )
    ),
    ("gateway-names-an-existing-mlflow", (definition_facts(), discovery_facts()), PASS),
    (
        "gateway-names-an-existing-mlflow",
        (definition_facts("http://mlflow.old.local:5000"), discovery_facts()),
        failing(
            "MLFLOW_SERVER_URL is http://mlflow.old.local:5000, "
            "which leads into a private zone that does not exist"
        ),
    ),
    (
        "gateway-names-an-existing-mlflow",
        (definition_facts(), discovery_facts(mlflow=())),
        failing(
            "MLFLOW_SERVER_URL is http://mlflow.hokusai.local:5000/mlflow, "
            "which leads to a private name with no address registered"
        ),
    ),
    (
        "gateway-names-an-existing-mlflow",
        (gateway_with(None), discovery_facts()),
        skipped("cannot-tell", "MLFLOW_SERVER_URL is not in the gateway's task definition"),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{check}-{i}" for i, (check, *_) in enumerate(ROWS)])
def test_each_check_says_what_the_facts_show(
    real: Catalogue, row: tuple[str, tuple[Facts, ...], Told]
) -> None:
    """Passes on healthy facts, fails in these words on broken ones, and owns up where it cannot tell."""
    check, facts, expected = row
    assert told(verdict(real, check, *facts)) == expected


RULES = {
    "auth-rules-lead-to-auth": ("auth", VALIDATE, "gateway", "auth"),
    "registry-rules-lead-to-gateway": ("registry", SEARCH, "mlflow", "gateway"),
    "api-rules-lead-to-gateway": ("main", "/health", "auth", "gateway"),
}


@pytest.mark.parametrize("check", RULES)
def test_rules_lead_to_the_service_they_should(real: Catalogue, check: str) -> None:
    """Right on the healthy layout; a wrong group, a fixed response, a missing listener are named."""
    name, path, wrong, right = RULES[check]
    stray = balancer(name, rule("7", forward(wrong), path_pattern=("/*",)), rule("default", forward(right)))
    fixed = balancer(name, rule("default", NOT_FOUND))
    ecs = ecs_facts()
    assert told(verdict(real, check, rules_facts(), ecs)) == PASS
    assert told(verdict(real, check, rules_facts(**{name: stray}), ecs)) == failing(
        f"rule 7 sends {path} to the {wrong} target group; it belongs to the {right}"
    )
    assert told(verdict(real, check, rules_facts(**{name: fixed}), ecs)) == failing(
        f"rule default answers {path} with fixed-response 404"
    )
    assert told(verdict(real, check, rules_facts(**{name: Balancer(name="x")}), ecs)) == failing(
        "x has no listener on port 443"
    )


def test_rules_that_cannot_be_read_or_decided_are_said_to_be_so(real: Catalogue) -> None:
    """Denied, deciding by a header, or no load balancer named: no verdict, and the reason."""
    check, ecs = "api-rules-lead-to-gateway", ecs_facts()
    denied = rules_facts(main=Balancer(name="main", failure=DENIED))
    header = rules_facts(main=balancer("main", rule("1", forward("auth"), http_header=("x",)), MAIN_DEFAULT))
    assert told(verdict(real, check, denied, ecs)) == skipped(
        "cannot-tell", "the api host's load balancer could not be read"
    )
    assert told(verdict(real, check, header, ecs)) == skipped(
        "cannot-tell", "the rules for /health look at more than host and path"
    )
    assert told(verdict(real, check, ListenerRulesFacts(balancers={}), ecs)) == skipped(
        "not-applicable", "the target names no load balancer for the api host"
    )


@pytest.mark.parametrize(
    ("ecs", "kind"),
    [
        ((), "cannot-tell"),
        ((ecs_facts(gateway=gone("gateway")),), "blocked"),
        ((EcsServicesFacts(cluster="c", failure=DENIED),), "cannot-tell"),
    ],
)
def test_a_group_that_no_known_service_owns_decides_nothing(
    real: Catalogue, ecs: tuple[Facts, ...], kind: str
) -> None:
    """A rule that forwards to nobody known is not a pass; that its service is gone counts against it."""
    found = verdict(real, "registry-rules-lead-to-gateway", rules_facts(), *ecs)
    assert (found.status, found.skip_kind) == ("skip", kind)


def test_targets_that_could_not_be_read_are_not_missing(real: Catalogue) -> None:
    """DescribeTargetHealth denied for one group: that is our blindness, not an empty target group."""
    facts = group_facts(auth=group("auth", failure=DENIED))
    found = verdict(real, "auth-targets-healthy", facts)
    assert (found.status, found.skip_kind) == ("skip", "cannot-tell")


def test_every_check_passes_on_a_healthy_platform(real: Catalogue) -> None:
    """Of the checks on outside facts and AWS facts none complains of the healthy layout."""
    facts = [*outside().values(), *inside().values()]
    seen = [
        Observation(probe=f.probe, started_at="2025-08-05T09:27:00Z", duration_s=0.1, status="seen", facts=f)
        for f in facts
    ]
    judged = judge(real, seen, TARGET, frozenset(real.checks))
    assert {told(v) for v in judged if v.skip_kind != "not-applicable"} == {PASS}
    assert {v.probe for v in judged} >= {"hosts", "key-forms", "listener-rules", "service-discovery"}


def test_every_check_of_these_looks_has_a_row_that_passes_and_one_that_fails(real: Catalogue) -> None:
    """A check that nothing here makes fail would be a check that cannot fail."""
    tested = {real.checks[check].probe for check in {*RULES, *(row[0] for row in ROWS)}}
    theirs = {check.slug for check in real.checks.values() if check.probe in tested}
    passing = {check for check, _, expected in ROWS if expected == PASS}
    complaining = {check for check, _, expected in ROWS if expected[0] in {"fail", "error"}}
    assert (theirs - passing - set(RULES), theirs - complaining - set(RULES)) == (set(), set())


# --- parts of looks that are pure -----------------------------------------------------------------------

ROUTES: list[tuple[tuple[Any, ...], str, str, str | None]] = [
    (AUTH_RULES, "auth.hokus.ai", "/api/v1/keys/validate", "100"),
    (AUTH_RULES, "auth.hokus.ai", "/elsewhere", "default"),
    (REGISTRY_RULES, "registry.hokus.ai", "/mlflow/x", "default"),  # the rule wants a private source
    (REGISTRY_RULES, "registry.hokus.ai", SEARCH, "110"),
    (REGISTRY_RULES, "registry.hokus.ai", "/api/MLFLOW/x", "120"),  # AWS: paths are case-sensitive
    ((rule("1", NOT_FOUND, host_header=("*.HOKUS.ai",)),), "api.hokus.ai", "/", "1"),  # host names are not
    ((rule("1", NOT_FOUND, path_pattern=("/a?c",)),), "h", "/abc", "1"),
    ((rule("1", NOT_FOUND, path_pattern=("/[ab]",)),), "h", "/a", None),  # brackets are themselves
    ((rule("1", NOT_FOUND, path_pattern=("/[ab]",)),), "h", "/[ab]", "1"),
    ((rule("1", NOT_FOUND, path_pattern=("/a", "/b")), MAIN_DEFAULT), "h", "/b", "1"),
    ((rule("1", NOT_FOUND, path_pattern=("/a",), host_header=("x",)), MAIN_DEFAULT), "h", "/a", "default"),
    ((rule("1", NOT_FOUND, http_header=("x",)), MAIN_DEFAULT), "h", "/a", None),
    ((rule("1", NOT_FOUND, http_header=("x",), path_pattern=("/b",)), MAIN_DEFAULT), "h", "/a", "default"),
    ((MAIN_RULE, rule("200", NOT_FOUND, http_request_method=("POST",))), "h", "/health", "100"),
]


@pytest.mark.parametrize(("rules", "host", "path", "priority"), ROUTES)
def test_a_request_goes_where_aws_would_send_it(
    rules: tuple[Any, ...], host: str, path: str, priority: str | None
) -> None:
    """By priority, all conditions of a rule, any value of a condition; None where that cannot be told."""
    (listener, _) = balancer("x", *rules).listeners
    found = route(listener, host, path)
    assert (found.priority if found else None) == priority


LEADS = {
    "http://mlflow.hokusai.local:5000/mlflow": "somewhere",
    "http://mlflow.hokusai.local.:5000": "somewhere",
    "http://other.hokusai.local": "no-such-name",
    "http://mlflow.elsewhere.local": "no-such-zone",
    "http://gone.hokusai.local": "to-nothing",
    "http://10.0.1.173:5000": "unknown",
    "https://registry.hokus.ai/mlflow": "unknown",
    "no url": "unknown",
}


@pytest.mark.parametrize("url", LEADS)
def test_private_names_lead_where_cloud_map_says(url: str) -> None:
    """Public names and addresses are not its business."""
    assert discovery_facts(gone=()).leads(url) == LEADS[url]
    assert ServiceDiscoveryFacts(failure=DENIED).leads(url) == "unknown"


@pytest.mark.parametrize("hosted", [None, ("elsewhere.local",), ("local",)])
def test_a_zone_outside_cloud_map_is_no_missing_zone(hosted: tuple[str, ...] | None) -> None:
    """What Route 53 holds, or was not asked for, may well have the name."""
    facts = discovery_facts().model_copy(update={"hosted": hosted})
    assert facts.leads("http://mlflow.elsewhere.local") == "unknown"


TARGETS = [(TARGET, False), (OUTSIDE, False), (BARE, True)]


@pytest.mark.parametrize(("target", "bare"), TARGETS)
def test_a_target_without_auth_and_gateway_is_a_plain_server(target: Target, bare: bool) -> None:
    """Nothing of the platform's own is expected of it."""
    assert is_bare(target) is bare


@pytest.mark.parametrize("url", ["https://mlflow.example", "https://mlflow.example/mlflow"])
def test_a_url_is_a_plain_server_with_or_without_a_prefix(url: str) -> None:
    """A path in the URL is MLflow's prefix, not a gateway."""
    assert is_bare(config.from_url(url))


SEARCHES = [
    (answer(body={"experiments": [{"name": "Default"}], "next_page_token": "x"}), True),
    (answer(body={}), True),
    (answer(body={"experiments": [], "error": "x"}), False),
    (answer(body=[]), False),
    (answer(body="OK"), False),
    (answer(206, {"experiments": []}), False),
    (answer(body={"experiments": []}, failure=Failure(kind="reset", detail="cut")), False),
]


@pytest.mark.parametrize(("given", "expected"), SEARCHES)
def test_a_search_result_is_an_object_that_mlflow_would_send(given: Any, expected: bool) -> None:
    """Any 200 is not enough."""
    assert is_search_result(given) is expected


def test_a_replay_judges_a_long_search_result_as_the_run_did(real: Catalogue) -> None:
    """An answer larger than what is recorded of its body: the run saw it whole, and so must a replay."""
    body = '{"experiments": [{"name": "' + "x" * 9000 + '"}]}'
    long = answer(body=body[:8192], content_type="application/json", truncated=True, path=SEARCH)
    long = long.model_copy(update={"body_bytes": len(body)})
    long._kept = body.encode()
    facts = api_facts(long, answer(404, NO_MODEL))
    again = MlflowApiFacts.model_validate_json(facts.model_dump_json())
    check = "experiments-can-be-searched"
    assert told(verdict(real, check, facts)) == PASS
    assert told(verdict(real, check, again)) == PASS


def test_facts_of_every_look_survive_a_report(real: Catalogue) -> None:
    """Each Facts class read back from JSON equals what was written."""
    for facts in (*outside().values(), *inside().values(), registered_facts(), trained_facts()):
        again = type(facts).model_validate_json(facts.model_dump_json())
        assert again.model_dump() == facts.model_dump()
        assert real.probes[facts.probe].facts is type(facts)


def test_actions_and_arns_of_the_made_layout_fit() -> None:
    """The hand-made groups are the ones the hand-made rules forward to."""
    assert AUTH_RULES[0].action == Action(type="forward", target_groups=(group_arn("auth"),))
