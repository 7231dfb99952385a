"""Steps that can tell by themselves that nothing came of them."""

import asyncio
from dataclasses import dataclass, field

import pytest
from chaos_kit import experiment

from hokusai_probe.chaos import driver
from hokusai_probe.chaos.experiment import Step
from hokusai_probe.model import Hosts, Target
from hokusai_probe.sweeping import Swept

TARGET = Target(name="t", hosts=Hosts(registry="http://127.0.0.1:9"))


@dataclass
class IdleHands:
    """Hands that say what they do, and do nothing."""

    target: Target = TARGET
    environment: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    time_scale: float = 1.0

    async def kill_probe(self) -> str:
        """Kill nobody."""
        return "a probe was killed"


def test_a_killed_probe_that_left_nothing_was_not_killed_in_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sweeping up after it would prove nothing."""

    async def nothing(*_: object, **__: object) -> Swept:
        return Swept()

    monkeypatch.setattr(driver, "sweep", nothing)
    step = Step(kind="kill-probe")
    told: list[str] = []
    conductor = driver._Conductor(experiment(method=[step]), IdleHands(), driver.Stop(), told.append)  # type: ignore[arg-type]

    with pytest.raises(driver.HandsError, match="the killed probe left nothing behind"):
        asyncio.run(conductor._carry_out(step))
    assert "a probe was killed" in told[0]
