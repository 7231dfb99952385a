"""Where things stand in a TOML text, however it is written."""

import tomllib
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from hokusai_probe.sandbox.toml_lines import Path, line_of, lines

ODD = (
    '''# [header]
name = "a # b" # [[step]]
long = """
[[step]]
kind = "no"
"""
raw = \'\'\'
x = 1 \'\'\'
a.b."c.d" = [1.5, [2,
 3], { q = 1, r.s = "]" }]
[[step]]
kind = "x" ; params.A = 1
'''.replace(" ; ", "\n")
    + """params.B = { C = 1979-05-27 07:32:00, D = [ # ]
  -1.5e+3,
  "}" ] }
[ step . inner ]
"quoted key" = true
[[step]]
[given]
[[step.many]]
k=1
[[step.many]]
k = 2"""
)


def test_a_text_written_in_every_odd_way() -> None:
    """Comments, strings that look like headers, dotted keys, inline tables, arrays over lines."""
    assert lines(ODD) == {
        ("name",): 2, ("long",): 3, ("raw",): 7,
        ("a",): 9, ("a", "b"): 9, ("a", "b", "c.d"): 9, ("a", "b", "c.d", 0): 9, ("a", "b", "c.d", 1): 9,
        ("a", "b", "c.d", 1, 0): 9, ("a", "b", "c.d", 1, 1): 10, ("a", "b", "c.d", 2): 10,
        ("a", "b", "c.d", 2, "q"): 10, ("a", "b", "c.d", 2, "r"): 10, ("a", "b", "c.d", 2, "r", "s"): 10,
        ("step",): 11, ("step", 0): 11, ("step", 0, "kind"): 12, ("step", 0, "params"): 13,
        ("step", 0, "params", "A"): 13, ("step", 0, "params", "B"): 14, ("step", 0, "params", "B", "C"): 14,
        ("step", 0, "params", "B", "D"): 14, ("step", 0, "params", "B", "D", 0): 15,
        ("step", 0, "params", "B", "D", 1): 16, ("step", 0, "inner"): 17,
        ("step", 0, "inner", "quoted key"): 18, ("step", 1): 19, ("given",): 20,
        ("step", 1, "many"): 21, ("step", 1, "many", 0): 21, ("step", 1, "many", 0, "k"): 22,
        ("step", 1, "many", 1): 23, ("step", 1, "many", 1, "k"): 24,
    }  # fmt: skip
    assert _places(tomllib.loads(ODD)) == set(lines(ODD))


def test_a_place_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    """A missing key is missing somewhere."""
    known = lines("a = 1\n[b]\nc = 2\n")
    assert [line_of(known, place) for place in (("b", "c"), ("b", "x", 0), ("x",), ())] == [3, 2, 1, 1]


_KEYS = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", "x_1", '"[h]"'])
_SCALARS = st.sampled_from(
    ['"#"', "'}'", "1.5", "true", "2020-01-01 10:00:00", '"""\nq = 1\n"""', "[]", "{}"]
)
_GAPS = st.sampled_from(["", " ", "\n", " # ] } = \n"])


@st.composite
def _values(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(st.sampled_from(["scalar", "array", "table"] if depth else ["scalar"]))
    if kind == "array":
        items = draw(st.lists(_values(depth - 1), max_size=3))
        return "[" + "".join(f"{draw(_GAPS)}{item}{draw(_GAPS)}," for item in items) + draw(_GAPS) + "]"
    if kind == "table":
        keys = draw(st.lists(_KEYS, max_size=3, unique=True))
        return "{ " + ", ".join(f"{key} = {draw(_values(depth - 1))}" for key in keys) + " }"
    return draw(_SCALARS)


@st.composite
def _texts(draw: st.DrawFn) -> str:
    parts = []
    for header in draw(st.lists(st.sampled_from(["[[t]]", "[[ u ]] # x"]), max_size=4)):
        keys = draw(st.lists(_KEYS, max_size=3, unique=True))
        pairs = [f"{key} = {draw(_values())}\n" for key in keys]
        parts += [f"{header}\n", *pairs, draw(st.sampled_from(["", "\n", "# [x]\n"]))]
    return "".join(parts)


@settings(max_examples=100, deadline=None)
@given(_texts())
def test_every_place_of_any_text_is_found_and_its_key_is_on_its_line(text: str) -> None:
    """What tomllib reads and what is located are the same places, and a key stands on the line named."""
    found = lines(text)
    assert _places(tomllib.loads(text)) == set(found)
    written = text.split("\n")
    for place, line in found.items():
        if isinstance(place[-1], str):
            assert place[-1] in written[line - 1]


def _places(value: object, place: Path = ()) -> set[Path]:
    found = {place} if place else set()
    if isinstance(value, Mapping):
        for key, part in value.items():
            found |= _places(part, (*place, key))
    elif isinstance(value, list):
        for position, part in enumerate(value):
            found |= _places(part, (*place, position))
    return found
