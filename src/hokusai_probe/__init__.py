"""Look at a model-registry platform, say what is broken, why, and how to mend it.

>>> import hokusai_probe as hp
>>> report = hp.run("https://registry.example", aws=False)  # doctest: +SKIP
>>> print(report.to_markdown())  # doctest: +SKIP
"""

from hokusai_probe.config import ConfigError
from hokusai_probe.errors import ProbeError
from hokusai_probe.issues import Action, KnownIssue
from hokusai_probe.issues import plan as plan_issues
from hokusai_probe.model import Diagnosis, Observation, Report, Target, Verdict
from hokusai_probe.runner import Control, Looked, Options, UsageError, arun, look, replay, run

__all__ = [
    "Action",
    "ConfigError",
    "Control",
    "Diagnosis",
    "KnownIssue",
    "Looked",
    "Observation",
    "Options",
    "ProbeError",
    "Report",
    "Target",
    "UsageError",
    "Verdict",
    "arun",
    "look",
    "plan_issues",
    "replay",
    "run",
]
