"""What port 80 does with the paths of each host. Second round."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from hokusai_probe.answers import responder
from hokusai_probe.declare import probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, HostName, Target
from hokusai_probe.probes.key_validation import PATH as VALIDATE
from hokusai_probe.probes.listener_rules import GATEWAY_PATH
from hokusai_probe.topology import SERVICES

ASKED: Mapping[HostName, str] = {"auth": VALIDATE, "registry": GATEWAY_PATH, "api": "/health"}
NOBODYS = "/hokusai-probe-no-such-path"
_REDIRECTS = range(300, 400)


class PlainHttpFacts(Facts):
    """What each host answered over plain http, without a key: on its path of ASKED, and on nobody's."""

    answers: Mapping[HostName, Answer]
    nobodys: Mapping[HostName, Answer]

    def serves(self, host: HostName, path: str) -> bool | None:
        """Whether a rule of port 80 leads the path to a service; no, where the load balancer redirects it.

        None: not asked, no answer, nobody's shape, a 5xx of the load balancer (which a rule and a default
        both come to), or a service that is given every path: then it is the default, and no rule.
        """
        answer, other = self.answers.get(host), self.nobodys.get(host)
        if answer is None or other is None or ASKED[host] != path:
            return None
        if _turned_away(answer):
            return False
        return True if responder(answer) in SERVICES and _turned_away(other) else None


def _turned_away(answer: Answer) -> bool:
    """Whether the load balancer itself redirects or answers with a fixed response."""
    by_itself = responder(answer) == "load-balancer"
    return by_itself and ((answer.status or 0) in _REDIRECTS or answer.content_type == "text/plain")


def hosts_of(target: Target) -> tuple[HostName, ...]:
    """The hosts whose port 80 is known: those at port 443, and those of which the target says."""
    known = target.network.http_ports
    return tuple(
        name
        for name, url in target.hosts.present().items()
        if name in known or (url.startswith("https:") and urlsplit(url).port in {None, 443})
    )


@probe(area="infrastructure", cost=6, round=2)
async def plain_http(look: Look) -> PlainHttpFacts:
    """Whether a path that port 443 answers with a fixed 404 has its rule on port 80 (INC-17).

    GET over plain http, without a key and without following the redirect. A load balancer whose port 80
    redirects everything has no rule there; a service that answers has one, unless it is given every path.
    """
    names = hosts_of(look.target)
    asked, nobodys = await asyncio.gather(
        asyncio.gather(*(look.http.send("GET", n, ASKED[n], plain=True) for n in names)),
        asyncio.gather(*(look.http.send("GET", n, NOBODYS, plain=True) for n in names)),
    )
    return PlainHttpFacts(
        answers=dict(zip(names, asked, strict=True)), nobodys=dict(zip(names, nobodys, strict=True))
    )
