"""One TLS handshake that verifies nothing and sends nothing, to see which certificate a server shows.

All that is asked of a platform goes over connections that are verified. This one carries no byte of ours, so
there is nothing to protect, and it shows what is wrong with a certificate that does not hold.
"""

from __future__ import annotations

import asyncio
import ssl

from hokusai_probe.certificate import Certificate, parse
from hokusai_probe.failures import Failure, failure_of
from hokusai_probe.model import Frozen


class Shown(Frozen):
    """The certificate that was shown, or why none was."""

    certificate: Certificate | None = None
    failure: Failure | None = None


async def shown(name: str, address: str, port: int, seconds: float) -> Shown:
    """The certificate that the server at an address shows for a name. What the network does is a fact."""
    try:
        async with asyncio.timeout(seconds):
            der = await _shake_hands(name, address, port)
    except (TimeoutError, ssl.SSLError, OSError) as trouble:
        return Shown(failure=failure_of(trouble, "handshake", seconds))
    try:
        return Shown(certificate=parse(der))
    except ValueError as trouble:
        return Shown(failure=Failure(kind="tls", detail=f"no certificate: {trouble}", code="invalid"))


async def _shake_hands(name: str, address: str, port: int) -> bytes:
    _, writer = await asyncio.open_connection(address, port, ssl=unverified(), server_hostname=name)
    try:
        connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return connection.getpeercert(binary_form=True) or b""
    finally:
        writer.transport.abort()


def unverified() -> ssl.SSLContext:
    """A context that takes any certificate: for connections that carry nothing worth protecting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
