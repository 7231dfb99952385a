"""The key as we were given it, looked at without sending it anywhere."""

from __future__ import annotations

import re

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts
from hokusai_probe.probes.key_validation import KeyValidationFacts, accepted

PREFIXES = ("hk_live_", "hk_test_")


class KeyShapeFacts(Facts):
    """What can be said of the key without repeating any of it.

    ``prefix``: the known prefix it begins with, "" for none. ``misplaced``: such a prefix stands further on.
    ``odd``: how many of its characters are no letters, digits, ``_`` or ``-``. ``variable``: where it was.
    """

    variable: str
    prefix: str = ""
    misplaced: bool = False
    odd: int = 0

    @property
    def well(self) -> bool:
        """Whether it looks as keys of the platform do (contract 2)."""
        return bool(self.prefix) and not self.odd

    @property
    def fault(self) -> str:
        """What is wrong with it, as the rest of a sentence."""
        begins = f"does not begin with {' or '.join(PREFIXES)}"
        if self.misplaced:
            return f"{begins}; something else stands before it"
        if self.odd:
            return f"holds {self.odd} character(s) that no key has, such as quotes"
        return begins


@probe(area="authentication", needs=("key", "auth-host"), cost=0)
async def key_shape(look: Look) -> KeyShapeFacts:
    """Whether the key looks like one: a known prefix, then letters and digits.

    Nothing is sent. A key pasted with its quotes, or without its beginning, is refused like an unknown one,
    and nothing in the refusal says so.
    """
    key = look.keys.main.get_secret_value() if look.keys.main else ""
    prefix = next((p for p in PREFIXES if key.startswith(p)), "")
    return KeyShapeFacts(
        variable=look.target.key.env,
        prefix=prefix,
        misplaced=not prefix and any(p in key for p in PREFIXES),
        odd=len(re.findall(r"[^\w-]", key, re.ASCII)),
    )


@check(hop="key/form")
def key_has_a_known_form(facts: KeyShapeFacts, validation: KeyValidationFacts | None) -> Sentence:
    """The key looks as keys of the platform do, or the auth service accepts it all the same."""
    if facts.well or (validation and accepted(validation.without_service)):
        return None
    if validation is None or not validation.by_auth:
        return CannotTell(reason=f"the key {facts.fault}, and the auth service gave no verdict on it")
    return f"the key in {facts.variable} {facts.fault}, and the auth service refuses it"
