"""The HTML page, the page over several targets, badges and charts: whole, and inert whatever the text."""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import made
import pytest
from expected import MARKUP, expect, with_names, with_text
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hokusai_probe.model import Report
from hokusai_probe.reports import DOCUMENTS, badge, chart, html, overview, write, write_overview
from hokusai_probe.reports.trend import Point, Series, Spell, Trend

SVG = "{http://www.w3.org/2000/svg}"
HOUR = timedelta(hours=1)
VOID = {"meta", "link", "br"}


def series(*values: float | None, unit: str = "%", name: str = "auth") -> Series:
    """Hourly points."""
    points = tuple(Point(at=made.WHEN + n * HOUR, value=value) for n, value in enumerate(values))
    return Series(name=name, unit=unit, points=points)  # type: ignore[arg-type]


def trend(name: str = "auth") -> Trend:
    """Two days of a target, one of them with a gap."""
    return Trend(
        availability=(series(100, 100, None, None, 50, 100, name=name),),
        latency=(series(120, 340, None, 95, unit="ms", name=f"{name}, p95"),),
        causes={
            "target-port-mismatch": (
                Spell(first=made.WHEN - 48 * HOUR, last=made.WHEN - 40 * HOUR),
                Spell(first=made.WHEN, last_good=made.WHEN - HOUR),
            )
        },
    )


class Parsed(HTMLParser):
    """The elements of a page with their attributes, in order, each closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        self.elements.append((f"!--{data}", ()))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def skeleton(page: str) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    """Every element, with its attributes less the labels that carry names."""
    found = Parsed(page)
    assert found.open == []
    return [
        (tag, tuple((k, "" if k == "aria-label" else v) for k, v in attributes))
        for tag, attributes in found.elements
    ]


@pytest.mark.parametrize("situation", made.SITUATIONS)
def test_page(situation: str) -> None:
    """Each situation has its page, word for word, and every element is closed where it should be."""
    said = html.render(made.SITUATIONS[situation]())
    skeleton(said)
    expect(f"{situation}.page.html", said)


def test_page_with_a_trend() -> None:
    """What the history knows is on the page: lines, gaps, and since when each cause is there."""
    said = html.render(made.two_causes(), trend())
    expect("two-causes.trend.html", said)
    assert "2025-08-05 09:27 UTC until now (the last run without it: 2025-08-05 08:27 UTC)" in said
    assert said.index("until now") < said.index("2025-08-03 09:27 UTC to 2025-08-03 17:27 UTC")


@pytest.mark.parametrize("situation", ["two-causes", "undecided", "interrupted", "client-key", "our-trouble"])
def test_every_verdict_and_cause_is_on_the_page(situation: str) -> None:
    """Nothing that was judged or found is left out."""
    report = made.SITUATIONS[situation]()
    words = "".join(Parsed(html.render(report)).text)
    names = [v.check for v in report.verdicts] + [d.cause for d in report.diagnoses]
    assert [name for name in names if name not in words] == []


def test_a_command_is_copied_as_it_is() -> None:
    """What a button copies is the text of its block: the remedy's lines, unescaped and unbroken."""
    found = re.findall(r"<pre><code>(.*?)</code></pre>", html.render(made.two_causes()), re.DOTALL)
    texts = ["".join(Parsed(f"<pre>{block}</pre>").text) for block in found]
    remedy = made.PORT.remedy
    assert remedy is not None
    assert "\n".join(remedy.aws_cli) in texts
    assert remedy.terraform in texts
    assert "hokusai-probe verify target-port-mismatch hokusai-development" in texts


@settings(max_examples=80, deadline=None)
@given(MARKUP.map(lambda said: f"x{said}x"))
def test_hostile_text_is_inert_on_the_page(said: str) -> None:
    """The same elements with the same attributes whatever the platform or a plug-in's name says."""
    makes: tuple[Callable[[str], Report], ...] = (with_text, with_names)
    for make in makes:
        wild, plain = (html.render(make(words), trend(words)) for words in (said, "xwordx"))
        assert skeleton(wild) == skeleton(plain)


