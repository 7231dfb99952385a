"""Databases, task definitions and addresses: what looks like a known defect and is not, or not proven."""

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest
from _deaths import ecs_inside, family_facts, revision, used_facts
from _facts import (
    SEARCH,
    answer,
    api_facts,
    definition_facts,
    discovery_facts,
    form_facts,
    group,
    group_facts,
    invalid_facts,
    outside,
    refusal,
    registered,
    validation_facts,
)
from test_diagnoses import concluded, lines, mlflow_unreached, named, registration
from test_keys_and_auth import no_verdict, refusing, right
from test_stores import MLFLOW_DOWN, UNREACHED, logged, seen, spoken, stores, without_aws

from hokusai_probe.causes._revision import set_secret, set_variable
from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts, Remedy
from hokusai_probe.probes.gateway_stores import database_trouble
from hokusai_probe.probes.revisions import Family

MLFLOW = "http://mlflow.hokusai.local:5000"
NOT_ADMITTED = 'FATAL:  no pg_hba.conf entry for host "10.0.1.5", user "mlflow", database "x", no encryption'
REFUSED = 'FATAL:  password authentication failed for user "app"'
ABSENT = 'FATAL:  database "mlflow_db" does not exist'


def remedy_of(real: Catalogue, facts: dict[str, Facts], slug: str) -> Remedy:
    """The remedy of the one diagnosis of a cause."""
    found = concluded(real, facts.values())
    (one,) = [d for d in found.diagnoses if d.cause == slug and d.status == "present"]
    assert one.remedy is not None
    return one.remedy


# --- the gateway's database ---------------------------------------------------------------------------


def test_a_refused_user_is_never_replaced_by_the_master(real: Catalogue) -> None:
    """A user of its own is right to have: what is wrong is the password, which only a person may see."""
    said = remedy_of(real, seen(gateway_stores=stores(REFUSED, user="app")), "database-settings-wrong")
    assert said.kind == "needs-value"
    assert "the user app: rotate or fix its password" in said.summary
    assert not [line for line in said.aws_cli if "DB_USER" in line or "register" in line]


def test_only_what_the_trouble_names_is_set(real: Catalogue) -> None:
    """Beside a database that is not there, another user than RDS's is no trouble."""
    facts = seen(gateway_stores=stores(ABSENT.replace("mlflow_db", "old"), user="app", primary_db="old"))
    said = remedy_of(real, facts, "database-settings-wrong")
    assert (said.kind, said.summary.partition(" for ")[0]) == ("automatic", "Set DB_NAME to mlflow_db")


def test_a_database_that_was_dropped_is_no_password(real: Catalogue) -> None:
    """The gateway asks for the name that RDS has, and it is not there."""
    said = remedy_of(real, seen(gateway_stores=stores(ABSENT)), "database-settings-wrong")
    assert said.kind == "outside-aws"
    assert "no database mlflow_db" in said.summary
    assert "password" not in said.summary


def test_where_rds_is_not_seen_the_missing_database_is_still_named(real: Catalogue) -> None:
    """Whether the name or the database is wrong nobody knows; it is not the password."""
    facts = without_aws(seen(gateway_stores=stores(ABSENT)))
    said = remedy_of(real, facts, "database-settings-wrong")
    assert said.kind == "needs-value"
    assert said.summary.startswith("The server has no database mlflow_db")


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        (NOT_ADMITTED, "not-admitted"),
        (f"{REFUSED}\nconnection failed: {NOT_ADMITTED}", "login"),  # with TLS first, then without
    ],
)
def test_not_being_admitted_is_not_a_wrong_password(words: str, trouble: str) -> None:
    """Unless the password was refused as well."""
    assert database_trouble(words) == trouble


@pytest.mark.parametrize("name", ["gateway", "MLflow's answer", "MLflow's log"])
def test_a_server_that_insists_on_tls_refuses_nobodys_password(real: Catalogue, name: str) -> None:
    """rds.force_ssl and a client without TLS: neither cause that speaks of passwords is present."""
    facts = {
        "gateway": seen(gateway_stores=stores(NOT_ADMITTED)),
        "MLflow's answer": seen(
            mlflow_api=api_facts(spoken(NOT_ADMITTED)), registration=registration(spoken(NOT_ADMITTED))
        ),
        "MLflow's log": seen(
            mlflow_api=api_facts(UNREACHED), log_tails=logged(f"psycopg2.OperationalError: {NOT_ADMITTED}"),
            target_groups=MLFLOW_DOWN, registration=registration(UNREACHED),
        ),
    }[name]  # fmt: skip
    found = concluded(real, facts.values())
    assert not named(found, "present") & {"database-settings-wrong", "mlflow-database-password-wrong"}
    assert found.unexplained or lines(found, "present")


