"""The DNS server: what it answers over UDP and TCP, and to whom faults happen."""

from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import pytest
from data_side import FakePlane, asynchronous, network

from hokusai_probe.sandbox.dns import DnsServer
from hokusai_probe.sandbox.faults import Do, Fault, Match, write_table

NAMES = {"auth.z.test": ["127.20.3.2"], "mlflow.z.local": ["127.20.3.41", "127.20.3.42"]}


async def ask(net: str, port: int, name: str, kind: str = "A", *, tcp: bool = False, source: str = "") -> str:
    """Response code and records, as one text."""
    query = dns.message.make_query(name, kind)
    send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    reply = await send(query, f"{net}.10", timeout=0.3, port=port, source=source or None)
    records = sorted(record.to_text() for rrset in reply.answer for record in rrset)
    return " ".join([dns.rcode.to_text(reply.rcode()), *records])


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("auth.z.test", "A", "NOERROR 127.20.3.2"),
        ("AUTH.z.Test.", "A", "NOERROR 127.20.3.2"),
        ("mlflow.z.local", "A", "NOERROR 127.20.3.41 127.20.3.42"),
        ("auth.z.test", "AAAA", "NOERROR"),
        ("nobody.z.test", "A", "NXDOMAIN"),
        ("nobody.z.test", "AAAA", "NXDOMAIN"),
    ],
)
def test_answers_come_from_the_control_plane(
    name: str, kind: str, expected: str, tcp: bool, tmp_path: Path
) -> None:
    """Known names have their addresses and nothing else, unknown ones do not exist; on UDP and on TCP."""

    async def look() -> None:
        net = network()
        server = DnsServer(f"{net}.10", FakePlane(names=NAMES), tmp_path / "none.json")
        port = await server.start()
        assert await ask(net, port, name, kind, tcp=tcp) == expected
        await server.close()

    asynchronous(look)()


@asynchronous
async def test_a_changed_name_is_seen_by_the_next_query(tmp_path: Path) -> None:
    """Nothing is kept between two queries."""
    net, plane = network(), FakePlane()
    server = DnsServer(f"{net}.10", plane, tmp_path / "none.json")
    port = await server.start()
    before = await ask(net, port, "a.test")
    plane.names["a.test"] = ["127.0.0.9"]
    after = await ask(net, port, "a.test")
    await server.close()
    assert (before, after) == ("NXDOMAIN", "NOERROR 127.0.0.9")


@asynchronous
async def test_the_platforms_own_parts_are_led_to_inner_addresses(tmp_path: Path) -> None:
    """Who asks from the sandbox's network gets the inner address of what has one; the client never does."""
    net = network()
    plane = FakePlane(names={"auth.z.test": [f"{net}.2"], "mlflow.z.local": [f"{net}.41"]})
    server = DnsServer(f"{net}.10", plane, tmp_path / "none.json", inner={f"{net}.2": f"{net}.12"})
    port = await server.start()
    seen = [
        await ask(net, port, name, source=source)
        for name in ("auth.z.test", "mlflow.z.local")
        for source in ("", f"{net}.41")
    ]
    await server.close()
    mlflow = f"NOERROR {net}.41"
    assert seen == [f"NOERROR {net}.2", f"NOERROR {net}.12", mlflow, mlflow]


@asynchronous
async def test_every_third_query_of_a_name(tmp_path: Path) -> None:
    """Queries that match are counted, others and the platform's own are not."""
    net, table = network(), tmp_path / "faults.json"
    write_table(table, [Fault(edge="client->dns", match=Match(host="auth.*"), do=Do(nxdomain=True), every=3)])
    server = DnsServer(f"{net}.10", FakePlane(names=NAMES), table)
    port = await server.start()
    seen = []
    for tcp in (False, True, False, False, False, True):
        await ask(net, port, "mlflow.z.local")
        await ask(net, port, "auth.z.test", source=f"{net}.41")
        seen.append(await ask(net, port, "auth.z.test", tcp=tcp))
    await server.close()
    good = "NOERROR 127.20.3.2"
    assert seen == [good, good, "NXDOMAIN", good, good, "NXDOMAIN"]


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (Do(nxdomain=True), "NXDOMAIN"),
        (Do(address="127.0.0.9"), "NOERROR 127.0.0.9"),
        (Do(refuse=True), "REFUSED"),
        (Do(reset=True), "SERVFAIL"),
        (Do(delay_s=0.1), "NOERROR 127.20.3.2"),
        (Do(drop=True), None),
    ],
)
def test_faults_meet_the_client_and_not_the_platform(do: Do, expected: str | None, tmp_path: Path) -> None:
    """A fault between client and DNS changes the client's answers; the gateway's, asked from inside, stay."""

    async def look() -> None:
        net, table = network(), tmp_path / "faults.json"
        write_table(table, [Fault(edge="client->dns", match=Match(host="auth.*"), do=do)])
        server = DnsServer(f"{net}.10", FakePlane(names=NAMES), table)
        port = await server.start()
        inside = await ask(net, port, "auth.z.test", source=f"{net}.41")
        other = await ask(net, port, "mlflow.z.local")
        try:
            outside = await ask(net, port, "auth.z.test")
        except dns.exception.Timeout:
            outside = None
        await server.close()
        assert (outside, inside) == (expected, "NOERROR 127.20.3.2")
        assert other == "NOERROR 127.20.3.41 127.20.3.42"

    asynchronous(look)()
