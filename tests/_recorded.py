"""What every scenario looked like when it was last looked at, in one file of the repository.

The whole sweep takes most of an hour, so the tests look at some scenarios only; these records let them judge
all the others again. ``tests/sweep.py --keep`` writes them, and the pages that are made of them.
"""

import lzma
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from hokusai_probe import sandbox
from hokusai_probe.declare import catalogue
from hokusai_probe.engine import typed
from hokusai_probe.grading import Expectation, Healed, Swept
from hokusai_probe.model import Frozen, Report
from hokusai_probe.runner import replay

FILE = Path(__file__).parent / "recorded.jsonl.xz"
Control = Literal["well", "ill", "not carried out"]


class Strange(Frozen):
    """A platform that was given the remedies of another one, and what came of it."""

    ill: str
    other: str
    became: Control


class Kept(Frozen):
    """One scenario as it was looked at.

    ``outside`` is a run without AWS of its own; None: ``aws`` judged again without what AWS said. ``again``:
    the first diagnosis was not as expected, and this is the second.
    """

    name: str
    again: bool
    healed: Healed | None
    outside: Report | None
    aws: Report

    def swept(self) -> Swept:
        """The record as a sweep has it, its facts typed, judged by this version."""
        aws = with_types(self.aws)
        return Swept(
            name=self.name,
            expect=Expectation.model_validate(sandbox.load_scenario(self.name).expect.model_dump()),
            key="",
            aws=replay(aws),
            no_aws=replay(with_types(self.outside)) if self.outside else replay(aws, aws=False),
            healed=self.healed,
        )

    def unread(self) -> tuple[str, ...]:
        """Looks whose recorded facts this version cannot read."""
        before = {o.probe for o in self.aws.observations if o.facts is not None}
        after = {o.probe for o in with_types(self.aws).observations if o.facts is not None}
        return tuple(sorted(before - after))


class Whole(Frozen):
    """The records of all ``names``, or of some; ``seed`` and ``day`` (UTC) of the last one that kept any."""

    seed: int
    day: datetime
    names: tuple[str, ...]
    controls: tuple[Strange, ...] = ()
    kept: tuple[Kept, ...] = ()


def kept_of(swept: Swept, *, again: bool) -> Kept:
    """The record of a scenario that was looked at just now."""
    derived = replay(swept.aws, aws=False).to_json() == swept.no_aws.to_json()
    return Kept(
        name=swept.name,
        again=again,
        healed=swept.healed,
        outside=None if derived else swept.no_aws,
        aws=swept.aws,
    )


def read(wanted: Callable[[int], bool] = lambda _: True) -> Whole:
    """What the file holds; of the scenarios those whose number in it is ``wanted``."""
    with lzma.open(FILE, "rt", encoding="utf-8") as file:
        head = Whole.model_validate_json(next(file))
        kept = tuple(Kept.model_validate_json(line) for n, line in enumerate(file) if wanted(n))
    return head.model_copy(update={"kept": kept})


def write(found: Iterable[Kept], *, seed: int, day: datetime, controls: Iterable[Strange] = ()) -> Whole:
    """Put these in the place of what the file has of the same scenarios; what ships no more goes."""
    before = read() if FILE.exists() else None
    old_kept, old_controls = (before.kept, before.controls) if before else ((), ())
    by_name = {k.name: k for k in (*old_kept, *found)}
    kept = tuple(by_name[n] for n in sorted(by_name) if n in sandbox.scenario_names())
    names = tuple(k.name for k in kept)
    whole = Whole(seed=seed, day=day, names=names, controls=tuple(controls) or old_controls, kept=kept)
    with lzma.open(FILE, "wt", encoding="utf-8", preset=6) as file:
        file.writelines(_lines(whole))
    return whole


def _lines(whole: Whole) -> Iterator[str]:
    yield whole.model_copy(update={"kept": ()}).model_dump_json() + "\n"
    yield from (k.model_dump_json() + "\n" for k in whole.kept)


def with_types(report: Report) -> Report:
    """A report that was read, its facts of their looks' classes again."""
    return report.model_copy(update={"observations": typed(catalogue(), report.observations)})
