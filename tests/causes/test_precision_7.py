"""Causes that were named on evidence that something else shows, too; each test is one such mistake."""

from datetime import datetime, timedelta

import pytest
from _edge import NOW, certificate, control, dated, records, refused_for, tls_facts
from _facts import (
    OUTSIDE,
    TARGET,
    balancer_page,
    hosts_facts,
    inside,
    invalid_facts,
    outside,
    unavailable,
)
from test_diagnoses import NOBODY_KNOWS, behind_auth, behind_gateway, concluded, lines, named

from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts
from hokusai_probe.probes.dns_records import Record
from hokusai_probe.probes.hosts import HostsFacts

# --- who answers is not down ----------------------------------------------------------------------------

TASKS_ARE_GONE = {"ecs-service-missing", "ecs-service-scaled-to-zero", "image-cannot-be-pulled"}


def test_a_gateway_that_answers_at_its_other_host_is_not_down(real: Catalogue) -> None:
    """503 at the registry alone is a rule or a target group; the gateway's tasks run."""
    sick = behind_gateway(unavailable()) | {"hosts": hosts_facts(registry=unavailable())}
    assert "gateway-down" in named(
        concluded(real, behind_gateway(unavailable()).values(), OUTSIDE), "present"
    )
    found = concluded(real, sick.values(), OUTSIDE)
    assert named(found, "present") == set()
    assert "gateway-down" in named(found, "ruled_out")
    assert not named(found, "undecided") & TASKS_ARE_GONE
    with_aws = concluded(real, (sick | inside()).values())
    assert "gateway-down" not in named(with_aws, "present")


def test_an_auth_service_that_judges_keys_is_not_down(real: Catalogue) -> None:
    """Its health path fails, and it validates the key all the same, with and without AWS."""
    sick = outside(hosts=hosts_facts(auth=balancer_page(502, "Bad Gateway")))
    found = concluded(real, sick.values(), OUTSIDE)
    assert named(found, "present") == set()
    assert "auth-service-down" in named(found, "ruled_out")
    unwell = outside(hosts=hosts_facts(auth=unavailable()))
    open_ones = named(concluded(real, unwell.values(), OUTSIDE), "undecided")
    assert not open_ones & {"ecs-service-missing", "ecs-service-scaled-to-zero", "target-group-empty"}
    assert "auth-service-down" not in named(concluded(real, (sick | inside()).values()), "present")


def test_an_auth_service_that_refuses_a_made_up_key_is_not_down(real: Catalogue) -> None:
    """Without a key of our own, what auth says of a made-up one shows that it is there."""
    sick = outside(hosts=hosts_facts(auth=unavailable()))
    sick["invalid_keys"] = invalid_facts().model_copy(update={"direct": NOBODY_KNOWS})
    del sick["key_validation"]
    assert "auth-service-down" in named(concluded(real, sick.values(), OUTSIDE), "ruled_out")


def test_an_auth_service_whose_validation_nobody_asked_for_is_not_denied_to_be_down(real: Catalogue) -> None:
    """A well /health says nothing of its API: without that look it stays open whether auth is down."""
    sick = behind_auth(hosts_facts().hosts["auth"].health)
    del sick["key_validation"]
    assert "auth-service-down" not in named(concluded(real, sick.values(), OUTSIDE), "ruled_out")


# --- a certificate that does not hold may be a stranger's -----------------------------------------------

FAR = timedelta(days=3)
STRANGER = ("*.site.example", "site.example")


def at(address: str, facts: HostsFacts, host: str = "api") -> HostsFacts:
    """The same, with a host's name leading to another address."""
    seen = facts.hosts[host]
    moved = seen.model_copy(
        update={"resolution": seen.resolution.model_copy(update={"addresses": (address,)})}
    )
    return facts.model_copy(update={"hosts": {**facts.hosts, host: moved}})


def shown(code: str, *names: str, address: str = "127.0.0.77", **dates: datetime) -> dict[str, Facts]:
    """The api host's name leads to an address of its own, where this certificate is shown."""
    bad = certificate(*names, issuer="Stranger" if code == "untrusted" else "Good CA", **dates)
    clock = control(dated(0))
    return outside(tls=tls_facts(api=bad), control=clock, hosts=at(address, refused_for(code)))


@pytest.mark.parametrize(
    ("slug", "facts"),
    [
        ("certificate-wrong-name", shown("wrong-name", *STRANGER)),
        ("certificate-untrusted", shown("untrusted", *STRANGER)),
        ("certificate-expired", shown("wrong-name", *STRANGER, ends=NOW - FAR)),
    ],
)
def test_without_aws_a_certificate_for_other_names_may_be_a_strangers(
    real: Catalogue, slug: str, facts: dict[str, Facts]
) -> None:
    """Whether the certificate or the name is wrong cannot be seen from outside: both are listed."""
    found = concluded(real, facts.values(), OUTSIDE)
    assert named(found, "present") == set()
    assert {slug, "host-resolves-to-wrong-place"} <= named(found, "undecided")


def test_at_the_load_balancers_own_address_a_certificate_for_other_names_is_wrong(real: Catalogue) -> None:
    """AWS says where the load balancer is; there nobody else can show a certificate."""
    facts = shown("wrong-name", *STRANGER) | inside(dns=records("127.0.0.77", host="api"))
    assert lines(concluded(real, facts.values()), "present") == ["confirmed certificate-wrong-name api"]


def test_at_an_address_of_the_same_load_balancer_a_certificate_for_other_names_is_wrong(
    real: Catalogue,
) -> None:
    """Another host of the same load balancer is well at the address, so the name does not lead astray."""
    assert TARGET.aws is not None
    one = dict.fromkeys(TARGET.aws.load_balancers, "the-only-one")
    shared = TARGET.model_copy(update={"aws": TARGET.aws.model_copy(update={"load_balancers": one})})
    facts = shown("wrong-name", *STRANGER)
    facts["hosts"] = refused_for("wrong-name")
    assert lines(concluded(real, facts.values(), shared), "present") == [
        "confirmed certificate-wrong-name api"
    ]


def test_a_strangers_certificate_elsewhere_does_not_accuse_the_load_balancer(real: Catalogue) -> None:
    """The name leads elsewhere by AWS: that alone is wrong, whether Route 53 holds the record or not."""
    facts = shown("wrong-name", *STRANGER) | inside(dns=records("127.0.0.9", host="api", records=()))
    assert lines(concluded(real, facts.values()), "present") == ["likely host-resolves-to-wrong-place api"]


def test_in_front_of_the_load_balancer_it_stays_open_whose_certificate_is_wrong(real: Catalogue) -> None:
    """What stands in front on purpose has addresses of its own; they say nothing against the name."""
    front = Record(type="A", alias="d111111abcdef8.cloudfront.net")
    facts = shown("wrong-name", *STRANGER) | inside(dns=records("127.0.0.9", host="api", records=(front,)))
    found = concluded(real, facts.values())
    assert named(found, "present") == set()
    assert "certificate-wrong-name" in named(found, "undecided")
