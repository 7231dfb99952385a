"""Requests that no client should send, and whether they are refused as they should be."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from hokusai_probe.answers import error_code, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Wrong
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.versions import VersionsFacts, at_least

_REST = "/api/2.0/mlflow/"
_LONG = "x" * 4000
_ODD = "hkprobe'; -- \u00e9\u4e2d\u202e"
REQUESTS: Mapping[str, tuple[str, str, tuple[tuple[str, str], ...], JsonValue]] = {
    "wrong-type": ("POST", "runs/search", (), {"experiment_ids": "no list", "max_results": "no number"}),
    "bad-filter": ("POST", "runs/search", (), {"experiment_ids": ["0"], "filter": "'\"`" * 20}),
    "missing-field": ("GET", "registered-models/get", (), None),
    "long-field": ("GET", "registered-models/get", (("name", _LONG),), None),
    "odd-field": ("GET", "runs/get", (("run_id", _ODD),), None),
    "wrong-verb": ("POST", "registered-models/search", (), {}),
    "unknown-route": ("GET", "hkprobe/no-such-route", (), None),
}
"""Each is wrong in one way only, and none could change anything if it were taken."""

BROKEN = b'{"experiment_ids": ["0"], "max_results": 1'

# a stack trace of Python, SQL, or the driver's words for it
_TRACE = re.compile(
    r"Traceback \(most recent call last\)|File \"[^\"]+\", line \d+|^\s+at [\w.$]+\(", re.MULTILINE
)
_SQL = re.compile(
    r"\[SQL:|\bSELECT\b.{1,400}?(?:\b|\\n)FROM\b|\bINSERT INTO\b|psycopg|sqlalche\.me|sqlite3\."
    r"|OperationalError|ProgrammingError|\bUndefinedTable\b|relation \"[^\"]+\" does not exist",
    re.DOTALL,
)


class HostileRequestsFacts(Facts):
    """What MLflow's API answered, by what was wrong with the request; see REQUESTS.

    ``broken``: JSON that ends too early. ``untyped``: a good body that says it is plain text. Both may be
    taken: MLflow reads a body that it cannot parse as an empty one.
    """

    answers: Mapping[str, Answer]
    broken: Answer
    untyped: Answer

    @property
    def all(self) -> tuple[Answer, ...]:
        """Every answer."""
        return (*self.answers.values(), self.broken, self.untyped)


@probe(area="errors", safety="hostile", after=("experiments-can-be-searched",), cost=9)
async def hostile_requests(look: Look, api: MlflowApiFacts) -> HostileRequestsFacts:
    """Wrong types, a filter that cannot be parsed, missing, long and odd fields, a wrong verb, no such route.

    Also JSON that is cut off, and a body of the wrong type. All with the key if there is one, as a
    caller's program that went wrong would send them.
    """
    base = api.prefix + _REST
    found, broken, untyped = await asyncio.gather(
        asyncio.gather(*(_send(look, base, *one) for one in REQUESTS.values())),
        _raw(look, base, BROKEN, "application/json"),
        _raw(look, base, BROKEN + b"}", "text/plain"),
    )
    answers = dict(zip(REQUESTS, found, strict=True))
    return HostileRequestsFacts(answers=answers, broken=broken, untyped=untyped)


async def _send(
    look: Look, base: str, method: str, call: str, query: tuple[tuple[str, str], ...], body: JsonValue
) -> Answer:
    return await look.http.send(
        *(method, "registry", base + call), key=look.key_form(), query=query, json=body
    )


async def _raw(look: Look, base: str, content: bytes, content_type: str) -> Answer:
    headers = {"Content-Type": content_type}
    return await look.http.send(
        *("POST", "registry", f"{base}runs/search"), key=look.key_form(), content=content, headers=headers
    )


@check(hop="mlflow-api/refusals")
def bad_requests_are_refused(facts: HostileRequestsFacts) -> Sentence:
    """A request that is wrong is answered 4xx, by whoever knows what is wrong; never 5xx, never 200.

    Who is not let in at all (401, 403) is refused as well.
    """
    wrong = [f"{what}: {said(a)}" for what, a in facts.answers.items() if not _refuses(what, a)]
    wrong += [f"cut-off JSON or wrong type: {said(a)}" for a in (facts.broken, facts.untyped) if _breaks(a)]
    if not wrong:
        return None
    worst = next((a for w, a in facts.answers.items() if not _refuses(w, a)), facts.broken)
    return Wrong(reason="; ".join(wrong), reproduce=worst.curl())


def _refuses(what: str, answer: Answer) -> bool:
    wanted = {"wrong-verb": {405, 404}, "unknown-route": {404}}.get(what, {400, 404, 414, 422})
    return answer.status in wanted | {401, 403} and responder(answer) in {"mlflow", "gateway"}


def _breaks(answer: Answer) -> bool:
    return answer.status is None or answer.status >= 500


_ASKS_FOR_TYPE = (2, 9)
_TYPE = "Content-Type"


def type_arrives(untyped: Answer, server: str | None) -> bool | None:
    """Whether the type that a good body was given arrives at MLflow; None where the answer does not say.

    MLflow takes nothing but ``application/json`` since 2.9 (its pull request 10526, and seen on 3.17). What
    it takes although it was sent as plain text came with another type.
    """
    told = body.get("message") if isinstance(body := untyped.json(), Mapping) else None
    if untyped.status == 400 and isinstance(told, str) and _TYPE in told:
        return not lacks_type(untyped)
    taken = untyped.status == 200 and isinstance(body, Mapping) and set(body) <= {"runs", "next_page_token"}
    return False if taken and at_least(server, _ASKS_FOR_TYPE) else None


def lacks_type(answer: Answer) -> bool:
    """Whether MLflow says that a request came without the type that all of ours have."""
    body = answer.json()
    told = str(body.get("message")) if isinstance(body, Mapping) else ""
    return error_code(answer) == "INVALID_PARAMETER_VALUE" and f"{_TYPE} header is missing" in told


@check(hop="mlflow-api/headers", area="proxy")
def request_headers_are_forwarded(facts: HostileRequestsFacts, versions: VersionsFacts | None) -> Sentence:
    """A header of a request arrives at MLflow as it was sent, as far as MLflow's answers show.

    That is the body's type: MLflow refuses what is not JSON, which shows that it got to see the type. It
    reads no other header of which its answers would certainly tell.
    """
    server = versions.server if versions else None
    arrives = type_arrives(facts.untyped, server)
    if arrives is None:
        of = f"MLflow {server}" if server else "MLflow of an unknown version"
        return CannotTell(reason=f"plain text was sent to {of}: {said(facts.untyped)}")
    if arrives:
        return None
    how = "without its type" if lacks_type(facts.untyped) else "as application/json"
    return Wrong(reason=f"a body that was sent as text/plain arrives {how}", reproduce=facts.untyped.curl())


@check(hop="mlflow-api/leaks", area="errors")
def errors_give_nothing_away(
    api: MlflowApiFacts, hostile: HostileRequestsFacts | None, registration: RegistrationFacts | None
) -> Sentence:
    """No error of MLflow's or the gateway's shows a stack trace, SQL or the key to whoever asks.

    Where neither of them has refused anything, nobody knows what their errors show.
    """
    asked: tuple[Answer, ...] = (*_answers(api), *(hostile.all if hostile else ()), *_answers(registration))
    telling = [(a, what) for a in asked if (what := given_away(a))]
    if not telling:
        return (
            None if any(map(_is_their_error, asked)) else CannotTell(reason="neither of them gave an error")
        )
    return Wrong(
        reason="; ".join(dict.fromkeys(f"{a.method} {a.path}: {what}" for a, what in telling)),
        reproduce=telling[0][0].curl(),
    )


def _answers(facts: Facts | None) -> Iterable[Answer]:
    values = (getattr(facts, name) for name in type(facts).model_fields) if facts else ()
    return (value for value in values if isinstance(value, Answer))


def _is_their_error(answer: Answer) -> bool:
    return (answer.status or 0) >= 400 and responder(answer) in {"mlflow", "gateway"}


def given_away(answer: Answer) -> str:
    """What an error's body should not have in it, or an empty string."""
    if answer.status is None or answer.status < 400:
        return ""
    if _TRACE.search(answer.body):
        return "the error shows a stack trace"
    if _SQL.search(answer.body):
        return "the error shows SQL or the database driver's words"
    return "the error repeats the key that it was sent" if answer.echoes else ""
