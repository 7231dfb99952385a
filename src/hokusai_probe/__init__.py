"""Look at a model-registry platform, say what is broken, why, and how to mend it.

    import hokusai_probe as hp
    report = hp.run("https://registry.example", aws=False)
    print(report.to_markdown())

:mod:`hokusai_probe.load` sends loads. Names are loaded when they are first used, so importing this costs
next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hokusai_probe import load
    from hokusai_probe.config import ConfigError
    from hokusai_probe.errors import ProbeError
    from hokusai_probe.issues import Action, KnownIssue
    from hokusai_probe.issues import plan as plan_issues
    from hokusai_probe.keys import BadKey
    from hokusai_probe.model import Diagnosis, Observation, Report, Target, Verdict
    from hokusai_probe.runner import Looked, UsageError, arun, look, replay, run

_PLACES = {
    "Action": "issues",
    "BadKey": "keys",
    "ConfigError": "config",
    "Diagnosis": "model",
    "KnownIssue": "issues",
    "Looked": "runner",
    "Observation": "model",
    "ProbeError": "errors",
    "Report": "model",
    "Target": "model",
    "UsageError": "runner",
    "Verdict": "model",
    "arun": "runner",
    "look": "runner",
    "plan_issues": "issues",
    "replay": "runner",
    "run": "runner",
}

__all__ = [
    "Action",
    "BadKey",
    "ConfigError",
    "Diagnosis",
    "KnownIssue",
    "Looked",
    "Observation",
    "ProbeError",
    "Report",
    "Target",
    "UsageError",
    "Verdict",
    "arun",
    "load",
    "look",
    "plan_issues",
    "replay",
    "run",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module. Raises AttributeError."""
    if name == "load":
        return import_module(f"{__name__}.load")
    if name not in _PLACES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    module = import_module(f"{__name__}.{_PLACES[name]}")
    return getattr(module, "plan" if name == "plan_issues" else name)
