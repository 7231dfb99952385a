"""``history``, ``diff`` and ``run --history`` as a user meets them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from _kept import TARGET, filled, run, series
from click.testing import CliRunner, Result

from hokusai_probe.cli import main
from hokusai_probe.cli.run import Sinks, emit
from hokusai_probe.history import folder
from hokusai_probe.history.folder import History
from hokusai_probe.model import Hosts, Observation, Report, Target, Verdict
from hokusai_probe.score import score

KEY = "hk_test_Zx9qLmP2vR7tYw4B"
OLD_REPORT = f"""**Date**: 2025-08-05
**API Key Used**: {KEY}

- **Infrastructure Health Score**: 45.5% (5/11 checks passed)

## Infrastructure
- MLflow service: 2/3 checks passed (404s considered "healthy" for missing routes)
"""


def call(*arguments: object) -> Result:
    """Run the command as a user would."""
    return CliRunner().invoke(main, [str(a) for a in arguments], env={"HOKUSAI_API_KEY": KEY})


def report(hours: float, *statuses: str) -> Report:
    """A report of a check for each status."""
    verdicts = tuple(
        Verdict.model_validate(
            {
                "check": f"c{n}",
                "title": "t",
                "area": "infrastructure",
                "component": "auth",
                "hop": "public.auth",
            }
            | {"status": status, "probe": "p", "reason": f"502 with {KEY}" if status == "fail" else ""}
        )
        for n, status in enumerate(statuses)
    )
    started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    look = Observation(probe="p", started_at=started, duration_s=0.1, status="skipped", reason="x")
    return Report(
        target=TARGET,
        configuration=Target(name=TARGET, hosts=Hosts(registry="http://127.0.0.1:1")),
        started_at=started,
        duration_s=1.0,
        tool_version="0",
        observations=(look,),
        verdicts=verdicts,
        score=score(verdicts),
    )


def saved(path: Path, found: Report) -> Path:
    """A report's JSON."""
    path.write_text(found.to_json(), "utf-8")
    return path


# --- run --history --------------------------------------------------------------------------------------


def test_a_run_is_kept_and_the_next_says_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file each, without the key; the terminal and the reports say what became of it."""
    monkeypatch.setenv("HOKUSAI_API_KEY", KEY)
    sinks = Sinks(reports=str(tmp_path / "out"), history=str(tmp_path / "runs"))

    codes = [emit(report(0, "pass", "pass"), sinks), emit(report(1, "pass", "fail"), sinks)]

    said = capsys.readouterr().out
    assert codes == [0, 1]
    assert "Compared with the previous run (2026-01-01 00:00 UTC):\n   newly failing: c1\n" in said
    written = (tmp_path / "out/MODEL_REGISTRATION_TEST_REPORT.md").read_text("utf-8")
    assert "- newly failing: `c1`" in written
    texts = [path.read_text("utf-8") for path in (tmp_path / "runs").rglob("*.json")]
    assert len(texts) == 3
    assert not any(KEY[8:16] in text for text in texts)


def test_a_history_that_cannot_be_written_is_found_out_first(tmp_path: Path) -> None:
    """Before any look, with a sentence."""
    (tmp_path / "file").write_text("", "utf-8")

    found = call("run", "http://127.0.0.1:1", "--history", tmp_path / "file" / "runs")

    assert found.exit_code == 2
    assert found.stderr.startswith("error: cannot write ")


def test_what_is_corrupt_in_the_history_is_named_beside_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And changes nothing about the run's own exit code."""
    folder.write(tmp_path, run()).write_text("half", "utf-8")

    assert emit(report(1, "pass"), Sinks(history=str(tmp_path))) == 0

    assert capsys.readouterr().err.startswith(f"note: history: {TARGET}/2026/01/01/20260101T000000Z-")


# --- index ----------------------------------------------------------------------------------------------


