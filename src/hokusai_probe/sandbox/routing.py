"""Which rule of a listener takes a request, as an Application Load Balancer decides it. Pure.

Sources: the AWS pages "Condition types for listener rules", "Action types for listener rules" and
"Listener rules for your Application Load Balancer".
"""

import ipaddress
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl

from hokusai_probe.sandbox.faults import wildcard
from hokusai_probe.sandbox.state import Condition, Listener, Rule

_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_QUERY_PART = re.compile(r"\\[*?\\]|.", re.DOTALL)
_KEYWORD = re.compile(r"#\{(protocol|host|port|path|query)\}")


@dataclass(frozen=True, slots=True)
class Incoming:
    """What rules can see of a request. ``path`` and ``query`` are as sent, still percent-encoded."""

    method: str
    host: str  # without a port
    path: str
    query: str = ""
    headers: Sequence[tuple[str, str]] = field(default_factory=tuple)
    peer: str = "127.0.0.1"

    def header(self, name: str) -> list[str]:
        """Every value of a header; names know no case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def pick(rules: Sequence[Rule], incoming: Incoming) -> Rule | None:
    """The first rule, by priority, of which every condition holds; the default has none and comes last."""
    ordered = sorted(rules, key=lambda rule: (rule.priority is None, rule.priority or 0))
    return next((rule for rule in ordered if applies(rule, incoming)), None)


def applies(rule: Rule, incoming: Incoming) -> bool:
    """Whether every condition of a rule holds; of one condition's values any suffices."""
    return all(_CONDITIONS[condition.field](condition, incoming) for condition in rule.conditions)


def _host(condition: Condition, incoming: Incoming) -> bool:
    return any(wildcard(value, ignore_case=True).fullmatch(incoming.host) for value in condition.values)


def _path(condition: Condition, incoming: Incoming) -> bool:
    path = normalised(incoming.path)
    return any(wildcard(value).fullmatch(path) for value in condition.values)


def _header(condition: Condition, incoming: Incoming) -> bool:
    given = incoming.header(condition.name)
    return any(
        wildcard(want, ignore_case=True).fullmatch(value) for want in condition.values for value in given
    )


def _method(condition: Condition, incoming: Incoming) -> bool:
    return incoming.method in condition.values


def _query(condition: Condition, incoming: Incoming) -> bool:
    pairs = parse_qsl(incoming.query, keep_blank_values=True)
    return any(_pair_matches(want, pair) for want in condition.values for pair in pairs)


def _pair_matches(want: str, pair: tuple[str, str]) -> bool:
    key, separator, value = want.partition("=")
    if not separator:
        return bool(_query_pattern(want).fullmatch(pair[1]))
    patterns = zip((key, value), pair, strict=True)
    return all(_query_pattern(pattern).fullmatch(given) for pattern, given in patterns)


@lru_cache(maxsize=256)
def _query_pattern(text: str) -> re.Pattern[str]:
    """``*`` and ``?`` are wildcards unless a backslash precedes them ("QueryStringConditionConfig")."""
    wild = {"*": ".*", "?": "."}
    parts = (wild.get(part) or re.escape(part[-1]) for part in _QUERY_PART.findall(text))
    return re.compile("".join(parts), re.DOTALL | re.IGNORECASE)


def _source(condition: Condition, incoming: Incoming) -> bool:
    peer = ipaddress.ip_address(incoming.peer)
    return any(peer in ipaddress.ip_network(value, strict=False) for value in condition.values)


_CONDITIONS: Mapping[str, Callable[[Condition, Incoming], bool]] = {
    "host-header": _host,
    "path-pattern": _path,
    "http-header": _header,
    "http-request-method": _method,
    "query-string": _query,
    "source-ip": _source,
}


def normalised(path: str) -> str:
    """A path as rules see it: dot segments gone, escapes of unreserved letters undone (RFC 3986 6.2.2)."""
    return _without_dots(_ESCAPE.sub(_unescape, path))


def _unescape(escape: re.Match[str]) -> str:
    letter = chr(int(escape[1], 16))
    return letter if letter in _UNRESERVED else escape[0].upper()


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    ending = "/" if segments[-1] in {".", ".."} else ""
    return "/".join(kept) + ending


def choose_weighted(target_groups: Sequence[tuple[str, int]], turn: int) -> str | None:
    """The target group for a turn: each gets its weight's share. None when every weight is 0."""
    total = sum(weight for _, weight in target_groups)
    position = turn % total if total else 0
    for arn, weight in target_groups:
        if position < weight:
            return arn
        position -= weight
    return None


def redirect_location(
    redirect: Mapping[str, str], incoming: Incoming, listener: Listener, fronts: Mapping[int, int]
) -> str:
    """Where a redirect leads. ``#{...}`` keywords stand for the request's own parts.

    ``fronts`` maps a listener's port to the port on which it can be reached in this sandbox; a port that no
    listener has stays as it is.
    """
    own = {
        "protocol": listener.protocol,
        "host": incoming.host,
        "port": str(listener.port),
        "path": incoming.path.removeprefix("/"),
        "query": incoming.query,
    }
    protocol, host, port, path, query = (
        _KEYWORD.sub(lambda word: own[word[1]], redirect.get(part) or default)
        for part, default in (
            ("Protocol", "#{protocol}"),
            ("Host", "#{host}"),
            ("Port", "#{port}"),
            ("Path", "/#{path}"),
            ("Query", "#{query}"),
        )
    )
    front = str(fronts.get(int(port), port))
    return f"{protocol.lower()}://{host}:{front}{path}" + (f"?{query}" if query else "")
