"""The figures over graded runs, and the page that holds them."""

from hokusai_probe.accuracy import figures, page, rows
from hokusai_probe.grading import Grade, Mode, total


def graded(name: str, mode: Mode = "aws", **more: object) -> Grade:
    """One run that is right unless ``more`` says otherwise."""
    base = {
        "name": name, "mode": mode, "expected": ("a",), "put_in": ("a",), "present": ("a",), "undecided": (),
        "unexplained": (), "right": True, "false_causes": (), "missed": (), "component_right": True,
        "seconds": 2.0, "baseline_present": ("b",),
    }  # fmt: skip
    return Grade.model_validate(base | more)


RUNS = (
    graded("one", heal="healed"),
    graded("two", seconds=4.0, heal="not"),
    graded("three", put_in=("a", "c"), present=("a", "b", "d"), right=False, false_causes=("b",)),
    graded("four", put_in=("c",), present=(), undecided=("c",), baseline_present=()),
    graded("five", expected=(), put_in=(), present=(), unexplained=("x",), heal="n/a", baseline_present=()),
)


def test_the_figures_count_what_was_named_and_what_was_there() -> None:
    """Precision is about the causes that were named, recall about those that were put in."""
    assert dict(rows(figures(total(RUNS)))) == {
        "scenarios right": "4 of 5",
        "causes put in": "5",
        "of these named (recall)": "3 (60.0 %)",
        "of these left undecided": "1",
        "neither named nor left open": "1",
        "causes named": "5",
        "of these put in (precision)": "3 (60.0 %)",
        "of these only what follows from them": "1",
        "of these false": "1",
        "runs rightly left unexplained": "1",
        "component right": "5 of 5",
        "healed by their remedies": "1 of 2",
        "seconds to the diagnosis, median and 95th percentile": "2.0 and 3.6",
        "baseline (status codes only) right": "1 of 5",
        "baseline false causes": "3",
    }


def test_where_nothing_was_graded_there_is_nothing_to_say() -> None:
    """No run is no rate: neither 0 nor 100 %."""
    found = dict(rows(figures(total(()))))

    assert found["of these put in (precision)"] == "0"
    assert "seconds to the diagnosis, median and 95th percentile" not in found


def test_the_page_shows_what_became_of_each_cause() -> None:
    """Figures of both modes side by side, what was wrong by name, and each cause's own outcomes."""
    both = {"aws": total(RUNS), "no-aws": total((graded("one", "no-aws", present=(), undecided=("a",)),))}
    text = page(both, command="make sweep", day="2026-01-02", seed=7, more=("More.\n",))  # type: ignore[arg-type]

    assert text.startswith(
        "# How accurate the diagnosis is\n\nMade by `make sweep` on 2026-01-02, with the seed 7."
    )
    assert "| scenarios right | 4 of 5 | 1 of 1 |\n" in text
    assert "\nMore.\n" in text
    assert "- `three` with AWS: `b` named and not there\n" in text
    assert [line for line in text.splitlines() if line.startswith("| `")] == [
        "| `a` | 3 | 3 |  |  |  | 1 |  | 1 |  |  |",
        "| `b` |  |  |  |  | 1 |  |  |  |  |  |",
        "| `c` | 2 |  | 1 | 1 |  |  |  |  |  |  |",
    ]
