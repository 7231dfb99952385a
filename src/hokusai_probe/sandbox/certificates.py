"""The sandbox's own certificate authority."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, PEM."""

    certificate: bytes
    private_key: bytes


class Authority:
    """Issues certificates that a client trusts once it is given the file of this authority.

    Args:
        ca_file: Where the authority's own certificate is written.

    """

    def __init__(self, ca_file: Path) -> None:
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(str(ca_file))

    def issue(self, host: str) -> Certificate:
        """A certificate for one host name."""
        issued = self._authority.issue_cert(host, common_name=host)
        return Certificate(issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes())
