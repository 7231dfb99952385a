"""Which of an account's private names are looked at."""

from collections.abc import Mapping, Sequence
from typing import Any

from _facts import DENIED, definition_facts
from test_ecs_looks import Cloud, seen_by

from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts, service_discovery

ACCOUNT = {
    "hokusai.local": {"mlflow": "10.0.1.10"},
    "shop.local": {"till": "10.9.0.1", "mlflow-of-old": "10.9.0.2"},
}


def looked_at(url: str, hosted: Sequence[str] | None = ()) -> tuple[ServiceDiscoveryFacts, list[str]]:
    """What is found in an account of two namespaces, and the calls that it took."""

    def services(params: Mapping[str, Any]) -> dict[str, Any]:
        zone = params["Filters"][0]["Values"][0]
        return {"Services": [{"Id": f"{name}.{zone}", "Name": name} for name in ACCOUNT[zone]]}

    def instances(params: Mapping[str, Any]) -> dict[str, Any]:
        name, _, zone = str(params["ServiceId"]).partition(".")
        return {"Instances": [{"Attributes": {"AWS_INSTANCE_IPV4": ACCOUNT[zone][name]}}]}

    zones = None if hosted is None else {"HostedZones": [{"Name": f"{name}."} for name in hosted]}
    cloud = Cloud(
        {
            "list_namespaces": {"Namespaces": [{"Id": zone, "Name": zone} for zone in ACCOUNT]},
            "list_services": services,
            "list_instances": instances,
            "list_hosted_zones": DENIED if zones is None else zones,
        }
    )
    found: ServiceDiscoveryFacts = seen_by(service_discovery, cloud, definition_facts(url))
    return found, [method for method, _ in cloud.asked]


def test_namespaces_of_strangers_are_not_asked() -> None:
    """An address that lies in a namespace makes that one ours; Route 53 has nothing to add."""
    found, asked = looked_at("http://mlflow.hokusai.local:5000/mlflow")
    assert found == ServiceDiscoveryFacts(
        zones=("hokusai.local",), names={"mlflow.hokusai.local": ("10.0.1.10",)}
    )
    assert asked == ["list_namespaces", "list_services", "list_instances"]


def test_public_addresses_need_no_private_name() -> None:
    """Nothing is asked beyond the names of the namespaces."""
    assert looked_at("https://registry.hokus.ai/mlflow") == (ServiceDiscoveryFacts(), ["list_namespaces"])


def test_an_address_without_a_namespace_has_the_right_name_looked_for() -> None:
    """In all of them; of strangers' names only those stay that may have been meant."""
    for url in ("http://mlflow.lost.local:5000", "http://10.0.1.10:5000"):
        found, _ = looked_at(url)
        assert set(found.names) == {"mlflow.hokusai.local", "mlflow-of-old.shop.local"}
    assert "till.shop.local" in looked_at("http://10.9.0.1")[0].names


def test_route_53_is_asked_for_a_private_name_that_no_namespace_holds() -> None:
    """A zone there that holds it, or one that could not be read, leaves open where the name leads."""
    url = "http://mlflow.corp.internal:5000"
    read = (((), "no-such-zone"), (("corp.internal", "hokus.ai"), "unknown"), (None, "unknown"))
    for hosted, leads in read:
        found, asked = looked_at(url, hosted)
        assert "list_hosted_zones" in asked
        assert found.leads(url) == leads
    assert looked_at(url, ("corp.internal", "hokus.ai"))[0].hosted == ("corp.internal",)
