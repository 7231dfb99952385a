"""Checks as test items: ``pytest --hokusai-target TARGET``. Without that option it does nothing at all.

One item per check, and one run for all of them, made when the first is set up; under pytest-xdist the
controller makes it and tells its workers. A check that fails is a failed test; our own trouble is an error;
what does not apply or is not configured is skipped. A check that waits for another one is skipped where
that one is in the same session, and else an error: a session must not be green because the reason lies
outside it. Nor is a session green in which nothing was judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

    from hokusai_probe.as_tests import Plan
    from hokusai_probe.model import Report, Verdict

NAME = "hokusai-probe"
_Style = Literal["long", "short", "line", "no", "native", "value", "auto"]
_REPORT = "hokusai_probe_report"


def pytest_addoption(parser: pytest.Parser) -> None:
    """What to look at, and which of its checks."""
    group = parser.getgroup(NAME, "checks of a model-registry platform as tests")
    group.addoption(
        "--hokusai-target", metavar="TARGET", help="add the checks of a TOML file, a URL or a shipped name"
    )
    group.addoption("--hokusai-only", metavar="SEL,...", default="", help="only these areas, looks or checks")
    group.addoption("--hokusai-no-aws", action="store_true", help="look from outside only")


def pytest_configure(config: pytest.Config) -> None:
    """Find out before any test whether the target can be used. Raises pytest.UsageError."""
    if config.getoption("hokusai_target"):
        config.pluginmanager.register(Run.planned(config), f"{NAME}-run")


class FailedError(Exception):
    """A check fails; the text is what a person needs to know."""


class TroubleError(Exception):
    """A check could not be judged, and the platform is not known to be the reason."""


class Checks(pytest.Collector):
    """All checks of the session, as one thing to collect."""

    run: Run

    def collect(self) -> Iterator[CheckItem]:
        """An item per check; ``-k`` knows it by its area and component too."""
        for check in self.run.plan.checks:
            item: CheckItem = CheckItem.from_parent(self, name=check.slug)
            item.extra_keyword_matches |= {check.area, check.component}
            item.user_properties += [("area", check.area), ("component", check.component)]
            item.run = self.run
            yield item


class CheckItem(pytest.Item):
    """One check."""

    run: Run

    def setup(self) -> None:
        """Have the run made, and skip what it could not judge for a reason that is all right.

        Raises TroubleError.
        """
        from hokusai_probe import as_tests

        names = {item.name for item in self.session.items if isinstance(item, CheckItem)}
        verdict = self.run.verdict(self.name, names)
        wrong = as_tests.trouble(verdict, names)
        if wrong:
            raise TroubleError(wrong)
        skipped = as_tests.skipped(verdict)
        if skipped:
            pytest.skip(skipped)

    def runtest(self) -> None:
        """Raises FailedError where the check fails."""
        from hokusai_probe import as_tests

        report, verdict = self.run.report, self.run.verdicts[self.name]
        if verdict.status == "fail" and report is not None:
            raise FailedError(as_tests.failure(report, verdict))

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: _Style | None = None
    ) -> str | TerminalRepr:
        """What is wrong with the platform; where our code stood when it said so helps nobody."""
        if isinstance(excinfo.value, FailedError | TroubleError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, None, str]:
        """Where it is listed."""
        return NAME, None, f"{NAME}: {self.name}"


class Run:
    """The run of one session, and pytest's hooks that need it. ``report`` is None until it was made.

    ``phases``: those that any check's test came to, here or at a worker; only ``call`` judges.
    """

    def __init__(self, plan: Plan, report: Report | None = None) -> None:
        self.plan = plan
        self.report: Report | None = None
        self.verdicts: dict[str, Verdict] = {}
        self.phases: set[str] = set()
        if report is not None:
            self._keep(report)

    @classmethod
    def planned(cls, config: pytest.Config) -> Run:
        """The run that the options ask for; a worker is handed its report. Raises pytest.UsageError."""
        from hokusai_probe.as_tests import Plan
        from hokusai_probe.errors import ProbeError
        from hokusai_probe.model import Report

        only = tuple(word.strip() for word in config.getoption("hokusai_only").split(",") if word.strip())
        try:
            aws = not config.getoption("hokusai_no_aws")
            plan = Plan.made(config.getoption("hokusai_target"), only, aws=aws)
        except ProbeError as error:
            raise pytest.UsageError(str(error)) from None
        handed = getattr(config, "workerinput", {}).get(_REPORT)
        return cls(plan, Report.read(handed) if handed else None)

    def verdict(self, check: str, wanted: set[str]) -> Verdict:
        """The verdict on a check, after the run; only what is ``wanted`` is looked at."""
        if self.report is None:
            less = wanted < {one.slug for one in self.plan.checks}
            self._keep(self.plan.run(tuple(sorted(wanted)) if less else None))
        return self.verdicts[check]

    def _keep(self, report: Report) -> None:
        self.report = report
        self.verdicts = {verdict.check: verdict for verdict in report.verdicts}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the checks, before others choose among the items."""
        checks: Checks = Checks.from_parent(session, name=NAME, nodeid=NAME)
        checks.run = self
        items.extend(session.genitems(checks))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """Under xdist: look before the workers start, once, and hand each of them the report."""
        if self.report is None:
            self._keep(self.plan.run())
        if self.report is not None:
            node.workerinput[_REPORT] = self.report.to_json()  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Under xdist the controller is told of every test, at whatever worker it ran."""
        if report.nodeid.startswith(f"{NAME}::"):
            self.phases.add(report.when)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A session in which nothing was judged, or in which we had trouble, is not green."""
        from hokusai_probe.as_tests import judged_nothing

        if self.report is None or session.exitstatus != 0:
            return
        all_skipped = bool(self.phases) and "call" not in self.phases
        if all_skipped or judged_nothing(self.report):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What the run comes to, and why."""
        from hokusai_probe.as_tests import summary

        if self.report is not None:
            terminalreporter.section(NAME)
            terminalreporter.write_line(summary(self.report))
