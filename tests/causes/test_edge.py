"""Names, connections, certificates, listeners and our own side: told apart, with AWS and without."""

from datetime import timedelta
from typing import Any

import pytest
from _edge import (
    NOW,
    all_silent,
    certificate,
    control,
    dated,
    hosts_at,
    records,
    refused_for,
    stored,
    tls_facts,
)
from _edge import named as naming
from _evidence import unfounded
from _facts import (
    AUTH_OK,
    AUTH_RULES,
    GATEWAY_OK,
    MAIN_DEFAULT,
    MAIN_RULE,
    OUTSIDE,
    REGISTRY_RULES,
    SEARCH,
    TARGET,
    answer,
    api_facts,
    balancer,
    definition_facts,
    ecs_facts,
    forward,
    group,
    group_facts,
    hosts_facts,
    inside,
    outside,
    path_facts,
    refusal,
    registered,
    rule,
    rules_facts,
    silence,
    unavailable,
)
from test_diagnoses import concluded, lines, registration

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import Conclusion
from hokusai_probe.engine import arguments_of
from hokusai_probe.failures import Failure
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, Observation, Remedy, Target
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.certificates import CertificatesFacts
from hokusai_probe.probes.dns_records import Record
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import Action, Balancer, Listener
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

FAR = timedelta(days=3)
Story = tuple[dict[str, Facts], Target, list[str], list[str]]


def refused_by_aws(code: str, detail: str = "no") -> AwsIdentityFacts:
    """AWS does not take the credentials."""
    return AwsIdentityFacts(failure=AwsFailure(kind="credentials-refused", code=code, detail=detail))


def edge(**changed: Facts) -> dict[str, Facts]:
    """What is seen of a healthy platform's edge from outside, some of it changed."""
    return outside(tls=tls_facts(), control=control(dated(0))) | changed


def bad_certificate(code: str, **changed: Any) -> dict[str, Facts]:
    """The api host's certificate does not hold; the other hosts say what time it is."""
    good: dict[str, Any] = {"names": ("api.hokus.ai",), "issuer": "Good CA"}
    given = good | changed
    shown = certificate(*given.pop("names"), **given)
    return edge(tls=tls_facts(api=shown), hosts=refused_for(code))


def without_listener(*rest: Listener) -> Balancer:
    """The api host's load balancer without its HTTPS listener."""
    whole = balancer("main", MAIN_RULE, MAIN_DEFAULT)
    return whole.model_copy(update={"arn": "arn:lb", "listeners": (*rest, whole.listeners[1])})


GONE = silence("refused", "connecting was refused", path="/health")
LOST = silence("dns", "the resolver did not answer", path="/health")
SHUT = hosts_at(api=GONE)
EXPIRED = {"ends": NOW - FAR}
PLAIN_443 = Listener(arn="arn:l", port=443, protocol="HTTP", rules=(MAIN_RULE, MAIN_DEFAULT))
AT_ONCE = {"headers": dated(1201).headers}
SKEWED = hosts_at(
    auth=answer(body=AUTH_OK, **AT_ONCE),
    registry=answer(body=GATEWAY_OK, **AT_ONCE),
    api=answer(body=GATEWAY_OK, **AT_ONCE),
)
TOO_LATE = refused_by_aws("SignatureDoesNotMatch", "Signature not yet current: x is still later than y")
NO_AWS_NETWORK = AwsIdentityFacts(failure=AwsFailure(kind="timeout", code="ConnectTimeoutError", detail="x"))
NOT_VALID = Failure(kind="tls", detail="certificate is not yet valid", code="not-yet-valid")


def all_by_date() -> HostsFacts:
    """No host's certificate holds for its dates."""
    return hosts_facts(
        **{
            h: silence("tls", "x", path="/health").model_copy(update={"failure": NOT_VALID})
            for h in ("auth", "registry", "api")
        }
    )


YOUNG = {h: certificate(f"{h}.hokus.ai", begins=NOW + FAR) for h in ("auth", "registry", "api")}

