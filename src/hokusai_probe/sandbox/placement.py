"""In which of two subnets AWS would place a part of the platform; here it is always the same one.

Auth, gateway and database in zone a, MLflow and cache in b, so that MLflow and the stores lie across a
subnet's boundary from who uses them most.
"""

from collections.abc import Mapping, Sequence

from moto.ec2.models import ec2_backends

from hokusai_probe.sandbox.identity import REGION

HOME: Mapping[str, str] = {
    "auth": "a",
    "gateway": "a",
    "mlflow": "b",
    "database": "a",
    "cache": "b",
    "client-vpn": "a",
}
"""The letter of a part's availability zone."""


def placed_in(subnets: Sequence[str], account: str, part: str) -> str:
    """The one of these subnets that is in the part's zone, else the first; empty where there is none."""
    zone, ec2 = f"{REGION}{HOME.get(part, '')}", ec2_backends[account][REGION]
    at_home = (one for one in subnets if ec2.get_subnet(one).availability_zone == zone)
    return next(at_home, subnets[0] if subnets else "")
