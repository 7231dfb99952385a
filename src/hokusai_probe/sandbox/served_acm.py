"""Certificate Manager as the sandbox's control plane serves it: moto's, true where moto guesses.

* ``InUseBy`` names the load balancers whose listeners carry the certificate now ("CertificateDetail", ACM API
  reference); moto names the listener that carried it first, for good.
* ``Status`` follows the platform's clock, which a scenario may put behind the prober's.
* A certificate that expired since it was imported can be laid down; ImportCertificate itself refuses one that
  is not valid at that moment, here as in AWS ("Prerequisites for importing certificates").
* ``Issuer`` is the authority's organisation where it has no common name; moto leaves it empty.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import cryptography.x509
import moto.acm.models as acm_models
from cryptography.x509.oid import NameOID
from moto.acm.models import CertBundle, acm_backends
from moto.elbv2.models import elbv2_backends

from hokusai_probe.sandbox.certificates import Certificate
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.identity import REGION


class ServedCertificate(CertBundle):
    """moto's certificate with a true status and true users."""

    clock: ClassVar[PlatformClock] = PlatformClock()

    def __init__(self, account_id: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(account_id, *args, **kwargs)
        self._account = account_id
        self.issuer_common_name = self.issuer_common_name or _organisation(self._cert)

    def check(self) -> None:
        """Set the status as AWS would at the platform's time."""
        super().check()
        if self.type == "IMPORTED":
            ended = self._cert.not_valid_after_utc <= type(self).clock.now()
            self.status = "EXPIRED" if ended else "ISSUED"

    def describe(self) -> dict[str, Any]:
        """What DescribeCertificate answers."""
        self.in_use_by = self._users()
        return super().describe()

    def _users(self) -> list[str]:
        balancers: Mapping[str, Any] = elbv2_backends[self._account][REGION].load_balancers
        return [
            balancer.arn
            for balancer in list(balancers.values())
            if any(self.arn in (one.certificates or ()) for one in list(balancer.listeners.values()))
        ]


class _Imported(ServedCertificate):
    """A certificate that was imported when it was valid, whatever it is now."""

    def validate_certificate(self) -> cryptography.x509.Certificate:
        return cryptography.x509.load_pem_x509_certificate(self.cert)


def install(clock: PlatformClock) -> None:
    """Put these certificates in moto's place in this process. Call it before the first request."""
    ServedCertificate.clock = clock
    acm_models.CertBundle = ServedCertificate  # type: ignore[misc]


def lay_down(account: str, issued: Certificate, tags: Mapping[str, str]) -> str:
    """Show a certificate as one that was imported when its validity began; returns its ARN.

    In moto's backend itself: an expired one cannot be imported, and a client for three calls costs more than
    they do.
    """
    bundle = _Imported(account, issued.certificate, issued.private_key, region=REGION)
    bundle.created_at = bundle._cert.not_valid_before_utc.replace(tzinfo=None)  # noqa: SLF001 - moto parsed it
    acm_backends[account][REGION]._certificates[bundle.arn] = bundle  # noqa: SLF001 - no public way in
    bundle.tags.add([{"Key": key, "Value": value} for key, value in tags.items()])
    return str(bundle.arn)


def _organisation(certificate: cryptography.x509.Certificate) -> str:
    found = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(found[0].value) if found else ""
