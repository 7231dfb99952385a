"""How an author says: this is a look, this is a check, this is a cause. And how they are found.

One file in ``probes/`` is one look: a Facts class, a ``@probe`` and its ``@check`` functions. One
file in ``causes/`` is one cause, named for the defect. Nothing is registered anywhere else: the
annotations of a function say what it needs, its name is the slug, its docstring is what people read.
Packages outside ours join through the entry points ``hokusai_probe.probes`` and ``hokusai_probe.causes``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar, Union

from pydantic import JsonValue

from hokusai_probe import topology
from hokusai_probe.model import (
    PROBE_OF_FACTS,
    Area,
    Blame,
    Blocked,
    CannotTell,
    Component,
    Effort,
    Facts,
    Frozen,
    NotApplicable,
    Priority,
    Remedy,
    SafetyClass,
    Target,
    Wrong,
)

Sentence = str | Wrong | CannotTell | NotApplicable | Blocked | None
Need = Literal["aws", "key", "second-key", "admin-key", "auth-host", "api-host", "registration-extra"]
F = TypeVar("F", bound=Callable[..., Any])


class Claim(Frozen):
    """One thing that a cause says of the facts, and whether it holds.

    ``holds`` None: not known, because the look was not taken, or because something nearer hides it.
    ``telling``: no other defect shows this; one telling claim that holds, and none that fails, is proof.
    """

    text: str
    holds: bool | None
    probe: str
    fact: str = ""
    value: JsonValue = None
    telling: bool = False
    aws_cli: str | None = None


class Case(Frozen):
    """A cause at one subject (a service, a host, a path): what it would break and what it claims.

    ``covers``: causes by slug, and at which subject, that are its doing here, beside what its cause entails
    always: ``{"deployment-rolled-back": ("gateway",)}``.
    """

    subject: str
    breaks: tuple[str, ...]
    claims: tuple[Claim, ...]
    remedy: Remedy | None = None
    component: Component | None = None
    covers: Mapping[str, tuple[str, ...]] = {}


def claim(
    text: str,
    holds: object,
    *,
    by: type[Facts],
    fact: str = "",
    value: JsonValue = None,
    telling: bool = False,
    aws_cli: str | None = None,
) -> Claim:
    """A claim settled by the look that returns ``by``. ``holds`` None stays None, all else is truth.

    So ``facts and facts.port != 8000`` reads as it should where the look was not taken.
    """
    truth = None if holds is None else bool(holds)
    return Claim(
        text=text,
        holds=truth,
        probe=PROBE_OF_FACTS.get(by, by.__name__),
        fact=fact,
        value=value,
        telling=telling,
        aws_cli=aws_cli,
    )


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an author's function: the class it wants and whether it can do without."""

    name: str
    wants: type
    optional: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A declared check."""

    slug: str
    title: str
    doc: str
    probe: str
    area: Area
    hop: str
    component: Component
    behaviour: str | None
    function: Callable[..., Sentence]
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """A declared look."""

    slug: str
    title: str
    doc: str
    area: Area
    safety: SafetyClass
    facts: type[Facts]
    function: Callable[..., Awaitable[Facts]]
    parameters: tuple[Parameter, ...]
    needs: tuple[Need, ...]
    after: tuple[str, ...]
    cost: int
    deadline_s: float | None
    prepare: Callable[[], None] | None = None
    round: Literal[1, 2] = 1

    def prior(self) -> tuple[str, ...]:
        """Slugs of the looks whose facts this one reads."""
        return tuple(PROBE_OF_FACTS[n.wants] for n in self.parameters if issubclass(n.wants, Facts))


@dataclass(frozen=True, slots=True)
class Cause:
    """A declared cause."""

    slug: str
    title: str
    doc: str
    component: Component
    blame: Blame
    priority: Priority
    effort: Effort
    sensitive: bool
    fallback: bool
    entails: tuple[str, ...]
    look_alikes: Mapping[str, str]
    source: str
    function: Callable[..., Iterable[Case]]
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that was found, by slug. Checks stand by look, and within one as its file has them."""

    probes: Mapping[str, Probe]
    checks: Mapping[str, Check]
    causes: Mapping[str, Cause]

    def checks_of(self, probe: str) -> tuple[Check, ...]:
        """The checks that one look's facts are judged by."""
        return tuple(c for c in self.checks.values() if c.probe == probe)


_PROBES: dict[str, Probe] = {}
_CHECKS: dict[str, Check] = {}
_CAUSES: dict[str, Cause] = {}

# the platform's own names and security groups are as much the platform's as its services are
_BLAME: Mapping[Component, Blame] = {"probe": "probe", "client": "you"}


def _slug(function: Callable[..., object]) -> str:
    return function.__name__.replace("_", "-")


def _doc(function: Callable[..., object]) -> tuple[str, str]:
    doc = inspect.getdoc(function)
    if not doc:
        msg = f"{function.__module__}.{function.__name__} has no docstring: it is what users read"
        raise TypeError(msg)
    return doc.splitlines()[0].rstrip(".").replace("``", ""), doc


def _parameter(name: str, hint: object) -> Parameter:
    if typing.get_origin(hint) in (Union, types.UnionType):
        wanted = [a for a in typing.get_args(hint) if a is not type(None)]
        return Parameter(name, wanted[0], optional=True)
    return Parameter(name, typing.cast("type", hint), optional=False)


