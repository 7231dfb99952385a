"""A gateway whose event loop is held up."""

import time
from pathlib import Path

from data_side import asynchronous
from gateway_side import gateway

from hokusai_probe.sandbox.services.gateway_stall import FREE_S, HELD_S, LONG_EVERY, LONG_HELD_S, held_s


def test_how_long_the_loop_is_held() -> None:
    """Now and then long enough for two health checks of 10 s to time out, else less than one."""
    assert [held_s(number) for number in range(1, LONG_EVERY + 2)] == [
        *[HELD_S] * (LONG_EVERY - 1),
        LONG_HELD_S,
        HELD_S,
    ]
    check_s = 10.0
    assert HELD_S < check_s < 2 * check_s < LONG_HELD_S


@asynchronous
async def test_every_path_is_slow_also_constant_ones(tmp_path: Path) -> None:
    """Requests one after another soon meet the held loop; the answers are still 200."""
    scale = 10.0
    async with gateway(tmp_path, "event-loop-blocked", time_scale=scale) as ask:
        slow, ends = [], time.monotonic() + 2 * (FREE_S + HELD_S) / scale
        while time.monotonic() < ends:
            started = time.monotonic()
            assert (await ask("GET", "/health/alb", None))[0] == 200
            slow.append(time.monotonic() - started)
    assert max(slow) > 0.6 * HELD_S / scale
