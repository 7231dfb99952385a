"""Checks as tests of a pytest session: what they come to is what the run says, and one run is made."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
from _servers import free_port

import hokusai_probe as hp
from hokusai_probe.as_tests import skipped, trouble
from hokusai_probe.model import SkipKind, Verdict, VerdictStatus

pytest_plugins = "pytester"

KEY = "hk_test_Zx9qLmP2vR7tYw4B"
PLUGIN = ("-p", "hokusai_probe.pytest_plugin", "-p", "no:cacheprovider")


class Platform(BaseHTTPRequestHandler):
    """Something that has a health page and no MLflow, and says back what it was sent."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer, and remember that it was asked."""
        self.asked.append(self.path)
        healthy = self.path == "/health"
        body = b"OK" if healthy else str(self.headers).encode()
        self.send_response(200 if healthy else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the server looks for

    def log_message(self, *_: object) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A target file, what a run of it says, and how many requests that took."""

    target: str
    report: hp.Report
    requests: int


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    """The platform, looked at once: what a pytest within pytest imports is forgotten when it ends."""
    file = tmp_path_factory.mktemp("looked") / "target.toml"
    with ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        file.write_text(f'name = "here"\n[hosts]\nregistry = "{url}"\n[paths]\nmlflow = "/m"\n', "utf-8")
        report = hp.run(file, environment={"HOKUSAI_API_KEY": KEY})
        yield Looked(str(file), report, len(Platform.asked))
        server.shutdown()


@pytest.fixture
def target(looked: Looked, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> str:
    """The target file, with a key in the environment, no other plugins than ours, and nothing asked yet."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("HOKUSAI_API_KEY", KEY)
    Platform.asked.clear()
    return looked.target


def outcomes(pytester: pytest.Pytester, *arguments: str) -> dict[str, str]:
    """What became of each check in a session; one that failed before its test is an error."""
    reports = pytester.inline_run(*PLUGIN, *arguments).getreports("pytest_runtest_logreport")
    found: dict[str, str] = {}
    for one in reports:
        outcome = "error" if one.failed and one.when != "call" else one.outcome
        if outcome != "passed" or one.when == "call":
            found[one.nodeid.removeprefix("hokusai-probe::")] = outcome
    return found


def expected(report: hp.Report) -> dict[str, str]:
    """What a session of all checks must come to."""
    words = {"pass": "passed", "fail": "failed", "error": "error", "skip": "skipped"}
    return {verdict.check: words[verdict.status] for verdict in report.verdicts}


def test_a_session_comes_to_what_a_run_says(pytester: pytest.Pytester, looked: Looked, target: str) -> None:
    """Every check once, failed, skipped or passed as its verdict is, with as many requests as one run."""
    found = outcomes(pytester, "--hokusai-target", target)

    assert found == expected(looked.report)
    assert {"passed", "failed", "skipped"} <= set(found.values())
    assert len(Platform.asked) == looked.requests


def test_a_failing_check_says_what_a_person_needs(pytester: pytest.Pytester, target: str) -> None:
    """The reason, the cause, how to see it again; no traceback, and no key in any of it."""
    result = pytester.runpytest_inprocess(*PLUGIN, "-l", "-v", "--hokusai-target", target)
    said = result.stdout.str() + result.stderr.str()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "again: curl" in said
    assert "mended? hokusai-probe verify" in said
    assert "Traceback" not in said
    assert "pytest_plugin.py:" not in said.replace("SKIPPED", "").partition("short test summary")[0]
    assert KEY not in said
    assert KEY[8:] not in said


def test_a_cause_is_named(pytester: pytest.Pytester, target: str) -> None:
    """Where nothing listens, the check that fails says which cause explains it."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    result = pytester.runpytest_inprocess(
        *PLUGIN, "--hokusai-target", nowhere, "--hokusai-only", "infrastructure", "--hokusai-no-aws"
    )

    result.stdout.fnmatch_lines(["cause: mlflow-down: *"])


@pytest.mark.parametrize("how", ["--hokusai-only=infrastructure", "-k=infrastructure"])
def test_areas_can_be_chosen(pytester: pytest.Pytester, looked: Looked, target: str, how: str) -> None:
    """By the words that a run knows, or by pytest's own."""
    found = outcomes(pytester, "--hokusai-target", target, how)

    assert found.keys() == {v.check for v in looked.report.verdicts if v.area == "infrastructure"}


def test_a_session_is_not_green_for_a_reason_outside_of_it(
    pytester: pytest.Pytester, looked: Looked, target: str
) -> None:
    """A check that waits for one that is not among the session's tests is an error, not a skip."""
    waiting = next(v.check for v in looked.report.verdicts if v.skip_kind == "blocked" and v.waited_for)

    found = outcomes(pytester, "--hokusai-target", target, "--hokusai-only", waiting)
    assert found == {waiting: "error"}


def test_a_session_that_judges_nothing_is_not_green(
    pytester: pytest.Pytester, looked: Looked, target: str
) -> None:
    """All skipped is no success."""
    lacking = next(v.check for v in looked.report.verdicts if v.skip_kind == "not-configured")
    result = pytester.inline_run(*PLUGIN, "--hokusai-target", target, "--hokusai-only", lacking)

    assert result.countoutcomes() == [0, 1, 0]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.timeout(180)
def test_under_xdist_as_well(pytester: pytest.Pytester, looked: Looked, target: str) -> None:
    """There the run is of all checks, and the session of those that were chosen among them."""
    lacking = next(v.check for v in looked.report.verdicts if v.skip_kind == "not-configured")
    result = pytester.runpytest_subprocess(
        *PLUGIN, "-p", "xdist", "-n", "1", "--hokusai-target", target, "-k", lacking
    )

    assert result.parseoutcomes().keys() <= {"skipped", "deselected"}
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("arguments", "key", "says"),
    [
        (["--hokusai-target", "nobody-knows-it"], KEY, "nobody-knows-it"),
        (["--hokusai-only", "proxi"], KEY, "did you mean proxy"),
        ([], "hk_test_Ünusable_9qLmP2vR", "HOKUSAI_API_KEY"),
    ],
)
def test_what_cannot_be_used_is_said_before_any_test(
    pytester: pytest.Pytester, target: str, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], key: str, says: str,
) -> None:  # fmt: skip
    """One sentence, pytest's exit code for usage, no request, and no key."""
    monkeypatch.setenv("HOKUSAI_API_KEY", key)
    result = pytester.runpytest_inprocess(*PLUGIN, "--hokusai-target", target, *arguments)
    said = result.stdout.str() + result.stderr.str()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in said
    assert (key in said, Platform.asked) == (False, [])


