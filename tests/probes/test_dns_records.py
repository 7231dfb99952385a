"""Where names ought to lead: reading Route 53, and comparing addresses."""

from _edge import ALIAS, records
from _facts import bad_gateway, hosts_facts, silence
from test_checks import PASS, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.probes.dns_records import (
    DnsRecordsFacts,
    Record,
    _is_of,
    _record,
    _zone_of,
    apart,
)

REGISTRY = "registry.hokus.ai"
CHECK = "names-lead-to-their-load-balancers"


def test_a_name_with_an_address_of_its_load_balancer_is_right(real: Catalogue) -> None:
    """One in common is enough: a load balancer has several, and they change."""
    assert told(verdict(real, CHECK, records("127.0.0.9", "127.0.0.1"), hosts_facts())) == PASS


def test_a_name_that_leads_elsewhere_is_wrong_where_somebody_else_answers(real: Catalogue) -> None:
    """Other addresses, and nobody there; with the right service behind them it is a proxy."""
    silent = hosts_facts(registry=silence("connect-timeout", "no connection"))

    assert told(verdict(real, CHECK, records("127.0.0.9"), silent)) == failing(
        f"{REGISTRY} leads to 127.0.0.1, and its load balancer is at 127.0.0.9"
    )
    assert told(verdict(real, CHECK, records("127.0.0.9"), hosts_facts())) == PASS
    assert told(verdict(real, CHECK, records("127.0.0.9"), hosts_facts(registry=bad_gateway())))[0] == "fail"


def test_unknown_addresses_prove_nothing(real: Catalogue) -> None:
    """The load balancer's name does not resolve here, or there is none."""
    assert told(verdict(real, CHECK, records(), hosts_facts())) == skipped(
        "cannot-tell", f"the addresses are not known: {REGISTRY}"
    )
    assert told(verdict(real, CHECK, DnsRecordsFacts(hosts={}), hosts_facts())) == skipped(
        "not-applicable", "the target names no load balancer that AWS knows"
    )
    assert apart(records().hosts["registry"], ["127.0.0.1"]) is None


def test_the_zone_with_the_longest_name_holds_a_host() -> None:
    """A delegated zone comes before its parent; one that only ends alike holds nothing."""
    zones = [
        {"Name": "hokus.ai.", "Id": "/hostedzone/Z1"},
        {"Name": "dev.hokus.ai.", "Id": "/hostedzone/Z2"},
        {"Name": "okus.ai.", "Id": "/hostedzone/Z3"},
    ]
    assert [_zone_of(n, zones) for n in ("a.dev.hokus.ai", REGISTRY, "hokus.ai", "example.com")] == [
        "Z2", "Z1", "Z1", None,
    ]  # fmt: skip


def test_an_alias_is_read_without_what_route_53_adds_to_it() -> None:
    """The console writes ``dualstack.`` before a load balancer's name, and a dot stands at the end."""
    item = {
        "Name": f"{REGISTRY}.",
        "Type": "A",
        "AliasTarget": {"DNSName": "dualstack.Registry-1.us-east-1.elb.amazonaws.com.", "HostedZoneId": "Z9"},
    }
    plain = {"Name": "x.", "Type": "CNAME", "ResourceRecords": [{"Value": "y.example"}]}

    assert _is_of(REGISTRY, item)
    assert not _is_of(REGISTRY, plain)
    assert not _is_of(REGISTRY, item | {"Type": "TXT"})
    assert _record(item) == ALIAS
    assert _record(plain) == Record(type="CNAME", values=("y.example",))
