"""What a report knows of MLflow's client: settings that worked, and settings that end in time. Pure."""

from __future__ import annotations

from hokusai_probe.model import Facts, Report

PLUG_IN = (
    "A client that must send the key in X-API-Key needs a plug-in: a package with an entry point in "
    "mlflow.request_header_provider."
)


def working(report: Report) -> tuple[str, ...]:
    """The variables with which the client registered a model in this run; none where it did not.

    The key is a reference to the variable that holds it, never its value.
    """
    facts = _facts(report, "mlflow-client")
    return tuple(getattr(facts, "environment", ())) if getattr(facts, "works", False) else ()


def header_works(report: Report) -> bool | None:
    """Whether a client with the plug-in for X-API-Key was let in; None: it was not tried."""
    found: bool | None = getattr(_facts(report, "mlflow-client"), "header_works", None)
    return found


def patience(report: Report) -> str:
    """How long the client waits with its defaults, as a sentence; empty where nobody worked it out."""
    facts = _facts(report, "client-advice")
    if facts is None:
        return ""
    waits = ("refused_s", "silent_s", "advised_silent_s")
    refused, silent, better = (_minutes(getattr(facts, name)) for name in waits)
    return (
        f"With its defaults MLflow's client repeats a refused request for {refused} and waits {silent} for a "
        f"silent host; with these settings {better} at most:"
    )


def patient_environment(report: Report) -> tuple[str, ...]:
    """The variables that make the client wait as long as the platform does, and no longer."""
    return tuple(getattr(_facts(report, "client-advice"), "environment", ()))


def _facts(report: Report, look: str) -> Facts | None:
    return next((o.facts for o in report.observations if o.probe == look), None)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
