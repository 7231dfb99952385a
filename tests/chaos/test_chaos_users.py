"""Users at work, against servers that stall, forget and change what they were given."""

import asyncio
import itertools
import time
from hashlib import sha256

import pytest
from _servers import http, json_answer, serving

from hokusai_probe.chaos import users
from hokusai_probe.chaos.facts import Used
from hokusai_probe.chaos.users import Thing, Users
from hokusai_probe.model import Hosts, Target

KEY = {"HOKUSAI_API_KEY": "hk_test_0123456789abcdef0123456789abcdef"}
GOOD = sha256(b"weights").hexdigest()
NONE = http("404 Not Found", b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}', content_type="application/json")


def run(name: str, stage: str = "active") -> bytes:
    """MLflow's answer about a run."""
    return json_answer(f'{{"run": {{"info": {{"run_name": "{name}", "lifecycle_stage": "{stage}"}}}}}}')


def version(run_id: str) -> bytes:
    """MLflow's answer about a model version."""
    return json_answer(f'{{"model_version": {{"run_id": "{run_id}"}}}}')


ANSWERS = {
    b"/kept": http(body=b"weights"),
    b"/changed": http(body=b"other weights"),
    b"/gone": NONE,
    b"/silent": http("503 Service Unavailable"),
    b"/no-route": http("404 Not Found"),
    b"/whole": http(body=b"weights"),
    b"/half": http(body=b"wei"),
    b"/refused": NONE,
    b"/answered": http("500 Internal Server Error"),
    b"run_id=there": run("mine"),
    b"run_id=deleted": run("mine", "deleted"),
    b"run_id=another": run("theirs"),
    b"run_id=away": NONE,
    b"run_id=page": http(body=b"<html>welcome"),
    b"name=churn&version=7": version("r1"),
    b"name=churn&version=8": version("r9"),
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


def things() -> list[Thing]:
    """What users made, and four artifacts that were not acknowledged."""
    stored = [Thing("artifact", n, GOOD, 0.0) for n in ("kept", "changed", "gone", "silent", "no-route")]
    tried = [Thing("artifact", n, GOOD, None) for n in ("whole", "half", "refused", "answered")]
    runs = [Thing("run", n, "mine", 0.0) for n in ("there", "deleted", "another", "away", "page")]
    return [*stored, *tried, *runs, *(Thing("model version", f"churn/{n}", "r1", 0.0) for n in (7, 8))]


def test_what_was_acknowledged_is_looked_up_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """There unchanged, lost, changed, or not to be told; a 200 alone proves nothing.

    Of what was not acknowledged only a part that is there is told: it would be taken for the whole.
    """
    monkeypatch.setattr(users, "_PAUSE_S", 0.0)

    async def fates() -> dict[str, tuple[str, str]]:
        async with serving(answer) as server:
            at_work = at(server.port)
            at_work.things |= {one.name: one for one in things()}
            return {one.name: (one.fate, one.said) for one in await at_work.account()}

    assert asyncio.run(fates()) == {
        "kept": ("kept", ""),
        "changed": ("lost", "other bytes than were stored"),
        "gone": ("lost", "404"),
        "silent": ("unknown", "503"),
        "no-route": ("unknown", "404"),
        "half": ("torn", "other bytes than were stored"),
        "there": ("kept", ""),
        "deleted": ("lost", "it was deleted"),
        "another": ("lost", "it is another"),
        "away": ("lost", "404"),
        "page": ("unknown", "200"),
        "churn/7": ("kept", ""),
        "churn/8": ("lost", "it is another"),
    }


def test_what_hangs_at_the_end_is_counted_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work ends when the last use has come to its end: those that were quick are not all there were."""
    monkeypatch.setattr(users, "EVERY_S", {"read": 0.1})
    monkeypatch.setattr(users, "DEADLINE_S", 0.8)

    async def first_alone(writer: asyncio.StreamWriter, _head: bytes) -> None:
        if heard := next(turns):
            await asyncio.sleep(60)
        writer.write(json_answer("{}") if not heard else b"")
        await writer.drain()

    async def used() -> tuple[list[bool], list[bool]]:
        async with serving(first_alone) as server:
            at_work = at(server.port)
            task = asyncio.create_task(at_work.work())
            await asyncio.sleep(0.35)
            through = [at_work.are_through(moment) for moment in (0.05, 0.3)]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return through, [one.worked for one in sorted(at_work.used, key=lambda one: one.at_s)]

    turns = itertools.count()
    assert asyncio.run(used()) == ([True, False], [True, False, False, False])


def test_a_platform_that_stalls_does_not_slow_its_users_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses begin at their intended moments whatever became of the others, and fail at their deadline."""
    monkeypatch.setattr(users, "EVERY_S", {"read": 0.1})
    monkeypatch.setattr(users, "DEADLINE_S", 0.5)

    async def stall(_writer: asyncio.StreamWriter, _head: bytes) -> None:
        await asyncio.sleep(60)

    async def used() -> list[Used]:
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
