"""JUnit XML, which every continuous integration shows: a suite for each area, a case for each verdict. Pure.

The structure is the one that Jenkins publishes as junit-10. A blocked check is a skip there, with the
reason, because JUnit has no word for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from hokusai_probe import text
from hokusai_probe.model import Diagnosis, Observation, Report, Verdict
from hokusai_probe.reports import answer

_REASON_CHARACTERS = 1_000
_OUTCOME = {"fail": "failure", "error": "error", "skip": "skipped"}
_COUNTED = {"failures": "fail", "errors": "error", "skipped": "skip"}


def render(report: Report) -> str:
    """The report as JUnit XML in UTF-8, ending in a newline. Times are seconds, timestamps UTC.

    What XML 1.0 forbids is dropped from texts. Trouble of ours outside a look is a suite without cases.
    """
    root = ElementTree.Element("testsuites", name=_line(report.target), time=f"{report.duration_s:.3f}")
    root.attrib.update({k: v for k, v in _counts(report.verdicts).items() if k != "skipped"})
    for area in answer.areas_in_order(report):
        root.append(_suite(report, area, [v for v in report.verdicts if v.area == area]))
    if report.errors:
        root.append(_our_own(report))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _line(said: str) -> str:
    return text.clean(text.one_line(said), _REASON_CHARACTERS)


def _counts(verdicts: Iterable[Verdict]) -> dict[str, str]:
    found = [v.status for v in verdicts]
    return {"tests": str(len(found))} | {name: str(found.count(s)) for name, s in _COUNTED.items()}  # type: ignore[arg-type]


def _suite(report: Report, area: str, verdicts: list[Verdict]) -> ElementTree.Element:
    looks = {v.probe for v in verdicts}
    seconds = _seconds(o for o in report.observations if o.probe in looks)
    suite = _empty_suite(report, area, _counts(verdicts) | {"time": f"{seconds:.3f}"})
    suite.extend(_case(report, v) for v in verdicts)
    return suite


def _seconds(looks: Iterable[Observation]) -> float:
    return sum(o.duration_s for o in looks)


def _empty_suite(report: Report, name: str, more: dict[str, str]) -> ElementTree.Element:
    started = report.started_at.strftime("%Y-%m-%dT%H:%M:%S")
    return ElementTree.Element("testsuite", {"name": name, "timestamp": started} | more)


def _case(report: Report, verdict: Verdict) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=f"{verdict.area}.{verdict.component}", name=_line(verdict.check)
    )
    if verdict.status != "pass":
        kind = verdict.skip_kind or verdict.blame or verdict.status
        reason = _line(verdict.reason)
        said = ElementTree.SubElement(case, _OUTCOME[verdict.status], type=kind, message=reason)
        said.text = "\n".join(_details(report, verdict))
    return case


def _details(report: Report, verdict: Verdict) -> Iterable[str]:
    yield text.one_line(verdict.title)
    if verdict.reason:
        yield text.one_line(verdict.reason)
    causes = [f"{d.cause} ({d.status})" for d in _explaining(report, verdict)]
    if causes:
        yield f"Because of: {', '.join(map(text.one_line, causes))}"
    if verdict.reproduce:
        yield f"Reproduce: {text.one_line(verdict.reproduce)}"


def _explaining(report: Report, verdict: Verdict) -> Iterable[Diagnosis]:
    return (d for d in (*report.present(), *report.undecided()) if verdict.check in d.explains)


def _our_own(report: Report) -> ElementTree.Element:
    suite = _empty_suite(report, "hokusai-probe", _counts(()))
    lines = (f"{text.one_line(e.where)}: {text.one_line(e.reason)}" for e in report.errors)
    ElementTree.SubElement(suite, "system-err").text = "\n".join(lines)
    return suite
