"""Health checks: what a target's answer makes of it, in the words of AWS."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from data_side import (
    NOBODY,
    FakePlane,
    asynchronous,
    certificate,
    group,
    network,
    network_view,
    raw_target,
    target,
)

from hokusai_probe.sandbox.faults import Do, Fault, FaultTable, Seen, write_table
from hokusai_probe.sandbox.health import HealthChecks, accepted
from hokusai_probe.sandbox.state import Health, RegisteredTarget

FAILED = Health("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
TIMED_OUT = Health("unhealthy", "Target.Timeout", "Request timed out")


@pytest.mark.parametrize(
    ("matcher", "status", "expected"),
    [
        ("200", 200, True),
        ("200", 204, False),
        ("200,308", 308, True),
        ("200, 308", 308, True),
        ("200-299", 204, True),
        ("200-299", 300, False),
        ("200-204,301-302", 302, True),
        ("200-204,301-302", 300, False),
    ],
)
def test_matchers(matcher: str, status: int, expected: bool) -> None:
    """Single codes, lists and ranges."""
    assert accepted(matcher, status) is expected


@asynchronous
async def test_a_check_speaks_as_its_group_says(tmp_path: Path) -> None:
    """In TLS, whoever signed the certificate, though the group's traffic is plain; else it fails."""
    net = network()
    _, (chain, key) = certificate(tmp_path, "somebody-else.test")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain, key)

    async def well(_: web.Request) -> web.Response:
        return web.Response()

    async with target(f"{net}.4", well, tls=tls) as port:
        end = (f"{net}.4", port)
        groups = [group("tls", end, health_scheme="https"), group("plain", end, health_scheme="http")]
        checks = HealthChecks(FakePlane(groups=groups), tmp_path / "faults.json", NOBODY, 10.0)
        await checks.check_all()
        await checks.close()

    assert {key[0]: health for key, health in checks.results.items()} == {
        "tls": Health("healthy"),
        "plain": FAILED,
    }


@asynchronous
async def test_every_state_in_the_words_of_aws(tmp_path: Path) -> None:
    """Targets that are well, wrong, silent, absent, broken, black-holed, draining and unused."""
    net = network()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.path.strip("/")))

    async with (
        target(f"{net}.4", answer) as port,
        raw_target(f"{net}.4", None) as silent,
        raw_target(f"{net}.4", b"nonsense\r\n\r\n") as broken,
    ):
        here = f"{net}.4"
        draining = RegisteredTarget(here, port, draining=True)
        groups = [
            group("well", (here, port), health_path="/200"),
            group("elsewhere", (here, port), health_path="/308"),
            group("308-is-fine", (here, port), health_path="/308", matcher="200,308"),
            group("silent", (here, silent)),
            group("absent", (here, 9)),
            group("broken", (here, broken)),
            group("off-loopback", ("10.0.1.173", 8001)),
            replace(group("draining"), targets=(draining,)),
            group("detached", (here, port), attached=False),
            group("other-port", (here, 9), health_path="/200", health_port=port),
        ]
        checks = HealthChecks(FakePlane(groups=groups), tmp_path / "none.json", NOBODY, 10.0)
        await checks.check_all()
        await checks.close()
    assert {arn: health for (arn, _, _), health in checks.results.items()} == {
        "well": Health("healthy"),
        "elsewhere": Health(
            "unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [308]"
        ),
        "308-is-fine": Health("healthy"),
        "silent": TIMED_OUT,
        "absent": FAILED,
        "broken": FAILED,
        "off-loopback": TIMED_OUT,
        "draining": Health(
            "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
        ),
        "detached": Health(
            "unused",
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        ),
        "other-port": Health("healthy"),
    }


@asynchronous
async def test_the_request_is_the_load_balancers(tmp_path: Path) -> None:
    """A GET with address and port as Host and the health checker's user agent."""
    net, seen = network(), []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, request.headers["Host"], request.headers["User-Agent"]))
        return web.Response()

    async with target(f"{net}.4", answer) as port:
        plane = FakePlane(groups=[group("g", (f"{net}.4", port))])
        checks = HealthChecks(plane, tmp_path / "none.json", NOBODY, 10.0)
        await checks.check_all()
        await checks.close()
    assert seen == [("GET", "/health", f"{net}.4:{port}", "ELB-HealthChecker/2.0")]


