"""Every scenario looked at once, for all that is judged afterwards.

``python tests/sweep.py DIRECTORY [NAME...]``. While one scenario's platform is looked at, the next one starts
and the last one ends. What was seen goes to ``DIRECTORY/NAME.json``, where ``tests/test_promises.py`` judges
it. The last lines printed here are which cause made which check fail, and the grade. What is diagnosed
wrongly is looked at once more, alone: that one counts, and both are told.

``--heal``: where every remedy can be pasted, they are carried out, and the platform is looked at until it is
well. At the end some platforms get the remedy of another cause, which must not heal them.

``--keep``: what was seen takes its place in tests/recorded.jsonl.xz, and docs/kill-matrix.md and
docs/accuracy.md are made anew of all that this file then holds.

``--seconds S``: some harmless scenarios and those that make a tenth of the checks fail once, by that page;
then, in a new order each time, as many of the others as begin within S seconds.
"""

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import _recorded
import chaos_kept
from _recorded import Kept, Strange, Whole, with_types

from hokusai_probe import accuracy, sandbox, second_round
from hokusai_probe.cli.grade import summary
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.config import load
from hokusai_probe.declare import catalogue
from hokusai_probe.grading import Expectation, Grade, Graded, Healed, Mode, Swept, grade, kill_matrix, total
from hokusai_probe.healing import Hands, heal, is_well
from hokusai_probe.runner import replay, run

# training a model and MLflow's own client take longer than all other looks together
SLOW = ("trained-model", "mlflow-client")
WITH_SLOW = (
    "healthy",
    "artifact-upload-broken",
    "artifacts-disabled",
    "web-firewall-blocks-mlflow-client",
    "x-api-key-dropped",
)
# on the one of them or the other every check passes
ALWAYS = ("healthy", "stores-as-on-aws")
# mended, its platform still answers searches later than it promises: what is left says nothing of the remedy
SLOW_ANYWAY = "slow-search-cut-by-load-balancer"
CONTROLS = 6
VARIABLE = "HOKUSAI_SWEEP_DIR"
DOCS = Path(__file__).parent.parent / "docs"
MATRIX = DOCS / "kill-matrix.md"
ACCURACY = DOCS / "accuracy.md"
_HEAD = """# Which cause makes which check fail

Made by `make sweep`, which looks at every scenario of the sandbox. A check is listed beside a cause where it
fails in a scenario that expects that cause, and where the diagnosis says that the cause explains it. A check
that is not listed would not be one: nobody ever saw it fail for a reason.

| check | cause | scenarios |
|---|---|---|
"""


def looked_at(name: str, box: sandbox.Box, *, mend: bool = False) -> Swept:
    """One scenario's platform looked at with AWS and without, and mended afterwards where that is wanted.

    Without AWS every third one is looked at anew and, where there is time to mend, those in which a second
    round has something to ask; the others are judged again without what AWS said.
    """
    environment = {**bare_environment(), **box.environment}
    unwanted = () if name in WITH_SLOW else SLOW
    aws = run(box.target_file, environment=environment, skip=unwanted)
    outside = replay(aws, aws=False)
    taken = {o.probe for o in outside.observations}
    asks = mend and second_round.plan(catalogue(), outside.diagnoses, taken)
    if not box.seed % 3 or asks:
        outside = run(box.target_file, environment=environment, aws=False, skip=unwanted)
    expect = Expectation.model_validate(box.expect)
    return Swept(
        name=name,
        expect=expect,
        key=environment["HOKUSAI_API_KEY"],
        aws=aws,
        no_aws=outside,
        healed=heal(aws, hands(box), masked=expect.unseen) if mend else None,
    )


def hands(box: sandbox.Box) -> Hands:
    """What carries remedies out on a sandbox and looks at it again."""
    environment = {**bare_environment(), **box.environment}
    target = load(box.target_file, environment)
    look = partial(run, target, environment=environment, skip=SLOW)
    return Hands((target.aws.endpoint_url if target.aws else None) or "", environment, look)


