"""An AWS door whose answers are written down beforehand."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from hokusai_probe.aws import AwsAnswer, AwsDoor, AwsFailure
from hokusai_probe.model import AwsTarget
from hokusai_probe.redact import Redactor

Said = Mapping[str, Any] | AwsFailure


class WrittenDoor(AwsDoor):
    """Gives each method's answers in turn, the last one again and again; ``asked`` are the calls it got."""

    def __init__(self, **answers: Sequence[Said]) -> None:
        super().__init__(AwsTarget(region="us-east-1"), Redactor(()), {})
        self._answers = {method: list(said) for method, said in answers.items()}
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    async def call(self, service: str, method: str, **params: Any) -> AwsAnswer:
        """The next answer to this method."""
        self.asked.append((method, params))
        said = self._answers[method].pop(0) if len(self._answers[method]) > 1 else self._answers[method][0]
        if isinstance(said, AwsFailure):
            return AwsAnswer(service=service, method=method, failure=said)
        answer = AwsAnswer(service=service, method=method)
        answer._data = MappingProxyType(dict(said))
        return answer
