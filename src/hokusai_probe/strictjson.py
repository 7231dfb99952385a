"""JSON as the standard has it: what a platform answers is data only when it can be written again."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable
from functools import lru_cache

from pydantic import JsonValue

_DEPTH = 100
_DIGITS = 24
_SHORT = 16 * 1024
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def strict_json(text: str) -> JsonValue | None:
    """The text's value, None when it is not strict JSON. Never raises.

    Malformed are also: NaN and infinities, duplicate names, lone surrogates, integers of more than 24
    digits, and nesting deeper than 100. Two calls may give the same object: do not change it.
    """
    return _remembered(text) if len(text) <= _SHORT else _parsed(text)


def _parsed(text: str) -> JsonValue | None:
    try:
        value: JsonValue = json.loads(
            text,
            parse_constant=_refused,
            parse_float=_finite,
            parse_int=_bounded,
            object_pairs_hook=_without_duplicates,
        )
    except (ValueError, RecursionError):
        return None
    return value if _is_sound(value) else None


# a run's few answers are read by a hundred causes each
_remembered = lru_cache(maxsize=512)(_parsed)


def _refused(constant: str) -> float:
    msg = f"{constant} is not JSON"
    raise ValueError(msg)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refused("infinity")


def _bounded(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else _refused("a huge number")


def _without_duplicates(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) < len(pairs):
        _refused("a duplicate name")
    return value


def _is_sound(value: JsonValue) -> bool:
    """Whether the value can be written again: not too deep, every string encodable."""
    level: list[JsonValue] = [value]
    for _ in range(_DEPTH):
        if not all(_encodable(item) for item in level if isinstance(item, str)):
            return False
        level = list(itertools.chain.from_iterable(map(_inside, level)))
        if not level:
            return True
    return False


def _inside(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return itertools.chain(value, value.values())
    return value if isinstance(value, list) else ()


def _encodable(text: str) -> bool:
    return _LONE_SURROGATE.search(text) is None
