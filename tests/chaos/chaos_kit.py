"""Recorded experiments made up for tests: well in all points, but for what a test says."""

from hokusai_probe.chaos.experiment import USER_KINDS, Experiment
from hokusai_probe.chaos.facts import Kept, Recorded, Sighting, Used

STOP = {"kind": "service", "service": "mlflow", "action": "stop"}


def experiment(**more: object) -> Experiment:
    """An experiment in which the cause ``a`` must be named."""
    base = {
        "name": "made-up", "summary": "Something stops", "source": "nowhere", "method": [STOP],
        "expect": {"causes": ["a"]},
    }  # fmt: skip
    return Experiment.model_validate(base | more)


def looks(began: float, *failing: str, causes: tuple[str, ...] = ()) -> Sighting:
    """One repetition of the looks, which takes a second."""
    return Sighting(began_s=began, ended_s=began + 1, failing=failing, causes=causes)


def uses(*moments: float, worked: bool = True) -> list[Used]:
    """One use of each kind at each moment."""
    return [Used(kind=k, at_s=m, took_s=0.1, worked=worked) for m in moments for k in USER_KINDS]


def kept(name: str, fate: str = "kept") -> Kept:
    """An artifact that was acknowledged."""
    return Kept.model_validate({"kind": "artifact", "name": name, "acknowledged_s": 1.0, "fate": fate})


def recorded(**more: object) -> Recorded:
    """Fault from second 10 to 30, rolled back at 31, well again at 35; the cause is named at 14."""
    base = {
        "experiment": experiment(), "fault_began_s": 10.0, "rollback_began_s": 30.0, "rollback_ended_s": 31.0,
        "ended_s": 36.0,
        "sightings": [looks(11, "x"), looks(13, "x", causes=("a",)), looks(32, "x"), looks(34)],
        "used": [*uses(5), *uses(12, 20, worked=False), *uses(25, 32, 33)],
        "kept": [kept("one"), kept("two")],
    }  # fmt: skip
    return Recorded.model_validate(base | more)
