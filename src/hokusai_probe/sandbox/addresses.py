"""What an address is, and which are this sandbox's to connect to: loopback alone."""

import ipaddress

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def is_address(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_inside(address: str) -> bool:
    """Whether an address is on loopback, the only place where the sandbox connects."""
    return ipaddress.ip_address(address) in LOOPBACK
