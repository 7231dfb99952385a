"""What documents are held against: the texts in tests/said, and reports full of hostile text.

UPDATE_SAID=1 writes tests/said anew, to be read.
"""

import json
import os
from pathlib import Path

import made
from hypothesis import strategies as st

from hokusai_probe import reports
from hokusai_probe.model import Report

SAID = Path(__file__).parents[1] / "said"
PAGE = Path(reports.__path__[0])
ASSETS = {f"@@{name}@@": (PAGE / name).read_text("utf-8") for name in ("page.css", "page.js")}
HOSTILE = st.text(st.sampled_from("`*_[]()<>!|#@&\\~-=+1.:/ \nax$\x1b\u202e"), min_size=1, max_size=40)
MARKUP = st.text(
    st.sampled_from("<>\"'&;=/!-[]{}()#\\ \n\t\x00\x08\x1b\ufffe\u202e\u2028abx1:%"), max_size=40
) | st.sampled_from(
    (
        "</p></main><script>alert(1)</script>",
        '" onmouseover="alert(1)" x="',
        "' autofocus onfocus='alert(1)",
        "<a href='javascript:alert(1)'>x</a>",
        "<img src=x onerror=alert(1)>",
        "</code></pre></style></title></textarea>",
        "<!-- x --> ]]> <![CDATA[ &lt;script&gt;",
        "</svg></desc></text><foreignObject>",
        '"} 1\nhokusai_probe_check_status{x="',
        '"]\n    click client "javascript:alert(1)"',
    )
)


def expect(name: str, said: str) -> None:
    """The document is exactly the one in tests/said, where marks stand for the style and script of pages.

    Each page holds their hashes, so that a change of one byte of them changes every page all the same.
    """
    path = SAID / name
    if os.environ.get("UPDATE_SAID"):
        path.write_text(_marked(said) if path.suffix == ".html" else said, "utf-8")
    assert said == _whole(path.read_text("utf-8"))


def _marked(said: str) -> str:
    for mark, asset in ASSETS.items():
        said = said.replace(asset, mark)
    return said


def _whole(kept: str) -> str:
    for mark, asset in ASSETS.items():
        kept = kept.replace(mark, asset)
    return kept


def with_text(said: str) -> Report:
    """A report in which the platform's text stands wherever such text can stand."""
    report = made.hostile().model_dump_json().replace(json.dumps(made.EVIL)[1:-1], json.dumps(said)[1:-1])
    return Report.read(report)


def with_names(said: str) -> Report:
    """A report whose very names are hostile, as a plug-in's or a recorded file's could be."""
    report = with_text("word")
    verdicts = tuple(
        v.model_copy(update={"check": f"{v.check}{said}", "title": said, "probe": said})
        for v in report.verdicts
    )
    cause = report.diagnoses[0]
    renamed = cause.model_copy(
        update={"cause": f"x{said}", "affected": (said,), "explains": tuple(v.check for v in verdicts[:1])}
    )
    rival = renamed.model_copy(update={"cause": f"y{said}", "status": "undecided"})
    return report.model_copy(
        update={
            "target": f"t{said}",
            "tool_version": said,
            "verified_sha": said,
            "interrupted": said or "x",
            "verdicts": verdicts,
            "diagnoses": (renamed, rival),
            "unexplained": (f"search{said}",),
        }
    )