def one(name: str, *, mend: bool = False) -> Swept:
    """One scenario by itself."""
    with sandbox.start(name) as box:
        return looked_at(Path(name).stem, box, mend=mend)


def _up(name: str) -> tuple[ExitStack, sandbox.Box] | str:
    stack = ExitStack()
    try:
        return stack, stack.enter_context(sandbox.start(name))
    except sandbox.SandboxSkippedError as missing:
        return f"{name}: skipped, {missing}"


def sweep(names: Sequence[str], mended: Collection[str] = ()) -> Iterator[Swept | str]:
    """The scenarios one after the other; a sentence for one whose backend this machine does not have.

    Who stops listening early leaves no platform running: the one that was on its way up is ended too.
    """
    with ThreadPoolExecutor(1) as starting, ThreadPoolExecutor(1) as ending, ExitStack() as at_the_end:
        coming = [starting.submit(_up, names[0])]
        at_the_end.callback(_end, coming)
        for name, following in zip(names, [*names[1:], None], strict=True):
            now = coming.pop().result()
            if following is not None:
                coming.append(starting.submit(_up, following))
            yield now if isinstance(now, str) else _then_down(name, *now, ending, mend=name in mended)


def _end(coming: Sequence[Future[tuple[ExitStack, sandbox.Box] | str]]) -> None:
    """End what came up and was not asked for."""
    for up in (one.result() for one in coming):
        if not isinstance(up, str):
            up[0].close()


def _then_down(
    name: str, up: ExitStack, box: sandbox.Box, ending: ThreadPoolExecutor, *, mend: bool
) -> Swept:
    try:
        return looked_at(name, box, mend=mend)
    finally:
        ending.submit(up.close)


