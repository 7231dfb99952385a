"""The platform in miniature: all its parts in this process and its children, from boot to close."""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from moto.moto_api._internal import mock_random

from hokusai_probe.sandbox import control_plane, served_acm, targetfile
from hokusai_probe.sandbox.aws_side import PROBER_CREDENTIALS, AwsSide
from hokusai_probe.sandbox.cache_front import PROBER_CACHE_HOST, CacheFront, exists
from hokusai_probe.sandbox.certificates import Authority
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.connections import Connections
from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.database import PROBER_DATABASE_HOST, Database, Instances, StorePlaces
from hokusai_probe.sandbox.dns import DnsServer
from hokusai_probe.sandbox.early import (
    CACHE_HOST,
    CACHE_PORT,
    TIME_SCALE,
    Early,
    SandboxBrokenError,
    start_cache,
)
from hokusai_probe.sandbox.ecs import Reconciler
from hokusai_probe.sandbox.health import HealthChecks
from hokusai_probe.sandbox.identity import (
    ACCESS_KEY_ID,
    DATABASE_PASSWORDS,
    DATABASE_PORT,
    MLFLOW_PREFIX,
    PORTS,
    REGION,
    SECRET_ACCESS_KEY,
)
from hokusai_probe.sandbox.layout import Layout
from hokusai_probe.sandbox.load_balancer import LoadBalancer
from hokusai_probe.sandbox.metrics import BalancerMetrics
from hokusai_probe.sandbox.names import LOAD_BALANCERS, SERVICES, Names
from hokusai_probe.sandbox.network import NetworkView
from hokusai_probe.sandbox.network_state import NetworkWatch, balancer_ips, inner_ips
from hokusai_probe.sandbox.orders import Orders
from hokusai_probe.sandbox.postgres import PostgresBrokenError
from hokusai_probe.sandbox.scenario import Scenario
from hokusai_probe.sandbox.services import mlflow_way
from hokusai_probe.sandbox.small_disk import SmallDisk
from hokusai_probe.sandbox.state import Endpoint
from hokusai_probe.sandbox.steps import Cache, Steps
from hokusai_probe.sandbox.surroundings import Surroundings, surround

_DNS_HOST, _MOTO_HOST = 10, 20
_TICK_S = 0.1
_HEALTH_S = 0.5
_SETTLING_HEALTH_S = 0.03
_UP_S = 40.0
_SETTLE_S = 30.0
_PAUSE_S = 0.02

CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    "AWS_DEFAULT_REGION": REGION,
}
"""Credentials that the sandbox's control plane accepts; it accepts any."""

