"""What security groups and network ACLs let through, and what is made of AWS's answers."""

from typing import Any

import pytest
from _facts import (
    ALL_IN,
    ALL_OUT,
    ANYWHERE,
    DENIED,
    PARTS,
    VPC,
    acl_facts,
    api_facts,
    security_facts,
    security_group,
)
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts
from hokusai_probe.probes import _firewall, network_acls, security_groups
from hokusai_probe.probes._firewall import AclEntry, GroupRule, Part, admits, covers, refusing
from hokusai_probe.probes._variables import BACKEND
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.load_balancer_attributes import LoadBalancerAttributesFacts
from hokusai_probe.probes.network_acls import NetworkAclsFacts
from hokusai_probe.probes.security_groups import SecurityGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition

PEER = Part(groups=("sg-peer",), subnets=("s",))
INSIDE = ("10.0.1.0/24",)
TCP: dict[str, Any] = {"protocol": "tcp", "from_port": 8000, "to_port": 8010}


@pytest.mark.parametrize(
    ("rule", "port", "expected"),
    [
        (GroupRule(**TCP, groups=("sg-peer",)), 8010, True),
        (GroupRule(**TCP, groups=("sg-peer",)), 8011, False),
        (GroupRule(**TCP, groups=("sg-other",)), 8000, False),
        (GroupRule(protocol="-1", groups=("sg-peer",)), 1, True),
        (GroupRule(protocol="udp", from_port=0, to_port=65535, cidrs=(ANYWHERE,)), 8000, False),
        (GroupRule(**TCP, cidrs=(VPC,)), 8000, True),
        (GroupRule(**TCP, cidrs=("10.0.1.7/32",)), 8000, None),
        (GroupRule(**TCP, cidrs=("192.168.0.0/16",)), 8000, False),
        (GroupRule(**TCP, prefix_lists=("pl-1",)), 8000, None),
    ],
)
def test_a_rule_admits_by_group_address_protocol_and_port(
    rule: GroupRule, port: int, expected: bool | None
) -> None:
    """A block that holds some of the peer's addresses, and a prefix list, leave it open."""
    assert admits([rule], port, PEER, INSIDE) is expected


def test_what_no_rule_allows_is_denied() -> None:
    """A security group without rules admits nobody."""
    assert admits([], 8000, PEER, INSIDE) is False


@pytest.mark.parametrize(
    ("zone", "expected"), [("1b", ("s-b",)), ("1c", ("s-a", "s-b")), ("", ("s-a", "s-b"))]
)
def test_a_store_lies_in_its_own_zone_of_its_subnet_group(zone: str, expected: tuple[str, ...]) -> None:
    """ElastiCache's subnet groups need not say in which zone a subnet is; EC2 does."""
    spread = Part(groups=("sg-peer",), subnets=("s-a", "s-b"), zone=zone)
    assert security_groups._where_it_is(spread, {"s-a": "1a", "s-b": "1b"}).subnets == expected


def test_addresses_that_are_not_known_are_neither_in_nor_out() -> None:
    """Only 0.0.0.0/0 holds what nobody has read."""
    assert (covers(VPC, ()), covers(ANYWHERE, ()), covers("no block", INSIDE)) == ("some", "all", "some")


def entry(
    number: int, *, allow: bool, ports: tuple[int, int] | None = None, cidr: str = ANYWHERE
) -> AclEntry:
    """An inward rule of an ACL; without ports for all of them."""
    low, high = ports or (None, None)
    protocol = "6" if ports else "-1"
    return AclEntry(
        number=number,
        allow=allow,
        egress=False,
        protocol=protocol,
        cidr=cidr,
        from_port=low,
        to_port=high,
    )