def record(
    names: Sequence[str], directory: Path, must: int, seconds: float, mended: Collection[str] = ()
) -> list[Swept]:
    """Sweep into a directory, a line for each; returns what was seen.

    After so many seconds nothing begins any more but the first ``must`` names. ``mended``: those whose
    remedies are carried out.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found: list[Swept] = []
    since = time.monotonic()
    for number, swept in enumerate(sweep(names, mended), 1):
        if isinstance(swept, str):
            say(f"{number:4} {swept}")
            continue
        if not is_right(swept):
            say(f"{number:4} {swept.name}: {_outcome(swept)}; once more, with nothing beside it")
            _write(swept, directory / f"{swept.name}.first.json")
            swept = one(swept.name, mend=swept.name in mended)  # noqa: PLW2901 - confirmed or not, this one counts
        _write(swept, directory / f"{swept.name}.json")
        found.append(swept)
        after = time.monotonic() - since
        say(f"{number:4} {swept.name} at {after:.0f} s: {_outcome(swept)}")
        if after > seconds and number >= must:
            say(f"{len(names) - number} scenarios are left for other runs: the {seconds:g} seconds are over")
            break
    return found


def _write(swept: Swept, path: Path) -> None:
    path.write_text(swept.model_dump_json(), encoding="utf-8")


def is_right(swept: Swept) -> bool:
    """Whether both runs name what the scenario expects, and who must act.

    One that is wrong is looked at again alone: a finding counts once it is confirmed, as it does for issues.
    """
    grades = [grade(swept.name, m, swept.expect, swept.seen(m), catalogue()) for m in ("aws", "no-aws")]
    return all(found.right and found.component_right for found in grades)


def core(names: Sequence[str], seed: int) -> list[str]:
    """The scenarios of every run: some harmless ones, and few that make a tenth of the checks fail.

    Which tenth is drawn, so that a few runs have seen every check fail; `make sweep` sees all.
    """
    kinds = {name: sandbox.load_scenario(name).expect for name in names}
    harmless = [n for n, expect in kinds.items() if not expect.causes and not expect.unexplained]
    drawn = random.Random(seed).sample(harmless, len(harmless) // 6)
    found = list(dict.fromkeys([*ALWAYS, *drawn]))
    known = {check: {n for n in by if n in names} for check, by in sorted(matrix_rows().items())}
    killers = {check: known[check] for check in random.Random(seed).sample(list(known), len(known) // 10)}
    while left := {check: by for check, by in killers.items() if by and not by & set(found)}:
        counts = Counter(name for by in left.values() for name in sorted(by))
        found.append(counts.most_common(1)[0][0])
    return found


def matrix_rows() -> dict[str, set[str]]:
    """Check -> scenarios that made it fail when everything was last swept (docs/kill-matrix.md)."""
    rows = [
        line.split("|") for line in MATRIX.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    found: dict[str, set[str]] = {}
    for _, check, _, scenarios, _ in rows:
        found.setdefault(check.strip(" `"), set()).update(re.findall(r"`([^`]+)`", scenarios))
    return found


def page(found: Sequence[Swept]) -> str:
    """The kill matrix as a page for people."""
    rows = [
        f"| `{check}` | `{cause}` | {', '.join(f'`{name}`' for name in names)} |"
        for check, by in kill_matrix(found, catalogue()).items()
        for cause, names in by.items()
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _outcome(swept: Swept) -> str:
    grades = [
        ("with AWS", grade(swept.name, "aws", swept.expect, swept.aws, catalogue())),
        ("without", grade(swept.name, "no-aws", swept.expect, swept.no_aws, catalogue())),
    ]
    told = ", ".join(f"{mode} {_verdict(found)}" for mode, found in grades)
    return told + (_mended(swept.healed) if swept.healed else "")


def _mended(healed: Healed) -> str:
    """What came of the remedies, and what was run where that did not help."""
    if healed.outcome != "not":
        return f", {healed.outcome}" + f" in {healed.seconds:.0f} s" * (healed.outcome == "healed")
    ran = "".join(f"\n     [{r.exit_code}] {r.command} {r.said}" for r in healed.ran)
    return f", NOT HEALED in {healed.seconds:.0f} s, left: {', '.join(healed.left) or 'unexplained'}{ran}"


def control(pairs: Sequence[tuple[Swept, Swept]], seed: int) -> list[Strange]:
    """Give platforms the remedies of other ones.

    One seed gives both the same names, so that the commands meet what they name.
    """
    return [
        Strange(ill=ill.name, other=other.name, became=_with_anothers(ill.name, other.name, seed))
        for ill, other in pairs
    ]


def _with_anothers(ill: str, other: str, seed: int) -> _recorded.Control:
    """Whether another one's remedies make a platform well within half a minute; a fix is seen in less."""
    with sandbox.start(other, seed) as box:
        lines = [line for d in hands(box).look().roots() if d.remedy for line in d.remedy.aws_cli]
    with sandbox.start(ill, seed) as box:
        mine, until = hands(box), time.monotonic() + 30.0
        if any(ran.exit_code for ran in mine.carry_out(lines)):
            return "not carried out"
        while time.monotonic() < until:
            if is_well(mine.look()):
                return "well"
    return "ill"


def drawn_pairs(found: Sequence[Swept], seed: int) -> list[tuple[Swept, Swept]]:
    """Platforms that their remedies heal, each with another one of other causes, drawn by a seed."""
    healed = [s for s in found if s.healed and s.healed.outcome == "healed"]
    pairs = [(a, b) for a in healed for b in healed if not {*a.expect.causes} & {*b.expect.causes}]
    return random.Random(seed).sample(pairs, min(CONTROLS, len(pairs)))


def _verdict(found: Grade) -> str:
    if found.right:
        return "right"
    if found.unknown:
        return "unknown to this version"
    return f"WRONG (false {list(found.false_causes)}, missed {list(found.missed)})"