NO_AWS: Mapping[str, str] = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""What keeps boto3 from finding the person's own credentials or asking an instance's metadata."""


@dataclass(slots=True)
class Miniature:
    """A platform that is up. `boot` makes it."""

    scenario: Scenario
    early: Early
    plane: MotoControlPlane
    endpoint: str
    resolver: tuple[str, int]
    layout: Layout
    reconciler: Reconciler
    health: HealthChecks
    balancers: Mapping[str, LoadBalancer]
    fronts: dict[str, dict[int, Endpoint]]
    cache: Cache
    cache_front: CacheFront
    network: NetworkWatch
    database: Database
    aws: AwsSide
    surroundings: Surroundings
    small_disk: SmallDisk
    connections: Connections
    saved: dict[str, object] = field(default_factory=dict)
    orders: Orders | None = None  # once it has become what the scenario says

    async def become(self) -> dict[str, object]:
        """Apply the scenario's steps and settle.

        Returns:
            What the host says when it is ready: target file, environment, names, expectation, seed.

        Raises:
            ScenarioError: A step cannot be applied.
            SandboxBrokenError: The platform does not settle.

        """
        await asyncio.to_thread(self._seed_registry)
        names = Names(self.layout.names, self._live_names(), self.saved)
        faults = self.early.runtime.faults
        stores = (self.cache, self.database, self.aws.storage)
        steps = Steps(self.endpoint, names, self.saved, self.reconciler, faults, *stores)
        await self._settle()
        self.aws.history.start()
        for number, step in enumerate(self.scenario.step, start=1):
            with self.scenario.at_step(number):
                await asyncio.to_thread(steps.apply, number, step)
        if self.scenario.step:
            await self._settle()
        self.orders = Orders(steps, self.small_disk, self.connections)
        return self._ready(names.values())

    async def keep(self) -> None:
        """Follow the control plane until cancelled: processes, listeners, health."""
        await asyncio.gather(_every(_TICK_S, self._follow), _every(_HEALTH_S, self.health.check_all))

    async def _follow(self) -> None:
        await asyncio.to_thread(self.reconciler.tick)
        self.network.refresh()
        await self.database.follow()
        await self.cache_front.follow()
        await self.aws.refresh()
        await self.surroundings.control.refresh()
        for key, balancer in self.balancers.items():
            self.fronts[key] |= await balancer.refresh()  # a port whose listener is gone is still asked

    async def _settle(self) -> None:
        """Follow the control plane, health checks beside it, until nothing more is about to happen."""
        await self._follow()
        rounds = asyncio.ensure_future(_every(_SETTLING_HEALTH_S, self.health.check_all))
        try:
            await self._follow_until_settled()
        finally:
            rounds.cancel()
            await asyncio.wait({rounds})
        await self.health.settle()

    async def _follow_until_settled(self) -> None:
        deadline = time.monotonic() + _SETTLE_S
        while not self.reconciler.settled():
            if time.monotonic() > deadline:
                reason = f"the sandbox did not settle within {_SETTLE_S:g} s of the scenario's last step"
                raise SandboxBrokenError(reason)
            await asyncio.sleep(_PAUSE_S)
            await self._follow()

    def _seed_registry(self) -> None:
        wanted = self.scenario.seed_registry
        task = self.reconciler.newest(self.layout.names["service.mlflow"])
        if task is None or not (wanted.experiments or wanted.models):
            return
        connection = http.client.HTTPConnection(task.ip, PORTS["mlflow"], timeout=10)
        with contextlib.closing(connection):
            for number in range(wanted.experiments):
                _create(connection, "experiments/create", f"team-{number % 7}/churn-{number:03d}")
            for number in range(wanted.models):
                _create(connection, "registered-models/create", f"ranker-{number:03d}")

    def _live_names(self) -> dict[str, Callable[[], str]]:
        live: dict[str, Callable[[], str]] = {}
        for service in SERVICES:
            live |= self._live_names_of(service)
        return live

    def _live_names_of(self, service: str) -> dict[str, Callable[[], str]]:
        name, family = self.layout.names[f"service.{service}"], self.layout.names[f"family.{service}"]

        def newest(attribute: str) -> str:
            record = self.reconciler.newest(name)
            return str(getattr(record, attribute)) if record else ""

        return {
            f"task.{service}.ip": lambda: newest("ip"),
            f"task.{service}.arn": lambda: newest("task_arn"),
            f"task_definition.{service}": lambda: self.plane.ecs.describe_task_definition(family).arn,
        }

    def _ready(self, names: Mapping[str, str]) -> dict[str, object]:
        facts = targetfile.Facts(
            name=f"hokusai-sandbox-{self.early.identity.suffix}",
            fronts=self.fronts,
            names=names,
            endpoint=self.aws.door_url,
            trail=self.early.identity.trail(),
            resolver=f"{self.resolver[0]}:{self.resolver[1]}",
            control_host=self.surroundings.control_url,
            database=f"{self.early.ip(PROBER_DATABASE_HOST)}:{DATABASE_PORT}",
            cache=f"{self.early.ip(PROBER_CACHE_HOST)}:{CACHE_PORT}",
            ca_file=self.early.runtime.ca_file,
            time_scale=TIME_SCALE,
            accepted=self.scenario.accepted,
            with_aws=self.scenario.given.aws != "none",
            with_admin=self.scenario.given.admin_key == "valid",
        )
        path = self.early.runtime.directory / "target.toml"
        path.write_text(targetfile.toml(targetfile.target(facts)), encoding="utf-8")
        return {
            "target_file": str(path),
            "environment": self._environment(),
            "names": dict(names),
            "expect": self.scenario.expect.model_dump(mode="json"),
            "seed": self.early.identity.seed,
            "time_scale": TIME_SCALE,
        }

    def _environment(self) -> dict[str, str]:
        given, seed = self.scenario.given, self.early.identity.seed
        known = targetfile.keys(seed)
        key = targetfile.given_key(given.key, known, seed)
        admin = targetfile.given_key("admin", known, seed) if given.admin_key == "valid" else ""
        return {
            **NO_AWS,
            **({"HOKUSAI_API_KEY": key} if key else {}),
            **({targetfile.ADMIN_VARIABLE: admin} if admin else {}),
            **(PROBER_CREDENTIALS if given.aws in ("full", "refused") else {}),
        }


@asynccontextmanager
async def boot(scenario: Scenario, early: Early) -> AsyncIterator[Miniature]:
    """Bring the platform up, healthy, and take it down again at the end of the block.

    Raises:
        SandboxBrokenError: A part did not come up.

    """
    async with AsyncExitStack() as stack:
        cache = Cache(early.cache, lambda: start_cache(early.runtime))
        stack.callback(cache.kill)
        stack.callback(early.leftovers.close)
        plane = _control_plane(early)
        aws = AwsSide(early, scenario.given, plane)
        stack.push_async_callback(aws.close)
        endpoint = await aws.start()
        resolver = await _start_dns(plane, early, stack)
        database = await _start_database(plane, early, resolver, stack)
        health = _health(plane, early, resolver, stack)
        authority = _authority(scenario, early)
        surroundings = await surround(early, authority, plane.extra_addresses, stack, aws.clock)
        layout = Layout(endpoint, early.identity, early.places, authority)
        reconciler = _reconciler(plane, early, aws.storage_url, resolver)
        stack.push_async_callback(asyncio.to_thread, reconciler.close)
        await asyncio.to_thread(layout.start_mlflow)
        await asyncio.to_thread(reconciler.tick)
        await asyncio.to_thread(layout.edge)
        balancers = _balancers(plane, early, layout, resolver, health, aws)
        fronts = await _start_balancers(balancers, stack)
        await asyncio.to_thread(layout.rest, fronts["auth"][443], surroundings.webhook_url)
        plane.extra_addresses[layout.cache_host().lower()] = early.ip(CACHE_HOST)
        database.watch(Instances(early.identity.account, layout.names["database"]).read)
        await asyncio.gather(asyncio.to_thread(layout.furnish), _wait_until_up(reconciler, early))
        network = NetworkWatch(plane, layout.names, early.runtime, fronts)
        network.refresh()
        yield Miniature(
            scenario, early, plane, endpoint, resolver, layout, reconciler, health, balancers, fronts, cache,
            _cache_front(early, layout, cache, stack), network, database, aws, surroundings,
            _small_disk(early, stack), _connections(early, stack),
        )  # fmt: skip


def _small_disk(early: Early, stack: AsyncExitStack) -> SmallDisk:
    disk = SmallDisk(early.places.mlflow_state / "artifacts")
    stack.callback(disk.close)
    return disk


def _connections(early: Early, stack: AsyncExitStack) -> Connections:
    connections = Connections(early.database.socket.parent, DATABASE_PASSWORDS["auth"])
    stack.callback(connections.close)
    return connections


def _cache_front(early: Early, layout: Layout, cache: Cache, stack: AsyncExitStack) -> CacheFront:
    runtime = early.runtime
    host = layout.cache_host().lower()
    places = StorePlaces(early.places.network, host, runtime.faults, runtime.decisions, TIME_SCALE)
    account, names = early.identity.account, layout.names
    front = CacheFront(places, lambda: exists(account, names), lambda: cache.child.alive)
    stack.push_async_callback(front.close)
    return front


def _health(
    plane: MotoControlPlane, early: Early, resolver: tuple[str, int], stack: AsyncExitStack
) -> HealthChecks:
    sources, view = balancer_ips(early.places.network), NetworkView(early.runtime.decisions)
    health = HealthChecks(plane, early.runtime.faults, resolver, TIME_SCALE, sources, view)
    stack.push_async_callback(health.close)
    plane.show_health(health.results)
    return health


def _authority(scenario: Scenario, early: Early) -> Authority:
    """Whoever issues certificates, by the platform's clock; MLflow's own lies ready for its task."""
    clock = PlatformClock(scenario.given.clock_offset_s)
    served_acm.install(clock)
    authority = Authority(early.runtime.ca_file, clock.now())
    authority.write(
        f"mlflow.{early.identity.private_zone}", early.runtime.directory / "certificates", "mlflow"
    )
    return authority


def _control_plane(early: Early) -> MotoControlPlane:
    """The control plane's reader, with moto seeded so that the same seed gives the same ids."""
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # hundreds of images: a tenth of the start
    os.environ["MOTO_ACCOUNT_ID"] = early.identity.account
    mock_random.seed(early.identity.seed)
    random.seed(early.identity.seed)  # moto's ElastiCache draws from the module itself
    plane = MotoControlPlane(
        early.identity.account,
        TIME_SCALE,
        early.runtime.directory / "certificates",
        balancer_ips(early.places.network),
    )
    control_plane.install(plane.health_of, TIME_SCALE)
    return plane


