"""A gateway whose event loop is held up: the behaviour ``event-loop-blocked`` (INC-31).

On the platform, handlers called MLflow's blocking client, Redis and the database driver on the event loop, so
that every path was slow at once, constant ones too, and now and then so long that the load balancer's health
check timed out while the log shows a late 200. Here the loop is really held, by a rule that needs no request
to set it off: held `HELD_S`, free `FREE_S`, again and again; each `LONG_EVERY`-th time held `LONG_HELD_S`,
which outlasts two health checks. All in platform seconds.
"""

import asyncio
import time
from itertools import count
from typing import NoReturn

HELD_S = 6.0
FREE_S = 1.5
LONG_EVERY = 8
LONG_HELD_S = 25.0


def held_s(number: int) -> float:
    """How long the loop is held the n-th time, counted from 1, in platform seconds."""
    return LONG_HELD_S if number % LONG_EVERY == 0 else HELD_S


async def stall(time_scale: float) -> NoReturn:
    """Hold the event loop up, until cancelled."""
    for number in count(1):
        await asyncio.sleep(FREE_S / time_scale)
        time.sleep(held_s(number) / time_scale)  # noqa: ASYNC251 - holding the loop up is what this is for
    raise AssertionError
