"""What programs read: JUnit XML and Prometheus's text, whole and with hostile names."""

import re
from pathlib import Path
from xml.etree import ElementTree

import made
import pytest
from _xsd import faults
from expected import MARKUP, expect, with_names, with_text
from hypothesis import given, settings

from hokusai_probe.model import Report
from hokusai_probe.reports import junit, prometheus

SCHEMA = Path(__file__).parent / "junit.xsd"


# --- JUnit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("situation", made.SITUATIONS)
def test_junit(situation: str) -> None:
    """Each situation has its JUnit file, word for word, and it follows the schema."""
    said = junit.render(made.SITUATIONS[situation]())
    expect(f"{situation}.junit.xml", said)
    assert faults(said, SCHEMA) == []


def test_a_run_without_verdicts_is_a_valid_file() -> None:
    """No suite at all is better than one of nothing."""
    said = junit.render(made.report(()))
    assert (faults(said, SCHEMA), list(ElementTree.fromstring(said))) == ([], [])


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("<testsuites><testcase/></testsuites>", "<testsuites> holds ['testcase']"),
        ("<testsuites tests='many'/>", "<testsuites> has tests='many'"),
        ("<testsuites skipped='1'/>", "<testsuites> has skipped"),
        ("<testsuites>text</testsuites>", "<testsuites> holds text"),
        ("<system>x</system>", "<system> is not known"),
        ("<testcase classname='x'/>", "<testcase> lacks name"),
    ],
)
def test_the_schema_is_not_blind(document: str, fault: str) -> None:
    """What breaks the schema is found by the reader of it above."""
    assert fault in faults(document, SCHEMA)


def outcomes(report: Report) -> list[tuple[str, str]]:
    """The suite and the outcome of each case."""
    root = ElementTree.fromstring(junit.render(report))
    return [(s.get("name", ""), c[0].tag if len(c) else "pass") for s in root for c in s.iter("testcase")]


def test_every_verdict_is_one_case() -> None:
    """In the suite of its area, with its outcome; a blocked one is skipped, an error is no failure."""
    word = {"fail": "failure", "error": "error", "skip": "skipped", "pass": "pass"}
    for make in made.SITUATIONS.values():
        report = make()
        assert sorted(outcomes(report)) == sorted((v.area, word[v.status]) for v in report.verdicts)


@settings(max_examples=60, deadline=None)
@given(MARKUP)
def test_junit_parses_whatever_the_text(said: str) -> None:
    """The same suites, cases and outcomes as with plain words, and the schema holds."""
    for wild, plain in ((with_text(said), with_text("word")), (with_names(said), with_names("word"))):
        assert faults(junit.render(wild), SCHEMA) == []
        assert outcomes(wild) == outcomes(plain)


# --- Prometheus -----------------------------------------------------------------------------------------

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
PAIR = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(\{{{PAIR}(?:,{PAIR})*\}})? ([0-9.e+-]+)")
Samples = dict[tuple[str, str], float]


def parsed(said: str) -> Samples:
    """Every series with its value, as strictly as the format is written down.

    Each metric's lines stand together under one HELP and one TYPE, no series is there twice, and a line
    feed ends it all.
    """
    assert said.endswith("\n")
    found: Samples = {}
    seen: list[str] = []
    for line in said[:-1].split("\n"):
        if line.startswith("# HELP "):
            seen.append(line.split(" ")[2])
            continue
        if line.startswith("# TYPE "):
            assert line == f"# TYPE {seen[-1]} gauge"
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] == seen[-1]
        assert (sample[1], sample[2]) not in found
        found[sample[1], sample[2]] = float(sample[3])
    assert len(seen) == len(set(seen))
    return found


@pytest.mark.parametrize("situation", ["healthy", "two-causes", "undecided", "our-trouble"])
def test_prometheus(situation: str) -> None:
    """Each situation has its metrics, word for word, and they parse."""
    said = prometheus.render(made.SITUATIONS[situation]())
    expect(f"{situation}.metrics.prom", said)
    assert parsed(said)


def test_the_metrics_say_what_the_report_says() -> None:
    """One state for each check, each cause that is present, the score of each area, when and how long."""
    report = made.two_causes()
    found = parsed(prometheus.render(report))
    states = [k[1] for k, value in found.items() if k[0] == "hokusai_probe_check_status" and value]
    assert len(states) == len(report.verdicts)
    assert sum('status="blocked"' in s for s in states) == 3
    t = 'target="hokusai-development"'
    assert found[
        "hokusai_probe_cause_present", f'{{{t},cause="target-port-mismatch",component="load-balancer"}}'
    ]
    assert found["hokusai_probe_score_ratio", f'{{{t},area="authentication"}}'] == 0.0
    assert found["hokusai_probe_last_run_timestamp_seconds", f"{{{t}}}"] == made.WHEN.timestamp()
    assert found["hokusai_probe_last_run_duration_seconds", f"{{{t}}}"] == 4.2
    assert found["hokusai_probe_registration", f'{{{t},answer="no"}}'] == 1.0


def test_nothing_judged_has_no_score() -> None:
    """No series is better than a zero that means nothing."""
    assert "score" not in prometheus.render(made.report(()))


@settings(max_examples=60, deadline=None)
@given(MARKUP)
def test_metrics_parse_whatever_the_names(said: str) -> None:
    """The same metrics as with plain names, none of them added or lost."""
    wild, plain = (parsed(prometheus.render(with_names(x))) for x in (said, "word"))
    assert [name for name, _ in wild] == [name for name, _ in plain]
    assert list(wild.values()) == list(plain.values())