# --- a revision registered anew -----------------------------------------------------------------------


def revised(remedy: Remedy, container: dict[str, Any]) -> Any:
    """The container that the remedy's first command makes of this one."""
    command = next(line for line in remedy.aws_cli if " | python3 " in line)
    words = shlex.split(command.partition(" | ")[2].partition(" > ")[0])
    words = [sys.executable, *(container["name"] if w.startswith("$") else w for w in words[1:])]
    done = subprocess.run(
        words, input=json.dumps({"containerDefinitions": [container]}), text=True, capture_output=True,
        timeout=20, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)["containerDefinitions"][0]


def test_a_name_never_stands_in_both_lists_of_a_revision() -> None:
    """ECS refuses a name that is both a variable and a secret: what is set in one leaves the other."""
    said = {"summary": "s", "verify": "v"}
    variable = set_variable(None, None, "gateway", ("DB_NAME", "right"), **said)
    secret = set_secret(None, None, "gateway", ("DB_USER", "arn"), **said)
    held = {
        "name": "g",
        "environment": [{"name": "DB_USER", "value": "app"}],
        "secrets": [{"name": "DB_NAME", "valueFrom": "old"}],
    }
    assert revised(variable, held) == held | {
        "environment": [{"name": "DB_USER", "value": "app"}, {"name": "DB_NAME", "value": "right"}],
        "secrets": [],
    }
    assert revised(secret, held) == held | {
        "environment": [],
        "secrets": [{"name": "DB_NAME", "valueFrom": "old"}, {"name": "DB_USER", "valueFrom": "arn"}],
    }
    assert revised(variable, {"name": "g"}) == {
        "name": "g",
        "environment": [{"name": "DB_NAME", "value": "right"}],
    }


# --- what a revision lost -----------------------------------------------------------------------------


def lost(service: str = "gateway", gone: str = "REDIS_URL", **more: Any) -> dict[str, Facts]:
    """A service's second revision lacks a variable that its first had; ``more``: what the second has."""
    used, before = revision(2, service, **more), revision(1, service, names=(gone, *more.get("names", ())))
    return {
        "task_definitions": used_facts(**{service: used}),
        "revisions": family_facts(**{service: Family(name=service, newest=used, earlier=(before,))}),
    }


def second(service: str = "gateway", **facts: Facts) -> dict[str, Facts]:
    """Outside eyes see nothing; a service runs its second revision."""
    return outside() | ecs_inside({service: {"task_definition": f"{service}:2"}}, **facts)


VARIABLE = "task-definition-lacks-variable"


def test_another_services_variable_is_not_the_gateways(real: Catalogue) -> None:
    """Auth no longer has REDIS_URL: likely forgotten, and no reason why the gateway reaches no cache."""
    facts = second("auth", **lost("auth")) | {"gateway_stores": stores(redis="unhealthy")}
    found = concluded(real, facts.values())
    (one,) = [d for d in found.diagnoses if d.cause == VARIABLE]
    assert (one.certainty, one.explains) == ("likely", ("revisions-keep-their-variables",))
    assert one.remedy is not None
    assert one.remedy.kind == "needs-value"


@pytest.mark.parametrize(
    ("gone", "kept"),
    [
        ("REDIS_URL", "REDIS_HOST"),
        ("AUTH_SERVICE_URL", "HOKUSAI_AUTH_SERVICE_URL"),
        ("HOKUSAI_AUTH_SERVICE_URL", "AUTH_SERVICE_URL"),
    ],
)
def test_one_of_two_names_for_the_same_is_not_lost(real: Catalogue, gone: str, kept: str) -> None:
    """Both were there, one is left: neither check nor cause complains."""
    found = concluded(real, second(**lost(gone=gone, names=(kept,))).values())
    assert (lines(found, "present"), found.unexplained) == ([], ())