@pytest.mark.timeout(180)
def test_under_xdist_one_run_is_made(pytester: pytest.Pytester, looked: Looked, target: str) -> None:
    """By the controller, whose workers are told: the same outcomes, the same number of requests."""
    result = pytester.runpytest_subprocess(*PLUGIN, "-p", "xdist", "-n", "2", "--hokusai-target", target)

    assert result.parseoutcomes() == Counter(expected(looked.report).values())
    assert len(Platform.asked) == looked.requests
    assert KEY not in result.stdout.str()


def test_without_a_target_nothing_is_loaded(tmp_path: Path) -> None:
    """The plugin of an installed package must cost who does not use it nothing."""
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n", encoding="utf-8")
    code = (
        "import pytest, sys; pytest.main(['-q', '-p', 'hokusai_probe.pytest_plugin']);"
        "print(sorted(m for m in sys.modules if m.startswith(('hokusai', 'pydantic', 'httpcore', 'boto'))))"
    )
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip

    assert done.stdout.splitlines()[-1] == "['hokusai_probe', 'hokusai_probe.pytest_plugin']"


def verdict(status: VerdictStatus, kind: SkipKind | None = None, waited_for: str | None = None) -> Verdict:
    """A verdict with a reason that a log would obey."""
    return Verdict(
        check="c", title="t", area="proxy", component="gateway", hop="gateway", status=status, skip_kind=kind,
        reason="because\n::error::x", probe="p", waited_for=waited_for,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "wrong", "left_out"),
    [
        (verdict("pass"), False, False),
        (verdict("fail"), False, False),
        (verdict("error"), True, False),
        (verdict("skip", "not-applicable"), False, True),
        (verdict("skip", "not-configured"), False, True),
        (verdict("skip", "cannot-tell"), False, True),
        (verdict("skip", "blocked", "here"), False, True),
        (verdict("skip", "blocked", "elsewhere"), True, True),
        (verdict("skip", "blocked"), True, True),
    ],
)
def test_each_status_has_its_outcome(found: Verdict, wrong: bool, left_out: bool) -> None:
    """Trouble comes before skipping; nothing that is said is a command of a log."""
    said = (trouble(found, {"c", "here"}), skipped(found))

    assert tuple(map(bool, said)) == (wrong, left_out)
    assert "::" not in "".join(said)
