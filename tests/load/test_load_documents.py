"""What a load says to people: Markdown that nothing can break out of, and pictures that hold every start."""

from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from _loads import recorded, sample

from hokusai_probe.load import Plan, Stage, judge, markdown, write_documents
from hokusai_probe.load.pictures import Dot, Picture, against_rate, over_time, svg, top
from hokusai_probe.looking import Entry

SVG = "{http://www.w3.org/2000/svg}"
LEFT = Entry(kind="run", name="hkprobe-x", removed=False)
ABORTED = recorded(
    [sample(0.0), sample(0.5, 0.003, 429), sample(1.0, 0.2, None, failure="cut-short")],
    outcome="aborted", rule="429", reason="the platform said 429: it limits how often it is asked",
    duration_s=1.2, requests_sent=12, created=(LEFT,), left=("the run x is still there",),
)  # fmt: skip


def test_an_aborted_load_says_so_first_and_why() -> None:
    """And what it counted until then, and what is left, with what removes it."""
    assert markdown(ABORTED) == (
        "# Load on made-up: aborted: the platform said 429: it limits how often it is asked\n\n"
        "2026-01-02 03:04 UTC, https:\u200b//registry.example: 0.3/s for 10 s; search 1; at most 10 under way"
        " at once, each given up after 2 s. 12 requests in all, with those before and after the load.\n\n"
        "- **trouble** `load-was-carried-out`: aborted: the platform said 429: it limits how often it is"
        " asked\n"
        "- **trouble** `nothing-is-left`: the run x is still there; not removed: run hkprobe-x\n\n"
        "## How long it took\n\n"
        "| what | starts | errors | p50 | p95 | p99 | highest | may take (p95) |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| search | 2 | 1 | n too small (2 of 5) | n too small (2 of 59) | n too small (2 of 299) | 2000 ms |"
        " 100 ms |\n"
        "| all | 2 | 1 | n too small (2 of 5) | n too small (2 of 59) | n too small (2 of 299) | 2000 ms"
        " |  |\n\n"
        "0.833 good answers a second. 0 starts had to wait for a place, 0 of them until the load was over;"
        " 1 cut short. Times count from when a start was due, errors for 2 s at least. We were late ourselves"
        " by 0.0 ms (p95).\n\n"
        "## Errors\n\n- search: status 429: 1\n\n"
        "## What was created\n\n"
        "- 1 thing created, 0 removed again\n- the run x is still there\n- not removed: run `hkprobe-x`\n"
        "- `hokusai-probe sweep TARGET --apply` removes what is left, an hour later\n"
    )


def test_a_load_without_a_start_is_no_good_news() -> None:
    """Nothing failed, and nothing was measured either."""
    assert markdown(recorded([])).splitlines()[0] == "# Load on made-up: nobody can tell"


def test_a_ramp_shows_its_stages() -> None:
    """Those that held, the one that did not, and those that were not tried."""
    plan = Plan.ramping(20, {"search": 1})
    samples = [sample(n, took, stage=n) for n, took in enumerate((0.01, 0.15)) for _ in range(60)]
    report = recorded(
        samples, plan=plan, rule="saturated", reason="at 10 starts a second the p95 is 1.5 times"
    )
    rows = [
        line for line in markdown(report).splitlines() if line.startswith(("| 5", "| 10", "| 15", "| 20"))
    ]

    assert [(row.split("|")[1].strip(), row.split("|")[-2].strip()) for row in rows] == [
        ("5", "yes"), ("10", "no"), ("15", "not tried"), ("20", "not tried"),
    ]  # fmt: skip


def test_what_a_platform_says_breaks_out_of_nothing() -> None:
    """Neither of Markdown nor of a picture, wherever it gets in."""
    hostile = "<script>alert(1)</script> @all | ![x](http://evil.example/x.png) ]]>\n# no"
    left = (Entry(kind=hostile, name="x", removed=False),)
    said_by_it = {"reason": hostile, "left": (hostile,), "target": hostile, "created": left}
    report = ABORTED.model_copy(update=said_by_it)
    said = markdown(report, pictures=True)

    assert not [bad for bad in ("<script", "@all", "![x]", "\n# no", "http://evil") if bad in said]
    assert "<script" not in over_time(report) + against_rate(report, judge(report))


def dots(picture: str) -> list[tuple[str, str, str]]:
    """Each dot of a picture: how it looks and where it is."""
    found = Xml.fromstring(picture).iter(f"{SVG}circle")
    return [(one.attrib["class"], one.attrib["cx"], one.attrib["cy"]) for one in found]


def test_a_picture_has_a_dot_for_each_start() -> None:
    """Where it belongs: errors at their deadline, what was missed and what failed by themselves."""
    report = recorded(
        [sample(0.0, 1.0), sample(5.0, 0.5, sent_s=5.4, missed=True), sample(10.0, 0.001, 500),
         sample(10.0, 0.1, None, failure="cut-short")],
    )  # fmt: skip

    assert dots(over_time(report)) == [
        ("ok", "84.0", "105.0"),
        ("missed", "350.0", "150.5"),
        ("error", "616.0", "14.0"),
    ]
    assert [look for look, *_ in dots(against_rate(report, judge(report)))] == ["ok", "ok", "error"]


def test_the_line_joins_the_p95_of_each_rate() -> None:
    """Where there are enough samples for one."""
    plan = Plan(
        mix={"search": 1},
        stages=(Stage(rate=5, seconds=12), Stage(rate=10, seconds=6), Stage(rate=1, seconds=1)),
    )
    samples = [sample(0, took, stage=n) for n, took in enumerate((0.1, 0.2)) for _ in range(60)]
    report = recorded([*samples, sample(0, 0.3, stage=2)], plan=plan)
    (line,) = Xml.fromstring(against_rate(report, judge(report))).iter(f"{SVG}polyline")

    assert line.attrib["points"] == "350.0,159.6 616.0,123.2"


@pytest.mark.parametrize(
    ("most", "end"), [(0.3, 0.5), (1, 1), (1.1, 2), (5, 5), (51, 100), (1000, 1000), (0.0, 1), (1e-320, 1)]
)
def test_where_a_scale_ends(most: float, end: float) -> None:
    """At the next 1, 2 or 5 times a power of ten."""
    assert top(most) == pytest.approx(end)


def test_a_picture_of_nothing_is_a_picture() -> None:
    """A load that was not begun has its axes."""
    assert dots(svg(Picture("t", "w", "x", []))) == []
    assert Xml.fromstring(svg(Picture("<&>", '"', "]]>", [Dot(0, 0)]))).find(f"{SVG}title") is not None


def test_all_documents_are_written(tmp_path: Path) -> None:
    """And lead to each other."""
    written = write_documents(ABORTED, tmp_path)
    said = (tmp_path / "load.md").read_text(encoding="utf-8")

    assert [path.name for path in written] == [
        "load.md", "load.json", "latency-over-time.svg", "latency-against-rate.svg",
    ]  # fmt: skip
    assert [path.name in said for path in written[2:]] == [True, True]
