"""A TOML file, a bare URL, or the name of a target that ships, as a :class:`Target`.

What is wrong is told in one sentence with the file and the key path (or the line, where the file is
not TOML at all). Values are never repeated: somebody will paste a key where its name belongs.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import math
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hokusai_probe import topology
from hokusai_probe.errors import ProbeError
from hokusai_probe.model import Area, Component, Hosts, Mute, Paths, Target

DEFAULT = Path("hokusai-probe.toml")
LOOK_FOR_PREFIX = "auto"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOOKS_LIKE_KEY = re.compile(r"hk_(live|test)_|AKIA|ASIA|gh[pousr]_|github_pat_", re.IGNORECASE)
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/(?!\.{1,2}$)[A-Za-z0-9_.-]+")
_HANDLE = re.compile(r"@?[A-Za-z0-9-]+(/[A-Za-z0-9_.-]+)?")
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
_SAFE_KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")

KeyPath = tuple[str | int, ...]
Converter = Callable[[str], str | None]


class ConfigError(ProbeError, ValueError):
    """The target cannot be used as it is written; the text says where and what is allowed."""


def default() -> Path:
    """The target file that is read when none is named: ``./hokusai-probe.toml``."""
    return DEFAULT


def shipped() -> tuple[str, ...]:
    """Names of the targets that ship, sorted."""
    files = resources.files("hokusai_probe.targets").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load(where: str | Path, environment: Mapping[str, str]) -> Target:
    """The target that a TOML file, a bare URL, or the name of one that ships describes.

    ``[aws]`` without a region takes AWS_REGION, then AWS_DEFAULT_REGION, from ``environment``; nothing
    else is read from it, keys least of all. A relative ``tls.ca_file`` counts from the file's folder.
    Raises ConfigError.
    """
    if isinstance(where, str) and "://" in where:
        return from_url(where)
    if isinstance(where, str) and where in shipped():
        text = resources.files("hokusai_probe.targets").joinpath(f"{where}.toml").read_text("utf-8")
        return parse(text, source=where, environment=environment)
    path = Path(where)
    return parse(_read(path), source=str(path), environment=environment, folder=path.parent)


def from_url(url: str) -> Target:
    """A target that is one URL: no auth host, no api host, no AWS; its path is MLflow's prefix.

    Without a path the prefix is found by looking. Raises ConfigError.
    """
    try:
        parts = _split(url)
    except ValueError as wrong:
        msg = f"the target URL {wrong}"
        raise ConfigError(msg) from None
    prefix = parts.path.rstrip("/") or None
    if prefix is not None and (fault := _wrong_path(prefix)):
        msg = f"the target URL has a path that {fault}"
        raise ConfigError(msg)
    return Target(
        name=_name_of(parts),
        hosts=Hosts(registry=f"{parts.scheme}://{parts.netloc}"),
        paths=Paths(mlflow=prefix, mlflow_direct=None),
    )


def parse(text: str, *, source: str, environment: Mapping[str, str], folder: Path = Path()) -> Target:
    """The target that TOML text describes; ``source`` names it in errors. Raises ConfigError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        msg = f"{source}: not TOML: {_syntax(str(wrong), text)}"
        raise ConfigError(msg) from None
    complain = partial(_complaint, source)
    _finite(data, complain)
    _region(data, environment)
    try:
        target = Target.model_validate_json(json.dumps(data, default=_iso), strict=True)
    except ValidationError as wrong:
        raise _first(wrong, complain) from None
    return _checked(target, complain, folder)


def interval(text: str) -> tuple[datetime, datetime]:
    """Start and end of a maintenance window written ``2026-09-01T22:00Z/2026-09-01T23:00Z``.

    Raises ValueError with what is allowed.
    """
    try:
        start, end = (datetime.fromisoformat(part) for part in text.split("/"))
        fits = start.tzinfo is not None and end.tzinfo is not None and start < end
    except ValueError:
        fits = False
    if not fits:
        msg = "must be a start and a later end in UTC, such as 2026-09-01T22:00Z/2026-09-01T23:00Z"
        raise ValueError(msg)
    return start, end


