"""Security groups and network ACLs: which connections they let through, and how every process learns it."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.sandbox.network import (
    ALL_PORTS,
    CLIENT,
    CLIENT_ADDRESS,
    ELB_EPHEMERAL,
    NAT_ADDRESS,
    SITE,
    VACANT,
    AclRule,
    GroupRule,
    NetworkTable,
    NetworkView,
    Node,
    Part,
    Rules,
    SecurityGroup,
    Snapshot,
    acl_ports,
    allowed,
    both,
    compiled,
    merged,
    open_ports,
    outside,
    within,
    without,
    write_network,
)

EVERYWHERE = "0.0.0.0/0"
OUT = (GroupRule("-1", 0, 0, EVERYWHERE),)
OPEN_ACL = (AclRule(100, True, False, "-1", EVERYWHERE), AclRule(100, True, True, "-1", EVERYWHERE))

GATEWAY = Part("gateway/127.9.9.41", (Node(("127.9.9.41", "10.0.1.41"), "a"),), frozenset({"sg-gateway"}))
AUTH = Part("auth/127.9.9.42", (Node(("127.9.9.42", "10.0.1.42"), "a"),), frozenset({"sg-auth"}))
MLFLOW = Part("mlflow/127.9.9.40", (Node(("127.9.9.40", "10.0.2.40"), "b"),), frozenset({"sg-mlflow"}))
BALANCER = Part(
    "load-balancer.auth",
    (Node(("127.9.9.2", "10.0.1.2"), "a"), Node(("127.9.9.2", "10.0.2.2"), "b")),
    frozenset({"sg-lb"}),
    public="203.0.113.2",
    ephemeral=ELB_EPHEMERAL,
)
CLIENT_PART = outside(CLIENT, CLIENT_ADDRESS)


def tcp(low: int, high: int, cidr: str = "", group: str = "") -> GroupRule:
    """A rule for a range of TCP ports."""
    return GroupRule("tcp", low, high, cidr, group)


def rules(acls: dict[str, tuple[AclRule, ...]] | None = None, **ingress: tuple[GroupRule, ...]) -> Rules:
    """Four groups that let everything out, with these ingress rules; open ACLs unless given."""
    groups = {
        f"sg-{name}": SecurityGroup(ingress.get(name, ()), OUT)
        for name in ("gateway", "auth", "mlflow", "lb")
    }
    return Rules(groups, {"a": OPEN_ACL, "b": OPEN_ACL} | (acls or {}))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (tcp(5000, 5000, group="sg-gateway"), True),
        (tcp(5000, 5000, group="sg-auth"), False),
        (tcp(5000, 5000, group="sg-mlflow"), False),
        (tcp(5001, 5001, group="sg-gateway"), False),
        (tcp(4999, 5001, group="sg-gateway"), True),
        (tcp(0, 65535, group="sg-gateway"), True),
        (GroupRule("6", 5000, 5000, group="sg-gateway"), True),
        (GroupRule("-1", 0, 0, group="sg-gateway"), True),
        (GroupRule("udp", 5000, 5000, group="sg-gateway"), False),
        (GroupRule("icmp", -1, -1, EVERYWHERE), False),
        (tcp(5000, 5000, EVERYWHERE), True),
        (tcp(5000, 5000, "10.0.1.0/24"), True),
        (tcp(5000, 5000, "10.0.2.0/24"), False),
        (tcp(5000, 5000, "127.9.9.41/32"), True),
        (tcp(5000, 5000, "198.51.100.0/24"), False),
        (tcp(5000, 5000, "::/0"), False),
    ],
)
def test_what_an_ingress_rule_admits(rule: GroupRule, expected: bool) -> None:
    """A group denies by default; a rule admits by protocol, port and the caller's address or group."""
    assert allowed(rules(mlflow=(rule,)), GATEWAY, MLFLOW, 5000) is expected
    assert allowed(rules(), GATEWAY, MLFLOW, 5000) is False


