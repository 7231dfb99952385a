"""The sandbox's own certificate authority, and another one that nobody trusts.

Dates are the platform's: a leaf is 60 days old and good for 335 more, as one of a yearly renewal is. Where a
scenario puts the prober's clock ahead, the platform's is behind, and so are these dates.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

_AGE = timedelta(days=60)
_LEFT = timedelta(days=335)
_EXPIRED_FOR = timedelta(days=3)

_ORGANISATION = "Hokusai Sandbox CA"
_STRANGER = "Unknown Certificates Inc."


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, PEM."""

    certificate: bytes
    private_key: bytes


class Authority:
    """Issues certificates that a client trusts once it is given the file of this authority.

    Args:
        ca_file: Where the authority's own certificate is written.
        now: The platform's time; the real one when None.

    """

    def __init__(self, ca_file: Path, now: datetime | None = None) -> None:
        self._authority = trustme.CA(organization_name=_ORGANISATION)
        self._stranger = trustme.CA(organization_name=_STRANGER)
        self._authority.cert_pem.write_to_path(str(ca_file))
        self._now = now or datetime.now(UTC)

    def issue(self, host: str) -> Certificate:
        """A certificate for one host name."""
        return _leaf(self._authority, host, self._now + _LEFT)

    def issue_expired(self, host: str) -> Certificate:
        """A certificate of the same authority that expired three days ago."""
        return _leaf(self._authority, host, self._now - _EXPIRED_FOR)

    def issue_untrusted(self, host: str) -> Certificate:
        """A certificate for one host name of an authority that nobody here knows."""
        return _leaf(self._stranger, host, self._now + _LEFT)

    def write(self, host: str, directory: Path, stem: str) -> None:
        """Put a certificate for a host into ``STEM.pem`` and its key into ``STEM.key``."""
        issued = self.issue(host)
        (directory / f"{stem}.pem").write_bytes(issued.certificate)
        key = directory / f"{stem}.key"
        key.touch(mode=0o600)
        key.write_bytes(issued.private_key)


def _leaf(authority: trustme.CA, host: str, ends: datetime) -> Certificate:
    issued = authority.issue_cert(
        host,
        common_name=host,
        organization_name="Hokusai",
        not_before=ends - _LEFT - _AGE,
        not_after=ends,
    )
    return Certificate(issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes())
