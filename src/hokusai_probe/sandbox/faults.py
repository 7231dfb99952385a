"""Faults on the edges of the sandbox: which requests they match and what they do to them.

The table is a JSON file. The host writes it (`write_table`); every part that stands at an edge reads it again
whenever it changed (`FaultTable`). Several faults on one edge: the first match that answers, answers; delays
and edits of all matches add up. ``every = 3`` means each third match. It is counted in a file beside the
table, so that all load balancers, and all tasks of a service, count together; health checks are counted
apart, or nobody could say which of their own requests is the third.

What a fault may say depends on its edge. HTTP edges know every match and everything to do, but where the one
who asks is not ours to steer (client, MLflow's storage client) no names are changed: that is the DNS edge's.
The edges to cache and database are TCP: they know connections and, at most, the host's name.
"""

import difflib
import fcntl
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from hokusai_probe.sandbox import shared_files

Edge = Literal[
    "client->dns",
    "client->load-balancer",
    "client->aws",
    "client->control-host",
    "load-balancer->auth",
    "load-balancer->gateway",
    "load-balancer->mlflow",
    "gateway->auth",
    "gateway->mlflow",
    "gateway->cache",
    "gateway->database",
    "gateway->site",
    "mlflow->database",
    "mlflow->storage",
]
"""The edges of the platform on which faults can be injected."""

_ANSWERS = ("status", "drop", "refuse", "reset", "nxdomain", "address")
_CONNECTION = ("drop", "refuse", "reset")
_NAME = ("nxdomain", "address")
_OF_AN_ANSWER = ("body", "content_type", "headers")

_HOST_ONLY = frozenset({"client->dns", "gateway->cache", "gateway->database", "mlflow->database"})
_OTHERS_NAMES = frozenset({"client->load-balancer", "client->aws", "client->control-host", "mlflow->storage"})


class FaultError(ValueError):
    """A fault that cannot be used; the text is one sentence for the scenario's author."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name (RFC 9110 section 5.6.2)."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header's value may have (RFC 9110 section 5.5); a tab may be there."""


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _TOKEN.fullmatch(name):
            reason = f"{name!r} is no header name"
            raise ValueError(reason)
    return names


def _headers(headers: dict[str, str]) -> dict[str, str]:
    _names(tuple(headers))
    for name, value in headers.items():
        if _CONTROL.search(value):
            reason = f"the value of the header {name!r} has a control character"
            raise ValueError(reason)
    return headers


def _content_type(value: str) -> str:
    return _headers({"Content-Type": value})["Content-Type"]