def test_any_rule_of_any_group_suffices() -> None:
    """Rules have no order and groups add up; a caller counts with every group that it has."""
    both_groups = Part("gateway/x", GATEWAY.nodes, frozenset({"sg-gateway", "sg-auth"}))
    ruled = rules(mlflow=(tcp(1, 1, EVERYWHERE), tcp(5000, 5000, group="sg-auth")))
    assert [allowed(ruled, part, MLFLOW, 5000) for part in (GATEWAY, AUTH, both_groups)] == [
        False,
        True,
        True,
    ]


def test_egress_of_the_caller_and_nothing_for_the_answers() -> None:
    """The caller's own group must let it out; being stateful, no group needs a rule for the way back."""
    admits = (tcp(5000, 5000, group="sg-gateway"),)
    for egress, expected in [
        ((), False),
        ((tcp(443, 443, EVERYWHERE),), False),
        ((tcp(5000, 5000, group="sg-mlflow"),), True),
        ((tcp(5000, 5000, "10.0.2.0/24"),), True),
    ]:
        groups = {"sg-gateway": SecurityGroup((), egress), "sg-mlflow": SecurityGroup(admits, ())}
        ruled = Rules(groups, {"a": OPEN_ACL, "b": OPEN_ACL})
        assert allowed(ruled, GATEWAY, MLFLOW, 5000) is expected


def acl(*changed: AclRule) -> tuple[AclRule, ...]:
    """The open ACL with rules before it."""
    return (*changed, *OPEN_ACL)


def deny(egress: bool, low: int, high: int, cidr: str = EVERYWHERE) -> AclRule:
    """A denial that comes before the open ACL's rule."""
    return AclRule(50, False, egress, "6", cidr, low, high)


@pytest.mark.parametrize(
    ("subnet", "list_", "expected"),
    [
        ("a", acl(), True),
        ("a", acl(deny(True, 5000, 5000)), False),
        ("a", acl(deny(True, 5001, 65535)), True),
        ("a", acl(deny(True, 5000, 5000, "10.0.2.0/24")), False),
        ("a", acl(deny(True, 5000, 5000, "10.0.1.0/24")), True),
        ("a", acl(deny(False, 5000, 5000)), True),
        ("a", acl(deny(False, 32768, 65535)), False),
        ("a", acl(deny(False, 61001, 65535)), True),
        ("a", acl(deny(False, 1024, 32767)), True),
        ("b", acl(deny(False, 5000, 5000)), False),
        ("b", acl(deny(False, 5000, 5000, "10.0.1.0/24")), False),
        ("b", acl(deny(True, 40000, 40000)), False),
        ("b", acl(deny(True, 5000, 5000)), True),
        ("b", (), False),
        ("b", OPEN_ACL[:1], False),
        ("b", acl(AclRule(200, False, False, "6", EVERYWHERE, 5000, 5000)), True),
        ("b", acl(AclRule(40, True, False, "6", EVERYWHERE, 5000, 5000), deny(False, 1, 65535)), True),
        ("b", acl(AclRule(50, False, False, "17", EVERYWHERE)), True),
    ],
)
def test_network_acls_between_subnets(subnet: str, list_: tuple[AclRule, ...], expected: bool) -> None:
    """Both subnets decide, on the port one way and the caller's ephemeral ports back; first match counts."""
    ruled = rules({subnet: list_}, mlflow=(tcp(5000, 5000, EVERYWHERE),), auth=(tcp(5000, 5000, EVERYWHERE),))
    assert allowed(ruled, GATEWAY, MLFLOW, 5000) is expected
    assert allowed(ruled, GATEWAY, AUTH, 5000) is True  # the same subnet: no boundary, no ACL


