"""The history as files: immutable, mergeable, and read whatever became of some of them."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from _kept import TARGET, any_runs, at, filled, git_bytes, new_runs, run, series, state, year
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hokusai_probe.history import folder, runs
from hokusai_probe.history.folder import History
from hokusai_probe.history.index import Index
from hokusai_probe.history.runs import HistoryError, Run, read, text_of

YEARLY_BYTES = 50_000_000
some_runs = st.lists(any_runs, max_size=6)
ANY_ORDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
VERSION_0 = """{
"old_count":{"infrastructure":{"from_fault":2,"passed":5,"percent":45.5,"total":11}},
"schema_version":0,
"started_at":"2025-08-05T09:27:17Z",
"target":"hokusai-development"
}
"""


@given(one=any_runs)
def test_a_run_comes_back_as_it_went(one: Run) -> None:
    """From the text of its file, which is always the same, ASCII, a line for each field."""
    text = runs.text_of(one)

    assert runs.read(text) == one
    assert runs.text_of(runs.read(text)) == text
    assert text.isascii()
    assert json.loads(text)["schema_version"] == (0 if one.old_count else 2)


@given(one=any_runs)
def test_a_run_s_place_is_in_the_folder_whatever_its_target_is_called(one: Run) -> None:
    """Target, year, month, day and name: five plain parts, and not the folder for corrupt files."""
    parts = runs.place(one).split("/")

    assert len(parts) == 5
    assert not {"", ".", "..", "corrupt"} & set(parts)


def test_targets_with_names_alike_have_folders_of_their_own() -> None:
    """What had to be made safe is told apart by a digest."""
    names = ["a/b", "a-b", "A-b", "a b", "..", ".git", "-a", "", "corrupt", "a" * 200, "a" * 201]
    folders = {runs.folder_of(name) for name in names}

    assert len({name.lower() for name in folders}) == len(names)
    assert [name for name in folders if name[0] in ".-" or name == "corrupt" or len(name) > 90] == []
    assert runs.folder_of("hokusai-development") == "hokusai-development"


# --- writing --------------------------------------------------------------------------------------------


def test_a_run_s_file_is_named_for_when_it_was_and_what_it_says(tmp_path: Path) -> None:
    """Dated folders, the start, and a digest of the content."""
    one = run(26.5)

    path = folder.write(tmp_path, one)

    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert path == tmp_path / TARGET / "2026/01/02" / f"20260102T023000Z-{digest}.json"


def test_the_same_run_twice_is_one_file(tmp_path: Path) -> None:
    """And what is there is not written again."""
    first = folder.write(tmp_path, run())
    before = first.stat().st_mtime_ns

    assert folder.write(tmp_path, run()) == first
    assert first.stat().st_mtime_ns == before
    assert len(folder.listing(tmp_path)) == 1


def test_a_damaged_file_of_that_name_is_set_aside_first(tmp_path: Path) -> None:
    """Neither is lost."""
    path = folder.write(tmp_path, run())
    path.write_text("half", "utf-8")

    folder.write(tmp_path, run())

    assert runs.read(path.read_text("utf-8")) == run()
    assert [p.read_text("utf-8") for p in (tmp_path / "corrupt").rglob("*.json.*")] == ["half"]


def test_indexes_are_kept_out_of_git(tmp_path: Path) -> None:
    """They are derived, and would be in conflict with every merge. What was ignored before stays so."""
    folder.write(tmp_path, run())
    assert "/*/index.json" in (tmp_path / ".gitignore").read_text("utf-8").splitlines()

    (tmp_path / ".gitignore").write_text("mine\n", "utf-8")
    folder.write(tmp_path, run(1))
    assert (tmp_path / ".gitignore").read_text("utf-8") == "mine\n"


# --- reading --------------------------------------------------------------------------------------------


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _edited(path: Path) -> None:
    path.write_text(path.read_text("utf-8").replace('"a"', '"c"'), "utf-8")


def _elsewhere(path: Path) -> None:
    moved = path.parent.parent / "09" / path.name
    moved.parent.mkdir()
    path.rename(moved)


def _binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def _conflict(path: Path) -> None:
    path.write_text("<<<<<<< ours\n" + path.read_text("utf-8"), "utf-8")


def _huge(path: Path) -> None:
    path.write_bytes(b" " * (folder.LARGEST_BYTES + 1))


def _deep(path: Path) -> None:
    path.write_text('{"schema_version":' + "[" * 100_000, "utf-8")


@pytest.mark.parametrize("damage", [_cut, _edited, _elsewhere, _binary, _conflict, _huge, _deep])
def test_a_corrupt_file_is_set_aside_and_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Nothing else is lost, and what was set aside is still there, byte for byte."""
    filled(tmp_path, series("p f p"))
    victim = folder.write(tmp_path, run(24.0))
    damage(victim)
    (where,) = (p for p in tmp_path.rglob("*.json") if p.name == victim.name)
    content = where.read_bytes()

    found = History.read(tmp_path)

    assert found.runs() == series("p f p")
    (note,) = found.notes
    assert note.startswith(where.relative_to(tmp_path).as_posix() + " is corrupt (")
    (aside,) = (tmp_path / "corrupt").rglob("*.json.*")
    assert note.endswith(f"and was moved to {aside.relative_to(tmp_path).as_posix()}")
    assert aside.read_bytes() == content
    assert History.read(tmp_path).notes == frozenset()