def test_a_lost_variable_is_certain_beside_its_symptom(real: Catalogue) -> None:
    """The gateway has no address of auth, and gets no verdict on any key."""
    silent = refusal(503, "Authentication service unavailable")
    facts = second(**lost(gone="HOKUSAI_AUTH_SERVICE_URL")) | {
        "key_forms": form_facts(silent), "invalid_keys": invalid_facts(silent),
        "mlflow_api": api_facts(silent),
    }  # fmt: skip
    found = concluded(real, facts.values())
    assert f"confirmed {VARIABLE} gateway" in lines(found, "present")
    quiet = concluded(real, second(**lost(gone="HOKUSAI_AUTH_SERVICE_URL")).values())
    assert f"likely {VARIABLE} gateway" in lines(quiet, "present")


# --- addresses ----------------------------------------------------------------------------------------


def told(url: str, **more: Facts) -> dict[str, Facts]:
    """The gateway is told this address of MLflow."""
    return ecs_inside(task_definitions=definition_facts(url), **more)


WRONG = "gateway-mlflow-url-wrong"
AT = {"gateway": ("10.0.1.20",), "mlflow": ("10.0.1.30",), "auth": ("10.0.1.40",)}
WELL = group_facts(
    mlflow=group("mlflow", registered(5000)).model_copy(update={"health_path": "/mlflow/health"})
)
NO_ROUTE = answer(404, {"error_code": "RESOURCE_NOT_FOUND", "message": "not found: /x"}, path=SEARCH)


def test_a_path_without_the_static_prefix_is_wrong(real: Catalogue) -> None:
    """MLflow's router says so, and its health check has the prefix (INC-05)."""
    for url, is_wrong in (("http://mlflow.hokusai.local:5000", True), (f"{MLFLOW}/mlflow", False)):
        facts = outside(mlflow_api=api_facts(NO_ROUTE)) | told(url, target_groups=WELL)
        assert (f"confirmed {WRONG} gateway" in lines(concluded(real, facts.values()), "present")) is is_wrong


def test_another_services_name_is_wrong(real: Catalogue) -> None:
    """Cloud Map has the name, and not MLflow's addresses behind it."""
    where = discovery_facts(**AT)
    for host, is_wrong in (("auth", True), ("mlflow", False)):
        url = f"http://{host}.hokusai.local:5000/mlflow"
        found = concluded(real, (mlflow_unreached() | told(url, service_discovery=where)).values())
        assert (WRONG in named(found, "present")) is is_wrong


def test_a_zone_that_cloud_map_does_not_have_may_be_route_53s(real: Catalogue) -> None:
    """It is wrong where MLflow is well; where that is not known, it stays open."""
    url = "http://mlflow.corp.internal:5000/mlflow"
    ill = group_facts(mlflow=group("mlflow", registered(5000, "unhealthy", reason="Target.Timeout")))
    for groups, is_wrong in ((WELL, True), (ill, False)):
        found = concluded(real, (mlflow_unreached() | told(url, target_groups=groups)).values())
        assert (f"confirmed {WRONG} gateway" in lines(found, "present")) is is_wrong
        assert is_wrong or WRONG not in named(found, "present")


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://auth.old.example", "likely"),
        ("https://internal-auth-1.us-east-1.elb.amazonaws.com", "open"),
    ],
)
def test_another_host_of_auth_is_never_certain(real: Catalogue, url: str, status: str) -> None:
    """It may be auth's on another way, which is cut: a person must say."""
    silent = refusal(503, "Authentication service timeout")
    facts = no_verdict(silent) | right(HOKUSAI_AUTH_SERVICE_URL=url)
    found = concluded(real, facts.values())
    (one,) = [d for d in found.diagnoses if d.cause == "gateway-auth-url-wrong"]
    assert (one.certainty or "open") == status
    assert one.remedy is None or one.remedy.kind == "needs-value"


def test_the_gateway_may_ask_for_the_platform_whatever_the_key_is_of(real: Catalogue) -> None:
    """Auth was asked for the platform and accepted: that is the right service id."""
    of_another = validation_facts(answer(body={"is_valid": True, "service_id": "x"})).model_copy(
        update={"service_id": "x"}
    )
    found = concluded(real, (refusing(key_validation=of_another) | right()).values())
    assert named(found, "present") == {"gateway-sends-key-where-auth-does-not-look"}
