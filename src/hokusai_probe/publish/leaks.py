"""The gate before anything is pushed: what holds what may be a secret does not pass. Pure.

Everything was redacted when it was written. This looks once more, at the very bytes that git would send, with
the same rules; where the redactor would change anything, nothing at all is published.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from hokusai_probe.publish.errors import LeakError
from hokusai_probe.redact import Redactor

# The address of a secret is none: a report's data says where AWS keeps the value of a variable by its name.
_ADDRESS = re.compile(r"(\"\s{0,4}):(?=\s{0,4}\"arn:aws[a-z-]{0,10}:(?:secretsmanager|ssm):)")


@dataclass(slots=True)
class Gate:
    """Looks at texts by name, at each content once, and remembers where there may be a secret."""

    redactor: Redactor
    hits: list[str] = field(default_factory=list)
    _clean: set[bytes] = field(default_factory=set)

    def check(self, path: str, data: bytes, source: str) -> None:
        """Remember a hit where the content or its path may hold a secret, or the content is no text.

        ``path``: where it goes in the branch; ``source``: what a person knows it by.
        """
        key = hashlib.sha256(path.encode(errors="replace") + b"\0" + data).digest()
        if key in self._clean:
            return
        found = self._line(data)
        if self.redactor.text(path) != path:
            self.hits.append(f"the name of {self.redactor.text(source)}")
        elif found is not None:
            self.hits.append(f"{source}, {found}")
        else:
            self._clean.add(key)

    def _line(self, data: bytes) -> str | None:
        """Where in a content a secret may begin, None when there is none."""
        try:
            said = data.decode()
        except UnicodeDecodeError:
            return "which is no UTF-8 text, so that nobody can tell"
        said = _ADDRESS.sub(r"\1 ", said)
        redacted = self.redactor.text(said)
        if redacted == said:
            return None
        pairs = enumerate(zip(said, redacted, strict=False))
        same = next((at for at, (before, after) in pairs if before != after), len(redacted))
        return f"line {said.count(chr(10), 0, same) + 1}"

    def close(self) -> None:
        """Raise LeakError when there was any hit, naming each once."""
        if self.hits:
            places = "; ".join(dict.fromkeys(self.hits))
            msg = f"nothing is published, because there may be a secret in {places}"
            raise LeakError(msg)