def read(directory: Path, name: str) -> Swept | None:
    """What an earlier sweep saw of a scenario, its facts typed again; None where it was not there."""
    file = directory / f"{name}.json"
    if not file.exists():
        return None
    found = Swept.model_validate_json(file.read_text(encoding="utf-8"))
    return found.model_copy(update={"aws": with_types(found.aws), "no_aws": with_types(found.no_aws)})


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--heal", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args(arguments)
    from conftest import SEED  # sets the variable where it is not set, for what starts sandboxes beside this

    say(f"sandbox seed: {SEED} (HOKUSAI_TEST_SEED gives the same names and ids again)")
    names, must = options.names or sandbox.scenario_names(), 0
    if options.seconds is not None:
        first = core(names, SEED)
        others = [n for n in names if n not in first]
        names, must = [*first, *random.Random(SEED).sample(others, len(others))], len(first)
    with sandbox.warm(SEED):
        mended = [n for n in names if n != SLOW_ANYWAY] if options.heal else ()
        found = record(names, options.directory, must, options.seconds or float("inf"), mended)
        strange = control(drawn_pairs(found, SEED), SEED) if options.heal else []
    for s in strange:
        say(f"{s.ill} with the remedies of {s.other}: {s.became}")
    if options.keep:
        keep(found, strange, options.directory, SEED)
    report(found)
    return 0


def graded(found: Sequence[Swept], mode: Mode) -> Graded:
    """The grades of one mode; what was healed counts with AWS."""
    grades = (grade(s.name, mode, s.expect, s.seen(mode), catalogue()) for s in found)
    healed = {s.name: s.healed.outcome for s in found if s.healed and mode == "aws"}
    return total(g.model_copy(update={"heal": healed.get(g.name)}) for g in grades)


def keep(found: Sequence[Swept], strange: Sequence[Strange], directory: Path, seed: int) -> None:
    """Record what was seen, and make the pages of all records."""
    records = [_recorded.kept_of(s, again=(directory / f"{s.name}.first.json").exists()) for s in found]
    whole = _recorded.write(records, seed=seed, day=datetime.now(UTC), controls=strange)
    everything = [k.swept() for k in whole.kept]
    MATRIX.write_text(page(everything), encoding="utf-8")
    ACCURACY.write_text(accuracy_page(everything, whole), encoding="utf-8")


def accuracy_page(everything: Sequence[Swept], whole: Whole) -> str:
    """docs/accuracy.md."""
    twice = [f"`{k.name}`" for k in whole.kept if k.again]
    again = f"Looked at a second time, because the first diagnosis was not as expected: {len(twice)}"
    others = ", ".join(f"`{s.ill}` with those of `{s.other}`: {s.became}" for s in whole.controls)
    well = sum(s.became == "well" for s in whole.controls)
    ill = ", ".join(f"`{k.name}`" for k in whole.kept if k.healed and k.healed.outcome == "not") or "none"
    return accuracy.page(
        {mode: graded(everything, mode) for mode in ("aws", "no-aws")},
        command="make sweep",
        day=_days(whole.kept),
        seed=whole.seed,
        more=(
            f"{again}{': ' if twice else ''}{', '.join(twice)}. The second diagnosis counts.\n",
            f"Mended as printed and not well within a minute: {ill}.\n",
            f"Not mended: `{SLOW_ANYWAY}`, whose MLflow answers later than promised in any case.\n",
            f"With another cause's remedies {well} of {len(whole.controls)} became well ({others}).\n",
            chaos_kept.accuracy_section(),
        ),
    )


def _days(kept: Sequence[Kept]) -> str:
    days = sorted(f"{k.aws.started_at:%Y-%m-%d}" for k in kept)
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def report(found: Sequence[Swept]) -> None:
    """Print which checks failed in no scenario, and the grades."""
    for slug, by in kill_matrix(found, catalogue()).items():
        say(f"{slug}: " + ("; ".join(f"{c} ({', '.join(ns)})" for c, ns in by.items()) or "did not fail"))
    for mode in ("aws", "no-aws"):
        say(f"\n{mode}\n{summary(graded(found, mode))}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
