"""The page as a browser has it: no error, no request, hostile text inert, keyboard, phone, names."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import made
import pytest
from _browser import NAMES, Browser, browser, chromium
from expected import with_names, with_text
from test_page import targets, trend
from test_since import with_a_history

from hokusai_probe.history.past import Past
from hokusai_probe.model import Report
from hokusai_probe.reports import badge, html, overview
from hokusai_probe.reports.trend import Trend

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(chromium() is None, reason=f"no browser is installed: none of {', '.join(NAMES)}"),
]
PAGES: dict[str, Callable[[], str]] = {
    **{name: lambda make=make: html.render(make()) for name, make in made.SITUATIONS.items()},  # type: ignore[misc]
    "with a trend": lambda: html.render(made.two_causes(), trend()),
    "with a history": lambda: html.render(*with_a_history_and_trend()),
    "overview": lambda: overview.render(targets()),
}


def with_a_history_and_trend() -> tuple[Report, Trend, Past]:
    """A report, what its history shows over time, and what it tells of the time before."""
    now, past = with_a_history()
    return now, trend(), past


LIVE = (
    "</code></pre></p><script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=1">',
    "' onmouseover='window.pwned=1' autofocus onfocus='window.pwned=1",
    "<a href='javascript:window.pwned=1'>x</a><iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<svg onload=window.pwned=1><style>@import 'http://127.0.0.1:9/x';</style>",
    "</title></style></script><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
)


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def shown(chrome: Browser, tmp_path: Path) -> Callable[[str], Browser]:
    """A browser that shows a page from a file, on a desktop's screen and in light colours."""

    def show(page: str, name: str = "report.html") -> Browser:
        chrome.events.clear()
        chrome.screen(1100, 900)
        chrome.scheme("light")
        (tmp_path / name).write_text(page, "utf-8")
        chrome.visit((tmp_path / name).as_uri())
        return chrome

    return show


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_and_asks_for_nothing(shown: Callable[[str], Browser], name: str) -> None:
    """No line in the console, and no address but the file itself, also after every button was pressed."""
    page = shown(PAGES[name]())
    page.value("document.querySelectorAll('button, summary').forEach(b => b.click())")
    page.wait(200)
    assert page.said() == []
    assert [url for url in page.requests() if not url.endswith("/report.html")] == []
    assert len(page.requests()) == 1


@pytest.mark.parametrize("live", LIVE)
def test_hostile_text_does_not_run(shown: Callable[[str], Browser], live: str) -> None:
    """Neither what a platform answers nor a name becomes live, and the words are on the page."""
    for make in (with_text, with_names):
        page = shown(html.render(make(live), trend(live)))
        page.wait(200)
        assert page.value("window.pwned === undefined")
        assert (
            page.value("document.querySelectorAll('script, iframe, img, svg a, meta[http-equiv]').length")
            == 2
        )
        assert live in page.value("document.body.textContent")
        assert (page.said(), len(page.requests())) == ([], 1)


def test_nothing_runs_even_where_an_escaper_failed(shown: Callable[[str], Browser]) -> None:
    """The page's policy stops what is live in it, and asks nobody."""
    live = "".join(LIVE[:2])
    page = shown(html.render(made.two_causes()).replace("<main>", f"<main>{live}<b style='color:red'>"))
    page.wait(200)
    assert page.value("document.querySelectorAll('script').length") == 2
    assert page.value("window.pwned === undefined")
    assert page.requests()[1:] == page.stopped() != []
    refused = [line for line in page.said() if "Content Security Policy" in line]
    assert len(refused) >= 3


def test_a_badge_is_a_picture(shown: Callable[..., Browser]) -> None:
    """A browser shows the file by itself."""
    page = shown(badge.render(made.two_causes()), "badge.svg")
    assert page.value("document.documentElement.getBoundingClientRect().height") == 22
    assert page.said() == []


# --- names ----------------------------------------------------------------------------------------------


def named(page: Browser) -> list[tuple[str, str]]:
    """Role and name of everything that a reader of the screen is told of."""
    nodes: list[dict[str, Any]] = page.call("Accessibility.getFullAXTree")["nodes"]
    return [
        (n["role"]["value"], n.get("name", {}).get("value", ""))
        for n in nodes
        if not n.get("ignored") and "role" in n
    ]


