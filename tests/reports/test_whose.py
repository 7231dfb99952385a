"""What the answer tells a third party: whose trouble it is, what to paste, and which variables worked."""

from typing import Any

import made
import pytest

from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts, Observation, Report
from hokusai_probe.reports import answer, client, console, markdown


class ClientSeen(Facts):
    """What the look at MLflow's client records, as far as a report reads it."""

    works: bool = True
    header_works: bool | None = True
    environment: tuple[str, ...] = ("MLFLOW_TRACKING_URI=https://r.example", 'MLFLOW_TRACKING_TOKEN="$KEY"')


class Advised(Facts):
    """What the look at the client's patience records, as far as a report reads it."""

    refused_s: float = 251
    silent_s: float = 1211
    advised_silent_s: float = 149
    environment: tuple[str, ...] = ("MLFLOW_HTTP_REQUEST_TIMEOUT=35",)


class Search(Facts):
    """What the look at MLflow's API records, as a report from a file has it."""

    search: dict[str, Any]


def with_looks(report: Report, **looks: Facts) -> Report:
    """A report with these facts of further looks."""
    seen = tuple(
        Observation(
            probe=name.replace("_", "-"), started_at=made.WHEN, duration_s=0.1, status="seen", facts=facts
        )
        for name, facts in looks.items()
    )
    return report.model_copy(update={"observations": (*report.observations, *seen)})


def blamed(*sides: str | None) -> Report:
    """A registration whose stages fail, each blamed on a side."""
    slugs = ("experiment_created", "model_registered", "artifact_stored")
    broken = {slug: {**made.fail("no"), "blame": side} for slug, side in zip(slugs, sides, strict=False)}
    return made.report(made.verdicts(**broken))


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (made.healthy(), ""),
        (made.read_only(), ""),
        (blamed("you"), "The trouble is the caller's: the key, or how it is used."),
        (blamed("them", "them"), "The trouble is the platform's, not the caller's."),
        (blamed("policy"), "The trouble is policy: the platform refuses this key what registering needs."),
        (blamed("network"), "The trouble is the network's, between here and the platform."),
        (blamed("probe"), "The trouble is this machine's, not the platform's."),
        (
            blamed("you", "them"),
            "The trouble is the caller's and the platform's.",
        ),
        (made.client_key(), "The trouble is the caller's: the key, or how it is used."),
        (made.two_causes(), "The trouble is the platform's, not the caller's."),
        (made.undecided(), "The trouble is the platform's, not the caller's."),
        (blamed(None), "Whose trouble it is was not settled."),
    ],
)
def test_whose_trouble_it_is(report: Report, sentence: str) -> None:
    """What the stuck checks are blamed on, else whose causes are named, else what is not known."""
    assert answer.whose(report) == sentence


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (500, "The trouble is the platform's, not the caller's, though its cause could not be named."),
        (404, "The trouble is the platform's, not the caller's, though its cause could not be named."),
        (401, "Whose trouble it is was not settled."),
        (None, "Whose trouble it is was not settled."),
    ],
)
def test_without_a_cause_the_answer_itself_tells(status: int | None, sentence: str) -> None:
    """A server error is never the caller's; a refusal may be either's."""
    report = with_looks(blamed(None), mlflow_api=Search(search={"status": status}))
    assert answer.whose(report) == sentence


@pytest.mark.parametrize("component", ["network", "dns", "tls", "load-balancer"])
def test_what_is_inside_the_platform_is_the_platforms(component: str) -> None:
    """Its security groups, its names and its certificates: nobody between here and there can mend them."""
    report = made.undecided()
    inside = tuple(d.model_copy(update={"component": component}) for d in report.diagnoses)
    said = answer.whose(report.model_copy(update={"diagnoses": inside}))
    assert said == "The trouble is the platform's, not the caller's."


def test_only_the_way_to_the_platform_is_the_networks(real: Catalogue) -> None:
    """No cause but one lies between here and the platform."""
    assert [c.slug for c in real.causes.values() if c.blame == "network"] == ["probe-has-no-network"]


def test_all_clear_names_the_variables_that_worked() -> None:
    """On its one line; the key is a reference."""
    said = console.render(with_looks(made.healthy(), mlflow_client=ClientSeen()), colour=False)
    variables = 'MLFLOW_TRACKING_URI=https://r.example MLFLOW_TRACKING_TOKEN="$KEY"'
    assert said.endswith(f"a third party can register a model, and MLflow's client did with {variables}.\n")
    assert said.count("\n") == 1


def test_a_client_that_did_not_work_recommends_nothing() -> None:
    """Variables that did not help are not handed on."""
    report = with_looks(made.healthy(), mlflow_client=ClientSeen(works=False, header_works=None))
    assert client.working(report) == ()
    assert "MLFLOW" not in console.render(report, colour=False)


def test_the_report_says_how_to_set_the_client_up() -> None:
    """What worked, whether the other header would, and how not to wait for twenty minutes."""
    report = with_looks(made.two_causes(), mlflow_client=ClientSeen(), client_advice=Advised())
    said = markdown.render(report)
    assert 'export MLFLOW_TRACKING_URI=https://r.example\nexport MLFLOW_TRACKING_TOKEN="$KEY"' in said
    assert "`X-API-Key` was let in, too" in said
    assert "repeats a refused request for 4 min and waits 20 min for a silent host" in said
    assert "export MLFLOW_HTTP_REQUEST_TIMEOUT=35" in said


def test_each_failing_check_can_be_seen_for_oneself() -> None:
    """The same request once, with the checks that it is for."""
    broken = {slug: made.fail("no", "curl https://r.example/x") for slug in ("search", "experiment_created")}
    said = console.render(made.report(made.verdicts(**broken)), colour=False)
    assert said.count("$ curl https://r.example/x\n") == 1
    assert "   search, experiment-created\n   $ curl https://r.example/x\n" in said


def test_many_requests_are_left_to_the_report() -> None:
    """A terminal is not a report."""
    slugs = ("auth_health", "ecs_tasks", "registry_health", "bearer_key", "no_key_refused", "search")
    broken = {
        slug: made.fail("no", f"curl https://r.example/{slug}") for slug in (*slugs, "model_registered")
    }
    said = console.render(made.report(made.verdicts(**broken)), colour=False)
    assert said.count("$ curl") == 6
    assert "(and 1 more, in the report)" in said


def test_a_named_cause_is_shown_by_one_request() -> None:
    """The first that it explains; what no cause explains has a request of its own."""
    said = console.render(made.two_causes(), colour=False)
    assert (said.count("$ curl"), "   bearer-key\n" in said) == (2, False)


def test_who_has_no_way_into_aws_reads_no_commands_for_it() -> None:
    """One line says what the platform's side must look at; the report has it all."""
    for report in (made.undecided(), made.two_causes()):
        target = report.configuration.model_copy(update={"aws": None})
        said = console.render(report.model_copy(update={"configuration": target}), colour=False)
        assert "$ aws" in console.render(report, colour=False)
        assert "$ aws" not in said
        assert "   The platform's side must " in said