def test_index_counts_runs_and_names_what_is_corrupt(tmp_path: Path) -> None:
    """Exit code 3 says that something could not be read; the next time all is well."""
    filled(tmp_path, (*series("p f f"), run(target="b")))
    folder.write(tmp_path, run(7)).write_text("half", "utf-8")

    first, second = (call("history", "index", "--history", tmp_path) for _ in range(2))

    assert (first.exit_code, second.exit_code) == (3, 0)
    assert (
        first.stdout == second.stdout == f"b                    1 run   1 state\n{TARGET}  3 runs  2 states\n"
    )
    assert "is corrupt (" in first.stderr
    assert second.stderr == ""


# --- show -----------------------------------------------------------------------------------------------

OLD_COUNT = "45.5 % by the old count, of which two points were the fault itself (5 of 11)"
SHOWN = f"""hokusai-development: 7 runs, 2025-08-05 00:00 UTC to 2026-01-01 05:00 UTC

Failing checks:
  between 2026-01-01 02:00 UTC (last good run) and 2026-01-01 03:00 UTC (first bad one; 3 bad runs so far)
    a

Served from 2025-12-31 05:00 UTC:
  auth  50 % of the time that is known (up 2.0 h, down 2.0 h, unknown 20.0 h)

Slowest answers from 2025-12-31 05:00 UTC:
  GET registry /health 200  2 answers  p50 101.6 ms, p95 1001.1 ms, p99 1001.1 ms

Schedule:
  6 runs  0 missed; half of them up to 0 s late

Scores of the former scripts:
  2025-08-05 00:00 UTC infrastructure  {OLD_COUNT}
"""


def test_show_says_all_of_one_target(tmp_path: Path) -> None:
    """Since when, availability, latency, schedule, and the old scores as what they are."""
    times = {"GET registry /health 200": {"buckets": {49: 1, 73: 1}}}
    kept = (*series("p p p f f"), run(5, "f", latency=times))
    (tmp_path / "old.md").write_text(OLD_REPORT, "utf-8")
    call("history", "import", tmp_path / "old.md", "--history", filled(tmp_path, kept), "--target", TARGET)

    found = call("history", "show", "--history", tmp_path, "--days", "1")

    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout == SHOWN


def test_show_as_json_is_the_same_as_data(tmp_path: Path) -> None:
    """On standard output alone."""
    found = call("history", "show", "--history", filled(tmp_path, series("p f")), "--json", "-")

    data = json.loads(found.stdout)
    assert (data["target"], data["runs"], data["failing"]["a"]["bad_runs"]) == (TARGET, 2, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name one with --target"),
        (("--target", "c"), "'c' is none of them"),
    ],
)
def test_one_of_several_targets_must_be_named(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """The sentence lists them."""
    filled(tmp_path, (run(target="a"), run(target="b")))

    found = call("history", "show", "--history", tmp_path, *arguments)

    assert found.exit_code == 2
    assert found.stderr == f"error: {tmp_path} has runs of these targets: a, b; {says}\n"


def test_no_such_folder(tmp_path: Path) -> None:
    """Exit code 2 and a sentence, for every command that reads."""
    for command in (("history", "index"), ("history", "show"), ("history", "prune"), ("diff",)):
        found = call(*command, "--history", tmp_path / "gone")
        assert (found.exit_code, found.stderr) == (
            2,
            f"error: {tmp_path / 'gone'}: there is no such folder of runs\n",
        )


# --- import ---------------------------------------------------------------------------------------------


def test_import_takes_scores_over_and_tells_to_revoke_keys(tmp_path: Path) -> None:
    """The key is in no output and in no file; twice is once."""
    (tmp_path / "old.md").write_text(OLD_REPORT, "utf-8")
    runs = tmp_path / "runs"

    first, second = (
        call("history", "import", tmp_path / "old.md", "--history", runs, "--target", TARGET)
        for _ in range(2)
    )

    assert first.exit_code == second.exit_code == 0
    assert first.stdout == second.stdout
    assert first.stdout == f"2025-08-05 00:00 UTC: infrastructure {OLD_COUNT}\n"
    assert "holds what looks like 1 key. Nothing of it was taken over." in first.stderr
    assert "revoke it" in first.stderr
    assert KEY[8:16] not in first.output
    assert len(History.read(runs).runs()) == 1
    assert not any(KEY[8:16] in path.read_text("utf-8") for path in runs.rglob("*.json"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"# nothing", "no report of the former scripts"),
        (b"\xff", "it is not UTF-8 text"),
        (None, "No such file"),
    ],
)
def test_import_refuses_with_a_sentence(tmp_path: Path, content: bytes | None, says: str) -> None:
    """And writes nothing, not even of files before it."""
    (tmp_path / "old.md").write_text(OLD_REPORT, "utf-8")
    bad = tmp_path / "bad.md"
    if content is not None:
        bad.write_bytes(content)

    found = call(
        "history", "import", tmp_path / "old.md", bad, "--history", tmp_path / "runs", "--target", "t"
    )

    assert found.exit_code == 2
    assert says in found.stderr
    assert not (tmp_path / "runs").exists()