@asynchronous
async def test_a_new_target_is_initial_until_it_was_asked(tmp_path: Path) -> None:
    """While the first check of a target is under way, its state is initial."""
    net, during = network(), []

    async def answer(_request: web.Request) -> web.Response:
        during.extend(checks.results.values())
        return web.Response()

    async with target(f"{net}.4", answer) as port:
        plane = FakePlane(groups=[group("g", (f"{net}.4", port))])
        checks = HealthChecks(plane, tmp_path / "none.json", NOBODY, 10.0)
        await checks.check_all()
        await checks.close()
    assert during == [Health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")]


@asynchronous
async def test_settling_follows_the_plane_and_the_faults(tmp_path: Path) -> None:
    """The one mapping of results loses targets that are gone and shows a fault on the edge."""
    net, table = network(), tmp_path / "faults.json"

    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    async with target(f"{net}.4", answer) as port:
        plane = FakePlane(
            groups=[group("a", (f"{net}.4", port)), group("b", (f"{net}.4", port), service="auth")]
        )
        checks = HealthChecks(plane, table, NOBODY, 10.0)
        results = checks.results
        await checks.settle()
        first = dict(results)
        write_table(table, [Fault(edge="load-balancer->auth", do=Do(drop=True))])
        del plane.groups[0]
        await checks.settle()
        await checks.close()
    keys = [("a", f"{net}.4", port), ("b", f"{net}.4", port)]
    assert first == dict.fromkeys(keys, Health("healthy"))
    assert results == {keys[1]: TIMED_OUT}


@asynchronous
async def test_checks_come_from_a_load_balancer_that_gets_through(tmp_path: Path) -> None:
    """Of two load balancers one may be shut out; shut out altogether, the target times out."""
    net, peers = network(), []

    async def answer(request: web.Request) -> web.Response:
        peers.append(request.remote)
        return web.Response()

    sources = {"main": f"{net}.4", "registry": f"{net}.3"}
    parts = {f"{net}.4": "main", f"{net}.3": "registry", f"{net}.41": "gateway"}
    async with target(f"{net}.41", answer) as port:
        both = group("both", (f"{net}.41", port), load_balancers=("main", "registry"))
        shut = group("shut", (f"{net}.41", port), load_balancers=("main",))
        view = network_view(
            tmp_path / "network.json", parts, {"main": {}, "registry": {"gateway": ((port, port),)}}
        )
        plane = FakePlane(groups=[both, shut])
        checks = HealthChecks(plane, tmp_path / "none.json", NOBODY, 10.0, sources, view)
        await checks.check_all()
        await checks.close()
    assert list(checks.results.values()) == [Health("healthy"), TIMED_OUT]
    assert peers == [f"{net}.3"]


@asynchronous
async def test_every_third_check_is_not_every_third_request(tmp_path: Path) -> None:
    """Health checks count apart, so that a client's third request is the third whatever they do."""
    net, table = network(), tmp_path / "faults.json"

    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    write_table(table, [Fault(edge="load-balancer->gateway", do=Do(status=500), every=3)])
    async with target(f"{net}.4", answer) as port:
        plane = FakePlane(groups=[group("g", (f"{net}.4", port))])
        checks = HealthChecks(plane, table, NOBODY, 10.0)
        requests, seen = FaultTable(table), []
        for _ in range(3):
            await checks.check_all()
            seen.append(requests.effect("load-balancer->gateway", Seen()).answer is not None)
        await checks.close()
    assert seen == [False, False, True]


@asynchronous
async def test_one_bad_answer_is_not_enough(tmp_path: Path) -> None:
    """Two failures in a row make a target unhealthy; a single one among good answers does not."""
    net, answers = network(), iter([500, 200, 500, 500, 200])

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=next(answers))

    states = []
    async with target(f"{net}.4", answer) as port:
        plane = FakePlane(groups=[group("g", (f"{net}.4", port))])
        checks = HealthChecks(plane, tmp_path / "none.json", NOBODY, 10.0)
        for _ in range(3):
            await checks.check_all()
            states.extend(each.state for each in checks.results.values())
        await checks.close()
    assert states == ["healthy", "unhealthy", "healthy"]
