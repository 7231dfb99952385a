"""The control host: well until a fault says otherwise, and broken as the fault says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from data_side import asynchronous, network

from hokusai_probe.sandbox.control_host import EDGE, ControlHost
from hokusai_probe.sandbox.faults import Do, Edit, Fault, Match, write_table


@asynccontextmanager
async def control(directory: Path, *faults: Fault) -> AsyncIterator[tuple[ControlHost, str]]:
    """A control host under faults, and its URL."""
    ip = f"{network()}.5"
    write_table(directory / "faults.json", faults)
    host = ControlHost(ip, ip, directory / "faults.json", 10.0)
    url = await host.start()
    try:
        await host.refresh()
        yield host, url
    finally:
        await host.close()


async def ask(url: str, limit_s: float = 2.0) -> tuple[int, str] | str:
    """Status and body, or the kind of failure."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=limit_s, sock_read=limit_s)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.get(url) as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError as error:
            return type(error).__name__


@asynchronous
async def test_a_control_host_that_is_well(tmp_path: Path) -> None:
    """200 at the root, 404 elsewhere."""
    async with control(tmp_path) as (_, url):
        seen = [await ask(url), await ask(f"{url}/nope")]
    assert seen == [(200, "ok"), (404, "Not Found")]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(edge=EDGE, do=Do(refuse=True)), "ClientConnectorError"),
        (Fault(edge=EDGE, do=Do(drop=True)), "ConnectionTimeoutError"),
        (Fault(edge=EDGE, do=Do(reset=True)), "ClientOSError"),
        (Fault(edge=EDGE, do=Do(status=503, body="no")), (503, "no")),
        (Fault(edge=EDGE, do=Do(edit=Edit(body_replace="captive"))), (200, "captive")),
        (Fault(edge=EDGE, match=Match(path="/"), do=Do(drop=True)), "SocketTimeoutError"),
        (Fault(edge=EDGE, match=Match(path="/other"), do=Do(refuse=True)), (200, "ok")),
        (Fault(edge=EDGE, match=Match(host="elsewhere.test"), do=Do(refuse=True)), (200, "ok")),
        (Fault(edge="client->aws", do=Do(refuse=True)), (200, "ok")),
    ],
)
def test_faults(fault: Fault, expected: object, tmp_path: Path) -> None:
    """What meets every connection does so before a request is sent; the rest answers requests."""

    async def look() -> None:
        async with control(tmp_path, fault) as (_, url):
            assert await ask(url, 0.3) == expected

    asynchronous(look)()


@asynchronous
async def test_a_fault_that_ends(tmp_path: Path) -> None:
    """The same port serves again."""
    async with control(tmp_path, Fault(edge=EDGE, do=Do(drop=True))) as (host, url):
        hanging = asyncio.create_task(ask(url, 0.2))
        await asyncio.sleep(0.05)
        seen = [await hanging]
        write_table(tmp_path / "faults.json", [Fault(edge=EDGE, do=Do(refuse=True))])
        await host.refresh()
        seen.append(await ask(url))
        write_table(tmp_path / "faults.json", [])
        await host.refresh()
        seen.append(await ask(url))
    assert seen == ["ConnectionTimeoutError", "ClientConnectorError", (200, "ok")]
