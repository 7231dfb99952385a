"""The open loop against a server that stands still for a while, and beside a load generator of others."""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from _loads import WELL, recorded, registry, target
from _servers import LOCAL, serving

from hokusai_probe import load
from hokusai_probe.http import HttpDoor
from hokusai_probe.keys import Keys
from hokusai_probe.load import Judgement, LoadReport, Plan, Stage, judge, percentile, schedule
from hokusai_probe.load.driving import Drive, Result
from hokusai_probe.redact import Redactor

Found = TypeVar("Found")
ATTEMPTS = 3
TICK_S, PAUSE_S, LOST_S = 0.01, 0.03, 0.06
RATE, SECONDS, WORK_S = 75.0, 4.0, 0.005
CLOSED = 150
BACKLOG_MS = 300  # what has waited is then worked off, ten at a time; on a busy machine that takes its time
FROZEN_FROM_S, FROZEN_FOR_S = 1.0, 1.0
PLAN = Plan(mix={"health": 1}, stages=(Stage(rate=RATE, seconds=SECONDS),))


class Freezing:
    """A server that answers in 5 ms, but for one second in which it does nothing at all."""

    def __init__(self) -> None:
        self.begun = float("inf")
        self.stood_s = FROZEN_FOR_S

    async def __call__(self, writer: "asyncio.StreamWriter", _: bytes) -> None:
        at_s = asyncio.get_running_loop().time() - self.begun
        if FROZEN_FROM_S <= at_s < FROZEN_FROM_S + FROZEN_FOR_S:
            await asyncio.sleep(FROZEN_FROM_S + FROZEN_FOR_S - at_s)
            if self.stood_s == FROZEN_FOR_S:  # the first to wake: on a busy machine it oversleeps
                self.stood_s = asyncio.get_running_loop().time() - self.begun - FROZEN_FROM_S
        await asyncio.sleep(WORK_S)
        writer.write(WELL)
        await writer.drain()


async def closed(port: int) -> list[float]:
    """How long answers took for somebody who waits for each before asking again, in seconds."""
    took: list[float] = []
    async with HttpDoor(target(port, budget={"requests": 10_000}), Keys(), Redactor()) as door:
        while len(took) < CLOSED:
            took.append((await door.send("GET", "registry", "/health")).elapsed_s)
    return took


async def opened(port: int) -> Drive:
    """The same server under a load of an open model."""
    whole = target(port, budget={"requests": 10_000})
    async with HttpDoor(whole, Keys(), Redactor(), at_once=10) as door:

        async def ask(_: object) -> Result:
            return Result((await door.send("GET", "registry", "/health")).status)

        drive = Drive(ask, lambda _: None, at_once=10, seconds=SECONDS, deadline_s=2.0)
        await drive.run(schedule(PLAN))
        return drive


async def frozen(load_of: Callable[[int], Awaitable[Found]]) -> tuple[Found, float]:
    """What a load came to on a server that freezes, and for how many seconds it stood still."""
    server = Freezing()
    async with serving(server) as listening:
        server.begun = asyncio.get_running_loop().time()
        return await load_of(listening.port), server.stood_s


class Ticker:
    """A thread that only ever sleeps for a moment, and adds up by how much it overslept in long pauses.

    It knows nothing of what is measured beside it, so no mistake in that can look like a busy machine.
    """

    def __init__(self) -> None:
        self.lost_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self) -> "Ticker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _tick(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(TICK_S):
            late = time.monotonic() - began - TICK_S
            self.lost_s += late if late > PAUSE_S else 0.0
            began = time.monotonic()


def when_undisturbed(measure: Callable[[], tuple[Judgement, Found]]) -> tuple[Judgement, Found]:
    """What is measured when this machine has the time, whatever it is that is measured."""
    for _ in range(ATTEMPTS):
        with Ticker() as ticker:
            measured = measure()
        if ticker.lost_s < LOST_S:
            return measured
    pytest.skip(f"this machine was too busy to measure anything, {ATTEMPTS} times")


