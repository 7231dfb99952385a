"""What port 80 does with the paths of each host. Second round."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import responder
from hokusai_probe.declare import probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, HostName
from hokusai_probe.probes.key_validation import PATH as VALIDATE
from hokusai_probe.probes.listener_rules import GATEWAY_PATH
from hokusai_probe.topology import SERVICES

ASKED: Mapping[HostName, str] = {"auth": VALIDATE, "registry": GATEWAY_PATH, "api": "/health"}


class PlainHttpFacts(Facts):
    """What each host answered over plain http, without a key, on the path of :data:`ASKED`."""

    answers: Mapping[HostName, Answer]

    def serves(self, host: HostName, path: str) -> bool | None:
        """Whether a service answers there; no, where the load balancer redirects or answers itself.

        None: not asked, no answer, or nobody's shape.
        """
        answer = self.answers.get(host) if ASKED[host] == path else None
        who = responder(answer) if answer else "nobody"
        return None if who in {"nobody", "unknown"} else who in SERVICES


@probe(area="infrastructure", cost=3, round=2)
async def plain_http(look: Look) -> PlainHttpFacts:
    """Whether a path that port 443 answers with a fixed 404 has its rule on port 80 (INC-17).

    GET over plain http, without a key and without following the redirect. A load balancer whose port 80
    redirects everything has no rule there; a service that answers has one.
    """
    names = tuple(look.target.hosts.present())
    asked = await asyncio.gather(*(look.http.send("GET", n, ASKED[n], plain=True) for n in names))
    return PlainHttpFacts(answers=dict(zip(names, asked, strict=True)))
