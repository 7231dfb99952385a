"""Counting verdicts. Pure.

percent = passed / (passed + failed + errors + blocked). A check that a fault keeps from being judged is
``blocked`` and counts against the platform, so breaking more never raises a score. What was not
configured, does not apply, is accepted by the target or cannot be told from the facts is left out.
"""

from collections.abc import Iterable

from hokusai_probe.model import AreaScore, Score, Verdict


def score(verdicts: Iterable[Verdict]) -> Score:
    """The overall count and one for each area that has verdicts, areas in alphabetical order."""
    found = tuple(verdicts)
    areas = sorted({v.area for v in found})
    return Score(
        overall=_count(found), areas={area: _count(v for v in found if v.area == area) for area in areas}
    )


def _count(verdicts: Iterable[Verdict]) -> AreaScore:
    columns = [_column(v) for v in verdicts]
    return AreaScore(**{name: columns.count(name) for name in AreaScore.model_fields})


def _column(verdict: Verdict) -> str:
    if verdict.status == "skip":
        return "blocked" if verdict.skip_kind == "blocked" else "skipped"
    return {"pass": "passed", "fail": "failed", "error": "errors"}[verdict.status]
