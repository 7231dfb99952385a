"""Publishers that come at the same time."""

from pathlib import Path

import pytest
from _kept import TARGET
from _pushed import added, bare, files, git, race

from hokusai_probe.history import folder
from hokusai_probe.history.index import Index
from hokusai_probe.history.runs import place

WRITERS, ROUNDS, SECONDS = 8, 5, 60.0


@pytest.mark.timeout(120)
def test_nothing_is_lost_when_eight_publish_at_once(tmp_path: Path) -> None:
    """The first time to an empty remote: each run is there, added once, and the index is of them all.

    Five times; `python tests/bench.py publish` does it a hundred times.
    """
    remote = bare(tmp_path / "remote.git")

    raced = race(remote, tmp_path / "writers", WRITERS, ROUNDS, SECONDS)
    git(tmp_path, "clone", "--quiet", "--branch=probe-data", str(remote), "clone")
    index, notes = folder.index(tmp_path / "clone" / "history", TARGET)

    wanted = sorted(place(one) for one in raced.runs)
    assert len(set(wanted)) == ROUNDS * WRITERS
    assert added(remote, "probe-data") == [f"history/{one}" for one in wanted]
    assert files(remote, "probe-data") == [
        "README.md",
        "history/.gitignore",
        *(f"history/{p}" for p in wanted),
    ]
    assert (index, notes) == (Index(target=TARGET).changed(added=((place(r), r) for r in raced.runs)), ())
    assert max(raced.tries) > 1, "nobody met anybody: this was no race"
