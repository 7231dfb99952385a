"""What tests of the AWS side share: a control plane on loopback, with its history and its metrics."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from hokusai_probe.sandbox.aws_server import ADMIN, PROBER, Server, introduce_users
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.cloudtrail import EventHistory
from hokusai_probe.sandbox.door import Door
from hokusai_probe.sandbox.metrics import Recorder

KEYS = {ADMIN: "AKIATESTADMIN0000000", PROBER: "AKIATESTPROBER000000"}

_ACCOUNTS = itertools.count(210987654321)


@dataclass(frozen=True)
class Kit:
    """A control plane that serves."""

    account: str
    endpoint: str
    history: EventHistory
    recorder: Recorder
    clock: PlatformClock

    def client(self, service: str, user: str = ADMIN) -> Any:
        """A boto3 client of one of the two users."""
        return aws_client(service, self.endpoint, KEYS[user])


def aws_client(service: str, endpoint: str, access_key_id: str = KEYS[ADMIN], read_s: float = 10) -> Any:
    """A boto3 client that tries once."""
    config = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=0.5,
        read_timeout=read_s,
        inject_host_prefix=False,
        proxies={},
        s3={"addressing_style": "path"},
    )
    return _session().client(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=access_key_id,
        aws_secret_access_key="not-a-secret",
        config=config,
    )


@lru_cache(maxsize=1)
def _session() -> Any:
    """One session for all clients: each reads every service's model anew."""
    return boto3.session.Session()


@contextmanager
def served(offset_s: float = 0.0) -> Iterator[Kit]:
    """A control plane with two users and nothing else in it, until the block ends."""
    account, clock = str(next(_ACCOUNTS)), PlatformClock(offset_s)
    history, recorder = EventHistory(account, clock), Recorder(clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_ACCOUNT_ID", account)
        server = Server("127.0.0.1", history, recorder)
        introduce_users(account, KEYS)
        endpoint = server.start()
        try:
            yield Kit(account, endpoint, history, recorder, clock)
        finally:
            server.close()


@contextmanager
def opened(door: Door) -> Iterator["Opened"]:
    """The door, started in an event loop of its own, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = Opened(door, loop)
    try:
        running.url = running.await_(door.start())
        yield running
    finally:
        running.await_(door.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Opened:
    """A door that is open, from outside its loop."""

    def __init__(self, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        self.door = door
        self.url = ""
        self._loop = loop

    def await_(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of something that runs in the door's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    def refresh(self) -> None:
        """Have the door look at how it may be reached."""
        self.await_(self.door.refresh())


def refusal(call: Callable[[], object]) -> tuple[int, str, str]:
    """Status, code and message with which AWS refuses a call."""
    with pytest.raises(ClientError) as caught:
        call()
    said = caught.value.response
    return said["ResponseMetadata"]["HTTPStatusCode"], said["Error"]["Code"], said["Error"]["Message"]
