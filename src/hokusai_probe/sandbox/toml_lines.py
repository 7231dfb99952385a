"""Where in a TOML text each key and each value stands. tomllib reads TOML but forgets the lines.

The text is one that tomllib has accepted; nothing is validated here. Source of the grammar: TOML 1.0.0.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and array positions from the root: ``("step", 1, "params", "Targets", 0, "Port")``."""

_TOKEN = re.compile(
    r'''(?P<string>"""(?:\\[\s\S]|[^\\])*?"{3,5}|\'\'\'[\s\S]*?\'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')'''
    r"|(?P<comment>\#[^\n]*)|(?P<end>\n)|(?P<mark>[\[\]{},=.])|(?P<word>[^\s\[\]{},=.\#\"']+)"
)
_VALUE_ENDS = frozenset({",", "]", "}", "\n"})


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    line: int


def lines(text: str) -> dict[Path, int]:
    """The line, from 1, on which each table, key and array item of a TOML text begins."""
    reader = _Reader(list(_tokens(text)))
    reader.read()
    return reader.found


def line_of(known: Mapping[Path, int], place: Sequence[str | int]) -> int:
    """The line of a place; of the nearest thing around it where it has none, 1 where nothing has."""
    path = tuple(place)
    while path and path not in known:
        path = path[:-1]
    return known.get(path, 1)


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "comment":
            yield _Token(match.group(), match.start(), line)
        line += match.group().count("\n")


class _Reader:
    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._arrays: dict[Path, int] = {}  # arrays of tables -> their last position
        self.found: dict[Path, int] = {}

    def read(self) -> None:
        """Read the whole text."""
        table: Path = ()
        while self._at < len(self._tokens):
            if self._here("\n"):
                self._at += 1
            elif self._here("["):
                table = self._header()
            else:
                self._pair(table)

    def _here(self, *texts: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].text in texts

    def _header(self) -> Path:
        first, line = self._at, self._tokens[self._at].line
        self._at += 1
        double = self._here("[") and self._tokens[self._at].start == self._tokens[first].start + 1
        self._at += double
        table: Path = ()
        keys = self._key()
        for key in keys[:-1]:
            table = self._in_last((*table, key))
        table = (*table, keys[-1])
        self._at += 1 + double
        if double:
            self._arrays[table] = self._arrays.get(table, -1) + 1
            self.found.setdefault(table, line)
        table = self._in_last(table)
        self.found.setdefault(table, line)
        return table

    def _in_last(self, table: Path) -> Path:
        return (*table, self._arrays[table]) if table in self._arrays else table

    def _key(self) -> list[str]:
        """The parts of a dotted key; leaves the reader at what follows it."""
        parts = [self._part()]
        while self._here("."):
            self._at += 1
            parts.append(self._part())
        return parts

    def _part(self) -> str:
        token = self._tokens[self._at].text
        self._at += 1
        return next(iter(tomllib.loads(f"{token} = 0"))) if token[0] in "\"'" else token

    def _pair(self, table: Path) -> None:
        line, path = self._tokens[self._at].line, table
        for part in self._key():
            path = (*path, part)
            self.found.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._here("["):
            self._array(path)
        elif self._here("{"):
            self._inline(path)
        else:
            while self._at < len(self._tokens) and not self._here(*_VALUE_ENDS):
                self._at += 1

    def _array(self, path: Path) -> None:
        self._at += 1
        position = 0
        while not self._here("]"):
            if self._here("\n", ","):
                self._at += 1
                continue
            self.found[*path, position] = self._tokens[self._at].line
            self._value((*path, position))
            position += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while not self._here("}"):
            if self._here("\n", ","):
                self._at += 1
                continue
            self._pair(path)
        self._at += 1
