"""Keys: read once, never shown."""

import traceback

import pytest

from hokusai_probe.keys import BadKey, Keys, secrets_in
from hokusai_probe.model import KeyNames

NAMES = KeyNames(env="A_KEY", second_env="B_KEY", admin_env="")
CANARY = "hk_test_Zx9qLmP2vR7tYw4B"


def test_keys_are_read_from_the_variables_that_the_target_names() -> None:
    """Each key comes from its variable; a variable without a name is never looked at."""
    keys = Keys.read(NAMES, {"A_KEY": CANARY, "B_KEY": "second", "": "no"})
    assert keys.secrets() == (CANARY, "second")
    assert keys.of("admin") is None
    assert keys.notes == ()


def test_surrounding_white_space_is_stripped_and_noted() -> None:
    """A line end that a secret store added does not reach a header, and the user is told."""
    keys = Keys.read(NAMES, {"A_KEY": f" {CANARY}\r\n"})
    assert keys.secrets() == (CANARY,)
    assert keys.notes == ("A_KEY: white space around the key was removed",)


@pytest.mark.parametrize("empty", ["", " \n"])
def test_empty_is_not_set(empty: str) -> None:
    """An empty variable, as an unset secret gives in a workflow, is no key."""
    assert Keys.read(NAMES, {"A_KEY": empty}).main is None


def test_a_key_of_blanks_is_noted_as_what_it_is() -> None:
    """Who set it to blanks by mistake hears that nothing is set, not that something was tidied up."""
    keys = Keys.read(NAMES, {"A_KEY": " \n", "B_KEY": ""})
    assert keys.notes == ("A_KEY is not set: it holds only white space",)


def test_what_no_output_may_hold() -> None:
    """Every key that the target names, however odd, and what libraries carry; nothing else of the place."""
    environment = {"A_KEY": " a b ", "B_KEY": "second", "HOKUSAI_API_KEY": "default", "GH_TOKEN": "token",
                   "C_KEY": "other", "AWS_SESSION_TOKEN": ""}  # fmt: skip
    assert secrets_in(NAMES, environment) == ("a b", "second", "default", "token")


@pytest.mark.parametrize("bad", ["hk_test_a b", "hk_test_\x00", "hk_test_é", "hk_test_a\nb", "hk_test_\x7f"])
def test_a_key_that_no_header_can_carry_is_refused(bad: str) -> None:
    """The sentence names the variable and what is allowed; the value is nowhere in the traceback."""
    with pytest.raises(BadKey) as caught:
        Keys.read(NAMES, {"A_KEY": bad})
    assert str(caught.value) == (
        "A_KEY holds 1 character(s) that an HTTP header cannot carry: "
        "a key consists of visible ASCII characters (0x21 to 0x7e) only. Set the variable again."
    )
    assert "hk_test_" not in "".join(traceback.format_exception_only(caught.value))


def test_printing_keys_shows_none() -> None:
    """Neither repr nor a dump holds the value."""
    keys = Keys.read(NAMES, {"A_KEY": CANARY})
    assert CANARY not in f"{keys!r} {keys} {keys.model_dump()} {keys.model_dump_json()}"
