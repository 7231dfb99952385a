"""What is configured as the key is not one."""

from collections.abc import Iterator

from hokusai_probe.causes._keys import direct, refused
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.key_shape import KeyShapeFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts


@cause(
    component="client",
    priority="high",
    effort="minutes",
    entails=("key-unknown-or-expired",),
    look_alikes={
        "key-unknown-or-expired": "there the key looks as keys do, and auth does not know it",
    },
    source="contract 2: keys begin with hk_live_ or hk_test_",
)
def key_malformed(shape: KeyShapeFacts, validation: KeyValidationFacts) -> Iterator[Case]:
    """The configured key is not of the form that keys have, and auth refuses it.

    It was pasted with its quotes, without its beginning, or with the variable's name before it. Auth's
    refusal is that of an unknown key: ``Invalid or expired API key``.
    """
    both = [refused(a) for a in validation.answers]
    unknown = None if None in both else all(both)
    yield Case(
        subject="key",
        breaks=("key",),
        claims=(
            direct("auth refuses it for every service", validation, "without_service", unknown),
            claim(
                f"the key in {shape.variable} {shape.fault}",
                False if shape.well else (True if unknown else None),
                by=KeyShapeFacts,
                fact="odd" if shape.odd else "prefix",
                value=shape.odd or shape.prefix,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary=f"Set {shape.variable} to the whole key: nothing before its prefix, no quotes.",
            rollback="None needed.",
            also_touches="Nothing.",
            verify="hokusai-probe verify key-malformed",
        ),
    )
