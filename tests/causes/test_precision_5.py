"""Databases, task definitions and addresses: what looks like a known defect and is not, or not proven."""

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest
from _facts import api_facts
from test_diagnoses import concluded, lines, named, registration
from test_stores import MLFLOW_DOWN, UNREACHED, logged, seen, spoken, stores, without_aws

from hokusai_probe.causes._revision import set_secret, set_variable
from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts, Remedy
from hokusai_probe.probes.gateway_stores import database_trouble

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