def _address(text: str) -> str:
    """IPv4 alone: the sandbox's DNS server has A records only."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        reason = f"{text!r} is no IPv4 address, such as 127.0.0.9"
        raise ValueError(reason) from None


_Headers = Annotated[dict[str, str], AfterValidator(_headers)]
_HeaderNames = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_names)]  # TOML has lists


class Match(_Frozen):
    """Which requests a fault takes; what is left out matches everything.

    Patterns know ``*`` (any characters) and ``?`` (one character). Paths are case-sensitive; hosts,
    methods and header names are not. ``query`` and ``header`` give a pattern per name.
    ``min_body_bytes`` looks at the declared Content-Length; a body of unknown length counts as 0.
    """

    path: str = "*"
    method: str = "*"
    host: str = "*"
    query: dict[str, str] = Field(default_factory=dict)
    header: dict[str, str] = Field(default_factory=dict)
    min_body_bytes: int = Field(default=0, ge=0)


class Edit(_Frozen):
    """Changes to an answer on its way back.

    ``body_replace`` is the whole new body. ``json`` is an RFC 7386 merge patch of a JSON body;
    a body that is not JSON stays as it is. ``truncate`` keeps that many bytes of the body. One of them at
    least is given.
    """

    header_set: _Headers = Field(default_factory=dict)
    header_add: _Headers = Field(default_factory=dict)
    header_drop: _HeaderNames = ()
    body_replace: str | None = None
    json_patch: dict[str, object] | None = Field(default=None, alias="json")
    truncate: int | None = Field(default=None, ge=0)

    @property
    def changes_body(self) -> bool:
        """Whether the body must be read whole to make this edit."""
        return any(part is not None for part in (self.body_replace, self.json_patch, self.truncate))

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.changes_body or self.header_set or self.header_add or self.header_drop):
            reason = f"says nothing; give one of {', '.join(_keys_of(Edit))}"
            raise ValueError(reason)
        return self


class Rewrite(_Frozen):
    """Changes to a request on its way there, as a proxy makes them that does not hand on what it was sent.

    ``query_keep``: of parameters with one name only the first or the last arrives, as when a query is read
    into a dictionary. ``header_drop`` and ``header_set``, in this order, are about headers; names without
    regard to case. One of them at least is given.
    """

    query_keep: Literal["first", "last"] | None = None
    header_set: _Headers = Field(default_factory=dict)
    header_drop: _HeaderNames = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.query_keep or self.header_set or self.header_drop):
            reason = f"says nothing; give one of {', '.join(_keys_of(Rewrite))}"
            raise ValueError(reason)
        return self


class Do(_Frozen):
    """What happens to a matched request.

    At most one answer: ``status`` (200 to 599, with ``body``, ``content_type``, ``headers``), ``drop``
    (packets vanish), ``refuse`` (connection refused), ``reset`` (connection reset once the request is sent),
    ``nxdomain`` (the name does not exist), ``address`` (the name leads there instead; IPv4). ``delay_s`` is
    in platform seconds and holds the answer back after the other side has done its work. ``rewrite`` changes
    the request before it is sent, ``edit`` the answer.
    """

    status: int | None = Field(default=None, ge=200, le=599)
    body: str = ""
    content_type: Annotated[str, AfterValidator(_content_type)] = "text/html"
    headers: _Headers = Field(default_factory=dict)
    delay_s: float = Field(default=0.0, ge=0)
    drop: bool = False
    refuse: bool = False
    reset: bool = False
    nxdomain: bool = False
    address: Annotated[str, AfterValidator(_address)] | None = None
    edit: Edit | None = None
    rewrite: Rewrite | None = None

    @property
    def answers(self) -> bool:
        """Whether this ends the request or sends it elsewhere; delays and edits alone do not."""
        return any(getattr(self, name) not in (None, False) for name in _ANSWERS)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        given = [name for name in _ANSWERS if getattr(self, name) not in (None, False)]
        if len(given) > 1:
            reason = f"{' and '.join(given)} exclude each other"
            raise ValueError(reason)
        idle = [name for name in _OF_AN_ANSWER if name in self.model_fields_set and self.status is None]
        if idle:
            reason = f"{idle[0]} belongs to an answer of the fault's own; give its status as well"
            raise ValueError(reason)
        if not given and not self.delay_s and self.edit is None and self.rewrite is None:
            reason = f"says nothing; give one of {', '.join(_ANSWERS)}, delay_s, edit, rewrite"
            raise ValueError(reason)
        return self


class Fault(_Frozen):
    """One fault step of a scenario."""

    edge: Edge
    match: Match = Field(default_factory=Match)
    do: Do
    every: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _fits_its_edge(self) -> Self:
        if self.edge in _HOST_ONLY:
            _refuse(self.edge, "requests", sorted(self.match.model_fields_set - {"host"}))
            _refuse(self.edge, "answers", _set_in(self.do, ("status", "edit")))
            _refuse(self.edge, "requests", _set_in(self.do, ("rewrite",)))
        if self.edge in _OTHERS_NAMES and self.do.rewrite is not None:
            reason = f"rewrite is for a sender of the platform's own, and {self.edge} has none"
            raise ValueError(reason)
        if self.edge in _OTHERS_NAMES and (names := _set_in(self.do, _NAME)):
            reason = f"{names[0]} belongs to the name, not to {self.edge}; use the edge client->dns"
            raise ValueError(reason)
        return self


def _set_in(do: Do, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(do, name) not in (None, False)]


def _refuse(edge: str, what: str, found: Sequence[str]) -> None:
    if found:
        reason = f"{found[0]} is about HTTP {what}, and {edge} has none"
        raise ValueError(reason)


_TABLE = TypeAdapter(tuple[Fault, ...])
_COUNTS = TypeAdapter(dict[str, int])


def parse_fault(step: Mapping[str, object]) -> Fault:
    """A fault from the keys edge, match, do, every of a scenario step.

    Raises:
        FaultError: One sentence that names the key and, for a misspelt one, the key that was meant.

    """
    try:
        return Fault.model_validate(step)
    except ValidationError as error:
        raise FaultError(_sentence(error, step)) from None


def _sentence(error: ValidationError, step: Mapping[str, object]) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {place!r} in a fault{_suggest(str(first['loc'][-1]), _keys_at(first['loc']))}"
    if first["loc"] == ("edge",):
        return (
            f"unknown edge {step.get('edge')!r} in a fault{_suggest(str(step.get('edge')), get_args(Edge))}"
        )
    text = first["msg"].removeprefix("Value error, ")
    return f"a fault's {place}: {text}" if place else f"a fault cannot be: {text}"


def _keys_at(place: Sequence[int | str]) -> list[str]:
    models: dict[tuple[int | str, ...], type[BaseModel]] = {
        (): Fault,
        ("match",): Match,
        ("do",): Do,
        ("do", "edit"): Edit,
        ("do", "rewrite"): Rewrite,
    }
    return _keys_of(models[tuple(place[:-1])])


def _keys_of(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _suggest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def write_table(path: Path, faults: Iterable[Fault]) -> None:
    """Replace the table at once: a reader sees the old one or the new one, never half of it."""
    text = _TABLE.dump_json(tuple(faults), by_alias=True, exclude_defaults=True)
    shared_files.replace(path, text)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a fault can see of a request. A DNS query has a host only."""

    host: str = ""
    path: str = ""
    method: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """What all matching faults do together: one answer at most, delays summed (platform seconds)."""

    answer: Do | None = None
    delay_s: float = 0.0
    edits: tuple[Edit, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()


@lru_cache(maxsize=1024)
def wildcard(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A pattern with ``*`` and ``?`` as a compiled expression, for ``fullmatch``."""
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(letter, re.escape(letter)) for letter in pattern)
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def matches(match: Match, seen: Seen) -> bool:
    """Whether a fault takes this request."""
    return (
        seen.body_bytes >= match.min_body_bytes
        and bool(wildcard(match.path).fullmatch(seen.path))
        and bool(wildcard(match.method, ignore_case=True).fullmatch(seen.method))
        and bool(wildcard(match.host, ignore_case=True).fullmatch(seen.host))
        and _all_named(match.query, seen.query)
        and _all_named({name.lower(): value for name, value in match.header.items()}, seen.headers)
    )


def _all_named(patterns: Mapping[str, str], values: Mapping[str, str]) -> bool:
    return all(name in values and wildcard(want).fullmatch(values[name]) for name, want in patterns.items())


def combine(hits: Sequence[Fault]) -> Effect:
    """The first hit that answers, answers; delays, edits and rewrites of all hits add up."""
    return Effect(
        answer=next((hit.do for hit in hits if hit.do.answers), None),
        delay_s=sum(hit.do.delay_s for hit in hits),
        edits=tuple(hit.do.edit for hit in hits if hit.do.edit is not None),
        rewrites=tuple(hit.do.rewrite for hit in hits if hit.do.rewrite is not None),
    )


class FaultTable:
    """The faults of a table file, read again whenever the file changed. No file: no faults.

    Args:
        path: The table's file.
        counter: Whose matches ``every`` counts: all tables of one file with one counter count together, in
            whatever process they are.

    """

    def __init__(self, path: Path, counter: str = "") -> None:
        self._path = path
        self._counter = counter
        self._stamp: tuple[int, int, int] | None = None
        self._faults: tuple[Fault, ...] = ()

    def effect(self, edge: str, seen: Seen) -> Effect:
        """What happens to this request on this edge; counts the match for ``every``."""
        matching = [fault for fault in self._of(edge) if matches(fault.match, seen)]
        return combine([fault for fault in matching if self._is_due(fault)])

    def connection(self, edge: str, host: str = "") -> Do | None:
        """What happens to one new connection on this edge, whatever will be asked on it.

        For fronts that see connections and no requests. Call it once per connection: ``every`` counts.

        Args:
            edge: The edge.
            host: The name that the other side goes by, for faults that match on it.

        Returns:
            One of drop, refuse, reset, with the sum of all delays in ``delay_s`` (platform seconds), or a
            delay alone; None: nothing. Faults that look at requests, change names or make answers are left
            out.

        """
        meant = [fault for fault in self._of(edge) if _meets_all(fault, host)]
        effect = combine([f for f in meant if _is_of_connection(f.do) and self._is_due(f)])
        if effect.answer is None and not effect.delay_s:
            return None
        return (effect.answer or Do(delay_s=1)).model_copy(update={"delay_s": effect.delay_s})

    def standing(self, edge: str, host: str = "") -> Do | None:
        """The refuse or drop that meets every single connection of an edge for now; counts nothing.

        For listeners, which close their port or let connects hang while it lasts. One with ``every`` or a
        match on more than the host does not stand: it is for each request (`effect`).
        """
        answering = (f for f in self._of(edge) if f.do.answers and _is_about(f, host))
        first = next(answering, None)
        if first is None or first.every > 1 or not _meets_all(first, host):
            return None
        return first.do if first.do.drop or first.do.refuse else None

    def name(self, edge: str, host: str) -> Do | None:
        """The nxdomain or address with which a name is looked up for this edge; counts for ``every``."""
        meant = [fault for fault in self._of(edge) if _set_in(fault.do, _NAME) and _meets_all(fault, host)]
        return combine([fault for fault in meant if self._is_due(fault)]).answer

    def _of(self, edge: str) -> list[Fault]:
        self._reread()
        return [fault for fault in self._faults if fault.edge == edge]

    def _is_due(self, fault: Fault) -> bool:
        if fault.every == 1:
            return True
        # equal faults count apart, so the place in the table tells them apart: `is`, not `==`
        place = next(number for number, one in enumerate(self._faults) if one is fault)
        return _count(self._path, f"{self._counter} {place} {fault.model_dump_json()}") % fault.every == 0

    def _reread(self) -> None:
        stamp = shared_files.stamp_of(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._faults = () if stamp is None else _TABLE.validate_json(self._path.read_bytes())


def _is_about(fault: Fault, host: str) -> bool:
    return bool(wildcard(fault.match.host, ignore_case=True).fullmatch(host))


def _meets_all(fault: Fault, host: str) -> bool:
    """Whether a fault takes everything that goes to a host."""
    return fault.match.model_fields_set <= {"host"} and _is_about(fault, host)


def _is_of_connection(do: Do) -> bool:
    return bool(_set_in(do, _CONNECTION)) or bool(do.delay_s and not do.answers)


def counted(table: Path) -> int:
    """How often the faults with ``every`` of a table were matched so far, those that let pass included."""
    counts = table.with_suffix(".counts")
    return sum(_COUNTS.validate_json(counts.read_bytes() or b"{}").values()) if counts.exists() else 0


def _count(table: Path, key: str) -> int:
    """How often a fault of a table was counted, this time included, by every process there is."""
    with table.with_suffix(".counts").open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        counts = _COUNTS.validate_json(file.read() or "{}")
        counts[key] = counts.get(key, 0) + 1
        file.truncate(0)
        file.write(json.dumps(counts))
    return counts[key]


def patched(body: bytes, edit: Edit) -> bytes:
    """A body after an edit: replaced, merged, cut, in this order."""
    if edit.body_replace is not None:
        body = edit.body_replace.encode()
    if edit.json_patch is not None:
        body = _merge_body(body, edit.json_patch)
    return body if edit.truncate is None else body[: edit.truncate]


def _merge_body(body: bytes, patch: Mapping[str, object]) -> bytes:
    try:
        document: object = json.loads(body)
    except ValueError:
        return body
    return json.dumps(_merged(document, patch)).encode()


def _merged(document: object, patch: object) -> object:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(document) if isinstance(document, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
