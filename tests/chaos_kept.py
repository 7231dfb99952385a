"""What the experiments came to when all of them were last carried out, in one file of the repository.

``python tests/chaos_kept.py RESULTS.json`` puts the results of `hokusai-probe chaos --all --json` into it,
their table into docs/chaos.md, below its mark, and their section into docs/accuracy.md, which takes it from
here as well when it is made.
"""

import lzma
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from hokusai_probe.chaos.documents import detection, summary
from hokusai_probe.chaos.experiment import experiment_names
from hokusai_probe.chaos.judging import judge
from hokusai_probe.cli.chaos import Results

FILE = Path(__file__).parent / "chaos.json.xz"
PAGE = Path(__file__).parent.parent / "docs" / "chaos.md"
ACCURACY = PAGE.with_name("accuracy.md")
MARK = "<!-- Below this line everything is made by `make chaos` from a recorded run. Above it, write. -->"


def read() -> Results:
    """The recorded results, judged again by this version."""
    with lzma.open(FILE, "rt", encoding="utf-8") as file:
        found = Results.model_validate_json(file.read())
    return found.model_copy(update={"results": tuple(judge(one.recorded) for one in found.results)})


def write(found: Results) -> None:
    """Put these in the place of what the file has of the same experiments; what ships no more goes."""
    before = read().results if FILE.exists() else ()
    by_name = {one.name: one for one in (*before, *found.results)}
    kept = tuple(by_name[name] for name in experiment_names() if name in by_name)
    found = found.model_copy(update={"results": kept})
    with lzma.open(FILE, "wt", encoding="utf-8", preset=9) as file:
        file.write(found.model_dump_json())


def page(written: str, found: Results) -> str:
    """docs/chaos.md: what is written above the mark, and the recorded table."""
    when = f"Recorded on {found.began_at:%Y-%m-%d}."
    return f"{written.partition(MARK)[0]}{MARK}\n\n## What came of it\n\n{when}\n\n{_below(found)}\n"


def _below(found: Results) -> str:
    return summary(found.results).replace("\n## ", "\n### ")


def accuracy_section() -> str:
    """The section of docs/accuracy.md; nothing where nothing is recorded."""
    return f"{detection(read().results)}\n" if FILE.exists() else ""


def accuracy(written: str) -> str:
    """docs/accuracy.md with the section of this record in the place of the one it has."""
    section = accuracy_section()
    heading = re.escape(section.partition("\n")[0])
    return re.sub(rf"(?ms)^{heading}\n.*?(?=^## |\Z)", lambda _: f"{section}\n", written)


def main(arguments: Sequence[str]) -> int:
    """See the module's docstring."""
    (path,) = arguments
    write(Results.model_validate_json(Path(path).read_text(encoding="utf-8")))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), read()), encoding="utf-8")
    ACCURACY.write_text(accuracy(ACCURACY.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
