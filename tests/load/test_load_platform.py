"""Loads on real servers: ended by a limit, by errors or by a signal, one at a time, and nothing left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from _loads import WELL, in_the_background, recorded, registry, sample, target
from _servers import LOCAL, http, serving
from click.testing import CliRunner, Result

from hokusai_probe import config, load, sandbox
from hokusai_probe.cli import main
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.http import HttpDoor
from hokusai_probe.keys import Keys
from hokusai_probe.load import Busy, LoadReport, Plan, Stage, judge
from hokusai_probe.load.lock import alone
from hokusai_probe.load.operations import Operations
from hokusai_probe.load.plan import Start
from hokusai_probe.looking import Look
from hokusai_probe.model import LoadCaps
from hokusai_probe.redact import Redactor
from hokusai_probe.runner import UsageError
from hokusai_probe.sweeping import Swept, sweep

KEY = "hk_test_Zx9qLmP2vR7tYw4B"
SEARCHES = Plan(mix={"search": 1}, stages=(Stage(rate=15, seconds=3),))


def loaded(answer: Callable[[int], bytes], plan: Plan = SEARCHES, **more: object) -> LoadReport:
    """What a load of a registry that answers so came to."""

    async def run() -> LoadReport:
        async with serving(registry(answer)) as server:
            return await load.arun(target(server.port, **more), plan, environment={"HOKUSAI_API_KEY": KEY})

    return asyncio.run(run())


def from_the(number: int, status: str) -> Callable[[int], bytes]:
    """Well until that request, and from it on that status."""
    return lambda n: WELL if n < number else http(status, b"no", retry_after="1")


@pytest.mark.parametrize(
    ("status", "rule", "samples"),
    [("429 Too Many Requests", "429", 10), ("503 Service Unavailable", "5xx", 12)],
)
def test_a_load_ends_when_the_platform_has_enough(status: str, rule: str, samples: int) -> None:
    """At the first 429, at the third server error in a row: nothing more is sent, and it is no pass."""
    report = loaded(from_the(17, status))  # the look at MLflow takes two requests, quiet ones five
    judged = judge(report)

    assert (report.outcome, report.rule, judged.exit_code) == ("aborted", rule, 3)
    assert len(report.samples) - judged.cut_short == samples
    assert report.duration_s < 2


def test_a_platform_that_becomes_slow_is_left_alone_at_once() -> None:
    """Twenty times slower from the first start on: the third such answer ends it, however few there are."""
    asked, reply = iter(range(99)), registry()

    async def late(writer: asyncio.StreamWriter, head: bytes) -> None:
        await asyncio.sleep(0.4 if next(asked) >= 7 else 0)
        await reply(writer, head)

    async def run() -> LoadReport:
        async with serving(late) as server:
            return await load.arun(target(server.port), SEARCHES, environment={})

    report = asyncio.run(run())
    assert (report.outcome, report.rule, judge(report).exit_code) == ("aborted", "latency", 3)
    assert report.duration_s < 1.5


def test_a_load_is_not_begun_on_a_platform_that_is_not_well() -> None:
    """A quiet request that fails is the reason; no start was due."""
    report = loaded(from_the(5, "500 Internal Server Error"))

    assert (report.outcome, report.rule, report.samples) == ("aborted", "not-ready", ())
    assert report.reason == "the platform is not well enough for a load: a quiet search: status 500"
    assert judge(report).exit_code == 3


def test_the_cap_on_bytes_ends_a_load() -> None:
    """It counts what comes, answer by answer, and the sentence names the cap."""
    big = http(body=b'{"experiments": "' + b"x" * 40_000 + b'"}', content_type="application/json")
    report = loaded(lambda _: big, load=LoadCaps(bytes=400_000))

    assert (report.outcome, report.rule) == ("aborted", "ours")
    assert report.reason == "the cap of 400000 bytes is reached"
    assert report.bytes_received < 500_000


def test_no_key_is_in_a_record() -> None:
    """Not even where the platform sends it back."""
    told = json.dumps({"experiments": [], "next_page_token": KEY}).encode()
    short = Plan(mix={"search": 1}, stages=(Stage(rate=5, seconds=1),))
    report = loaded(lambda _: http(body=told, content_type="application/json"), short)

    assert report.outcome == "finished"
    assert KEY not in report.to_json() + load.markdown(report)


@pytest.mark.parametrize(
    ("classes", "mix", "says"),
    [
        (("read", "write"), {"search": 1}, "does not allow disruptive: add --allow disruptive if"),
        (("read", "disruptive"), {"upload": 1}, "does not allow write: add --allow write if"),
        (("read",), {"registration": 1}, "does not allow write and disruptive: add --allow write,disruptive"),
    ],
)
def test_only_a_target_that_allows_it_is_loaded(
    classes: tuple[str, ...], mix: Mapping[load.Kind, int], says: str
) -> None:
    """Of class disruptive, and of write where it creates; the sentence says what to add, nothing is sent."""
    shy = target(9, allow={"classes": classes})
    plan = Plan(mix=mix, stages=(Stage(rate=1, seconds=1),))
    with pytest.raises(UsageError, match=says):
        load.run(shy, plan, environment={})


def test_leave_is_no_way_around_a_cap() -> None:
    """What is allowed on the command line is a class, never more of it."""
    plan = SEARCHES.model_copy(update={"at_once": 11})
    with pytest.raises(config.ConfigError, match="11 at once, more than the 10 that this tool ever sends"):
        load.run(target(9), plan, allow=("write", "disruptive"), environment={})


def test_two_loads_of_one_platform_never_overlap() -> None:
    """The second one is refused while the first one lasts, and the lock is free after it."""
    host = f"http://{LOCAL}:9"
    with alone(host), alone(f"http://{LOCAL}:10"):
        with pytest.raises(Busy, match=f"another load test of {host} is under way on this machine"):
            load.run(target(9), SEARCHES, environment={})
        called = call("load", host, "--allow", "disruptive")
        assert (called.exit_code, "another load test of" in called.output) == (2, True)
    with alone(host):
        pass


# --- the command ------------------------------------------------------------------------------------


def call(*words: str) -> Result:
    """The command as a user gives it."""
    return CliRunner().invoke(main, list(words), env={"HOKUSAI_API_KEY": KEY})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["http://127.0.0.1:9"], "does not allow disruptive"),
        (["http://127.0.0.1:9", "--rate", "21"], "does not allow disruptive"),
        (["http://127.0.0.1:9", "--rate", "21", "--allow", "disruptive"], "more than the 20 that this tool"),
        (["http://127.0.0.1:9", "--ramp", "--rate", "2", "--allow", "disruptive"], "more than the 60"),
        (["http://127.0.0.1:9", "--mix", "serch"], "'serch' is nothing that a load sends"),
        (["http://127.0.0.1:9", "--mix", "search=0"], "must be a whole number from 1 to 1000"),
        (["--sandbox", "--rate", "nan"], "there is no such load: rate: "),
        (["--sandbox", "--rate", "inf"], "there is no such load: rate: "),
        (["--sandbox", "--seconds", "inf"], "there is no such load: seconds: "),
        (["--sandbox", "--ramp", "--rate", "nan"], "there is no such load: rate: "),
        (["--sandbox", "--ramp", "--rate", "5e-324"], "there is no such load: rate: "),
        (["--sandbox", "--rate", "1e200", "--seconds", "1e200"], "there is no such load: rate: "),
        (["--sandbox", "--artifact-bytes", "1" + "0" * 22], "there is no such load: artifact_bytes: "),
        (["--sandbox", "--at-once", "1" + "0" * 400], "there is no such load: at_once: "),
        (["--sandbox", "--concurrent-registrations", "1" + "0" * 400], "there is no such load: burst: "),
        (["--ramp", "--seconds", "5"], "--ramp and --seconds exclude each other"),
        (["--concurrent-registrations", "2", "--mix", "search"], "--mix exclude each other"),
        (["--replay", "x.json", "--rate", "1"], "sends nothing"),
        (["--replay", "/nowhere/load.json"], "cannot read /nowhere/load.json"),
        (["one", "two"], "one TARGET"),
    ],
)
def test_bad_words_are_one_sentence(words: list[str], says: str) -> None:
    """Exit code 2, before anything is sent."""
    called = call("load", *words)
    assert (called.exit_code, says in called.output.replace("\n", " "), "Traceback" in called.output) == (
        2, True, False,
    )  # fmt: skip


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    """The sentence names the file and what is missing."""
    path = tmp_path / "load.json"
    path.write_text("{}", encoding="utf-8")
    called = call("load", "--replay", str(path))
    assert (called.exit_code, f"{path} is no record of a load: target:" in called.output) == (2, True)


ONE = sample(0.0).model_dump(mode="json")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"samples": [{**ONE, "stage": 7}]}, "sample 0 is of stage 7, and the plan has 1"),
        ({"samples": [{**ONE, "stage": -1}]}, "samples.0.stage: "),
        ({"samples": [{**ONE, "kind": "upload"}]}, "sample 0 is of kind upload, which is not in the mix"),
        ({"samples": [{**ONE, "intended_s": 3.0}]}, "sample 0 ended before it was due"),
        ({"samples": [{**ONE, "ended_s": float("nan")}]}, "samples.0.ended_s: "),
        ({"samples": [{**ONE, "ended_s": float("inf")}]}, "samples.0.ended_s: "),
        ({"samples": [{**ONE, "intended_s": float("nan")}]}, "samples.0.intended_s: "),
        ({"slo_p95_ms": 0.0}, "slo_p95_ms: "),
        ({"slo_p95_ms": 5e-324}, "slo_p95_ms: "),
        ({"deadline_s": float("nan")}, "deadline_s: "),
        ({"baseline_s": {"search": [float("inf")]}}, "baseline_s.search.0: "),
        ({"plan": {"stages": [{"rate": 1e300, "seconds": 1e300}]}}, "plan.stages.0.rate: "),
        ({"plan": {"burst": 10**400}}, "plan.burst: "),
        ({"started_at": "9999-12-31T23:59:59-12:00"}, "started_at: "),
        ({"schema_version": "99.0"}, "is written in another version of the schema of loads than 1.0"),
    ],
)
def test_a_record_that_no_load_wrote_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    """In a sentence: neither a traceback nor a judgement of what cannot have been measured."""
    path = tmp_path / "load.json"
    path.write_text(json.dumps({**json.loads(recorded([]).to_json()), **change}), encoding="utf-8")
    called = call("load", "--replay", str(path), "--reports", str(tmp_path / "out"))
    assert (called.exit_code, says in called.output, "Traceback" in called.output) == (2, True, False)


def test_a_load_is_recorded_and_judged_again(tmp_path: Path) -> None:
    """The documents are written; the same record gives the same words and the same exit code."""
    with in_the_background(registry()) as port:
        called = call(
            "load", f"http://{LOCAL}:{port}", "--allow", "disruptive", "--rate", "8", "--seconds", "1",
            "--mix", "search,health=3", "--reports", str(tmp_path), "--quiet",
        )  # fmt: skip
    again = call("load", "--replay", str(tmp_path / "load.json"), "--json", str(tmp_path / "again.json"))

    assert called.exit_code in {0, 3}, called.output  # 3: this machine was late itself
    assert (again.exit_code, again.stdout) == (called.exit_code, called.stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again.json", "latency-against-rate.svg", "latency-over-time.svg", "load.json", "load.md",
    ]  # fmt: skip
    assert (tmp_path / "again.json").read_text() == (tmp_path / "load.json").read_text()
    piped = call("load", "--replay", str(tmp_path / "load.json"), "--json", "-")
    assert (piped.stdout, piped.stderr) == ((tmp_path / "load.json").read_text(), called.stdout)
    kinds = [one.kind for one in LoadReport.model_validate_json((tmp_path / "load.json").read_text()).samples]
    assert (kinds.count("search"), kinds.count("health")) == (2, 6)


# --- on the sandbox ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box() -> Iterator[sandbox.Box]:
    """The healthy platform."""
    with sandbox.start("healthy") as running:
        yield running


def environment(box: sandbox.Box) -> dict[str, str]:
    """That of whoever looks at it."""
    return {**bare_environment(), **box.environment}


def there(box: sandbox.Box, *, apply: bool = False) -> Swept:
    """What a sweep finds of ours, and removes."""
    known = environment(box)
    chosen = config.load(box.target_file, known)
    return asyncio.run(sweep(chosen, known, apply=apply, older_than=timedelta(seconds=-60)))


def nothing_seen_is_left(report: LoadReport) -> bool:
    """Whether all is gone but what was cut short before the platform made it: that is not said to be gone."""
    never_seen = [entry for entry in report.created if entry.removed is None]
    said = all("was ever made was not seen" in sentence for sentence in report.left)
    return (
        said and len(report.left) == len(never_seen) and all(e.removed is not False for e in report.created)
    )


@pytest.mark.xdist_group("sandbox")
def test_nothing_of_a_load_is_left(box: sandbox.Box) -> None:
    """Neither of one that was carried out, nor of one that was aborted in the midst of registrations.

    Removing has means of its own where a load has used up what it was allowed.
    """
    known = environment(box)
    mix: Mapping[load.Kind, int] = {"registration": 2, "upload": 1, "download": 1}
    plan = Plan(mix=mix, stages=(Stage(rate=4, seconds=1),), burst=4)
    small = config.load(box.target_file, known).model_copy(update={"load": LoadCaps(bytes=14_000)})
    more = Plan(mix={"registration": 1}, stages=(Stage(rate=2, seconds=3),))

    whole = load.run(box.target_file, plan, environment=known)
    cut = load.run(small, more, environment=known)
    found = there(box)

    assert (whole.outcome, whole.reason, judge(whole).errors) == ("finished", "", {})
    assert Counter(one.kind for one in whole.samples) == mix
    assert Counter((entry.kind, entry.removed) for entry in whole.created) == {
        ("run", True): 3, ("registered model", True): 3, ("artifact", True): 4,
    }  # fmt: skip
    assert (cut.outcome, cut.reason) == ("aborted", "the cap of 14000 bytes is reached")
    assert judge(cut).cut_short > 0
    assert nothing_seen_is_left(cut)
    assert (whole.left, found.found, found.unseen) == ((), (), ())


@pytest.mark.xdist_group("sandbox")
def test_what_a_killed_load_left_is_swept_up(box: sandbox.Box) -> None:
    """Nobody cleared up after it: its registration and its folder of artifacts are found as ours."""
    known = environment(box)
    chosen = config.load(box.target_file, known)
    keys = Keys.read(chosen.key, known)

    async def killed() -> load.driving.Result:
        async with HttpDoor(chosen, keys, Redactor()) as door:
            look = Look.new(chosen, door, None, keys, "0a1b2c3d")
            operations = Operations.new(look, look, "/api/mlflow", 100)
            assert await operations.prepare(("registration", "upload")) is None
            return await operations.carry_out(Start(0.0, "registration", 0))

    assert asyncio.run(killed()).status == 200
    swept = there(box, apply=True)
    assert sorted(thing.kind for thing in swept.removed) == ["artifact folder", "registered model", "run"]
    assert not swept.remains


def signalled(number: signal.Signals, known: Mapping[str, str], *words: str) -> int:
    """The exit code of a load that is sent a signal as soon as it has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hokusai_probe.cli", "load", *words],
        env={**os.environ, **known}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert any("the load begins" in line for line in process.stderr)
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode


def test_sigterm_ends_a_load(tmp_path: Path) -> None:
    """At once, with its record written and an exit code that says so."""
    out = tmp_path / "load.json"
    with in_the_background(registry()) as port:
        words = [f"http://{LOCAL}:{port}", "--allow", "disruptive", "--json", str(out)]
        code = signalled(signal.SIGTERM, {}, *words)
    report = LoadReport.model_validate_json(out.read_text(encoding="utf-8"))

    assert (code, report.outcome, report.reason) == (143, "interrupted", "SIGTERM")
    assert report.duration_s < 10


@pytest.mark.xdist_group("sandbox")
def test_a_signal_in_the_midst_of_registrations_leaves_nothing(box: sandbox.Box, tmp_path: Path) -> None:
    """It ends at once, clears up, writes its record and says so."""
    out = tmp_path / "load.json"
    words = [str(box.target_file), "--concurrent-registrations", "4", "--json", str(out)]
    code = signalled(signal.SIGINT, environment(box), *words)
    report = LoadReport.model_validate_json(out.read_text(encoding="utf-8"))
    found = there(box)

    assert (code, report.outcome, report.reason) == (130, "interrupted", "SIGINT")
    assert nothing_seen_is_left(report)
    assert (found.found, found.unseen) == ((), ())