# --- prune ----------------------------------------------------------------------------------------------


def test_prune_lists_first_and_removes_when_told_to(tmp_path: Path) -> None:
    """What is listed is what goes, and the index agrees."""
    filled(tmp_path, series("p p p p f f"))

    listed = call("history", "prune", "--history", tmp_path)
    before = folder.listing(tmp_path)
    done = call("history", "prune", "--history", tmp_path, "--apply")
    again = call("history", "prune", "--history", tmp_path, "--apply")

    assert listed.stdout == done.stdout == "".join(f"{where}\n" for where in before[1:3])
    assert listed.stderr == "2 of 6 runs would be removed; --apply does it\n"
    assert (done.stderr, again.stderr) == ("2 of 6 runs removed\n", "0 of 4 runs removed\n")
    assert len(before) == 6
    assert folder.listing(tmp_path) == (before[0], *before[3:])


def test_prune_keeps_the_last_days(tmp_path: Path) -> None:
    """Counted from now."""
    now = datetime.now(UTC)
    filled(tmp_path, [run(started_at=now - timedelta(days=day)) for day in range(6)])

    found = call("history", "prune", "--history", tmp_path, "--keep-days", "2.5")

    assert found.stderr == "2 of 6 runs would be removed; --apply does it\n"


# --- diff -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        (("pass",), ("fail",), 1, "newly failing: c0\n  score: 100 % before, 0 % now"),
        (("fail",), ("pass",), 0, "mended: c0\n  score: 0 % before, 100 % now"),
        (("fail",), ("fail",), 0, "nothing changed: the same 1 check fails, as before"),
    ],
)
def test_diff_of_two_reports(
    tmp_path: Path, old: tuple[str, ...], new: tuple[str, ...], code: int, says: str
) -> None:
    """Exit code 1 when something is worse than before; what still fails is not."""
    one, other = saved(tmp_path / "o.json", report(0, *old)), saved(tmp_path / "n.json", report(1, *new))

    found = call("diff", one, other)

    assert (found.exit_code, found.stdout) == (
        code,
        f"2026-01-01 00:00 UTC to 2026-01-01 01:00 UTC\n  {says}\n",
    )


def test_diff_against_a_history(tmp_path: Path) -> None:
    """The run before, or the last one up to a time, without a report the last run itself."""
    runs = filled(tmp_path / "runs", series("p f f"))
    now = saved(tmp_path / "n.json", report(30, "pass"))
    calls = {
        "before": call("diff", now, "--history", runs),
        "chosen": call("diff", now, "--history", runs, "--against", "2026-01-01T00:30Z"),
        "day": call("diff", now, "--history", runs, "--against", "2026-01-01"),
        "last": call("diff", "--history", runs),
    }

    heads = {name: found.stdout.splitlines()[0] for name, found in calls.items()}
    assert heads == {
        "before": "2026-01-01 02:00 UTC to 2026-01-02 06:00 UTC",
        "chosen": "2026-01-01 00:00 UTC to 2026-01-02 06:00 UTC",
        "day": "2026-01-01 02:00 UTC to 2026-01-02 06:00 UTC",
        "last": "2026-01-01 01:00 UTC to 2026-01-01 02:00 UTC",
    }


