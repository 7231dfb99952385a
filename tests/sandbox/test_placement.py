"""In which subnet a part is."""

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.placement import placed_in


def test_a_part_is_in_its_own_zone_where_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else in the first subnet that it may be in; nowhere where it may be in none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # hundreds of images, of no use here
    with mock_aws():
        ec2 = boto3.client("ec2", region_name=REGION)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        a, b = (
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")[
                "Subnet"
            ]["SubnetId"]
            for n, zone in enumerate("ab")
        )
        account = DEFAULT_ACCOUNT_ID
        found = [
            placed_in(subnets, account, part) for part in ("gateway", "mlflow") for subnets in ([a, b], [a])
        ]
        assert found == [a, a, b, a]
        assert placed_in([], account, "gateway") == ""