@settings(max_examples=50, deadline=None)
@given(MARKUP.map(lambda said: f"x{said}x"))
def test_hostile_names_are_inert_on_the_overview(said: str) -> None:
    """The same elements; links lead nowhere but into folders of plain names."""
    wild, plain = (overview.render([with_names(words), made.healthy()]) for words in (said, "xwordx"))
    assert [tag for tag, _ in skeleton(wild)] == [tag for tag, _ in skeleton(plain)]
    links = [dict(a).get("href") or "" for tag, a in skeleton(wild) if tag == "a"]
    assert [link for link in links if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*/report\.html", link)] == []


def test_the_page_may_load_and_run_nothing_but_itself() -> None:
    """Its policy names one style and one script by their hashes, and these are the ones that are there."""
    said = html.render(made.two_causes())
    policy = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', said)
    found = {tag: re.findall(rf"<{tag}>(.*?)</{tag}>", said, re.DOTALL) for tag in ("style", "script")}
    hashes = {
        tag: [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in all_of_it]
        for tag, all_of_it in found.items()
    }
    hashed = f"style-src 'sha256-{hashes['style'][0]}'; script-src 'sha256-{hashes['script'][0]}'"
    assert policy == [f"default-src 'none'; img-src data:; {hashed}; base-uri 'none'; form-action 'none'"]
    assert {tag: len(all_of_it) for tag, all_of_it in hashes.items()} == {"style": 1, "script": 1}
    attributes = [pair for _, attributes in Parsed(said).elements for pair in attributes]
    assert [(k, v) for k, v in attributes if k == "style" or k.startswith("on")] == []
    links = [v or "" for k, v in attributes if k in {"href", "src", "action"}]
    assert [link for link in links if not link.startswith("#") and link != "data:,"] == []


# --- colours --------------------------------------------------------------------------------------------


def palettes() -> dict[str, dict[str, str]]:
    """The custom properties of each scheme, as the style sheet has them."""
    css = Path(html.__file__).with_name("page.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    return {
        name: dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", part))
        for name, part in (("light", light), ("dark", dark))
    }


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_in_both_schemes(scheme: str) -> None:
    """Every colour of a text has 4.5 to 1 on the page and on raised ground, as WCAG AA asks."""
    colours = palettes()[scheme]
    texts = set(colours) - {"paper", "raised", "edge"}
    assert texts == {"ink", "quiet", "link", "bad", "warn", "good", "none"}
    poor = [
        (text, ground)
        for text in sorted(texts)
        for ground in ("paper", "raised")
        if contrast(colours[text], colours[ground]) < 4.5
    ]
    assert poor == []


def test_the_measure_of_contrast_is_right() -> None:
    """Black on white is 21, a colour on itself 1, and a grey that just fails is seen to fail."""
    assert round(contrast("#000000", "#ffffff"), 1) == 21.0
    assert contrast("#777777", "#777777") == 1.0
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


def test_a_badge_can_be_read() -> None:
    """White on each of its grounds has 4.5 to 1."""
    badges = "".join(badge.render(make()) for make in made.SITUATIONS.values())
    grounds = re.findall(r"fill=\"(#[0-9a-f]{6})\"/>", badges)
    assert min(contrast(ground, "#ffffff") for ground in grounds) >= 4.5


# --- badges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        ("healthy", "models can be registered"),
        ("read-only", "registering was not tried"),
        ("two-causes", "models cannot be registered"),
        ("our-trouble", "not known"),
    ],
)
def test_badge(situation: str, words: str) -> None:
    """The state in a few words, word for word; green only where a model was registered."""
    said = badge.render(made.SITUATIONS[situation]())
    expect(f"{situation}.badge.svg", said)
    assert (
        ElementTree.fromstring(said).findtext(f"{SVG}title")
        == f"hokusai-development: {words} (2025-08-05 09:27 UTC)"
    )
    assert ("#1b6e2f" in said) == (situation == "healthy")


def test_a_badge_is_not_green_while_something_else_fails() -> None:
    """A model was registered, and a health endpoint lies: that is not all well."""
    said = badge.render(made.report(made.verdicts(ecs_tasks=made.fail("one task of two"))))
    assert "1 checks fail" not in said
    assert "1 check fails" in said
    assert "#1b6e2f" not in said


@settings(max_examples=60, deadline=None)
@given(MARKUP)
def test_a_badge_is_xml_whatever_the_name(said: str) -> None:
    """The same elements as with a plain name."""
    wild, plain = (ElementTree.fromstring(badge.render(with_names(words))) for words in (said, "word"))
    assert [e.tag for e in wild.iter()] == [e.tag for e in plain.iter()]


# --- charts ---------------------------------------------------------------------------------------------


def drawn(one: Series) -> ElementTree.Element:
    """The chart as elements."""
    return ElementTree.fromstring(chart.svg(one, "c"))


def test_a_gap_is_no_line_and_no_zero() -> None:
    """Lines end before a gap and begin after it; a lonely value is a dot; the gap is shaded."""
    found = drawn(series(100, 50, None, 0, None, None, 100, 100))
    lines = [e.get("points") for e in found.iter(f"{SVG}polyline")]
    dots = [(e.get("cx"), e.get("cy")) for e in found.iter(f"{SVG}circle")]
    gaps = [(e.get("x"), e.get("width")) for e in found.iter(f"{SVG}rect")]
    assert lines == ["84.0,12.0 161.7,82.0", "550.3,12.0 628.0,12.0"]
    assert dots == [("317.1", "152.0")]
    assert gaps == [("161.7", "155.4"), ("317.1", "233.2")]


