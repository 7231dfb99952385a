"""How fast answers come, in the report for who runs the platform: of one run, of many, and not at all."""

from datetime import timedelta

import made

from hokusai_probe.history.condense import run_of
from hokusai_probe.history.pace import paces
from hokusai_probe.history.past import Past
from hokusai_probe.http import Answer, Timing
from hokusai_probe.model import Facts, Observation, Report
from hokusai_probe.reports import health

HEADING = "## How fast answers come"
TIMING = Timing(connect_s=0.01, tls_s=0.02, first_byte_s=0.05)


class Timed(Facts):
    """One answer."""

    answer: Answer


def report(timing: Timing | None) -> Report:
    """A healthy report with one answer of the gateway's own."""
    whole = made.healthy()
    url = f"{whole.configuration.hosts.registry}/live"
    answer = Answer(method="GET", url=url, path="/live", status=200, elapsed_s=0.09, timing=timing)
    look = Observation(
        probe="public-paths", started_at=whole.started_at, duration_s=0.1, status="seen",
        facts=Timed(answer=answer),
    )  # fmt: skip
    return whole.model_copy(update={"observations": (look,)})


def row(said: str) -> list[str]:
    """The cells of the gateway's row."""
    found = next(line for line in said.splitlines() if line.startswith("| constant"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_one_run_says_where_its_time_went_and_no_percentile() -> None:
    """Connect, TLS, first byte, total; everything that a few samples cannot tell is not said."""
    assert row(health.render(report(TIMING))) == [
        "constant: the gateway alone",
        "10.3 ms",
        "20.1 ms",
        "52.2 ms",
        "92.4 ms",
        "1",
        "92.4 ms",
        "n too small (1 of 59)",
        "n too small (1 of 299)",
        "cannot-tell: n too small (1 of 59)",
        "cannot-tell: too few earlier runs (0 of 24)",
    ]


def test_what_nobody_timed_is_not_shown() -> None:
    """A run of an earlier version has no such section."""
    assert HEADING not in health.render(report(None))


def test_a_history_says_more() -> None:
    """The table is of the runs that it knows."""
    run = run_of(report(TIMING))
    many = [run.model_copy(update={"started_at": run.started_at - timedelta(hours=n)}) for n in range(70)]

    said = row(health.render(report(TIMING), Past(paces=paces(many[::-1], 500.0))))

    assert said[5:] == [
        "70",
        "92.4 ms",
        "92.4 ms",
        "n too small (70 of 299)",
        "met: 0 of 70 took longer than 500 ms",
        "no slower: 52 ms, now 52 ms",
    ]