@pytest.mark.parametrize(
    ("entries", "ports", "expected"),
    [
        ([entry(100, allow=True)], (1024, 65535), None),
        ([], (5000, 5000), 32767),
        ([entry(100, allow=True), entry(50, allow=False, ports=(5000, 5000))], (5000, 5000), 50),
        ([entry(50, allow=True, ports=(5000, 5000)), entry(100, allow=False)], (5000, 5000), None),
        ([entry(50, allow=False, ports=(3000, 3999)), entry(100, allow=True)], (1024, 65535), 50),
        ([entry(50, allow=True, ports=(5000, 6379))], (1024, 65535), 32767),
        (
            [entry(5, allow=True, ports=(0, 9999)), entry(6, allow=True, ports=(9000, 65535))],
            (1, 65535),
            None,
        ),
        ([entry(50, allow=False, cidr="10.0.1.9/32"), entry(100, allow=True)], (5000, 5000), None),
        ([entry(50, allow=False, cidr="10.0.9.0/24"), entry(100, allow=True)], (5000, 5000), None),
        ([ALL_OUT], (5000, 5000), 32767),
    ],
)
def test_the_lowest_rule_that_matches_decides(
    entries: list[AclEntry], ports: tuple[int, int], expected: int | None
) -> None:
    """A range that is refused in part is refused; what concerns some of the peers only leaves it open."""
    assert refusing(entries, INSIDE[0], ports, egress=False) == expected


# --- AWS's answers ------------------------------------------------------------------------------------

