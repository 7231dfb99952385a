"""Users at work, against servers that stall, forget and change what they were given."""

import asyncio
import itertools
import time
from hashlib import sha256

import pytest
from _servers import http, json_answer, serving

from hokusai_probe.chaos import users
from hokusai_probe.chaos.users import Thing, Users
from hokusai_probe.model import Hosts, Target

KEY = {"HOKUSAI_API_KEY": "hk_test_0123456789abcdef0123456789abcdef"}
GOOD = sha256(b"weights").hexdigest()
ANSWERS = {
    b"/kept": http(body=b"weights"),
    b"/changed": http(body=b"other weights"),
    b"/gone": http("404 Not Found"),
    b"/silent": http("503 Service Unavailable"),
    b"run_id=there": json_answer("{}"),
    b"run_id=away": http("404 Not Found"),
    b"name=churn&version=7": json_answer("{}"),
}


async def answer(writer: asyncio.StreamWriter, head: bytes) -> None:
    """What each thing is answered with."""
    line = head.partition(b"\r\n")[0]
    writer.write(next(said for part, said in ANSWERS.items() if part in line))
    await writer.drain()


def at(port: int) -> Users:
    """Users of a server on this machine."""
    began = time.monotonic()
    target = Target(name="t", hosts=Hosts(registry=f"http://127.0.0.1:{port}"))
    return Users(target, KEY, lambda: time.monotonic() - began)


def test_what_was_acknowledged_is_looked_up_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """There unchanged, lost, changed, or not to be told."""
    monkeypatch.setattr(users, "_PAUSE_S", 0.0)

    async def fates() -> dict[str, tuple[str, str]]:
        async with serving(answer) as server:
            at_work = at(server.port)
            at_work.things += [Thing("artifact", n, 0.0, GOOD) for n in ("kept", "changed", "gone", "silent")]
            at_work.things += [Thing("run", "there", 0.0), Thing("run", "away", 0.0)]
            at_work.things.append(Thing("model version", "churn/7", 0.0))
            return {one.name: (one.fate, one.said) for one in await at_work.account()}

    assert asyncio.run(fates()) == {
        "kept": ("kept", ""),
        "changed": ("lost", "other bytes than were stored"),
        "gone": ("lost", "404"),
        "silent": ("unknown", "503"),
        "there": ("kept", ""),
        "away": ("lost", "404"),
        "churn/7": ("kept", ""),
    }


def test_a_platform_that_stalls_does_not_slow_its_users_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses begin at their intended moments whatever became of the others, and fail at their deadline."""
    monkeypatch.setattr(users, "EVERY_S", {"read": 0.1})
    monkeypatch.setattr(users, "DEADLINE_S", 0.5)

    async def stall(_writer: asyncio.StreamWriter, _head: bytes) -> None:
        await asyncio.sleep(60)

    async def used() -> list[users.Used]:
        async with serving(stall) as server:
            at_work = at(server.port)
            task = asyncio.create_task(at_work.work())
            await asyncio.sleep(2.0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return sorted(at_work.used, key=lambda one: one.at_s)

    found = asyncio.run(used())
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(found)]

    assert len(found) >= 15
    assert gaps == pytest.approx([0.1] * len(gaps))
    assert {(one.worked, one.said, one.took_s) for one in found} == {(False, "not done within 0.5 s", 0.5)}