def test_a_load_balancer_reaches_what_one_of_its_nodes_reaches() -> None:
    """The node in the target's own subnet crosses no boundary; only a target elsewhere is cut off."""
    admits = (tcp(8000, 8000, group="sg-lb"),)
    closed = rules({"a": (), "b": ()}, auth=admits)
    elsewhere = Part("auth/y", (Node(("127.9.9.44", "10.0.3.44"), "c"),), frozenset({"sg-auth"}))
    assert allowed(closed, BALANCER, AUTH, 8000) is True
    assert allowed(closed, BALANCER, elsewhere, 8000) is False


def test_the_load_balancers_ephemeral_ports_are_more_than_linuxs() -> None:
    """Ports 1024 to 32767 matter to connections of Elastic Load Balancing and not to those of a task."""
    narrow = acl(deny(True, 1024, 32767))
    elsewhere = Part("auth/y", (Node(("127.9.9.44", "10.0.3.44"), "c"),), frozenset({"sg-auth"}))
    ruled = rules({"c": narrow}, auth=(tcp(8000, 8000, EVERYWHERE),))
    assert [allowed(ruled, part, elsewhere, 8000) for part in (BALANCER, GATEWAY)] == [False, True]


@pytest.mark.parametrize(
    ("cidr", "group", "client", "gateway"),
    [
        (EVERYWHERE, "", True, True),
        (f"{CLIENT_ADDRESS}/32", "", True, False),
        (f"{NAT_ADDRESS}/32", "", False, True),
        ("10.0.0.0/16", "", False, False),
        ("", "sg-gateway", False, False),
    ],
)
def test_a_public_load_balancer_is_on_the_internet_for_everybody(
    cidr: str, group: str, client: bool, gateway: bool
) -> None:
    """A task reaches it from the NAT gateway's address, so neither its own address nor its group is seen."""
    ruled = rules(lb=(tcp(443, 443, cidr, group),))
    assert allowed(ruled, CLIENT_PART, BALANCER, 443) is client
    assert allowed(ruled, GATEWAY, BALANCER, 443) is gateway
    assert allowed(ruled, CLIENT_PART, BALANCER, 80) is False


def test_a_task_needs_a_way_out_to_a_public_load_balancer() -> None:
    """Its group's egress must allow the internet; the private addresses do not help."""
    groups = {"sg-lb": SecurityGroup((tcp(443, 443, EVERYWHERE),), OUT)}
    acls = {"a": OPEN_ACL, "b": OPEN_ACL}
    seen = [
        allowed(
            Rules(groups | {"sg-gateway": SecurityGroup((), (tcp(443, 443, cidr),))}, acls),
            GATEWAY,
            BALANCER,
            443,
        )
        for cidr in (EVERYWHERE, "10.0.0.0/16")
    ]
    assert seen == [True, False]


spans = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda pair: (min(pair), max(pair)))


@given(
    one=st.lists(spans, max_size=5), other=st.lists(spans, max_size=5), gone=spans, port=st.integers(0, 65535)
)
def test_ranges_are_sets_of_ports(
    one: list[tuple[int, int]], other: list[tuple[int, int]], gone: tuple[int, int], port: int
) -> None:
    """Union, intersection and difference of ranges are those of the ports in them, in fewest ranges."""
    left, right = merged(one), merged(other)
    assert within(left, port) == within(one, port)
    assert within(both(left, right), port) == (within(left, port) and within(right, port))
    assert within(without(left, gone), port) == (within(left, port) and not within((gone,), port))
    assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(left))


@given(
    acl_=st.lists(
        st.builds(
            lambda number, allow, span: AclRule(number, allow, False, "6", EVERYWHERE, *span),
            st.integers(1, 9),
            st.booleans(),
            spans,
        ),
        unique_by=lambda rule: rule.number,
    ),
    port=st.integers(0, 65535),
)
def test_an_acl_is_its_first_match(acl_: list[AclRule], port: int) -> None:
    """The ranges agree with asking the rules one by one, by number, denying at the end."""
    matching = sorted((r for r in acl_ if r.from_port <= port <= r.to_port), key=lambda r: r.number)
    expected = matching[0].allow if matching else False
    assert within(acl_ports(acl_, GATEWAY.nodes[0], egress=False), port) is expected


