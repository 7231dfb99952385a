"""Who answers on paths beside those that go astray. Second round."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import responder
from hokusai_probe.declare import probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, HostName

NOBODYS = "hokusai-probe-no-such-path"
BESIDE: Mapping[HostName, str] = {"auth": f"/api/{NOBODYS}", "registry": f"/api-{NOBODYS}"}
"""No rule of the contract's layout takes these (7): they go with all the rest of their host."""
ELSEWHERE = f"/{NOBODYS}"


class NearPathsFacts(Facts):
    """Two paths of each host that nobody has, asked without a key: one beside its rules, one far off."""

    beside: Mapping[HostName, Answer]
    elsewhere: Mapping[HostName, Answer]

    def goes_astray(self, host: HostName) -> bool | None:
        """Whether the path beside the rules is taken from the host's own service, which has all the rest.

        None: not asked, or the host's service cannot be told on the far path either.
        """
        near, far = self.beside.get(host), self.elsewhere.get(host)
        if near is None or far is None or near.status is None or not _own(host, far):
            return None
        return not _own(host, near)


def _own(host: HostName, answer: Answer) -> bool:
    """Whether the host's own service answers: auth has no such path, the gateway asks for a key first."""
    return answer.status == (404 if host == "auth" else 401) and responder(answer) == "gateway"


@probe(area="infrastructure", cost=4, round=2)
async def near_paths(look: Look) -> NearPathsFacts:
    """Whether a rule that leads astray takes more than the paths that it should (INC-06).

    Without a key, the auth service answers 404 on a path that nobody has and the gateway 401 (contract 3).
    A path that no rule was made for, and that goes astray all the same, went by a broader rule.
    """
    names = tuple(name for name in look.target.hosts.present() if name in BESIDE)
    near, far = await asyncio.gather(
        asyncio.gather(*(look.http.send("GET", name, BESIDE[name]) for name in names)),
        asyncio.gather(*(look.http.send("GET", name, ELSEWHERE) for name in names)),
    )
    return NearPathsFacts(
        beside=dict(zip(names, near, strict=True)), elsewhere=dict(zip(names, far, strict=True))
    )