@pytest.mark.parametrize("name", PAGES)
def test_everything_has_a_name(shown: Callable[[str], Browser], name: str) -> None:
    """Buttons, links, pictures, regions and headings have one; a button's is its own."""
    found = named(shown(PAGES[name]()))
    telling = {
        "button",
        "link",
        "image",
        "img",
        "region",
        "heading",
        "navigation",
        "table",
        "DisclosureTriangle",
    }
    assert [role for role, said in found if role in telling and not said.strip()] == []
    buttons = [said for role, said in found if role == "button"]
    assert len(buttons) == len(set(buttons))
    assert sum(role == "main" for role, _ in found) == 1


@pytest.mark.parametrize("name", PAGES)
def test_headings_skip_no_level(shown: Callable[[str], Browser], name: str) -> None:
    """One first heading, and none more than a level below the one before it."""
    levels = shown(PAGES[name]()).value(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])"
    )
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert [b for a, b in pairwise(levels) if b > a + 1] == []


# --- keyboard and phone ---------------------------------------------------------------------------------

CONTROLS = "a[href], button, summary, [tabindex='0']"


def test_all_can_be_reached_with_the_keyboard(shown: Callable[[str], Browser]) -> None:
    """The first stop leads to the answer; then every link, button and fold, in the order of the page."""
    page = shown(html.render(made.two_causes(), trend()))
    page.value(f'document.querySelectorAll("{CONTROLS}").forEach((e, n) => e.dataset.stop = n)')
    count = page.value(f'document.querySelectorAll("{CONTROLS}").length')
    stops = []
    for _ in range(count):
        page.press("Tab", 9)
        stops.append(page.value("document.activeElement.dataset.stop"))
    assert stops == [str(n) for n in range(count)]
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_the_first_stop_leads_to_the_answer(shown: Callable[[str], Browser]) -> None:
    """It is seen once it is reached."""
    page = shown(html.render(made.two_causes()))
    page.press("Tab", 9)
    assert page.value("document.activeElement.getBoundingClientRect().left >= 0")
    page.press("Enter", 13, "\r")
    assert page.value("location.hash") == "#answer"
    assert page.value("document.activeElement.id") == "answer"


def test_a_button_copies_its_command(shown: Callable[[str], Browser]) -> None:
    """What comes out of the clipboard is the command, and the page says that it was copied."""
    page = shown(html.render(made.two_causes()))
    page.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.call("Page.bringToFront")
    page.value("document.querySelector('button[aria-label=\"Copy: mend target-port-mismatch\"]').click()")
    page.wait(200)
    remedy = made.PORT.remedy
    assert remedy is not None
    assert page.value("document.getElementById('copied').textContent") == "Copied."
    assert page.value("navigator.clipboard.readText()") == "\n".join(remedy.aws_cli)


def test_without_the_clipboard_the_command_is_selected(shown: Callable[[str], Browser]) -> None:
    """Where a browser refuses, the keyboard can still copy."""
    page = shown(html.render(made.two_causes()))
    page.value("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.value("document.querySelector('button').click()")
    page.wait(100)
    assert page.value("document.getElementById('copied').textContent").startswith("Selected")
    assert page.value("getSelection().toString() === document.querySelector('pre').textContent")


@pytest.mark.parametrize("name", [*PAGES, "long names"])
def test_a_phone_scrolls_in_one_direction(shown: Callable[[str], Browser], name: str) -> None:
    """At 360 pixels nothing sticks out of the page, and whatever is pressed is large enough for a thumb."""
    long = "a-very-long-name-" * 20
    page = shown(PAGES[name]() if name in PAGES else html.render(with_names(long), trend(long)))
    page.screen(360, 800, phone=True)
    assert page.value("document.documentElement.scrollWidth") == 360
    small = "[...document.querySelectorAll('button, summary, nav a')].filter(e => e.offsetHeight < 24).length"
    assert page.value(small) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_follow_the_reader(shown: Callable[[str], Browser], scheme: str) -> None:
    """The page is dark where the reader wants it dark."""
    page = shown(html.render(made.two_causes()))
    page.scheme(scheme)
    ground = page.value("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