def _parameters(function: Callable[..., object]) -> tuple[Parameter, ...]:
    hints = typing.get_type_hints(function)
    return tuple(_parameter(name, hint) for name, hint in hints.items() if name != "return")


def _add(where: dict[str, Any], slug: str, thing: object, function: Callable[..., object]) -> None:
    known = where.get(slug)
    if known is not None and known.function.__module__ != function.__module__:
        msg = f"{slug} is declared twice: in {known.function.__module__} and {function.__module__}"
        raise TypeError(msg)
    where[slug] = thing


def probe(
    *,
    area: Area,
    safety: SafetyClass = "read",
    needs: tuple[Need, ...] = (),
    after: tuple[str, ...] = (),
    cost: int = 1,
    deadline_s: float | None = None,
    prepare: Callable[[], None] | None = None,
    round: Literal[1, 2] = 1,  # noqa: A002 - as observations call it
) -> Callable[[F], F]:
    """Declare a look: ``async def slug(look: Look, prior: OtherFacts) -> Facts``.

    ``needs`` names what the target must configure (else the look is ``skip``, ``not-configured``).
    ``after`` names checks that must have passed (else ``blocked``); a look whose facts it reads as a
    parameter comes first of itself. ``cost`` is the most requests it sends; ``deadline_s`` seconds,
    by default what the target's timeouts allow for that many. ``prepare`` is called when a run begins
    that may take the look: it must return at once and touch nothing of the platform, as loading does.
    A look of ``round`` 2 is taken only where causes are left undecided that name it as what would settle
    them, or where somebody names it.
    """

    def declare(function: F) -> F:
        slug, (title, doc) = _slug(function), _doc(function)
        facts = typing.get_type_hints(function)["return"]
        PROBE_OF_FACTS[facts] = slug
        _add(
            _PROBES,
            slug,
            Probe(
                slug,
                title,
                doc,
                area,
                safety,
                facts,
                function,
                _parameters(function),
                needs,
                after,
                cost,
                deadline_s,
                prepare,
                round,
            ),
            function,
        )
        return function

    return declare


def check(
    *, hop: str, area: Area | None = None, component: Component | None = None, behaviour: str | None = None
) -> Callable[[F], F]:
    """Declare a check: ``def slug(facts: SomeFacts) -> Sentence``, pure.

    It belongs to the look whose facts come first. It returns a sentence saying what is wrong, or None.
    ``hop`` is what it tests; who must act follows from the topology unless ``component`` says.
    ``behaviour`` is the known defect whose acceptance by the target silences it.
    """

    def declare(function: F) -> F:
        slug, (title, doc) = _slug(function), _doc(function)
        if not topology.known(hop):
            msg = f"check {slug}: there is no hop {hop!r}"
            raise TypeError(msg)
        parameters = _parameters(function)
        owner = next(n.wants for n in parameters if issubclass(n.wants, Facts))
        probe_slug = PROBE_OF_FACTS[owner]
        _add(
            _CHECKS,
            slug,
            Check(
                slug,
                title,
                doc,
                probe_slug,
                area or _PROBES[probe_slug].area,
                hop,
                component or topology.component(hop),
                behaviour,
                function,
                parameters,
            ),
            function,
        )
        return function

    return declare


def cause(
    *,
    component: Component,
    priority: Priority,
    effort: Effort,
    source: str,
    look_alikes: Mapping[str, str],
    entails: tuple[str, ...] = (),
    blame: Blame | None = None,
    sensitive: bool = False,
    fallback: bool = False,
) -> Callable[[F], F]:
    """Declare a cause: ``def slug(facts: SomeFacts, aws: OtherFacts | None) -> Iterator[Case]``, pure.

    It is asked only when the facts that it cannot do without were seen. ``entails`` names causes
    that are only its consequences. ``fallback``: it says no more than that something does not answer,
    so it is present only where nothing deeper explains the same. ``look_alikes``: slug -> what splits them.
    """

    def declare(function: F) -> F:
        slug, (title, doc) = _slug(function), _doc(function)
        _add(
            _CAUSES,
            slug,
            Cause(
                slug,
                title,
                doc,
                component,
                blame or _BLAME.get(component, "them"),
                priority,
                effort,
                sensitive,
                fallback,
                entails,
                dict(look_alikes),
                source,
                function,
                _parameters(function),
            ),
            function,
        )
        return function

    return declare


def _modules(package: str) -> Iterator[str]:
    path = importlib.import_module(package).__path__
    names = (m.name for m in pkgutil.iter_modules(path))
    return (f"{package}.{name}" for name in sorted(names) if not name.startswith("_"))


def _load(package: str) -> None:
    for name in _modules(package):
        importlib.import_module(name)
    for entry in entry_points(group=package):
        entry.load()


@cache
def catalogue() -> Catalogue:
    """Every look, check and cause: ours and those of installed packages. Imports nothing heavy."""
    _load("hokusai_probe.probes")
    _load("hokusai_probe.causes")
    checks = sorted(_CHECKS.values(), key=lambda c: (c.probe, c.function.__code__.co_firstlineno))
    return Catalogue(
        dict(sorted(_PROBES.items())), {c.slug: c for c in checks}, dict(sorted(_CAUSES.items()))
    )


__all__ = [
    "Case",
    "Catalogue",
    "Cause",
    "Check",
    "Claim",
    "Probe",
    "Sentence",
    "Target",
    "catalogue",
    "cause",
    "check",
    "claim",
    "probe",
]
