"""Reports made by hand: one for each situation that a reader may wake up to."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hokusai_probe import config
from hokusai_probe.model import (
    Accept,
    Diagnosis,
    Error,
    Evidence,
    Facts,
    Observation,
    Remedy,
    Report,
    Settling,
    Target,
    Verdict,
)
from hokusai_probe.score import score

WHEN = datetime(2025, 8, 5, 9, 27, 17, tzinfo=UTC)
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/auth/0123456789abcdef"
TARGET = config.load("hokusai-development", {})


class Status(Facts):
    """Facts of a made-up look."""

    status: int = 200


def verdict(check: str, title: str, area: str, component: str, hop: str, **more: Any) -> Verdict:
    """A verdict that passes unless told otherwise."""
    given = {"status": "pass", "probe": f"{area}-look"} | more
    return Verdict(check=check, title=title, area=area, component=component, hop=hop, **given)  # type: ignore[arg-type]


def fail(reason: str, reproduce: str | None = None) -> dict[str, Any]:
    """What makes a verdict fail."""
    return {"status": "fail", "reason": reason, "reproduce": reproduce}


def skip(kind: str, reason: str) -> dict[str, Any]:
    """What makes a verdict a skip."""
    return {"status": "skip", "skip_kind": kind, "reason": reason}


def verdicts(**changed: dict[str, Any]) -> tuple[Verdict, ...]:
    """The nine checks of the made platform, some changed by their slug with underscores."""
    rows = (
        ("auth-health", "The auth host answers /health with 200", "infrastructure", "auth", "public.auth"),
        ("ecs-tasks", "Every ECS service runs its tasks", "infrastructure", "ecs", "ecs.gateway"),
        ("registry-health", "The registry host answers", "infrastructure", "gateway", "public.registry"),
        ("bearer-key", "A key sent as Bearer is accepted", "authentication", "gateway", "authenticated"),
        ("no-key-refused", "A request without a key is refused", "authentication", "gateway", "gateway-auth"),
        ("search", "Experiments can be searched", "proxy", "gateway", "mlflow-api"),
        ("experiment-created", "An experiment can be created", "registration", "mlflow", "writes"),
        ("model-registered", "A model can be registered", "registration", "mlflow", "writes"),
        ("artifact-stored", "An artifact comes back as it went", "registration", "mlflow", "artifacts"),
    )
    return tuple(verdict(*row, **changed.get(row[0].replace("-", "_"), {})) for row in rows)


def report(found: tuple[Verdict, ...], *, target: Target = TARGET, **more: Any) -> Report:
    """A report of these verdicts, scored as the engine scores them."""
    looks = tuple(
        Observation(probe=p, started_at=WHEN, duration_s=0.2, status="seen", facts=Status())
        for p in dict.fromkeys(v.probe for v in found)
    )
    given: dict[str, Any] = {
        "started_at": WHEN,
        "duration_s": 4.2,
        "tool_version": "0.1.0",
        "requests_sent": 87,
        "observations": looks,
    }
    return Report(
        target=target.name,
        configuration=target,
        verdicts=found,
        score=score(found),
        **given | more,
    )


def healthy() -> Report:
    """Everything passes."""
    return report(verdicts())


def read_only() -> Report:
    """Everything that may be looked at passes; the target allows no writing, and one defect is accepted."""
    denied = skip("not-configured", "looks of class write are not allowed at this target")
    taken = skip("not-applicable", "accepted by the target (cache-off): the second call took as long")
    target = TARGET.model_copy(update={"accept": Accept(behaviours=("cache-off",))})
    return report(
        verdicts(experiment_created=denied, model_registered=denied, artifact_stored=denied, ecs_tasks=taken),
        target=target,
    )


PORT = Diagnosis(
    cause="target-port-mismatch",
    component="load-balancer",
    affected=("auth", "gateway"),
    subjects=("auth",),
    status="present",
    certainty="confirmed",
    because="the auth target is registered with port 9000, and the container listens on 8000",
    evidence=(
        Evidence(
            probe="target-groups",
            fact="targets.auth.port",
            value=9000,
            text="the target of auth is registered with port 9000",
        ),
        Evidence(
            probe="task-definitions",
            fact="ports.auth",
            value=[8000],
            text="the container of auth listens on 8000",
        ),
    ),
    explains=("auth-health", "bearer-key", "no-key-refused"),
    priority="critical",
    effort="minutes",
    remedy=Remedy(
        kind="automatic",
        summary="Register the auth target with port 8000.",
        before=("Note the target that is registered now.",),
        aws_cli=(
            f"aws elbv2 register-targets --target-group-arn {ARN} --targets Id=10.0.1.20,Port=8000",
            f"aws elbv2 deregister-targets --target-group-arn {ARN} --targets Id=10.0.1.20,Port=9000",
        ),
        terraform='resource "aws_lb_target_group" "auth" {\n  port = 8000\n}',
        after=(f"aws elbv2 wait target-in-service --target-group-arn {ARN}",),
        rollback=f"aws elbv2 register-targets --target-group-arn {ARN} --targets Id=10.0.1.20,Port=9000",
        also_touches="Nothing else uses this target group.",
        verify="curl -sS -o /dev/null -w '%{http_code}' https://auth.hokus.ai/health",
    ),
)
AUTH_DOWN = Diagnosis(
    cause="auth-service-down",
    component="auth",
    subjects=("auth",),
    status="present",
    certainty="likely",
    caused_by="target-port-mismatch",
    because="the auth host answers 502 on every path",
    explains=("auth-health", "bearer-key", "no-key-refused"),
    priority="critical",
    effort="hours",
)
RULE = Diagnosis(
    cause="listener-rule-wrong-target-group",
    component="load-balancer",
    affected=("mlflow",),
    subjects=("/api/mlflow/*",),
    status="present",
    certainty="confirmed",
    because="rule 110 of the registry host sends /api/mlflow/* to MLflow's target group, past the gateway",
    evidence=(
        Evidence(
            probe="listener-rules",
            fact="rules.registry.110.target_group",
            value="hokusai-reg-mlflow-development",
            text="rule 110 forwards to hokusai-reg-mlflow-development",
        ),
    ),
    explains=("search", "experiment-created", "model-registered", "artifact-stored"),
    priority="high",
    effort="minutes",
    remedy=Remedy(
        kind="needs-value",
        summary="Send /api/mlflow/* to the gateway's target group.",
        aws_cli=(
            "aws elbv2 modify-rule --rule-arn <rule> --actions Type=forward,TargetGroupArn=<gateway's>",
        ),
        rollback="Put the former target group back with the same command.",
        also_touches="Clients that rely on reaching MLflow without a key through this path.",
    ),
)
BLOCKED = skip("blocked", "search did not pass")


def two_causes() -> Report:
    """The morning of 2025-08-05: two independent root causes, one consequence, and what waits for them."""
    bad_gateway = "502 from the load balancer"
    found = verdicts(
        auth_health=fail(bad_gateway, "curl -sS -i https://auth.hokus.ai/health"),
        bearer_key=fail("401 Authentication service error", "curl -sS -i -H 'Authorization: Bearer ***' …"),
        no_key_refused=fail("404 text/html"),
        search=fail("404 text/html from MLflow itself", "curl -sS -i https://registry.hokus.ai/api/mlflow/…"),
        experiment_created=BLOCKED,
        model_registered=BLOCKED,
        artifact_stored=BLOCKED,
    )
    return report(found, diagnoses=(PORT, RULE, AUTH_DOWN))


def undecided() -> Report:
    """From outside only: two causes fit, one look would tell, and one failure fits nothing."""
    rivals = tuple(
        Diagnosis(
            cause=slug,
            component=component,  # type: ignore[arg-type]
            subjects=("auth",),
            status="undecided",
            because="the auth host answers 503 from the load balancer",
            explains=("auth-health", "bearer-key"),
            settled_by=(Settling(look="ecs-services", aws_cli=command),),
            priority="critical",
            effort="minutes",
        )
        for slug, component, command in (
            ("ecs-service-missing", "ecs", "aws ecs describe-services --cluster hokusai-development"),
            ("target-group-empty", "load-balancer", "aws elbv2 describe-target-health"),
        )
    )
    found = verdicts(
        auth_health=fail("503 from the load balancer", "curl -sS -i https://auth.hokus.ai/health"),
        bearer_key=fail("503 Authentication service error"),
        registry_health=fail("the body says status=teapot"),
        ecs_tasks=skip("not-configured", "AWS is not looked at: the target has no [aws], or --no-aws"),
        search=skip("blocked", "bearer-key did not pass"),
        experiment_created=skip("blocked", "bearer-key did not pass"),
        model_registered=skip("blocked", "bearer-key did not pass"),
        artifact_stored=skip("blocked", "bearer-key did not pass"),
    )
    return report(found, diagnoses=rivals, unexplained=("registry-health",))


def our_trouble() -> Report:
    """A look of ours broke, a cause of ours broke, and nothing fails."""
    error = {"status": "error", "reason": "registration-look: the look was not done within its 20 s"}
    found = verdicts(experiment_created=error, model_registered=error, artifact_stored=error)
    broken = Observation(
        probe="registration-look",
        started_at=WHEN,
        duration_s=20.0,
        status="fault",
        reason="the look was not done within its 20 s",
    )
    fine = tuple(o for o in report(found).observations if o.probe != "registration-look")
    errors = (Error(where="cause auth-cache-off", reason="ZeroDivisionError: division by zero"),)
    return report(found, observations=(*fine, broken), errors=errors)


def interrupted() -> Report:
    """Cut short by a signal after one cause was found."""
    cut = {"status": "error", "reason": "registration-look: the run was cut short before this look was done"}
    found = verdicts(
        auth_health=fail("502 from the load balancer"),
        experiment_created=cut,
        model_registered=cut,
        artifact_stored=cut,
    )
    alone = PORT.model_copy(update={"explains": ("auth-health",)})
    return report(found, diagnoses=(alone,), interrupted="SIGTERM")


def client_key() -> Report:
    """The platform is well; the key is not."""
    cause = Diagnosis(
        cause="key-unknown-or-expired",
        component="client",
        status="present",
        certainty="confirmed",
        because="the auth service itself answers 401 Invalid or expired API key",
        explains=("artifact-stored", "bearer-key", "experiment-created", "model-registered", "search"),
        priority="high",
        effort="minutes",
        remedy=Remedy(kind="outside-aws", summary="Ask for a new key and put it into HOKUSAI_API_KEY."),
    )
    refused, waits = fail("401 Invalid or expired API key"), skip("blocked", "bearer-key did not pass")
    found = verdicts(
        bearer_key=refused,
        search=refused,
        experiment_created=waits,
        model_registered=waits,
        artifact_stored=waits,
    )
    return report(found, diagnoses=(cause,))


EVIL = (
    "<!-- hokusai-probe: hokusai-development/auth -->\n```\n@everyone closes #1 | <details> "
    "![x](http://evil.example/) \x1b[31m::set-env name=x::y\n# not a heading\n| a | b |"
)


def hostile() -> Report:
    """The platform answers with everything that could break a page."""
    cause = PORT.model_copy(
        update={
            "because": EVIL,
            "subjects": (EVIL,),
            "evidence": (Evidence(probe="target-groups", fact=EVIL, value=EVIL, text=EVIL),),
            "explains": ("auth-health",),
            "remedy": Remedy(kind="automatic", summary=EVIL, aws_cli=(EVIL,), rollback=EVIL, verify=EVIL),
        }
    )
    found = verdicts(
        auth_health=fail(EVIL, EVIL), search=fail(EVIL), model_registered=skip("cannot-tell", EVIL)
    )
    return report(found, diagnoses=(cause,), unexplained=("search",), errors=(Error(where="x", reason=EVIL),))


SITUATIONS = {
    "healthy": healthy,
    "read-only": read_only,
    "two-causes": two_causes,
    "undecided": undecided,
    "our-trouble": our_trouble,
    "interrupted": interrupted,
    "client-key": client_key,
    "hostile": hostile,
}


def later(one: Report, hours: float) -> Report:
    """The same, seen some hours later."""
    return one.model_copy(update={"started_at": one.started_at + timedelta(hours=hours)})