def test_where_nothing_can_be_moved_a_corrupt_file_is_only_named(tmp_path: Path) -> None:
    """As when a file stands where the folder for them belongs."""
    path = folder.write(tmp_path, run())
    path.write_text("half", "utf-8")
    (tmp_path / "corrupt").write_text("", "utf-8")

    (note,) = History.read(tmp_path).notes

    assert "left where it is" in note
    assert path.read_text("utf-8") == "half"


def test_a_file_of_a_newer_version_is_named_and_left_alone(tmp_path: Path) -> None:
    """Whoever wrote it can read it."""
    path = folder.write(tmp_path, run())
    path.write_text('{"schema_version":3,"target":"t","moods":[]}\n', "utf-8")

    found = History.read(tmp_path)

    where = path.relative_to(tmp_path).as_posix()
    wanted = f"{where} was left out: it is of version 3, and this hokusai-probe reads up to 2"
    assert (found.runs(), found.notes) == ((), {wanted})
    assert path.exists()


def test_version_1_is_still_read_and_is_the_same_file_when_written_again() -> None:
    """As it was before a run kept where the time of its answers went."""
    was = '{\n"schema_version":1,\n"started_at":"2025-08-05T09:27:17Z",\n"target":"t"\n}\n'

    assert (text_of(read(was)), read(was).parts) == (was, {})


def test_version_0_is_still_read(tmp_path: Path) -> None:
    """A file as the first version of the history had it: scores of the former scripts, and nothing else."""
    digest = hashlib.sha256(VERSION_0.encode()).hexdigest()[:12]
    path = tmp_path / TARGET / "2025/08/05" / f"20250805T092717Z-{digest}.json"
    path.parent.mkdir(parents=True)
    path.write_text(VERSION_0, "utf-8")

    (found,) = History.read(tmp_path).runs()

    assert found.old_count["infrastructure"].from_fault == 2
    assert found.state == state()
    assert runs.text_of(found) == VERSION_0


def test_line_ends_of_another_system_do_no_harm(tmp_path: Path) -> None:
    """A checkout may have changed them."""
    path = folder.write(tmp_path, run())
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert History.read(tmp_path) == History.of([run()])


def test_no_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Silence would read as a history without runs."""
    with pytest.raises(HistoryError, match="gone: there is no such folder of runs"):
        History.read(tmp_path / "gone")


def test_targets_go_by_the_names_that_their_runs_give(tmp_path: Path) -> None:
    """A folder's name may have been made safe."""
    filled(tmp_path, [run(target="a/b"), run(target="c"), run(1, target="c")])

    assert folder.targets(tmp_path) == ("a/b", "c")
    assert History.read(tmp_path, "a/b").runs() == (run(target="a/b"),)


# --- merging --------------------------------------------------------------------------------------------


def _histories(found: Iterable[Run], note: str) -> History:
    return History(History.of(found).files, frozenset([note] if note else []))


histories = st.builds(_histories, some_runs, st.sampled_from(["", "x is corrupt", "y is corrupt"]))


@given(a=histories, b=histories, c=histories)
def test_merging_is_a_union(a: History, b: History, c: History) -> None:
    """Commutative, associative, idempotent, with the empty history as its zero; nothing is lost."""
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).runs() == b.merged(a).runs()
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(a) == a == a.merged(History())
    assert set(a.merged(b).files) == {*a.files, *b.files}


