"""The cache: a real Redis-protocol server that keeps nothing."""

from pathlib import Path

import redis
from data_side import Service, network


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
