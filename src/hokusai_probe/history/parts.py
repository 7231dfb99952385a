"""Which part of the way an answer is a sample of, and the samples of a run. Pure.

A run asks for much, and nearly all of it is of one of a few kinds: an answer that needs the gateway alone,
one that needs the auth service too, one for which MLflow searches. Answers of one kind sample one thing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

from pydantic import JsonValue

from hokusai_probe.history.latency import Histogram, Phases
from hokusai_probe.model import HostName, Report

MOST = 20
"""Samples of one part that a run keeps: a probe is no load, and says no percentile of its own."""

_LONGEST = 300  # characters of a path: ours are shorter, and a recorded report may hold anything
Given = tuple[HostName, Mapping[str, JsonValue]]
"""A whole answer as facts hold it, and whose host gave it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of answers. ``keyed``: whether a key was sent; None: either. ``what`` says it to people."""

    what: str
    host: HostName
    method: str
    status: int
    path: str
    keyed: bool | None = None

    def holds(self, host: HostName, answer: Mapping[str, JsonValue]) -> bool:
        """Whether an answer is of this kind."""
        if (host, answer.get("status")) != (self.host, self.status):
            return False
        if self.keyed not in {None, answer.get("key_form") is not None}:
            return False
        path = str(answer.get("path", ""))[:_LONGEST].partition("?")[0]
        return self.method in {"", answer.get("method")} and re.fullmatch(self.path, path) is not None


_OWN = r"/(live|version|metrics|openapi\.json|docs|redoc)"
_UNKNOWN = "/api/hokusai-probe-no-such-path"
_CALL = r".*/mlflow/[a-z-]+/"
_READ, _WRITTEN = "(get|get-by-name|alias)", "(create|log-batch|update|alias|[a-z]+-stage)"
_STORE = r".*/mlflow-artifacts/artifacts/.+"
PARTS: Mapping[str, Part] = {
    "auth": Part("the auth host's /health", "auth", "GET", 200, "/health"),
    "constant": Part("the gateway alone", "registry", "GET", 200, _OWN, keyed=False),
    "health": Part(
        "the gateway's health", "registry", "GET", 200, r"/(api/)?(health|ready)\b.*", keyed=False
    ),
    "no-key": Part("refused for want of a key", "registry", "", 401, ".*", keyed=False),
    "key": Part("a key is judged, and no more", "registry", "GET", 404, _UNKNOWN, keyed=True),
    "search": Part("MLflow searches", "registry", "", 200, f"{_CALL}search"),
    "read": Part("MLflow reads one thing", "registry", "GET", 200, _CALL + _READ),
    "write": Part("MLflow writes", "registry", "POST", 200, _CALL + _WRITTEN),
    "upload": Part("an artifact is stored", "registry", "PUT", 200, _STORE),
    "download": Part("an artifact is fetched", "registry", "GET", 200, _STORE),
}
"""The parts of the way by name, the nearest first."""


def given(report: Report) -> tuple[Given, ...]:
    """Every whole answer of the target's own hosts. One that several looks read is there several times."""
    hosts = {_origin(url): name for name, url in report.configuration.hosts.present().items()}
    found = ((hosts.get(_origin(str(a.get("url", "")))), a) for a in _answers(report) if _is_whole(a))
    return tuple((host, answer) for host, answer in found if host is not None)


def phases(answers: Iterable[Given]) -> dict[str, Phases]:
    """The samples of a run by part, at most :data:`MOST` of each, of which no answer counts twice."""
    by_part: defaultdict[str, dict[tuple[JsonValue, ...], Mapping[str, JsonValue]]] = defaultdict(dict)
    for host, answer in answers:
        part = next((name for name, one in PARTS.items() if one.holds(host, answer)), None)
        if part is not None:
            by_part[part][answer.get("path"), answer.get("elapsed_s")] = answer
    return {name: _phases(islice(by_part[name].values(), MOST)) for name in PARTS if name in by_part}


def _phases(answers: Iterable[Mapping[str, JsonValue]]) -> Phases:
    taken = tuple(answers)
    measured = [t for answer in taken if isinstance(t := answer.get("timing"), Mapping)]
    return Phases(
        connect=Histogram.of(_numbers(measured, "connect_s")),
        tls=Histogram.of(_numbers(measured, "tls_s")),
        first_byte=Histogram.of(_numbers(measured, "first_byte_s")),
        total=Histogram.of(_numbers(taken, "elapsed_s")),
    )


def _numbers(parts: Iterable[Mapping[str, JsonValue]], name: str) -> Iterator[float]:
    yield from (v for part in parts if isinstance(v := part.get(name), int | float))


def _is_whole(answer: Mapping[str, JsonValue]) -> bool:
    elapsed = answer.get("elapsed_s")
    whole = answer.get("status") is not None and answer.get("failure") is None
    return whole and isinstance(elapsed, int | float)


def _answers(report: Report) -> Iterator[dict[str, JsonValue]]:
    for seen in report.observations:
        if seen.facts is not None:
            yield from _within(seen.facts.model_dump(mode="json"))


def _within(value: JsonValue) -> Iterator[dict[str, JsonValue]]:
    """What looks like an answer, at any depth. Facts of a recorded report have no class to tell it by."""
    if isinstance(value, dict) and "elapsed_s" in value:
        yield value
    parts: Iterable[JsonValue] = ()
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list):
        parts = value
    for part in parts:
        yield from _within(part)


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""  # no host of ours: a recorded report may hold anything
    return parts.scheme, parts.netloc.lower()