def test_points_may_come_in_any_order() -> None:
    """A history that was merged is drawn as one that was not."""
    one = series(1, 2, None, 3, unit="ms")
    shuffled = one.model_copy(update={"points": one.points[::-1]})
    assert chart.svg(shuffled, "c") == chart.svg(one, "c")


@pytest.mark.parametrize(
    ("values", "unit", "top"),
    [
        ((99.0,), "%", 100),
        ((0.3,), "ms", 1),
        ((120.0, 340.0), "ms", 500),
        ((1001.0,), "ms", 2000),
        ((10.0,), "ms", 10),
    ],
)
def test_the_scale_ends_at_a_round_number(values: tuple[float, ...], unit: str, top: float) -> None:
    """At or above the highest value; percent always at 100."""
    assert chart.top(series(*values, unit=unit)) == top


def test_nothing_known_is_said_in_words() -> None:
    """An empty picture could be read as zero."""
    assert chart.svg(series(None, None), "c") == "<p>auth: nothing is known yet.</p>"
    assert chart.describe(series()) == "Nothing is known yet."


def test_a_chart_is_told_in_words() -> None:
    """Who cannot see the line hears its range, its end, and how much is unknown."""
    when, told = chart.describe(series(100, 50, None, 99.5)).split(": ")
    assert when == "2025-08-05 09:27 UTC to 2025-08-05 12:27 UTC"
    assert told == "lowest 50 %, highest 100 %, last 99.5 %; 1 of 4 unknown."


VALUES = st.lists(st.none() | st.floats(0, 1e12), max_size=30)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_no_point_is_drawn_outside_the_frame(values: list[float | None]) -> None:
    """Whatever the values, and each known one is drawn exactly once."""
    one = series(*values, unit="ms")
    if all(value is None for value in values):
        return
    found = drawn(one)
    spots = [p.split(",") for e in found.iter(f"{SVG}polyline") for p in str(e.get("points")).split()]
    spots += [[str(e.get("cx")), str(e.get("cy"))] for e in found.iter(f"{SVG}circle")]
    assert len(spots) == sum(value is not None for value in values)
    assert all(84 <= float(x) <= 628 and 12 <= float(y) <= 152 for x, y in spots)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_value_that_cannot_be_drawn_is_refused(value: float) -> None:
    """What is not known is None, never a number that breaks a picture."""
    with pytest.raises(ValidationError):
        Point(at=made.WHEN, value=value)


# --- several targets ------------------------------------------------------------------------------------


def targets() -> list[Report]:
    """Three targets, one of them seen twice, two whose names make the same folder."""
    old = made.two_causes()
    names = {"a b": made.undecided(), "A/b": made.healthy()}
    others = [report.model_copy(update={"target": name}) for name, report in names.items()]
    return [made.later(made.healthy(), 1), old, *others]


def test_overview() -> None:
    """What fails first, then by name; the newest report of each; word for word."""
    found = overview.folders(targets())
    assert {folder: (r.target, r.started_at) for folder, r in found.items()} == {
        "a-b": ("A/b", made.WHEN),
        "a-b-2": ("a b", made.WHEN),
        "hokusai-development": ("hokusai-development", made.WHEN + HOUR),
    }
    expect("three-targets.index.html", overview.render(targets()))


def test_no_report_is_said() -> None:
    """A page over nothing says so."""
    assert "<p>No report yet.</p>" in overview.render([])


def test_the_overview_is_written_with_all_that_it_links_to(tmp_path: Path) -> None:
    """Every link leads to a page that was written, and each folder has the whole set of documents."""
    written = write_overview(targets(), tmp_path)
    links = re.findall(r'href="([^"#]+\.html)"', (tmp_path / "index.html").read_text("utf-8"))
    assert len(links) == 3
    assert [link for link in links if not (tmp_path / link).is_file()] == []
    assert sorted(p.name for p in (tmp_path / "a-b").iterdir()) == sorted(DOCUMENTS)
    assert sorted(written) == sorted(p for p in tmp_path.rglob("*") if p.is_file())


def test_a_trend_is_written_into_the_page_alone(tmp_path: Path) -> None:
    """The other documents are about one run."""
    write(made.two_causes(), tmp_path, trend=trend())
    assert (tmp_path / "report.html").read_text("utf-8") == html.render(made.two_causes(), trend())
    assert (tmp_path / "badge.svg").read_text("utf-8") == badge.render(made.two_causes())


def test_names_of_folders_stay_below_theirs(tmp_path: Path) -> None:
    """No target's name leads out of the directory, and none is a hidden folder or the page itself."""
    for name in ("../../x", "..", ".", "/etc", "", "index.html", ".git"):
        (folder,) = overview.folders([made.healthy().model_copy(update={"target": name})])
        assert (tmp_path / folder).resolve().parent == tmp_path.resolve()
        assert not folder.startswith(".")
        assert folder != "index.html"