# --- reading ----------------------------------------------------------------------------------------


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(_not_found(str(path))) from None
    except IsADirectoryError:
        msg = f"{path}: a folder, where a TOML file, a URL or a shipped name is wanted"
        raise ConfigError(msg) from None
    except UnicodeDecodeError as wrong:
        line = wrong.object[: wrong.start].count(b"\n") + 1
        msg = f"{path}: not UTF-8 text at line {line}; save the file as UTF-8"
        raise ConfigError(msg) from None
    except (OSError, ValueError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) and wrong.strerror else "not a file name"
        msg = f"{path!s:.200}: cannot be read: {reason}"
        raise ConfigError(msg) from None


def _not_found(name: str) -> str:
    names = shipped()
    hint = _meant(name, names) or f"; targets that ship: {', '.join(names)}"
    url = "; a URL begins with https://" if "." in name and not name.endswith(".toml") else ""
    return f"{name}: there is no such file{hint}{url}"


def _syntax(complaint: str, text: str) -> str:
    """What tomllib says, always with a line, without what it quotes: it may quote a key."""
    end = f"at line {text.count(chr(10)) + 1}, the end"
    return re.sub(r"'[^']*'|\"[^\"]*\"", "…", complaint).replace("at end of document", end)


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC).isoformat()
    return str(value)


def _region(data: dict[str, Any], environment: Mapping[str, str]) -> None:
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    aws = data.get("aws")
    if isinstance(aws, dict) and region:
        aws.setdefault("region", region)


def _finite(data: dict[str, Any], complain: Callable[[KeyPath, str], ConfigError]) -> None:
    for where, value in _leaves(data, ()):
        if isinstance(value, float) and not math.isfinite(value):
            raise complain(where, "must be a finite number")