@ANY_ORDER
@given(a=some_runs, b=some_runs)
def test_merging_folders_is_copying_files(a: list[Run], b: list[Run]) -> None:
    """In either direction, and twice over."""
    with TemporaryDirectory() as name:
        one, other = filled(Path(name, "a"), a), filled(Path(name, "b"), b)
        for place in (one, other):
            place.mkdir(exist_ok=True)
        shutil.copytree(one, other, dirs_exist_ok=True)
        shutil.copytree(other, one, dirs_exist_ok=True)

        assert History.read(one) == History.read(other) == History.of([*a, *b])


# --- indexes --------------------------------------------------------------------------------------------


@given(found=st.lists(new_runs, max_size=8), data=st.data())
def test_an_index_equals_a_full_scan(found: list[Run], data: st.DataObject) -> None:
    """Whatever order runs came in, one by one or all at once, also when some came and went."""
    one = [r.model_copy(update={"target": TARGET}) for r in found]
    files = {runs.place(r): r for r in one}
    gone = data.draw(st.lists(st.sampled_from(sorted(files)), unique=True)) if files else []
    kept = {place: r for place, r in files.items() if place not in gone}
    full = Index(target=TARGET).changed(added=kept.items())

    step = Index(target=TARGET)
    for place, r in data.draw(st.permutations(list(files.items()))):
        step = step.changed(added=[(place, r), (place, r)])

    assert step.changed(gone=gone) == full
    points = [(p.place, p.started_at, p.trigger, p.expected_interval_s, p.state) for p in full.points()]
    scanned = sorted(kept.items(), key=lambda item: (item[1].started_at, item[0]))
    assert points == [(w, r.started_at, r.trigger, r.expected_interval_s, r.state) for w, r in scanned]


def test_an_index_can_be_deleted_damaged_or_old(tmp_path: Path) -> None:
    """It is made to agree with the files whenever it is asked for."""
    filled(tmp_path, series("p f"))
    whole, _ = folder.index(tmp_path, TARGET)
    path = tmp_path / TARGET / "index.json"
    old = path.read_text("utf-8")

    for damage in ("", "{", "[]", old.replace('"state":"', '"state":"x'), old.replace(TARGET, "other")):
        path.write_text(damage, "utf-8")
        assert folder.index(tmp_path, TARGET) == (whole, ())
    path.unlink()
    assert folder.index(tmp_path, TARGET) == (whole, ())

    folder.write(tmp_path, run(5))
    path.write_text(old, "utf-8")
    assert len(folder.index(tmp_path, TARGET)[0].rows) == 3
    (tmp_path / runs.place(run(5))).unlink()
    assert folder.index(tmp_path, TARGET) == (whole, ())


def test_an_index_that_cannot_be_kept_is_still_given(tmp_path: Path) -> None:
    """It is a convenience."""
    filled(tmp_path, series("p f"))
    (tmp_path / TARGET / "index.json").mkdir()

    assert len(folder.index(tmp_path, TARGET)[0].rows) == 2


def test_what_an_index_cannot_read_is_named(tmp_path: Path) -> None:
    """The others are in it."""
    filled(tmp_path, series("p f"))
    folder.write(tmp_path, run(7)).write_text("half", "utf-8")

    found, notes = folder.index(tmp_path, TARGET)

    assert len(found.rows) == 2
    assert len(notes) == 1


# --- remembering ----------------------------------------------------------------------------------------


def test_the_first_run_has_no_past(tmp_path: Path) -> None:
    """Nothing to compare with; what fails is bad as of now."""
    past, notes = folder.remember(tmp_path, run(0, "fp"))

    assert (past.compared, notes) == (None, ())
    assert past.checks["a"].good_before is None


def test_the_past_of_a_run_is_what_was_before_it(tmp_path: Path) -> None:
    """The previous run that can be read, and since when; not runs that came later."""
    filled(tmp_path, (*series("p f"), run(9, "pp")))
    folder.write(tmp_path, run(2, "ff")).write_text("half", "utf-8")

    past, notes = folder.remember(tmp_path, run(3, "ff"))

    assert past.compared is not None
    assert (past.compared.before, past.compared.failing_unseen_before) == (at(1), ())
    assert (past.checks["a"].good_before, past.checks["a"].first_bad) == (at(0), at(1))
    assert len(notes) == 1


# --- growth ---------------------------------------------------------------------------------------------


def test_a_year_of_hourly_runs_stays_small_in_git(tmp_path: Path) -> None:
    """Ten days with flakes and an outage, one commit each, as git keeps them: under 50 MB a year."""
    days = 10

    size = git_bytes(tmp_path / "repository", year(24 * days))

    assert size / days * 365 < YEARLY_BYTES