STORIES: dict[str, Story] = {
    # facts -> present, undecided
    "healthy": (edge() | inside(dns=records("127.0.0.1")), TARGET, [], []),
    "expired": (bad_certificate("expired", **EXPIRED), OUTSIDE, ["confirmed certificate-expired api"], []),
    "expired, with AWS": (
        bad_certificate("expired", **EXPIRED) | inside(),
        TARGET, ["confirmed certificate-expired api"], [],
    ),
    "expired, and untrusted as well": (
        bad_certificate("untrusted", issuer="Stranger", **EXPIRED),
        OUTSIDE, ["confirmed certificate-expired api", "confirmed certificate-untrusted api"], [],
    ),
    "wrong name": (
        bad_certificate("wrong-name", names=("www.example",)),
        OUTSIDE, [], ["- certificate-wrong-name api", "- host-resolves-to-wrong-place api"],
    ),
    "wrong name, at the address of the host that it is for": (
        bad_certificate("wrong-name", names=("auth.hokus.ai",)),
        OUTSIDE, [], ["- certificate-wrong-name api", "- host-resolves-to-wrong-place api"],
    ),
    "untrusted": (
        bad_certificate("untrusted", issuer="Stranger"), OUTSIDE, ["confirmed certificate-untrusted api"], [],
    ),
    "every certificate of tomorrow, and a control host that knows the time": (
        edge(hosts=all_by_date(), tls=tls_facts(**YOUNG), control=control(dated(-400000))),
        OUTSIDE, ["confirmed clock-skewed clock"], [],
    ),
    "every certificate of tomorrow, and nobody to ask": (
        edge(hosts=all_by_date(), tls=tls_facts(**YOUNG), control=control(None)),
        OUTSIDE, [], ["- certificate-expired api auth registry", "- clock-skewed clock"],
    ),
    "our clock is ahead, without AWS": (
        edge(hosts=SKEWED, control=control(dated(1200))), OUTSIDE, ["confirmed clock-skewed clock"], [],
    ),
    "our clock is ahead, and AWS says so": (
        edge(hosts=SKEWED, control=control(dated(1200)), identity=TOO_LATE),
        TARGET, ["confirmed clock-skewed clock"], [],
    ),
    "AWS refuses us": (
        edge(identity=refused_by_aws("InvalidClientTokenId")),
        TARGET, ["confirmed aws-credentials-refused aws"], [],
    ),
    "a role that may not be assumed": (
        edge(identity=AwsIdentityFacts(failure=AwsFailure(kind="denied", code="AccessDenied", detail="no"))),
        TARGET, ["confirmed aws-credentials-refused aws"], [],
    ),
    "no network": (
        edge(hosts=all_silent("connect-timeout"), control=control(silence("connect-timeout", "no")),
             tls=tls_facts(auth=None, registry=None, api=None), identity=NO_AWS_NETWORK),
        TARGET, ["confirmed probe-has-no-network probe"], [],
    ),
    "our resolver is silent and AWS is not": (
        edge(hosts=hosts_at(auth=LOST, registry=LOST, api=LOST), control=control(LOST),
             tls=tls_facts(auth=None, registry=None, api=None)) | inside(),
        TARGET, ["confirmed probe-has-no-network probe"], [],
    ),
    "no listener": (
        edge(hosts=SHUT) | inside(listener_rules=rules_facts(main=without_listener())),
        TARGET, ["confirmed https-listener-missing api"], [],
    ),
    "plain http on 443": (
        edge(hosts=SHUT) | inside(listener_rules=rules_facts(main=without_listener(PLAIN_443))),
        TARGET, ["confirmed https-listener-missing api"], [],
    ),
    "a listener that took its target group along": (
        edge(hosts=SHUT) | inside(
            listener_rules=rules_facts(main=without_listener()),
            target_groups=group_facts(
                mlflow=group("mlflow", registered(5000, "unused", reason="Target.NotInUse"))
            ),
        ),
        TARGET, ["confirmed https-listener-missing api mlflow"], [],
    ),
    "plain http is not redirected": (
        edge() | inside(listener_rules=rules_facts(
            main=balancer("main", MAIN_RULE, MAIN_DEFAULT, plain=forward("gateway"))
        )),
        TARGET, ["confirmed https-listener-missing api"], [],
    ),
    "elsewhere, by Route 53 and by addresses": (
        edge(hosts=SHUT) | inside(dns=records("127.0.0.9", host="api")),
        TARGET, ["confirmed host-resolves-to-wrong-place api"], [],
    ),
    "elsewhere, with somebody's certificate": (
        bad_certificate("wrong-name", names=("www.example",)) | inside(dns=records("127.0.0.9", host="api")),
        TARGET, ["confirmed host-resolves-to-wrong-place api"], [],
    ),
    "refused, without AWS": (
        edge(hosts=SHUT), OUTSIDE, [],
        ["- host-resolves-to-wrong-place api", "- https-listener-missing api"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_the_edge_is_told_apart(real: Catalogue, name: str) -> None:
    """Exactly these are present and undecided, and what they cite is in the facts."""
    facts, target, present, undecided = STORIES[name]
    found = concluded(real, facts.values(), target)

    assert (lines(found, "present"), lines(found, "undecided")) == (present, undecided)
    assert found.errors == ()
    assert unfounded(found.diagnoses, facts.values()) == []


def test_a_wrong_certificate_where_the_name_is_wrong_is_its_consequence(real: Catalogue) -> None:
    """Whoever is reached by mistake shows their own certificate."""
    facts = bad_certificate("untrusted", issuer="Stranger") | inside(dns=records("127.0.0.9", host="api"))
    found = {d.cause: d.caused_by for d in concluded(real, facts.values()).diagnoses if d.status == "present"}

    assert found == {
        "host-resolves-to-wrong-place": None,
        "certificate-untrusted": "host-resolves-to-wrong-place",
    }


# --- rules ---------------------------------------------------------------------------------------------

HALF = Action(
    type="forward",
    target_groups=(*forward("gateway").target_groups, *forward("mlflow").target_groups),
)
OLD = group("gateway").model_copy(update={"arn": "arn:old", "name": "old", "service": None})
UNDER_REPAIR = {
    "mlflow_api": api_facts(answer(503, "Back soon", path=SEARCH)),
    "public_paths": path_facts(required=[answer(503, "Back soon", path=SEARCH)]),
}


def registry(first: Action, *, path: str = "/api/mlflow/*") -> dict[str, Facts]:
    """AWS, with this action for a path of the registry host, before the rules behind it."""
    rules = (rule("110", first, path_pattern=(path,)), *REGISTRY_RULES[2:])
    old = group_facts(old=OLD)
    return inside(listener_rules=rules_facts(registry=balancer("registry", *rules)), target_groups=old)


RULES: dict[str, tuple[dict[str, Facts], list[str]]] = {
    "half of the requests": (
        edge() | registry(HALF), ["confirmed listener-rule-wrong-target-group registry /api/mlflow/*"],
    ),
    "a target group that nobody registers with": (
        edge(
            mlflow_api=api_facts(unavailable(path=SEARCH)),
            public_paths=path_facts(required=[unavailable(path=SEARCH)]),
        )
        | registry(Action(type="forward", target_groups=("arn:old",))),
        ["confirmed listener-rule-wrong-target-group registry /api/mlflow/*"],
    ),
    "a fixed response before the right rule": (
        edge(**UNDER_REPAIR) | inside(listener_rules=rules_facts(registry=balancer(
            "registry",
            rule("5", Action(type="fixed-response", status="503"), path_pattern=("/api*",)),
            *REGISTRY_RULES,
        ))),
        ["confirmed listener-rule-shadowed registry /api/mlflow/*"],
    ),
    "a rule for a header that nobody sends": (
        edge() | inside(listener_rules=rules_facts(registry=balancer(
            "registry",
            rule("5", forward("mlflow"), path_pattern=("/api/*",)).model_copy(update={"conditions": (
                rule("5", forward("mlflow"), http_header=("1",)).conditions[0].model_copy(
                    update={"name": "x-canary"}
                ),
            )}),
            *REGISTRY_RULES,
        ))),
        [],
    ),
    "the auth host's health path": (
        edge(hosts=hosts_facts(auth=answer(body={"status": "healthy", "version": "1", "services": {}})))
        | inside(listener_rules=rules_facts(auth=balancer(
            "auth", rule("90", forward("gateway"), path_pattern=("/health",)), *AUTH_RULES
        ))),
        ["confirmed listener-rule-wrong-target-group auth /health"],
    ),
    "paths of the api host that nobody asks for": (
        edge() | inside(listener_rules=rules_facts(main=balancer(
            "main", rule("1", forward("gateway"), path_pattern=("/health",)), MAIN_DEFAULT
        ))),
        [f"confirmed listener-rule-missing api {SEARCH}"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_rules_of_every_kind_are_read(real: Catalogue, name: str) -> None:
    """Weights, forgotten groups, fixed responses, headers, and paths that have no look of their own."""
    facts, present = RULES[name]
    found = concluded(real, facts.values())

    assert lines(found, "present") == present
    assert {c for c in found.unexplained if "-are-routed" in c or "-lead-to-" in c} == set()
    assert unfounded(found.diagnoses, facts.values()) == []


def test_a_group_with_the_same_addresses_serves_the_same_service(real: Catalogue) -> None:
    """A task may be registered a second time, by hand or by an older layout (contract 7.2)."""
    twin = OLD.model_copy(update={"targets": group("gateway", registered(8001, ip="10.0.9.9")).targets})
    own = group("gateway", registered(8001, ip="10.0.9.9"))
    facts = edge() | registry(Action(type="forward", target_groups=("arn:old",)))
    facts |= {"target_groups": group_facts(gateway=own, old=twin)}

    assert lines(concluded(real, facts.values()), "present") == []


# --- remedies ------------------------------------------------------------------------------------------


def remedy_of(real: Catalogue, slug: str, facts: dict[str, Facts]) -> Remedy:
    """The remedy of a cause's first case that has something against nothing."""
    seen = [Observation(probe=f.probe, facts=f, started_at=NOW, duration_s=0.1, status="seen")
            for f in facts.values()]  # fmt: skip
    given = arguments_of(real.causes[slug], {o.probe: o for o in seen}, TARGET)
    assert given is not None
    cases = [c for c in real.causes[slug].function(**given) if all(x.holds for x in c.claims)]
    assert cases[0].remedy is not None
    return cases[0].remedy


def test_a_good_certificate_that_lies_ready_is_put_in_place(real: Catalogue) -> None:
    """One of an authority that is trusted here; a stranger's, or two that would do, are left to a person."""
    good, strange = stored("good", names=("api.hokus.ai",)), stored("bad", names=("*.hokus.ai",), issuer="X")
    facts = bad_certificate("expired", **EXPIRED) | inside(listener_rules=naming("old"))
    ready = remedy_of(
        real, "certificate-expired", facts | {"c": CertificatesFacts(certificates=(good, strange))}
    )
    doubtful = remedy_of(
        real,
        "certificate-expired",
        facts | {"c": CertificatesFacts(certificates=(good, good.model_copy(update={"arn": "also"})))},
    )

    assert (ready.kind, doubtful.kind) == ("automatic", "needs-value")
    assert ready.aws_cli[-1].endswith("--certificates CertificateArn=good")
    assert doubtful.aws_cli[-1].endswith('CertificateArn="$API_CERTIFICATE"')


@pytest.mark.parametrize(
    ("number", "moved", "back"),
    [
        ("5", {"110": "3", "120": "4"}, {"110": "110", "120": "120"}),
        ("2", {"2": "121"}, {"2": "2"}),
        ("1", {"1": "121"}, {"1": "1"}),
    ],
)
def test_every_rule_that_is_shadowed_is_freed_by_one_command(
    real: Catalogue, number: str, moved: dict[str, str], back: dict[str, str]
) -> None:
    """All rules whose paths a broad one takes come before it; without numbers left there, it goes behind."""
    broad = rule(number, Action(type="fixed-response", status="503"), path_pattern=("/api*",))
    facts = edge(**UNDER_REPAIR) | inside(
        listener_rules=rules_facts(registry=balancer("registry", broad, *REGISTRY_RULES))
    )
    (remedy,) = [d.remedy for d in concluded(real, facts.values()).diagnoses if d.status == "present"]

    assert remedy is not None
    assert (remedy.aws_cli, remedy.rollback) == ((_reordered(moved),), _reordered(back))


def _reordered(numbers: dict[str, str]) -> str:
    new = (f"RuleArn={rule(old, HALF).arn},Priority={number}" for old, number in numbers.items())
    return f"aws elbv2 set-rule-priorities --rule-priorities {' '.join(new)}"


def test_a_record_is_made_again_where_its_zone_is_known(real: Catalogue) -> None:
    """With the zone, the load balancer's name and its own zone the command can be pasted."""
    elsewhere = records("127.0.0.9", host="api", records=(Record(type="A", values=("127.0.0.9",)),))
    facts = STORIES["elsewhere, by Route 53 and by addresses"][0] | {"dns": elsewhere}
    main = rules_facts().balancers["main"].model_copy(update={"dns_name": "main-1.elb", "zone_id": "Z35"})
    known = facts | {"listener_rules": rules_facts(main=main)}
    blank, ready = (remedy_of(real, "host-resolves-to-wrong-place", f) for f in (facts, known))

    assert (blank.kind, ready.kind) == ("needs-value", "automatic")
    assert "main-1.elb" in ready.aws_cli[0]
    assert blank.aws_cli[0].startswith("ALIAS_ZONE=")


def test_a_record_that_is_right_is_not_made_again(real: Catalogue) -> None:
    """Where Route 53 leads to the load balancer already, whoever was asked remembers another."""
    facts = STORIES["elsewhere, by Route 53 and by addresses"][0]
    found = remedy_of(real, "host-resolves-to-wrong-place", facts)

    assert (found.kind, found.aws_cli) == ("outside-aws", ())


SWITCHES = [("false", "automatic"), ("true", "needs-value"), ("", "needs-value")]


@pytest.mark.parametrize(("switch", "kind"), SWITCHES)
def test_a_switch_is_turned_where_it_is_seen_to_be_off(real: Catalogue, switch: str, kind: str) -> None:
    """An option of the container's command goes before the variable: then a person must find it."""
    used = definition_facts().definitions["mlflow"]
    told = used.model_copy(update={"addresses": {"MLFLOW_SERVE_ARTIFACTS": switch} if switch else {}})
    facts = {
        "r": registration(upload=refusal(503, {"detail": "started with --no-serve-artifacts"})),
        "d": TaskDefinitionsFacts(definitions={"mlflow": told}),
        "e": ecs_facts(),
    }

    assert remedy_of(real, "mlflow-artifacts-disabled", facts).kind == kind


def test_port_80_is_turned_into_a_redirect(real: Catalogue) -> None:
    """By a command that names the listener."""
    facts = STORIES["plain http is not redirected"][0]
    seen: Conclusion = concluded(real, facts.values())
    (found,) = [d.remedy for d in seen.diagnoses if d.cause == "https-listener-missing"]

    assert found is not None
    assert found.kind == "automatic"
    assert "StatusCode=HTTP_301" in found.aws_cli[0]


def test_the_made_facts_are_what_they_say() -> None:
    """The tables above lean on these shapes."""
    assert isinstance(GONE, Answer)
    assert ecs_facts().services["auth"].target_groups == forward("auth").target_groups
    assert refusal(401, "x").status == 401
