"""Loads made by hand, and a server that is as much of a registry as a load of reads asks for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from _servers import LOCAL, Reply, http, json_answer, serving

from hokusai_probe.load import LoadReport, Plan, Sample, Stage
from hokusai_probe.model import SAFETY_CLASSES, Hosts, Target, Timeouts

UNKNOWN = http("404 Not Found", b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}', content_type="application/json")
WELL = json_answer("{}")


def sample(at_s: float = 0.0, took_s: float = 0.01, status: int | None = 200, **more: Any) -> Sample:
    """A start that was sent when it was due, and answered after that many seconds."""
    return Sample(
        **{"intended_s": at_s, "sent_s": at_s, "ended_s": at_s + took_s, "kind": "search", "status": status}
        | more
    )


def recorded(samples: Sequence[Sample], **more: Any) -> LoadReport:
    """A load of searches that was carried out in ten seconds."""
    plan = Plan(mix={"search": 1}, stages=(Stage(rate=max(len(samples), 1) / 10, seconds=10),))
    known: dict[str, Any] = {
        "target": "made-up",
        "host": "https://registry.example",
        "started_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "tool_version": "0",
        "plan": plan,
        "deadline_s": 2.0,
        "slo_p95_ms": 100.0,
        "outcome": "finished",
        "duration_s": 10.0,
        "baseline_s": {"search": (0.01, 0.01, 0.01)},
    }
    return LoadReport(**{**known, "samples": tuple(samples), **more})


def target(port: int, **more: Any) -> Target:
    """A registry on this machine that allows everything."""
    return Target(
        name="stand-in",
        hosts=Hosts(registry=f"http://{LOCAL}:{port}"),
        paths={"mlflow": ""},
        timeouts=Timeouts(connect_s=1.0, total_s=2.0),
        **{"allow": {"classes": SAFETY_CLASSES}, **more},
    )


def registry(answer: Callable[[int], bytes] = lambda _: WELL, delay_s: float = 0.0) -> Reply:
    """A registry: ``answer`` says what the n-th request (from 1) to anything but a model is answered."""
    asked = 0

    async def reply(writer: asyncio.StreamWriter, head: bytes) -> None:
        nonlocal asked
        asked += 1
        number = asked
        await asyncio.sleep(delay_s)
        writer.write(UNKNOWN if b"registered-models/get" in head else answer(number))
        await writer.drain()

    return reply


@contextmanager
def in_the_background(reply: Reply) -> Iterator[int]:
    """Serve from a thread of its own; the port."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []
    end = asyncio.Event()

    async def serve() -> None:
        async with serving(reply) as server:
            ports.append(server.port)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(5)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()
