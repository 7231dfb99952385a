"""The cache as a prober in the VPC finds it: up, ended, deleted, barred."""

from dataclasses import dataclass
from pathlib import Path

from _servers import accepting, speaks
from data_side import asynchronous, network

from hokusai_probe.knock import heard
from hokusai_probe.sandbox.cache_front import CacheFront
from hokusai_probe.sandbox.database import StorePlaces
from hokusai_probe.sandbox.faults import write_table
from hokusai_probe.sandbox.network import NetworkTable, write_network


@dataclass
class State:
    """What ElastiCache says, and whether the server runs."""

    exists: bool = True
    alive: bool = True


@asynchronous
async def test_what_a_prober_finds_there(tmp_path: Path) -> None:
    """PONG; refused where the server has ended; silence where the cache is gone or its group bars the way."""
    net, state = network(), State()
    write_table(tmp_path / "faults.json", [])
    decisions = tmp_path / "network.json"
    places = StorePlaces(net, "redis.test", tmp_path / "faults.json", decisions, 10.0)
    front = CacheFront(places, lambda: state.exists, lambda: state.alive)

    async def said() -> object:
        await front.follow()
        found = await heard("redis", "redis.test", f"{net}.26", 6379, 0.4)
        return found.word or (found.failure and found.failure.kind)

    async with accepting(speaks(b"+PONG\r\n"), host=f"{net}.25", port=6379):
        seen = [await said()]
        state.alive = False
        seen.append(await said())
        state.exists = False
        seen.append(await said())
        state.exists = state.alive = True
        write_network(decisions, NetworkTable({f"{net}.25": "cache"}, {}, {"client-vpn": {}}))
        seen.append(await said())
        await front.close()
    assert seen == ["pong", "refused", "connect-timeout", "connect-timeout"]
