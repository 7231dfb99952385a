"""Load tests that are safe to point at a platform that people use: open model, capped, cleared up after.

from hokusai_probe import load

report = load.run("target.toml", load.Plan(stages=(load.Stage(rate=5, seconds=20),)))
print(load.judge(report).exit_code, load.markdown(report))
"""

from hokusai_probe.load.conducting import arun, run
from hokusai_probe.load.judging import Finding, Judgement, judge
from hokusai_probe.load.lock import Busy
from hokusai_probe.load.plan import CAPS, Kind, Plan, Stage, schedule
from hokusai_probe.load.record import LoadReport, Sample, needed, percentile
from hokusai_probe.load.summary import markdown
from hokusai_probe.load.summary import write as write_documents

__all__ = [
    "CAPS",
    "Busy",
    "Finding",
    "Judgement",
    "Kind",
    "LoadReport",
    "Plan",
    "Sample",
    "Stage",
    "arun",
    "judge",
    "markdown",
    "needed",
    "percentile",
    "run",
    "schedule",
    "write_documents",
]