def _leaves(value: Any, where: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        yield where, value
    for key, item in inner:
        yield from _leaves(item, (*where, key))


# --- what pydantic found, as a sentence ----------------------------------------------------------------

_WANTED = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list in square brackets",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}


def _first(wrong: ValidationError, complain: Callable[[KeyPath, str], ConfigError]) -> ConfigError:
    """The first fault, unknown keys before all else: a misspelt key also looks like a missing one."""
    faults = sorted(wrong.errors(include_input=False, include_url=False), key=_unknown_first)
    error = complain(faults[0]["loc"], _sentence(faults[0]))
    return ConfigError(f"{error} (and {len(faults) - 1} more)") if len(faults) > 1 else error


def _unknown_first(fault: ErrorDetails) -> bool:
    return fault["type"] != "extra_forbidden"


def _sentence(fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(fault["loc"])
    if kind == "missing":
        return "is required and missing"
    if kind == "literal_error":
        return f"must be one of {str(context.get('expected')).replace(chr(39), '').replace(' or ', ', ')}"
    if kind in {"greater_than", "greater_than_equal"}:
        return "must be more than 0" if kind == "greater_than" else f"must be {context.get('ge')} or more"
    if kind == "less_than_equal":
        return f"must be {context.get('le')} or less"
    if kind.startswith(("datetime", "date_", "timezone")):
        return "must be a date or a time with its zone, such as 2026-09-01 or 2026-09-01T12:00:00Z"
    return _WANTED.get(kind, fault["msg"].lower())


def _unknown(where: KeyPath) -> str:
    allowed = tuple(_model_at(where[:-1]).model_fields)
    hint = _meant(str(where[-1]), allowed)
    return f"is not a key of this table{hint or '; it has ' + ', '.join(allowed)}"


def _meant(word: str, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(allowed), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _model_at(where: KeyPath) -> type[BaseModel]:
    model: type[BaseModel] = Target
    for step in where:
        field = model.model_fields.get(str(step))
        model = _model_in(field.annotation) if field is not None else model
    return model


def _model_in(annotation: object) -> type[BaseModel]:
    """The model class within ``X | None``, ``Mapping[str, X]`` or ``tuple[X, ...]``."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation
    inner = (_model_in(a) for a in typing.get_args(annotation) if a not in {type(None), ..., str})
    return next(inner)


def _complaint(source: str, where: KeyPath, sentence: str) -> ConfigError:
    return ConfigError(f"{source}: {_dotted(where)} {sentence}")


def _dotted(where: KeyPath) -> str:
    parts = (f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in where)
    return "".join(parts).lstrip(".")


def _shown(key: str) -> str:
    """A key of the file as errors name it, unless somebody's secret stands where a key should."""
    return key if _SAFE_KEY.fullmatch(key) and not _LOOKS_LIKE_KEY.match(key) else "(a key)"


# --- what types cannot say -------------------------------------------------------------------------------


def _checked(target: Target, complain: Callable[[KeyPath, str], ConfigError], folder: Path) -> Target:
    _keys_known(target, complain)
    _numbers_in_range(target, complain)
    _mutes(target.issues.mute, complain)
    data = target.model_dump(mode="json")
    for where, value in tuple(_leaves(data, ())):
        convert = _rule(where)
        if convert is None or not isinstance(value, str):
            continue
        try:
            _put(data, where, convert(value))
        except ValueError as wrong:
            raise complain(where, str(wrong)) from None
    return _with_ca(_with_read(Target.model_validate(data)), complain, folder)


def _put(data: Any, where: KeyPath, value: str | None) -> None:
    for step in where[:-1]:
        data = data[step]
    data[where[-1]] = value


def _keys_known(target: Target, complain: Callable[[KeyPath, str], ConfigError]) -> None:
    _members(("criteria",), target.criteria, typing.get_args(Area), complain)
    _members(("owners",), target.owners, typing.get_args(Component), complain)
    if target.aws is not None:
        balancers = sorted(set(topology.LOAD_BALANCER_OF_HOST.values()))
        _members(("aws", "services"), target.aws.services, topology.SERVICES, complain)
        _members(("aws", "load_balancers"), target.aws.load_balancers, balancers, complain)


def _members(
    where: KeyPath,
    found: Iterable[str],
    allowed: Iterable[str],
    complain: Callable[[KeyPath, str], ConfigError],
) -> None:
    known = tuple(allowed)
    for key in found:
        if key not in known:
            hint = _meant(key, known) or f"; it has {', '.join(known)}"
            raise complain((*where, key), f"is not a key of this table{hint}")


def _numbers_in_range(target: Target, complain: Callable[[KeyPath, str], ConfigError]) -> None:
    for area, percent in target.criteria.items():
        if not 0 <= percent <= 100:
            raise complain(("criteria", area), "must be a percentage from 0 to 100")


def _mutes(mutes: Iterable[Mute], complain: Callable[[KeyPath, str], ConfigError]) -> None:
    for index, mute in enumerate(mutes):
        where = ("issues", "mute", index)
        if (mute.check is None) == (mute.cause is None):
            raise complain(where, "must name either a check or a cause")
        if mute.until.tzinfo is None:
            raise complain((*where, "until"), "must have a zone, such as 2026-09-01T12:00:00Z")


def _with_read(target: Target) -> Target:
    """Every class rests on ``read``: a file that lists only ``write`` means both."""
    if "read" in target.allow.classes:
        return target
    classes = ("read", *target.allow.classes)
    return target.model_copy(update={"allow": target.allow.model_copy(update={"classes": classes})})


def _with_ca(target: Target, complain: Callable[[KeyPath, str], ConfigError], folder: Path) -> Target:
    if target.tls.ca_file is None:
        return target
    path = folder / Path(target.tls.ca_file).expanduser()
    if not path.is_file():
        raise complain(("tls", "ca_file"), "must name a PEM file, and there is none of that name")
    return target.model_copy(update={"tls": target.tls.model_copy(update={"ca_file": str(path)})})


# --- rules for single values: the value as it is kept, or ValueError --------------------------------------


def _rule(where: KeyPath) -> Converter | None:
    names = tuple(step for step in where if isinstance(step, str))
    if names[:1] == ("owners",):
        return _RULES.get(("owners", names[-1]))
    return _RULES.get(names)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or _LOOKS_LIKE_KEY.match(text):
        msg = "must be 1 to 80 letters, digits, dots, hyphens or underscores, a letter or digit first"
        raise ValueError(msg)
    return text


def _base_url(text: str) -> str:
    parts = _split(text)
    if parts.path.strip("/"):
        msg = "must not have a path; paths belong in [paths]"
        raise ValueError(msg)
    return f"{parts.scheme}://{parts.netloc}"


def _url(text: str) -> str:
    parts = _split(text)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _split(text: str) -> SplitResult:
    """The parts of an http or https URL without user-info, query and fragment."""
    try:
        parts = urlsplit(text)
        port_wrong = parts.port == 0
    except ValueError:
        msg = "is not a URL: its host or port is malformed; ports go from 1 to 65535"
        raise ValueError(msg) from None
    for bad, sentence in _url_faults(text, parts, port_wrong=port_wrong):
        if bad:
            raise ValueError(sentence)
    return parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower().removesuffix(":"))


def _url_faults(text: str, parts: SplitResult, *, port_wrong: bool) -> Iterator[tuple[bool, str]]:
    yield _unprintable(text), "must not contain blanks or control characters"
    yield parts.scheme.lower() not in {"http", "https"}, "must begin with https:// or http://"
    yield "@" in parts.netloc, "must not contain a user name or password"
    yield not _is_host(parts), "must name a host after ://"
    yield port_wrong, "must have a port from 1 to 65535"
    yield "?" in text, "must not have a query"
    yield "#" in text, "must not have a fragment"


def _unprintable(text: str) -> bool:
    return "\\" in text or any(c.isspace() or not c.isprintable() for c in text)


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return ":" in host or _HOST.fullmatch(host) is not None


def _path(text: str) -> str:
    if fault := _wrong_path(text):
        msg = f"has a path that {fault}"
        raise ValueError(msg)
    return text


def _prefix(text: str) -> str | None:
    """A prefix without its trailing slash; empty for a server at the root; ``auto`` to find it by looking."""
    if text == LOOK_FOR_PREFIX:
        return None
    return _path(text).rstrip("/") if text else ""


def _direct_prefix(text: str) -> str | None:
    """As a prefix, but empty means that MLflow has no direct path on this host."""
    return _prefix(text) or None


def _wrong_path(text: str) -> str | None:
    if not text.startswith("/") or text.startswith("//"):
        return "does not begin with a single slash"
    if _unprintable(text) or "#" in text:
        return "contains a blank, a backslash, a control character or a fragment"
    segments = text.partition("?")[0].lower().replace("%2e", ".").split("/")
    return "climbs with dot segments" if {".", ".."} & set(segments) else None


def _variable(text: str) -> str:
    if text and (not _VARIABLE.fullmatch(text) or _LOOKS_LIKE_KEY.match(text)):
        msg = "must be the name of an environment variable, never a key itself"
        raise ValueError(msg)
    return text


def _resolver(text: str) -> str:
    host, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        fits = 0 < int(port) < 65536
    except ValueError:
        fits = False
    if not fits:
        msg = "must be an address and a port, such as 127.0.0.1:53"
        raise ValueError(msg)
    return text


def _place(text: str) -> str:
    """``host:port`` as it is written; an IPv6 address stands in brackets."""
    try:
        parts = _split(f"http://{text}")
        fits = parts.port is not None and not parts.path
    except ValueError:
        fits = False
    if not fits:
        msg = "must be a host and a port, such as 10.0.1.30:5432"
        raise ValueError(msg)
    return text


def _repository(text: str) -> str:
    if text and not REPOSITORY.fullmatch(text):
        msg = "must be OWNER/NAME"
        raise ValueError(msg)
    return text


def _handle(text: str) -> str:
    if text and not _HANDLE.fullmatch(text):
        msg = "must be a GitHub user or ORGANISATION/TEAM"
        raise ValueError(msg)
    return text.removeprefix("@")


def _window(text: str) -> str:
    interval(text)
    return text


_RULES: Mapping[tuple[str, ...], Converter] = {
    ("name",): _name,
    ("hosts", "registry"): _base_url,
    ("hosts", "auth"): _base_url,
    ("hosts", "api"): _base_url,
    ("paths", "mlflow"): _prefix,
    ("paths", "mlflow_direct"): _direct_prefix,
    ("paths", "public"): _path,
    ("paths", "required"): _path,
    ("paths", "serving_model"): _name,
    ("key", "env"): _variable,
    ("key", "second_env"): _variable,
    ("key", "admin_env"): _variable,
    ("aws", "endpoint_url"): _url,
    ("network", "control_host"): _url,
    ("network", "resolver"): _resolver,
    ("network", "database"): _place,
    ("network", "cache"): _place,
    ("owners", "repository"): _repository,
    ("owners", "github"): _handle,
    ("issues", "maintenance"): _window,
    ("issues", "private_repositories"): _repository,
}


def _name_of(parts: SplitResult) -> str:
    text = f"{parts.netloc}{parts.path}"
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._")[:80]
