"""How a target is, as a badge of a few words: an SVG file that can be shown where no page can. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hokusai_probe import text
from hokusai_probe.model import Report
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import moment, plural

_NAME_CHARACTERS = 40
_CHARACTER, _PAD, _HIGH = 7, 8, 22  # pixels; textLength fits the text to them whatever the font is
_WORDS: Mapping[answer.Registration, tuple[str, str]] = {
    "yes": ("models can be registered", "#1b6e2f"),
    "no": ("models cannot be registered", "#b3261e"),
    "not-tried": ("registering was not tried", "#4a5560"),
    "cannot-tell": ("not known", "#8a5300"),
}


def render(report: Report) -> str:
    """The badge as a whole SVG file, ending in a newline.

    Green only where a model was registered and nothing at all fails. Its title says how old it is.
    """
    name = text.clean(text.one_line(report.target), _NAME_CHARACTERS) or "target"
    words, colour = _state(report)
    left, right = (len(said) * _CHARACTER + 2 * _PAD for said in (name, words))
    title = text.xml(f"{name}: {words} ({moment(report.started_at)})")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HIGH}" role="img" '
        f'aria-label="{title}">\n<title>{title}</title>\n'
        f'<rect width="{left}" height="{_HIGH}" fill="#24292f"/>'
        f'<rect x="{left}" width="{right}" height="{_HIGH}" fill="{colour}"/>\n'
        f"{_said(name, 0, left)}\n{_said(words, left, right)}\n</svg>\n"
    )


def _state(report: Report) -> tuple[str, str]:
    found = answer.registration(report)
    if found in {"yes", "not-tried"} and answer.outcome(report) == 1:
        failed = report.score.overall.failed
        return plural(failed, "check fails", "checks fail"), _WORDS["cannot-tell"][1]
    return _WORDS[found]


def _said(said: str, x: int, wide: int) -> str:
    return (
        f'<text x="{x + _PAD}" y="15" textLength="{wide - 2 * _PAD}" lengthAdjust="spacingAndGlyphs" '
        f'font-family="Verdana,DejaVu Sans,sans-serif" font-size="12" fill="#ffffff">{text.xml(said)}</text>'
    )
