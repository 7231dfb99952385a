"""What a browser asks before it sends a request with a key."""

from __future__ import annotations

from urllib.parse import urlsplit

from hokusai_probe.answers import detail, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Wrong
from hokusai_probe.probes.key_forms import UNKNOWN_PATH


class PreflightFacts(Facts):
    """The answer to a preflight, which by the standard carries no key."""

    answer: Answer


@probe(area="authentication", needs=("auth-host",), cost=1)
async def preflight(look: Look) -> PreflightFacts:
    """Whether a browser may ask: OPTIONS with an origin and without a key, as the Fetch standard has it.

    The origin is the domain that the registry's host belongs to. Preflights are answered before routing, so
    the path need not exist.
    """
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    headers = {"Origin": _origin(look.target.hosts.registry), **asked}
    return PreflightFacts(answer=await look.http.send("OPTIONS", "registry", UNKNOWN_PATH, headers=headers))


def _origin(registry: str) -> str:
    """The website's origin: ``https://hokus.ai`` for a registry at ``registry.hokus.ai``."""
    name = urlsplit(registry).hostname or ""
    return f"https://{name.partition('.')[2] or name}"


@check(hop="required-paths/preflight", behaviour="preflight-needs-key")
def preflight_needs_no_key(facts: PreflightFacts) -> Sentence:
    """A browser's preflight is answered without a key and names the origins that may ask."""
    answer = facts.answer
    if answer.status in {200, 204} and answer.headers.get("access-control-allow-origin"):
        return None
    if answer.status == 400 and "origin" in (detail(answer) or answer.body).lower():
        return CannotTell(reason="the gateway lets other origins ask than the one that was tried")
    return Wrong(reason=f"OPTIONS without a key: {said(answer)}", reproduce=answer.curl())
