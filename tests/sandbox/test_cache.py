"""The cache: a real Redis-protocol server that keeps nothing."""

import asyncio
from pathlib import Path

import redis
from data_side import Service, network

from hokusai_probe.knock import Heard, heard


def test_a_real_server_that_leaves_nothing_behind(tmp_path: Path) -> None:
    """Values, expiry and INFO work over TCP; after SIGTERM there is no file."""
    bind = (f"{network()}.25", 6379)
    with Service("cache", tmp_path, bind) as process:
        process.wait()
        with redis.Redis(bind[0], bind[1], decode_responses=True) as client:
            client.set("a", "1", ex=300)
            seen = client.get("a"), client.ttl("a"), client.info("server")["tcp_port"]
        assert process.stop() == 0
    assert seen == ("1", 300, 6379)
    assert [path.name for path in tmp_path.iterdir()] == ["cache.log"]


def test_it_answers_the_probes_greeting(tmp_path: Path) -> None:
    """As any Redis: who looks at it directly hears PONG."""
    bind = (f"{network()}.25", 6379)
    with Service("cache", tmp_path, bind) as process:
        process.wait()
        found = asyncio.run(heard("redis", "cache.test", *bind, 5.0))
    assert found == Heard(connected=True, word="pong")
