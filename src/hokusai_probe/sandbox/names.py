"""Names in braces: what scenario files call the things of the sandbox.

``{task.auth.ip}`` and its like are resolved when a step is applied, so that they name what is there at that
moment. ``{saved.NAME.JMESPATH}`` reaches into the answer that an earlier step saved. Text that is JSON keeps
its braces where they do not enclose a known name. The placeholders of a load balancer's redirect, ``#{path}``
and its like, are AWS's own.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping

SERVICES = ("auth", "gateway", "mlflow")
LOAD_BALANCERS = ("auth", "registry", "main")
RULES = {"auth": ("health", "api"), "registry": ("mlflow", "api_mlflow", "api"), "main": ("api",)}
SPARE_CERTIFICATES = ("expired", "untrusted")
IMAGES = ("good", "crashes", "wrong-architecture", "missing", "hungry")

_OPEN = r"(?!(?<=#)\{(?:host|path|port|protocol|query)\})\{"
"""A brace that opens none of the placeholders that RedirectActionConfig of the ELBv2 API has."""

_NAME = re.compile(_OPEN + r"(?!saved\b)([a-z_]+(?:\.[a-z0-9_-]+)*)\}")
_SAVED = re.compile(r"\{saved\.([A-Za-z_]\w*)\.([^{}]+)\}")
_REFERENCE = re.compile(rf"{_SAVED.pattern}|{_NAME.pattern}")


class UnknownNameError(ValueError):
    """A name in braces that the sandbox does not have; the text is one sentence."""


def _per_service() -> Iterator[str]:
    for service in SERVICES:
        for kind in (
            "target_group", "service", "task_definition", "family", "container", "log_group", "discovery",
            "security_group",
        ):  # fmt: skip
            yield f"{kind}.{service}"
        yield from (f"task.{service}.ip", f"task.{service}.arn")
        yield from (f"image.{service}.{image}" for image in IMAGES)


def _per_load_balancer() -> Iterator[str]:
    for balancer in LOAD_BALANCERS:
        yield from (f"{kind}.{balancer}" for kind in ("load_balancer", "dns_name", "host", "certificate"))
        yield from (f"certificate.{balancer}.{spare}" for spare in SPARE_CERTIFICATES)
        yield from (f"listener.{balancer}.http", f"listener.{balancer}.https")
        yield from (f"rule.{balancer}.{rule}" for rule in RULES[balancer])


def _single() -> Iterator[str]:
    yield from ("cluster", "vpc", "subnet.a", "subnet.b", "acl.a", "acl.b", "database", "cache", "namespace")
    yield from ("zone", "hosted_zone", "account", "region", "role.execution", "role.task")
    stores = ("load-balancer", "cache", "database", "client-vpn")
    yield from (f"security_group.{one}" for one in stores)
    yield from (f"secret.{name}" for name in ("database", "redis", "auth", "huggingface"))
    yield from (f"parameter.{name}" for name in ("redis_endpoint", "redis_port", "database_url"))


ALWAYS = frozenset((*_per_service(), *_per_load_balancer(), *_single()))
"""The names that every sandbox has."""

WITH_S3 = frozenset({"bucket.artifacts"})
"""The names that exist only with ``storage = "s3"``."""

_HEADS = "|".join(sorted({"saved", *(name.partition(".")[0] for name in ALWAYS | WITH_S3)}))
_MEANT = re.compile(rf"{_OPEN}\s*(?i:{_HEADS})\b[^{{}}]*\}}?")
_SAVED_FORM = "what a step saved is {saved.NAME.JMESPATH}, a JMESPath without braces"


def references(text: str) -> Iterator[str]:
    """The names that a text refers to; ``saved.NAME`` for what a step saved.

    Names inside JSON text are left out unless they are known.
    """
    for match in _REFERENCE.finditer(text):
        name = _name_of(match)
        if name.startswith("saved.") or name in ALWAYS | WITH_S3 or not _is_json(text):
            yield name


def mistakes(text: str) -> Iterator[str]:
    """What is wrong with braces that begin like a name, one sentence each: no known form, or no JMESPath.

    Braces of no known form are left out inside JSON text.
    """
    for match in _MEANT.finditer(text):
        reference = _REFERENCE.match(text, match.start())
        if reference is None and not _is_json(text):
            yield _malformed(match.group())
        elif reference and reference.group(2):
            yield from _path_mistakes(reference)


def _malformed(braces: str) -> str:
    meant = braces.strip("{}").strip().lower()
    if re.match(r"saved\b", meant):
        return f"{braces} is no name: {_SAVED_FORM}"
    return f"unknown name {braces}{_hint(meant, ALWAYS | WITH_S3)}"


def _path_mistakes(reference: re.Match[str]) -> Iterator[str]:
    import jmespath  # type: ignore[import-untyped]  # boto3 brings it; it ships no types

    try:
        jmespath.compile(reference.group(2))
    except jmespath.exceptions.JMESPathError as error:
        yield f"{reference.group()} is not a JMESPath: {' '.join(str(error).split())}"


def texts(value: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every string in a value made of mappings, lists and scalars, with its place in it."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from texts(part, (*place, str(key)))
    elif isinstance(value, (list, tuple)):
        for position, part in enumerate(value):
            yield from texts(part, (*place, position))


def unknown(name: str, known: frozenset[str]) -> UnknownNameError:
    """The error for a name that is not there, with the nearest one that is."""
    return UnknownNameError(f"unknown name {{{name}}}{_hint(name, known)}")


def _hint(name: str, known: frozenset[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {{{near[0]}}}?" if near else ""


def as_text(value: object) -> str:
    """What something saved becomes inside a longer text: JSON for lists, mappings, true and false."""
    if isinstance(value, (list, dict, bool)):
        return json.dumps(value, default=str)  # answers hold times, which JSON has none of
    return str(value)


class Names:
    """The values of one sandbox's names.

    Args:
        fixed: Names that never change their value.
        live: Names whose value is asked for anew each time.
        saved: What steps saved, by name; filled by whoever applies the steps.

    """

    def __init__(
        self,
        fixed: Mapping[str, str],
        live: Mapping[str, Callable[[], str]],
        saved: Mapping[str, object],
    ) -> None:
        self._fixed = fixed
        self._live = live
        self._saved = saved

    def values(self) -> dict[str, str]:
        """Every name with its value at this moment, sorted."""
        return {name: self._value(name) for name in sorted((*self._fixed, *self._live))}

    def resolve(self, value: object) -> object:
        """The value with all its names replaced.

        A string that is nothing but one reference to something saved becomes what was saved, type and all.

        Raises:
            UnknownNameError: A name is not there or misspelt, or a JMESPath finds nothing.

        """
        if isinstance(value, str):
            return self._resolve_text(value)
        if isinstance(value, Mapping):
            return {key: self.resolve(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.resolve(part) for part in value]
        return value

    def _resolve_text(self, text: str) -> object:
        if whole := _SAVED.fullmatch(text):
            return self._saved_value(whole)
        for sentence in mistakes(text):
            raise UnknownNameError(sentence)
        known = set(references(text))
        return _REFERENCE.sub(lambda match: self._replacement(match, known), text)

    def _replacement(self, match: re.Match[str], known: set[str]) -> str:
        name = _name_of(match)
        if name not in known:
            return match.group()
        return as_text(self._saved_value(match)) if name.startswith("saved.") else self._value(name)

    def _value(self, name: str) -> str:
        if name in self._live:
            return self._live[name]()
        if name in self._fixed:
            return self._fixed[name]
        raise unknown(name, frozenset((*self._fixed, *self._live)))

    def _saved_value(self, match: re.Match[str]) -> object:
        import jmespath

        name, path = match.group(1), match.group(2)
        if name not in self._saved:
            sentence = f"no earlier step saved {name!r}"
            raise UnknownNameError(sentence)
        try:
            found: object = jmespath.search(path, self._saved[name])
        except jmespath.exceptions.JMESPathError as error:
            sentence = f"{match.group()} cannot be looked up: {' '.join(str(error).split())}"
            raise UnknownNameError(sentence) from None
        if found is None:
            sentence = f"{match.group()} finds nothing in what was saved"
            raise UnknownNameError(sentence)
        return found


def _name_of(match: re.Match[str]) -> str:
    return match.group(3) or f"saved.{match.group(1)}"


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False
