"""The picture of the way: what is marked where, and that no text gets out of its label."""

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import made
import pytest
from expected import MARKUP, expect, with_names, with_text
from hypothesis import given, settings

from hokusai_probe import config, topology
from hokusai_probe.reports import markdown, picture, way

SVG = "{http://www.w3.org/2000/svg}"
NOWHERE = {"secrets", "deployments", "images", "subnets"}


def marks(found: tuple[way.Part, ...], state: str) -> dict[str, tuple[str, ...]]:
    """The places in one state, with why."""
    return {p.name: p.because for p in found if p.state == state}


def test_every_hop_is_at_one_place() -> None:
    """All hops of the topology but those that belong to no single place; an aspect is where its hop is."""
    assert {hop for hop in topology.HOPS if way.place(hop) is None} == NOWHERE
    drawn = {(node,) for node in way.TITLES} | set(way.LINKS)
    assert {way.place(hop) for hop in topology.HOPS} - {None} <= drawn
    assert way.place("public.auth/health") == way.place("public.auth") == ("load-balancer", "auth")
    assert way.place("made-up-by-a-plug-in") is None


@pytest.mark.parametrize(
    ("situation", "broken", "affected"),
    [
        ("healthy", {}, {}),
        (
            "two-causes",
            {
                "Load balancer": ("listener-rule-wrong-target-group",),
                "Load balancer → Auth service": ("target-port-mismatch",),
            },
            {"Gateway": (), "Gateway → MLflow": ()},
        ),
        ("client-key", {"Client": ("key-unknown-or-expired",)}, {"Gateway": (), "Gateway → MLflow": ()}),
        (
            "undecided",
            {
                "Load balancer → Auth service": ("auth-health",),
                "Load balancer → Gateway": ("registry-health",),
            },
            {"Gateway": ()},
        ),
        ("our-trouble", {}, {}),
    ],
)
def test_what_is_marked(situation: str, broken: dict[str, Any], affected: dict[str, Any]) -> None:
    """A cause is where its failures begin if that touches who must act, else at who must act."""
    found = way.parts(made.SITUATIONS[situation]())
    assert (marks(found, "broken"), marks(found, "affected")) == (broken, affected)


def test_a_store_is_drawn_only_where_it_was_looked_at() -> None:
    """A box for what nobody asked about would say that it is there."""
    store = made.verdict("rds", "The database runs", "infrastructure", "database", "mlflow-to-database")
    without, beside = (way.parts(made.report(v)) for v in (made.verdicts(), (*made.verdicts(), store)))
    assert "Database" not in {p.name for p in without}
    assert {"Database", "MLflow → Database"} <= {p.name for p in beside}


def test_a_plain_server_has_no_gateway() -> None:
    """Of a bare URL only the client, the name and MLflow are known; what fails in between fails there."""
    plain = config.from_url("http://127.0.0.1:5000")
    found = made.verdicts(search=made.fail("404"), registry_health=made.fail("404"))[2:]
    said = {p.name: p.state for p in way.parts(made.report(found, target=plain))}
    assert list(said) == ["Client", "DNS", "MLflow", "Client → DNS", "DNS → MLflow"]
    assert said["DNS → MLflow"] == "broken"


@pytest.mark.parametrize("situation", ["healthy", "two-causes", "undecided"])
def test_the_picture(situation: str) -> None:
    """Word for word, as Mermaid and as SVG."""
    report = made.SITUATIONS[situation]()
    expect(f"{situation}.way.mmd", picture.mermaid(report))
    expect(f"{situation}.way.svg", picture.svg(report) + "\n")


def test_the_full_report_has_the_picture() -> None:
    """As a fenced block, which GitHub draws; not where all is clear."""
    assert f"```mermaid\n{picture.mermaid(made.two_causes())}```" in markdown.render(made.two_causes())
    assert "mermaid" not in markdown.render(made.healthy())


LABEL = r'"(?:[\w .,:/()-]|#\d+;|<br/>)*"'
GRAMMAR = re.compile(
    rf"flowchart LR|    \w+\[{LABEL}\]|    \w+ -->(?:\|{LABEL}\|)? \w+"
    r"|    (?:style \w+|linkStyle \d+) stroke:#[0-9a-f]{6},stroke-width:\dpx(?:,stroke-dasharray:\d \d)?"
)


def lines(said: str) -> list[str]:
    """The lines of a Mermaid picture without their labels, each of a kind that we write."""
    assert [line for line in said.splitlines() if not GRAMMAR.fullmatch(line)] == []
    return [re.sub(LABEL, '""', line) for line in said.splitlines()]


@settings(max_examples=60, deadline=None)
@given(MARKUP)
def test_hostile_names_stay_in_their_labels(said: str) -> None:
    """The same boxes and links as with plain names; no quote, bracket or link comes from a name."""
    wild, plain = (picture.mermaid(with_names(x)) for x in (said, "word"))
    assert lines(wild) == lines(plain)


@settings(max_examples=60, deadline=None)
@given(MARKUP)
def test_hostile_names_stay_text_in_the_svg(said: str) -> None:
    """The same elements with the same attributes as with plain names; and it is XML."""
    for make in (with_names, with_text):
        wild, plain = (ElementTree.fromstring(picture.svg(make(x))) for x in (said, "word"))
        assert [(e.tag, e.attrib) for e in wild.iter()] == [(e.tag, e.attrib) for e in plain.iter()]


def test_the_svg_can_be_heard() -> None:
    """An image by role, with a title and what the picture shows as its description."""
    found = ElementTree.fromstring(picture.svg(made.two_causes()))
    assert (found.get("role"), found.get("aria-labelledby")) == ("img", "way-title way-words")
    said = [found.findtext(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert said == ["The way of a request", picture.describe(way.parts(made.two_causes()))]
    assert "target-port-mismatch" in str(said[1])


def test_boxes_do_not_meet_and_no_link_crosses_one() -> None:
    """Each box has its own place, and the points of a link's inner part lie in no box."""
    boxes = {node: picture._corner(node) for node in way.TITLES}
    assert len(set(boxes.values())) == len(boxes)
    crossed = [
        (link, node)
        for link in way.LINKS
        for node, (x, y) in boxes.items()
        if node not in link and any(_inside(px, py, x, y) for px, py in _along(link))
    ]
    assert crossed == []


def _inside(px: float, py: float, x: int, y: int) -> bool:
    return x <= px <= x + picture._WIDE and y <= py <= y + picture._HIGH


def _along(link: tuple[str, str]) -> list[tuple[float, float]]:
    spots = picture._bends(*(picture._corner(node) for node in link))
    return [
        (x1 + (x2 - x1) * i / 50, y1 + (y2 - y1) * i / 50)
        for (x1, y1), (x2, y2) in pairwise(spots)
        for i in range(51)
    ]
