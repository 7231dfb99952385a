"""The keys of a run, read once from the environment and never shown."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Literal

from pydantic import SecretStr

from hokusai_probe.errors import ProbeError
from hokusai_probe.model import Frozen, KeyNames

Whose = Literal["main", "second", "admin"]

SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "HOKUSAI_PROBE_APP_TOKEN",
)
"""Secrets beside the keys that a message of some library might carry out."""

_ALLOWED = frozenset(string.ascii_letters + string.digits + string.punctuation)


class BadKey(ProbeError, ValueError):  # noqa: N818 - the name users catch
    """A key that no header can carry. The text names the variable, never the value."""


class Keys(Frozen):
    """The keys that a run may use; None where the environment has none. Printing it shows no key.

    ``notes`` are sentences for people about what was done to a key, such as stripping a line end.
    """

    main: SecretStr | None = None
    second: SecretStr | None = None
    admin: SecretStr | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, names: KeyNames, environment: Mapping[str, str]) -> Keys:
        """The keys from the variables that the target names. Raises BadKey.

        White space around a key is stripped and noted. Empty, or nothing but white space (noted): not set.
        """
        variables = {"main": names.env, "second": names.second_env, "admin": names.admin_env}
        given = {whose: environment.get(name, "") if name else "" for whose, name in variables.items()}
        notes = tuple(_note(variables[whose], raw) for whose, raw in given.items() if raw != raw.strip())
        found = {whose: _secret(variables[whose], raw.strip()) for whose, raw in given.items()}
        return cls(main=found["main"], second=found["second"], admin=found["admin"], notes=notes)

    def of(self, whose: Whose) -> SecretStr | None:
        """One of the three keys, None when it is not set."""
        return {"main": self.main, "second": self.second, "admin": self.admin}[whose]

    def secrets(self) -> tuple[str, ...]:
        """The keys' values, for the redactor and the door only."""
        return tuple(key.get_secret_value() for key in (self.main, self.second, self.admin) if key)


def secrets_in(names: KeyNames, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values that no output may hold, for the redactor only: the target's keys, usable or not, and more.

    The default variable counts whatever the target names. Never raises.
    """
    named = (names.env, names.second_env, names.admin_env, KeyNames().env)
    found = (environment.get(name, "").strip() for name in (*named, *SECRET_VARIABLES) if name)
    return tuple(dict.fromkeys(value for value in found if value))


def _note(variable: str, raw: str) -> str:
    if not raw.strip():
        return f"{variable} is not set: it holds only white space"
    return f"{variable}: white space around the key was removed"


def _secret(variable: str, value: str) -> SecretStr | None:
    wrong = sum(character not in _ALLOWED for character in value)
    if wrong:
        msg = (
            f"{variable} holds {wrong} character(s) that an HTTP header cannot carry: "
            "a key consists of visible ASCII characters (0x21 to 0x7e) only. Set the variable again."
        )
        raise BadKey(msg)
    return SecretStr(value) if value else None