async def _start_dns(plane: MotoControlPlane, early: Early, stack: AsyncExitStack) -> tuple[str, int]:
    inner = inner_ips(early.places.network)
    server = DnsServer(early.ip(_DNS_HOST), plane, early.runtime.faults, TIME_SCALE, inner)
    port = await server.start()
    stack.push_async_callback(server.close)
    return early.ip(_DNS_HOST), port


async def _start_database(
    plane: MotoControlPlane, early: Early, resolver: tuple[str, int], stack: AsyncExitStack
) -> Database:
    runtime, host = early.runtime, early.identity.database_host()
    places = StorePlaces(early.places.network, host, runtime.faults, runtime.decisions, TIME_SCALE)
    database = Database(early.database, places, plane.extra_addresses)
    try:
        await database.start(stack)
    except PostgresBrokenError as error:
        raise SandboxBrokenError(str(error)) from None
    mlflow_way.write(runtime.faults, resolver)
    return database


def _reconciler(
    plane: MotoControlPlane, early: Early, storage_url: str, resolver: tuple[str, int]
) -> Reconciler:
    extra = {"MLFLOW_S3_ENDPOINT_URL": storage_url, **CREDENTIALS} if early.places.storage == "s3" else {}
    runtime = dataclasses.replace(early.runtime, resolver=f"{resolver[0]}:{resolver[1]}", extra=extra)
    return Reconciler(plane, runtime, early.identity, early.warm)