GROUP = {
    "GroupId": "sg-1",
    "GroupName": "api",
    "IpPermissions": [
        {
            "IpProtocol": "tcp",
            "FromPort": 8001,
            "ToPort": 8001,
            "UserIdGroupPairs": [{"UserId": "1", "GroupId": "sg-2"}],
            "IpRanges": [{"CidrIp": VPC}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            "PrefixListIds": [{"PrefixListId": "pl-1"}],
        }
    ],
    "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYWHERE}]}],
}
ACL = {
    "NetworkAclId": "acl-1",
    "Tags": [{"Key": "Name", "Value": "private-a"}],
    "Entries": [
        {"RuleNumber": 90, "RuleAction": "deny", "Egress": True, "Protocol": "6", "CidrBlock": ANYWHERE,
         "PortRange": {"From": 443, "To": 443}},
        {"RuleNumber": 101, "RuleAction": "allow", "Egress": True, "Protocol": "-1", "Ipv6CidrBlock": "::/0"},
    ],
}  # fmt: skip


def test_a_group_is_read_as_aws_writes_it() -> None:
    """Groups, both kinds of blocks and prefix lists; a rule for all protocols has no ports."""
    found = security_groups.security_group(GROUP)
    assert found.model_dump() == {
        "name": "api",
        "ingress": (
            {
                "protocol": "tcp",
                "from_port": 8001,
                "to_port": 8001,
                "cidrs": (VPC, "::/0"),
                "groups": ("sg-2",),
                "prefix_lists": ("pl-1",),
            },
        ),
        "egress": (
            {
                "protocol": "-1",
                "from_port": None,
                "to_port": None,
                "cidrs": (ANYWHERE,),
                "groups": (),
                "prefix_lists": (),
            },
        ),
    }


def test_an_acl_is_read_without_its_rules_for_ipv6() -> None:
    """The platform's parts have IPv4 addresses."""
    found = network_acls.network_acl(ACL)
    assert (found.name, [e.number for e in found.entries]) == ("private-a", [90])
    assert (found.entries[0].from_port, found.entries[0].allow) == (443, False)


def test_the_subnet_of_a_task_is_that_of_its_network_interface() -> None:
    """Tasks that have stopped, and those of other services, are not counted."""
    details = [{"name": "subnetId", "value": "subnet-a"}, {"name": "privateIPv4Address", "value": "10.0.1.9"}]
    task = {"group": "service:api", "lastStatus": "RUNNING", "attachments": [{"details": details}]}
    elsewhere = [{"name": "subnetId", "value": "subnet-b"}]
    stopped = task | {"lastStatus": "STOPPED", "attachments": [{"details": elsewhere}]}
    assert security_groups.task_subnets([task, stopped], "api") == ("subnet-a",)
    assert security_groups.task_subnets([task, stopped], "mlflow") == ()


# --- checks -------------------------------------------------------------------------------------------

NO_CACHE_RULE = security_facts(cache=security_group())
REDIS_WELL = HealthBodiesFacts(answers={}, services={"redis": "healthy"})
BARRED = "sg-cache (sg) of cache does not admit gateway on port 6379"
DENIED_HTTPS = AclEntry(
    number=90, allow=False, egress=True, protocol="6", cidr=ANYWHERE, from_port=443, to_port=443
)
ACL_ROWS = acl_facts(a=(ALL_IN, DENIED_HTTPS, ALL_OUT))


def without(**changed: Any) -> SecurityGroupsFacts:
    """Placed as ever, as far as it was read."""
    return security_facts().model_copy(update=changed)


UNREAD = "it was not all read in which subnets, and behind which ACLs, these are: "
NOT_ALL_READ = skipped(
    "cannot-tell",
    f"{UNREAD}load-balancer.auth, auth, load-balancer.registry, gateway, load-balancer.main, mlflow, cache, "
    "database",
)
ROWS: list[tuple[str, tuple[Facts, ...], Told]] = [
    ("auth-admits-its-load-balancer", (security_facts(),), PASS),
    (
        "auth-admits-its-load-balancer",
        (security_facts(auth=security_group(("sg-lb", 8080))),),
        failing("sg-auth (sg) of auth does not admit load-balancer.auth on port 8000"),
    ),
    (
        "auth-admits-its-load-balancer",
        (security_facts(lb=security_group(out=False)),),
        failing("sg-lb (sg) of load-balancer.auth does not let it out to auth on port 8000"),
    ),
    (
        "gateway-admits-its-load-balancers",
        (security_facts(gateway=security_group()),),
        failing(
            "sg-gateway (sg) of gateway does not admit load-balancer.registry on port 8001; "
            "sg-gateway (sg) of gateway does not admit load-balancer.main on port 8001"
        ),
    ),
    ("mlflow-admits-its-load-balancer", (security_facts(),), PASS),
    (
        "mlflow-admits-its-load-balancer",
        (security_facts(mlflow=security_group(("sg-gateway", 5000))),),
        failing("sg-mlflow (sg) of mlflow does not admit load-balancer.registry on port 5000"),
    ),
    (
        "mlflow-admits-the-gateway",
        (security_facts(mlflow=security_group(("sg-lb", 5000))), api_facts()),
        skipped(
            "cannot-tell",
            "sg-mlflow (sg) of mlflow does not admit gateway on port 5000, and yet it is reached",
        ),
    ),
    ("cache-admits-the-gateway", (NO_CACHE_RULE,), failing(BARRED)),
    (
        "cache-admits-the-gateway",
        (NO_CACHE_RULE, REDIS_WELL),
        skipped("cannot-tell", f"{BARRED}, and yet it is reached"),
    ),
    (
        "database-admits-the-gateway",
        (security_facts(database=security_group(("sg-mlflow", 5432))),),
        failing("sg-database (sg) of database does not admit gateway on port 5432"),
    ),
    (
        "database-admits-mlflow",
        (security_facts(database=security_group(("sg-gateway", 5432))),),
        failing("sg-database (sg) of database does not admit mlflow on port 5432"),
    ),
    (
        "database-admits-mlflow",
        (SecurityGroupsFacts(parts=PARTS),),
        skipped("not-applicable", "nothing here connects from mlflow to database"),
    ),
    (
        "database-admits-mlflow",
        (SecurityGroupsFacts(failure=DENIED),),
        skipped("cannot-tell", "ec2:DescribeSecurityGroups: denied"),
    ),
    (
        "database-admits-mlflow",
        (SecurityGroupsFacts(unread={"database": DENIED}),),
        skipped("cannot-tell", "the security groups of database could not be read (denied)"),
    ),
    (
        "gateway-admits-its-load-balancers",
        (SecurityGroupsFacts(unread={"load-balancer.main": DENIED}),),
        skipped("cannot-tell", "the security groups of load-balancer.main could not be read (denied)"),
    ),
    ("network-acls-let-traffic-pass", (acl_facts(), security_facts()), PASS),
    ("network-acls-let-traffic-pass", (acl_facts(), without(cidrs={})), NOT_ALL_READ),
    ("network-acls-let-traffic-pass", (NetworkAclsFacts(), security_facts()), NOT_ALL_READ),
    (
        "network-acls-let-traffic-pass",
        (acl_facts(), without(unread={"cache": DENIED})),
        skipped("cannot-tell", f"{UNREAD}cache"),
    ),
    (
        "network-acls-let-traffic-pass",
        (acl_facts(), without(failure=DENIED, edges=())),
        skipped("cannot-tell", f"{UNREAD}all"),
    ),
    (
        "network-acls-let-traffic-pass",
        (acl_facts(), without(edges=())),
        skipped("not-applicable", "nothing is known of who must reach whom"),
    ),
    (
        "network-acls-let-traffic-pass",
        (ACL_ROWS, without(cidrs={})),
        failing("rule 90 of acl-a does not let port 443 out to 0.0.0.0/0 (subnet-a)"),
    ),
    (
        "network-acls-let-traffic-pass",
        (ACL_ROWS, security_facts()),
        failing("rule 90 of acl-a does not let port 443 out to 0.0.0.0/0 (subnet-a)"),
    ),
    (
        "network-acls-let-traffic-pass",
        (NetworkAclsFacts(failure=DENIED), security_facts()),
        skipped("cannot-tell", "ec2:DescribeNetworkAcls: denied"),
    ),
    (
        "registry-load-balancer-waits-long-enough",
        (LoadBalancerAttributesFacts(idle_s={"registry": 30}),),
        PASS,
    ),
    (
        "registry-load-balancer-waits-long-enough",
        (LoadBalancerAttributesFacts(idle_s={"registry": 29}),),
        failing("it gives up after 29 s; what is behind it may take 30 s"),
    ),
    (
        "auth-load-balancer-waits-long-enough",
        (LoadBalancerAttributesFacts(idle_s={"auth": 4}),),
        failing("it gives up after 4 s; what is behind it may take 5 s"),
    ),
    (
        "auth-load-balancer-waits-long-enough",
        (LoadBalancerAttributesFacts(failures={"auth": DENIED}),),
        skipped("cannot-tell", "elasticloadbalancing:DescribeLoadBalancerAttributes: denied"),
    ),
]


@pytest.mark.parametrize(("check", "facts", "expected"), ROWS)
def test_a_check_says_what_it_sees(
    real: Catalogue, check: str, facts: tuple[Facts, ...], expected: Told
) -> None:
    """Each check: what passes, what fails, and what cannot be told."""
    assert told(verdict(real, check, *facts)) == expected


def test_a_load_balancer_with_a_node_that_gets_through_is_not_cut_off() -> None:
    """AWS takes the zone that does not get through out of its name; traffic in one subnet meets no ACL."""
    placed = security_facts()
    edge = placed.between("load-balancer.auth", "auth")[0]
    closed = acl_facts(a=(), q=(ALL_IN, ALL_OUT))
    assert [d.rule for d in closed.dropped(placed, edge)] == [_firewall.LAST, _firewall.LAST]
    beside = placed.parts | {"auth": placed.parts["auth"].model_copy(update={"subnets": ("subnet-p",)})}
    assert closed.dropped(placed.model_copy(update={"parts": beside}), edge) == ()


@pytest.mark.parametrize("name", BACKEND)
def test_mlflow_is_to_reach_a_database_by_whichever_name_it_is_told_of_it(name: str) -> None:
    """As an address or as a secret, in the platform's spelling and in MLflow's own."""
    told_so = ({"addresses": {name: "postgresql://db.example/x"}}, {"secrets": (name,)})
    for given in told_so:
        assert security_groups._has_database(TaskDefinition(arn="m:1", **given))
    assert not security_groups._has_database(TaskDefinition(arn="m:1", addresses={name: "sqlite:///x"}))
