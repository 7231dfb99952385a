"""Certificates in Certificate Manager: reading them, and which would do for a host."""

from datetime import timedelta
from typing import Any

import pytest
from _edge import ARN, NOW, named, stored
from _facts import DENIED
from test_checks import PASS, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.probes.certificates import CertificatesFacts, Stored, _read

CHECK = "stored-certificates-are-good"


def test_only_certificates_that_listeners_name_are_judged(real: Catalogue) -> None:
    """One that lies there unused may be as old as it likes."""
    facts = CertificatesFacts(certificates=(stored(), stored("other", status="EXPIRED")))

    assert told(verdict(real, CHECK, facts, named(ARN))) == PASS
    assert told(verdict(real, CHECK, facts, named("other"))) == failing("other (registry.hokus.ai): EXPIRED")
    assert told(verdict(real, CHECK, facts, named())) == skipped(
        "not-applicable", "no listener that could be read names a certificate"
    )


def test_what_may_not_be_read_is_not_judged(real: Catalogue) -> None:
    """The permission that lacks is named."""
    facts = CertificatesFacts(certificates=(Stored(arn=ARN, failure=DENIED),))

    assert told(verdict(real, CHECK, facts, named(ARN))) == skipped(
        "cannot-tell", "acm:DescribeCertificate: denied"
    )


@pytest.mark.parametrize(
    ("changed", "serves"),
    [
        ({}, True),
        ({"names": ("*.hokus.ai",)}, True),
        ({"names": ("auth.hokus.ai",)}, False),
        ({"status": "PENDING_VALIDATION"}, False),
        ({"not_after": NOW - timedelta(days=1)}, False),
        ({"not_after": None}, False),
    ],
)
def test_a_certificate_serves_a_host_that_it_is_for_while_it_is_good(
    changed: dict[str, Any], serves: bool
) -> None:
    """Issued, for the name, in date."""
    assert stored(**changed).serves("registry.hokus.ai", NOW) is serves


def test_what_certificate_manager_says_is_read() -> None:
    """Names, status, issuer, who issued it, dates."""
    item = {
        "DomainName": "registry.hokus.ai",
        "SubjectAlternativeNames": ["registry.hokus.ai"],
        "Status": "ISSUED",
        "Issuer": "Amazon",
        "Type": "AMAZON_ISSUED",
        "NotBefore": NOW - timedelta(days=60),
        "NotAfter": NOW + timedelta(days=30),
    }
    assert _read(ARN, item) == stored(issuer="Amazon", issued_by_amazon=True)
    assert _read(ARN, {"DomainName": "a.example"}) == Stored(arn=ARN, names=("a.example",))