# The table


def snapshot(*parts: Part, **changes: object) -> Snapshot:
    """A snapshot in which the gateway may reach MLflow, and the client the load balancer."""
    values: dict[str, object] = {
        "rules": rules(mlflow=(tcp(5000, 5000, group="sg-gateway"),), lb=(tcp(443, 443, EVERYWHERE),)),
        "parts": parts or (GATEWAY, MLFLOW, AUTH, BALANCER, CLIENT_PART, outside(SITE, "203.0.113.6")),
        "addresses": {
            "127.9.9.40": MLFLOW.name,
            "127.9.9.41": GATEWAY.name,
            "127.9.9.42": AUTH.name,
            "127.9.9.43": VACANT,
            "127.9.9.2": BALANCER.name,
            "127.9.9.6": SITE,
            "gateway": GATEWAY.name,
        },
        "fronts": {"127.9.9.2:40443": 443, "127.9.9.2:40080": 80},
    }
    return Snapshot(**(values | changes))


def test_the_view_answers_from_the_file(tmp_path: Path) -> None:
    """By the caller's address, part or service; front ports stand for listeners; strangers are not judged."""
    path = tmp_path / "network.json"
    write_network(path, compiled(snapshot()))
    view = NetworkView(path)
    asked = [
        ("127.9.9.41", "127.9.9.40", 5000),
        ("gateway", "127.9.9.40", 5000),
        (GATEWAY.name, "127.9.9.40", 5001),
        ("127.9.9.42", "127.9.9.40", 5000),
        (CLIENT, "127.9.9.2", 40443),
        (CLIENT, "127.9.9.2", 40080),
        ("127.9.9.41", "127.9.9.2", 40443),
        ("127.9.9.41", "127.9.9.6", 51234),
        ("127.9.9.41", "127.9.9.43", 8000),
        ("127.0.0.1", "127.9.9.43", 8000),
        ("127.0.0.1", "127.9.9.40", 5000),
        ("127.9.9.41", "127.9.9.99", 5000),
    ]
    dropped = [view.dropped(*one) for one in asked]
    assert dropped == [False, False, True, True, False, True, False, False, True, True, False, False]
    assert [view.lets(CLIENT, BALANCER.name, port) for port in (443, 80)] == [True, False]
    assert [view.service(ip) for ip in ("127.9.9.40", "127.9.9.2", "127.0.0.1")] == ["mlflow", "", ""]


def test_the_view_sees_a_change_at_the_next_question(tmp_path: Path) -> None:
    """No file is an open network; a new file, another, and none again are seen at once."""
    path = tmp_path / "network.json"
    view = NetworkView(path)
    seen = [view.dropped("127.9.9.41", "127.9.9.40", 5000)]
    for ruled in (rules(), rules(mlflow=(tcp(5000, 5000, group="sg-gateway"),)), rules()):
        write_network(path, compiled(snapshot(rules=ruled)))
        seen.append(view.dropped("127.9.9.41", "127.9.9.40", 5000))
    path.unlink()
    seen.append(view.dropped("127.9.9.41", "127.9.9.40", 5000))
    assert seen == [False, True, False, True, False]


def test_the_table_says_what_the_rules_say() -> None:
    """Pair by pair the compiled table is `open_ports`, whether the pair is open or closed."""
    taken = snapshot()
    table = compiled(taken)
    connecting = [part for part in taken.parts if part.name != SITE]
    for source in connecting:
        for target in taken.parts:
            if target not in (source, CLIENT_PART):
                expected = open_ports(taken.rules, source, target)
                assert table.opened[source.name].get(target.name, ()) == expected
    assert set(table.opened) == {part.name for part in connecting}
    assert table.opened[GATEWAY.name][SITE] == ALL_PORTS
    assert NetworkTable().lets("anybody", "anything", 1) is True
