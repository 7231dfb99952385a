"""Whether what a diagnosis cites lies in the facts: each evidence path is walked and its value compared."""

import re
from collections.abc import Iterable, Iterator

from pydantic import JsonValue

from hokusai_probe.model import Diagnosis, Evidence, Facts

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def resolve(facts: Facts, path: str) -> JsonValue:
    """The value at a path such as ``groups[3].targets[0].port``.

    Raises LookupError where the facts have no such place, and for a path that names none.
    """
    value: JsonValue = facts.model_dump(mode="json")
    if not path:
        msg = "the evidence names no fact"
        raise LookupError(msg)
    for index, name in _STEP.findall(path):
        value = value[int(index)] if index and isinstance(value, list) else _member(value, name)
    return value


def _member(value: JsonValue, name: str) -> JsonValue:
    return value[name] if isinstance(value, dict) else {}[name]


def unfounded(diagnoses: Iterable[Diagnosis], facts: Iterable[Facts]) -> list[str]:
    """What is cited and cannot be found, or is found with another value, each as a sentence."""
    by_probe = {f.probe: f for f in facts}
    return [
        f"{found.cause}: {said}"
        for found in diagnoses
        for evidence in found.evidence
        for said in _complaint(by_probe, evidence)
    ]


def _complaint(facts: dict[str, Facts], evidence: Evidence) -> Iterator[str]:
    if evidence.probe not in facts:
        yield f"no facts of {evidence.probe}"
        return
    try:
        value = resolve(facts[evidence.probe], evidence.fact)
    except LookupError as error:
        yield f"{evidence.probe} has no {evidence.fact!r}: {error}"
        return
    if value != evidence.value:
        yield f"{evidence.probe} {evidence.fact} is {value!r}, not {evidence.value!r}"
