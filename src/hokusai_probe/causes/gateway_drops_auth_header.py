"""A key that was sent does not arrive."""

from collections.abc import Iterator, Mapping

from hokusai_probe.answers import detail, responder
from hokusai_probe.causes._keys import Sighting, seen, with_key
from hokusai_probe.causes._words import previous_revision
from hokusai_probe.declare import Case, cause
from hokusai_probe.http import Answer, KeyForm
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_spellings import KeySpellingsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts
from hokusai_probe.probes.model_registration import RegistrationFacts

_HEADER: Mapping[KeyForm, str] = {
    "bearer": "Authorization: Bearer",
    "apikey": "Authorization: ApiKey",
    "x-api-key": "X-API-Key",
    "bearer-two-blanks": "Authorization: Bearer (two blanks)",
    "x-api-key-lower": "x-api-key",
    "x-api-key-upper": "X-API-KEY",
}


@cause(
    component="gateway",
    priority="critical",
    effort="hours",
    look_alikes={
        "key-unknown-or-expired": "there the text is `Invalid or expired API key`",
        "gateway-sends-key-where-auth-does-not-look": "there the gateway read the key, and auth did not",
    },
    source="INC-32, INC-46; contract 3.2",
)
def gateway_drops_auth_header(
    forms: KeyFormsFacts,
    spellings: KeySpellingsFacts | None,
    api: MlflowApiFacts | None,
    routes: MlflowRoutesFacts | None,
    registration: RegistrationFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """A key is sent in a form that counts, and the gateway says ``API key required``: it did not arrive.

    Something on the way in takes the header away: a rewriting proxy, a client's layer, the gateway's own
    middleware. In another header the same key may work, or with another verb.
    """
    lost = tuple(s for s in _sent(forms, spellings) if _is_missed(s[2]))
    names = [_form_of(s) for s in lost]
    headers = ", ".join(_HEADER[name] for name in names)
    found = lost or tuple(s for s in _elsewhere(api, routes, registration) if _is_missed(s[2]))
    hidden = any(a.status is None or responder(a) == "load-balancer" for a in forms.answers.values())
    yield Case(
        subject="gateway",
        breaks=_broken(names) if lost or not found else ("authenticated",),
        claims=(
            seen(
                _told(headers, found),
                found[0] if found else (KeyFormsFacts, "answers.bearer", forms.answers["bearer"]),
                holds=True if found else (None if hidden else False),
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Find what takes the header away between the load balancer and the gateway's "
            f"authentication, and have it pass {headers or 'it'} on; until then send the key otherwise.",
            rollback=previous_revision(ecs, "gateway"),
            also_touches="Every caller that sends its key like this.",
            verify="hokusai-probe verify gateway-drops-auth-header",
        ),
    )


def _told(headers: str, found: tuple[Sighting, ...]) -> str:
    if headers:
        return f"sent as {headers} the key is answered 401 'API key required'"
    if found:
        missed = found[0][2]
        return f"{missed.method} {missed.path} carries the key and is answered 401 'API key required'"
    return "a key that was sent is said to be missing"


def _elsewhere(
    api: MlflowApiFacts | None, routes: MlflowRoutesFacts | None, registration: RegistrationFacts | None
) -> Iterator[Sighting]:
    """Requests with the key to other paths, some of them with another verb than the forms are tried with."""
    yield from with_key(None, api, registration)
    reads = routes.reads.items() if routes else ()
    yield from ((MlflowRoutesFacts, f"reads.{name}", a) for name, a in reads)


def _sent(forms: KeyFormsFacts, spellings: KeySpellingsFacts | None) -> Iterator[Sighting]:
    yield from ((KeyFormsFacts, f"answers.{f}", a) for f, a in forms.answers.items())
    if spellings is not None:
        yield from ((KeySpellingsFacts, f"answers.{f}", a) for f, a in spellings.answers.items())


def _is_missed(answer: Answer) -> bool:
    says = answer.status == 401 and "required" in detail(answer)
    return says and responder(answer) == "gateway"


def _form_of(sighting: Sighting) -> KeyForm:
    place = sighting[1]
    return next(f for f in _HEADER if place == f"answers.{f}")


def _broken(names: list[KeyForm]) -> tuple[str, ...]:
    """All that is asked for as a Bearer token, where that is lost; else the forms that are."""
    if "bearer" in names or not names:
        return ("gateway-auth",)
    aspects = {f: f"authenticated/{f}" for f in ("apikey", "x-api-key")}
    return tuple(dict.fromkeys(aspects.get(name, "authenticated/spellings") for name in names))