def _balancers(
    plane: MotoControlPlane,
    early: Early,
    layout: Layout,
    resolver: tuple[str, int],
    health: HealthChecks,
    aws: AwsSide,
) -> dict[str, LoadBalancer]:
    plane.balancers |= {key: layout.names[f"load_balancer.{key}"] for key in LOAD_BALANCERS}
    return {
        key: LoadBalancer(
            key,
            ip,
            plane,
            early.runtime.faults,
            resolver,
            TIME_SCALE,
            health.results,
            host=layout.names[f"host.{key}"],
            inner=inner_ips(early.places.network)[ip],
            network=NetworkView(early.runtime.decisions),
            metrics=BalancerMetrics(aws.recorder, plane.balancers[key]),
            clock=aws.clock,
        )
        for key, ip in balancer_ips(early.places.network).items()
    }


async def _start_balancers(
    balancers: Mapping[str, LoadBalancer], stack: AsyncExitStack
) -> dict[str, dict[int, Endpoint]]:
    fronts = {}
    for key, balancer in balancers.items():
        stack.push_async_callback(balancer.close)
        fronts[key] = await balancer.start()
    return fronts


async def _wait_until_up(reconciler: Reconciler, early: Early) -> None:
    deadline = time.monotonic() + _UP_S
    while not _is_up(reconciler, early):
        if time.monotonic() > deadline:
            raise SandboxBrokenError(_why_not_up(reconciler, early))
        await asyncio.to_thread(reconciler.tick)
        await asyncio.sleep(_PAUSE_S)
    reconciler.let_go_of_spares()


def _is_up(reconciler: Reconciler, early: Early) -> bool:
    """Whether everything runs. A service that keeps failing counts as settled, and is not up."""
    if any(reconciler.keeps_failing(name) for name in early.runtime.services):
        raise SandboxBrokenError(_why_not_up(reconciler, early))
    return reconciler.is_up()


def _why_not_up(reconciler: Reconciler, early: Early) -> str:
    """The sentence for a platform that does not come up: which part, and the last line of its log."""
    services = early.runtime.services
    for name in sorted(services, key=reconciler.keeps_failing, reverse=True):
        if (why := reconciler.trouble(name)) is not None:
            return f"the sandbox's {services[name]} did not come up: {why}"
    return f"the sandbox did not come up within {_UP_S:g} s"


async def _every(pause_s: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await work()
        await asyncio.sleep(pause_s)


def _create(connection: http.client.HTTPConnection, call: str, name: str) -> None:
    path = f"{MLFLOW_PREFIX}/api/2.0/mlflow/{call}"
    connection.request("POST", path, json.dumps({"name": name}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.HTTPStatus.OK:
        reason = f"MLflow refused to create {name}: {answer.status} {body[:200]!r}"
        raise SandboxBrokenError(reason)
