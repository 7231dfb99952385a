"""What is around the platform and no part of it: the website, and a host for a prober to compare with."""

from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from hokusai_probe.sandbox.certificates import Authority
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.control_host import ControlHost
from hokusai_probe.sandbox.early import TIME_SCALE, Early
from hokusai_probe.sandbox.site import Site, webhook_secret

_CONTROL_HOST, _SITE_HOST = 5, 6


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Both, started.

    Attributes:
        site: The website.
        control: The control host.
        webhook_url: Where the website takes webhooks.
        control_url: The control host's URL.

    """

    site: Site
    control: ControlHost
    webhook_url: str
    control_url: str


async def surround(
    early: Early,
    authority: Authority,
    addresses: MutableMapping[str, str],
    stack: AsyncExitStack,
    clock: PlatformClock,
) -> Surroundings:
    """Start both, and have their names lead to them.

    Args:
        early: The sandbox's network and identity.
        authority: Who issues the website's certificate.
        addresses: The names that the DNS server knows beside the control plane's.
        stack: What closes them.
        clock: What time it is there.

    """
    apex = early.identity.public_zone
    site = Site(early.ip(_SITE_HOST), apex, webhook_secret(early.identity.seed))
    stack.push_async_callback(site.close)
    webhook_url = await site.start(authority.issue(apex))
    name = f"control.{apex}"
    control = ControlHost(early.ip(_CONTROL_HOST), name, early.runtime.faults, TIME_SCALE, clock)
    stack.push_async_callback(control.close)
    control_url = await control.start()
    addresses.update({apex: early.ip(_SITE_HOST), name: early.ip(_CONTROL_HOST)})
    return Surroundings(site, control, webhook_url, control_url)