def test_diff_as_json(tmp_path: Path) -> None:
    """The comparison as data."""
    one, other = saved(tmp_path / "o.json", report(0, "pass")), saved(tmp_path / "n.json", report(1, "fail"))

    found = call("diff", one, other, "--json", "-")

    assert json.loads(found.stdout)["newly_failing"] == ["c0"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("o.json",), "give OLD.json and NEW.json, or --history DIR with at most one report"),
        (("o.json", "o.json", "--against", "2026-01-01"), "give OLD.json and NEW.json"),
        (("o.json", "o.json", "--history", "runs"), "give OLD.json and NEW.json"),
        (("o.json", "--history", "runs"), "runs has no earlier run to compare with"),
        (("o.json", "--history", "runs", "--against", "monday"), "'monday' is no time"),
        (("gone.json", "o.json"), "cannot read gone.json"),
    ],
)
def test_diff_refuses_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    """Exit code 2."""
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "o.json", report(0, "pass"))
    filled(tmp_path / "runs", [run(5)])

    found = call("diff", *arguments)

    assert (found.exit_code, says in found.stderr) == (2, True)
    assert "Traceback" not in found.output


def test_reports_of_two_targets_are_compared_with_a_note(tmp_path: Path) -> None:
    """Somebody may mean it."""
    other = report(1, "pass").model_copy(update={"target": "other"})

    found = call("diff", saved(tmp_path / "o.json", report(0, "pass")), saved(tmp_path / "n.json", other))

    assert found.stderr == f"note: the first run is of {TARGET}, the second of other\n"


def test_the_commands_need_no_environment() -> None:
    """Help is there for each, with an example."""
    for command in ("index", "show", "import", "prune"):
        found = call("history", command, "--help")
        assert (found.exit_code, "Example:" in found.output) == (0, True)
    assert "Examples:" in call("diff", "--help").output


def test_a_run_keeps_when_the_next_is_due(tmp_path: Path) -> None:
    """As ``--every`` says, so that missed runs can be counted; that nothing listens there is kept, too."""
    where = ("http://127.0.0.1:9", "--only", "infrastructure", "--quiet", "--fail-on", "never")

    done = call("run", *where, "--history", tmp_path, "--every", "1800", "--trigger", "schedule")

    (kept,) = History.read(tmp_path).runs()
    assert (done.exit_code, kept.trigger, kept.expected_interval_s) == (0, "schedule", 1800.0)
    assert kept.state.checks["fail"]


# --- latency --------------------------------------------------------------------------------------------

TIMED = {"key": {"first_byte": {"buckets": {40: 2}}, "total": {"buckets": {41: 2}}}}
COLUMNS = "Connect TLS First byte Total n p50 p95 p99 Against the objective Against the runs before"
LATENCY = f"""Part of the way {COLUMNS}
key: a key is judged, and no more - - 43.1 ms 47.4 ms 76 47.4 ms 47.4 ms n too small (76 of 299) \
met: 0 of 76 took longer than 900 ms no slower: 43 ms, now 43 ms"""


def test_latency_is_told_by_part_of_the_way(tmp_path: Path) -> None:
    """Against the objective that the last run knew of, and against the runs before."""
    kept = [run(hour, parts=TIMED, objective_ms=900.0) for hour in range(40)]

    found = call("history", "latency", "--history", filled(tmp_path, kept), "--runs", "38")

    assert (found.exit_code, found.stderr) == (0, "")
    assert "\n".join(" ".join(line.split()) for line in found.stdout.splitlines()) == LATENCY


def test_latency_as_json_is_the_same_as_data(tmp_path: Path) -> None:
    """Three runs say what they cannot tell."""
    kept = [run(hour, parts=TIMED, objective_ms=900.0) for hour in range(3)]

    data = json.loads(call("history", "latency", "--history", filled(tmp_path, kept), "--json", "-").stdout)

    assert data["key"]["objective"] == {
        "status": "cannot-tell",
        "reason": "n too small (6 of 59)",
        "since": None,
    }


def test_runs_of_earlier_versions_have_no_parts(tmp_path: Path) -> None:
    """Which is said."""
    found = call("history", "latency", "--history", filled(tmp_path, series("p p")))

    assert (found.exit_code, found.stdout) == (0, "no run of these timed the parts of the way\n")