def test_a_stall_is_seen_by_who_does_not_wait_for_answers() -> None:
    """Closed, one slow answer of hundreds: p99 near 10 ms. Open: what the known stall makes of the starts.

    Whoever was due t seconds into the freeze waits for the rest of it; so of n starts the one of a rank takes
    the freeze less (n - rank) gaps between starts.
    """

    def measure() -> tuple[Judgement, tuple[float, list[float]]]:
        with ThreadPoolExecutor(1) as beside:  # a server of its own, so that only the machine is shared
            waiting = beside.submit(lambda: asyncio.run(frozen(closed)))
            drive, stood_s = asyncio.run(frozen(opened))
            took, _ = waiting.result()
        return judge(recorded(drive.samples, plan=PLAN)), (stood_s, took)

    judged, (stood_s, took) = when_undisturbed(measure)
    found, count = judged.everything, judged.everything.samples
    stalled_ms = [(stood_s - (count - rank) / RATE + WORK_S) * 1000 for rank in (285, 297)]

    assert count == RATE * SECONDS == 300
    for seen, known in zip((found.p95_ms, found.p99_ms), stalled_ms, strict=True):
        assert known - 80 < (seen or 0) < known + BACKLOG_MS
    assert judged.missed >= RATE * FROZEN_FOR_S - 10 - 1  # all but those that found a place
    assert max(took) > 0.9  # the closed loop was there, and saw the stall once
    assert 5 <= (percentile(took, 0.99) or 0) * 1000 < 250  # near 10 where nothing else runs


K6 = """
import http from 'k6/http';
export const options = {{ scenarios: {{ same: {{
  executor: 'constant-arrival-rate', rate: {rate}, timeUnit: '1s', duration: '{seconds}s',
  preAllocatedVUs: 10, maxVUs: 10,
}} }} }};
export default function () {{ http.get('http://{host}:{port}/health'); }}
"""


async def k6(port: int, rate: int, seconds: int, folder: Path) -> dict[str, dict[str, float]]:
    """What k6 measured in a load of an open model, without a word to anybody but that port."""
    script, out = folder / "same.js", folder / "out.json"
    script.write_text(K6.format(rate=rate, seconds=seconds, host=LOCAL, port=port), encoding="utf-8")
    words = [
        str(Path(sys.executable).with_name("k6")),
        "run",
        "--no-usage-report",
        "--quiet",
        "--address",
        "",
    ]
    process = await asyncio.create_subprocess_exec(
        *words, "--summary-export", str(out), str(script),
        env={"HOME": str(folder), "PATH": os.defpath, "K6_NO_USAGE_REPORT": "true"},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    found: dict[str, dict[str, float]] = json.loads(out.read_text(encoding="utf-8"))["metrics"]
    return found


def test_an_independent_generator_measures_the_same(tmp_path: Path) -> None:
    """k6 and ours at one server, at one rate, at the same time: as many requests, as fast, answered as soon.

    k6 counts a time from when the request was sent, not from when it was due; on a server that keeps up with
    the rate that is the same.
    """
    rate, seconds, delay_s = 20, 2, 0.05

    async def run() -> tuple[LoadReport, dict[str, dict[str, float]], list[bytes]]:
        plan = Plan(mix={"health": 1}, stages=(Stage(rate=rate, seconds=seconds),))
        async with serving(registry(delay_s=delay_s)) as server:
            ours = load.arun(target(server.port), plan, environment={})
            theirs = k6(server.port, rate, seconds, tmp_path)
            return *await asyncio.gather(ours, theirs), server.heads

    def measure() -> tuple[Judgement, tuple[dict[str, dict[str, float]], list[bytes]]]:
        report, measured, heads = asyncio.run(run())
        return judge(report), (measured, heads)

    judged, (measured, heads) = when_undisturbed(measure)
    asked = [head for head in heads if b"GET /health" in head]
    from_k6 = sum(b"k6" in head for head in asked)

    assert judged.exit_code == 0
    assert abs(from_k6 - rate * seconds) <= 1
    assert len(asked) - from_k6 == rate * seconds + load.plan.QUIET["health"]
    assert abs(judged.answered_per_s / measured["http_reqs"]["rate"] - 1) < 0.06
    assert judged.everything.p50_ms is not None
    assert abs(judged.everything.p50_ms / measured["http_req_duration"]["med"] - 1) < 0.3
