"""The healthy platform's network: VPC, subnets, routes, access lists, security groups.

Load balancers stand in two public subnets, whose default route is the internet gateway ("Application Load
Balancers", AWS: an internet-facing one needs public subnets); tasks and stores in two private ones, ``a`` and
``b``, which reach the internet through a NAT gateway, as tasks without a public address must to pull images.

Everything here is created in moto's EC2 itself, not through boto3: some sixty calls in EC2's XML, two model
files of several megabytes and the client cost a third of a second of every start, and tell moto nothing more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moto.ec2.models import EC2Backend, ec2_backends

from hokusai_probe.sandbox.identity import PORTS, REGION, SHORT, Identity
from hokusai_probe.sandbox.names import SERVICES

_ANYWHERE = "0.0.0.0/0"
_ALL_PROTOCOLS = "-1"
_LAST_RULE = (
    32767  # the asterisk of the console, which AWS puts into every list and moto into default ones only
)
_PRIVATE = {"a": "10.0.1.0/24", "b": "10.0.2.0/24"}
_PUBLIC = {"a": "10.0.101.0/24", "b": "10.0.102.0/24"}

_ADMITTED: Sequence[tuple[str, str, int]] = (
    *((service, "load-balancer", PORTS[service]) for service in SERVICES),
    ("mlflow", "gateway", PORTS["mlflow"]),
    ("cache", "gateway", 6379),
    *(("database", service, 5432) for service in SERVICES),
    ("cache", "client-vpn", 6379),
    ("database", "client-vpn", 5432),
)
"""Which security group admits which other one on which port."""


@dataclass(frozen=True, slots=True)
class Network:
    """What was created.

    Attributes:
        names: The names in braces of scenario files with their values.
        public_subnets: Where the load balancers stand.

    """

    names: Mapping[str, str]
    public_subnets: tuple[str, str]


def lay(identity: Identity) -> Network:
    """Create the network."""
    return _Network(identity).lay()


def tags(identity: Identity, name: str) -> dict[str, str]:
    """The tags that the platform's Terraform puts on what it creates."""
    return {
        "Name": identity.named(name),
        "Environment": "development",
        "Project": "hokusai",
        "ManagedBy": "terraform",
    }


def tag_list(identity: Identity, name: str) -> list[dict[str, str]]:
    """The same tags in the shape in which most of AWS's services want them."""
    return [{"Key": key, "Value": value} for key, value in tags(identity, name).items()]


class _Network:
    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._ec2: EC2Backend = ec2_backends[identity.account][REGION]
        self._vpc = ""
        self._names: dict[str, str] = {}

    def lay(self) -> Network:
        vpc = self._ec2.create_vpc("10.0.0.0/16")
        vpc.add_tags(self._tags("vpc"))
        vpc.enable_dns_hostnames = True  # Fargate's network interfaces get a private name by it
        self._vpc = self._names["vpc"] = vpc.id
        public = {letter: self._subnet(f"public-{letter}", cidr) for letter, cidr in _PUBLIC.items()}
        private = {letter: self._subnet(f"private-{letter}", cidr) for letter, cidr in _PRIVATE.items()}
        for letter, subnet in private.items():
            self._names[f"subnet.{letter}"] = subnet
            self._names[f"acl.{letter}"] = self._open_acl(letter, subnet)
        self._routes(tuple(public.values()), tuple(private.values()))
        self._security_groups()
        return Network(self._names, (public["a"], public["b"]))

    def _tags(self, name: str) -> dict[str, str]:
        return tags(self._identity, name)

    def _subnet(self, name: str, cidr: str) -> str:
        subnet = self._ec2.create_subnet(self._vpc, cidr, availability_zone=f"{REGION}{name[-1]}")
        subnet.add_tags(self._tags(name))
        return str(subnet.id)

    def _open_acl(self, letter: str, subnet: str) -> str:
        acl = self._ec2.create_network_acl(self._vpc)
        acl.add_tags(self._tags(f"acl-{letter}"))
        for egress in (False, True):
            for number, action in ((100, "allow"), (_LAST_RULE, "deny")):
                self._ec2.create_network_acl_entry(
                    acl.id, number, _ALL_PROTOCOLS, action, egress, _ANYWHERE, None, None, None, None, None
                )
        found = self._ec2.describe_network_acls(filters={"association.subnet-id": [subnet]})
        association = next(one.id for one in found[0].associations if one.subnet_id == subnet)
        self._ec2.replace_network_acl_association(association, acl.id)
        return str(acl.id)

    def _routes(self, public: Sequence[str], private: Sequence[str]) -> None:
        gateway = self._ec2.create_internet_gateway()
        gateway.add_tags(self._tags("igw"))
        self._ec2.attach_internet_gateway(gateway.id, self._vpc)
        address = self._ec2.allocate_address("vpc")
        nat = self._ec2.create_nat_gateway(public[0], str(address.allocation_id), self._tags("nat"))
        self._route_table("public", public, gateway_id=gateway.id)
        self._route_table("private", private, nat_gateway_id=nat.id)

    def _route_table(self, name: str, subnets: Sequence[str], **way: str) -> None:
        table = self._ec2.create_route_table(self._vpc)
        table.add_tags(self._tags(name))
        self._ec2.create_route(table.id, _ANYWHERE, **way)  # type: ignore[arg-type]  # ids, as the API has them
        for subnet in subnets:
            self._ec2.associate_route_table(table.id, subnet_id=subnet)

    def _security_groups(self) -> None:
        for key in ("load-balancer", *SERVICES, "cache", "database", "client-vpn"):
            stem = SHORT.get(key, key)
            name = self._identity.named(f"{stem}-sg")
            group = self._ec2.create_security_group(name, stem, self._vpc, tags=self._tags(f"{stem}-sg"))
            self._names[f"security_group.{key}"] = group.id
        for port in (80, 443):
            self._admit("load-balancer", port, ip_ranges=[{"CidrIp": _ANYWHERE}])
        for group_key, source, port in _ADMITTED:
            pair = {"GroupId": self._names[f"security_group.{source}"]}
            self._admit(group_key, port, source_groups=[pair])

    def _admit(
        self,
        group: str,
        port: int,
        ip_ranges: Sequence[Mapping[str, str]] = (),
        source_groups: Sequence[dict[str, str]] = (),
    ) -> None:
        self._ec2.authorize_security_group_ingress(
            self._names[f"security_group.{group}"],
            "tcp",
            str(port),
            str(port),
            list(ip_ranges),
            source_groups=list(source_groups),
            vpc_id=self._vpc,
        )
