"""``publish`` as a user meets it, with a real git and a real remote."""

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from _kept import filled, run, series
from _pushed import added, bare, branches, files, git, hook, messages
from click.testing import CliRunner
from reports.made import PORT, WHEN, fail, healthy, report, verdicts

from hokusai_probe import reports
from hokusai_probe.cli import main
from hokusai_probe.history.runs import place
from hokusai_probe.model import Report
from hokusai_probe.publish import building
from hokusai_probe.publish.errors import PublishError
from hokusai_probe.publish.remote import Remote

KEY = "hk_test_Zx9qLmP2vR7tYw4B"
PROTECTED = """
while read old new ref; do
  if [ "$ref" = refs/heads/{branch} ]; then
    echo "error: GH006: Protected branch update failed for $ref." >&2; exit 1
  fi
done
"""
BROKEN = report(verdicts(auth_health=fail("502")), diagnoses=(PORT,))
DOCUMENTS = sorted(f"reports/{name}" for name in reports.DOCUMENTS)


@dataclass(frozen=True)
class Said:
    """How the command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Site:
    """A remote, a clone of it with one commit of code in it, and a folder to publish."""

    remote: Path
    clone: Path
    out: Path

    def publish(self, *words: str) -> Said:
        """Run the command in the clone."""
        done = CliRunner().invoke(main, ["publish", str(self.out), *words])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Said(done.exit_code, re.sub(r"\([0-9a-f]{12}\)", "(ID)", done.stdout), done.stderr)

    def saw(self, found: Report, hours: float = 0.0) -> None:
        """Keep a report so many hours after the first: a run in the history, and its documents."""
        later = found.model_copy(update={"started_at": WHEN + timedelta(hours=hours)})
        filled(self.out / "history", [run(hours)])
        reports.write(later, self.out / "reports")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """One whose runs were a good, a bad and a good one; and afterwards nothing is left of any publishing."""
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_SERVER_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOKUSAI_API_KEY", KEY)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    found = Site(bare(tmp_path / "remote.git"), tmp_path / "clone", tmp_path / "out")
    git(tmp_path, "clone", "--quiet", str(found.remote), "clone")
    filled(found.out / "history", series("pp pf pp"))
    monkeypatch.chdir(found.clone)
    yield found
    assert list(scratch.iterdir()) == []


def with_code(site: Site) -> str:
    """Push a commit of code to main, and return its id."""
    (site.clone / "code.py").write_text("1\n", "utf-8")
    git(site.clone, "add", "code.py")
    git(site.clone, "commit", "--quiet", "-m", "code")
    git(site.clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    return branches(site.remote)["main"]


def kept(words: str = "pp pf pp") -> list[str]:
    """What the data branch holds of these runs, with what it begins with."""
    return ["README.md", "history/.gitignore", *sorted(f"history/{place(one)}" for one in series(words))]


# --- what goes where ------------------------------------------------------------------------------------


def test_without_push_nothing_is_written(site: Site) -> None:
    """It says what it would do."""
    said = site.publish()

    assert said == Said(
        0, "probe-data: would push 3 runs to origin\n", "Nothing was pushed; --push does it.\n"
    )
    assert branches(site.remote) == {}


def test_the_first_time_makes_a_branch_without_a_past(site: Site) -> None:
    """Also where there is code; the second time there is nothing to do, and no commit."""
    code = with_code(site)

    first, second = site.publish("--push"), site.publish("--push")

    assert (first, second) == (
        Said(0, "probe-data: pushed 3 runs to origin (ID)\n", ""),
        Said(0, "probe-data: nothing new\n", ""),
    )
    assert files(site.remote, "probe-data") == kept()
    assert git(site.remote, "log", "--format=%an <%ae> %cn %s %P", "probe-data") == (
        "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com> github-actions[bot] "
        "Keep what hokusai-probe saw \n"
    )
    assert branches(site.remote)["main"] == code


def test_only_new_runs_are_added(site: Site) -> None:
    """On top of what is there, whoever put it there; what this folder has not, stays."""
    site.publish("--push")
    shutil.rmtree(site.out / "history")
    filled(site.out / "history", series(". pf pp fp"))

    said = site.publish("--push", "--author", "Ops <ops@example.com>")

    assert said == Said(0, "probe-data: pushed 1 run to origin (ID)\n", "")
    assert files(site.remote, "probe-data") == kept("pp pf pp fp")
    assert added(site.remote, "probe-data") == kept("pp pf pp fp")[2:]
    assert git(site.remote, "log", "-1", "--format=%an <%ae>", "probe-data") == "Ops <ops@example.com>\n"


def test_documents_are_pushed_when_the_state_has_changed(site: Site) -> None:
    """Once for each state, on top of the code; later runs of the same state leave them as they are."""
    with_code(site)
    words = ("--push", "--reports-branch", "main")
    told = []
    for hours, found in enumerate((healthy(), healthy(), BROKEN, BROKEN, healthy()), 3):
        site.saw(found, hours)
        told.append(site.publish(*words).out.splitlines()[1:])

    first, unchanged, changed = (
        [f"main: pushed {len(DOCUMENTS)} documents to origin (ID)", "  reports: none was there before"],
        ["main: nothing new", "  reports: the state is the one that is published"],
        [f"main: pushed {len(DOCUMENTS)} documents to origin (ID)", "  reports: the state has changed"],
    )
    assert told == [first, unchanged, changed, unchanged, changed]
    assert messages(site.remote, "main") == [*["Reports of hokusai-probe: the state has changed"] * 3, "code"]
    assert files(site.remote, "main") == ["code.py", *DOCUMENTS]
    assert messages(site.remote, "probe-data") == ["Keep what hokusai-probe saw"] * 5


def test_what_is_published_is_what_was_written(site: Site) -> None:
    """Byte for byte, beside the history where no branch is named."""
    site.saw(BROKEN, 3)

    site.publish("--push")

    for path in DOCUMENTS:
        assert git(site.remote, "show", f"probe-data:{path}").encode() == (site.out / path).read_bytes()
    assert files(site.remote, "probe-data") == sorted([*kept(), f"history/{place(run(3))}", *DOCUMENTS])


def test_an_earlier_run_does_not_replace_a_later_one(site: Site) -> None:
    """Whichever is pushed first; its run is kept all the same."""
    site.saw(BROKEN, 5)
    site.publish("--push")
    before = git(site.remote, "show", "probe-data:reports/README.md")
    site.saw(healthy(), 4)

    said = site.publish("--push")

    assert said.out == (
        "probe-data: pushed 1 run to origin (ID)\n  reports: what is published is of a later run\n"
    )
    assert git(site.remote, "show", "probe-data:reports/README.md") == before


def test_every_target_has_a_folder(site: Site) -> None:
    """As `write_overview` writes them; only what changed is pushed, with the page over all."""
    other = BROKEN.model_copy(update={"target": "staging"})
    reports.write_overview([healthy(), other], site.out / "reports")
    site.publish("--push")
    changed = BROKEN.model_copy(update={"started_at": WHEN + timedelta(hours=1)})
    reports.write_overview([changed, other], site.out / "reports")

    said = site.publish("--push")

    assert said.out == (
        f"probe-data: pushed {len(DOCUMENTS) + 1} documents to origin (ID)\n"
        "  reports/hokusai-development: the state has changed\n"
        "  reports/staging: the state is the one that is published\n"
    )


def test_runs_and_documents_may_lie_in_the_folder_itself(site: Site) -> None:
    """`run --history out --reports out` is as good, and whatever else lies there stays there."""
    shutil.rmtree(site.out)
    filled(site.out, series("pp"))
    reports.write(healthy(), site.out)
    (site.out / "notes.txt").write_text("private", "utf-8")

    site.publish("--push", "--reports-folder", "docs/state")

    documents = [path.replace("reports/", "docs/state/") for path in DOCUMENTS]
    assert files(site.remote, "probe-data") == sorted([*kept("pp"), *documents])


def test_many_runs_go_in_commits_of_some(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a first time with years of them needs no more memory than any other."""
    monkeypatch.setattr(building, "RUNS_AT_ONCE", 2)
    filled(site.out / "history", series("pp pf pp fp ff"))

    said = site.publish("--push")

    assert said.out == "probe-data: pushed 5 runs to origin (ID)\n"
    assert len(messages(site.remote, "probe-data")) == 3
    assert added(site.remote, "probe-data") == kept("pp pf pp fp ff")[2:]


def test_a_run_that_was_damaged_is_not_published(site: Site) -> None:
    """It is named, the others are there, and the exit code says that something is missing."""
    damaged = site.out / "history" / place(series("pp pf pp")[1])
    damaged.write_text(damaged.read_text("utf-8").replace('"trigger"', '"triggre"'), "utf-8")

    said = site.publish("--push")

    assert (said.code, said.out) == (3, "probe-data: pushed 2 runs to origin (ID)\n")
    assert said.err.startswith(f"note: history: {place(series('pp pf pp')[1])} is corrupt (")
    assert files(site.remote, "probe-data") == kept("pp . pp")


def test_a_run_is_published_as_it_was_written(site: Site) -> None:
    """Whatever line ends its file has been given since."""
    path = site.out / "history" / place(series("pp pf pp")[1])
    written = path.read_bytes()
    path.write_bytes(written.replace(b"\n", b"\r\n"))

    said = site.publish("--push")

    size = git(site.remote, "cat-file", "-s", f"probe-data:history/{place(series('pp pf pp')[1])}")
    assert (said.code, int(size)) == (0, len(written))


# --- branches that say no -------------------------------------------------------------------------------


def test_documents_go_beside_the_history_where_a_branch_is_protected(site: Site) -> None:
    """That is said each time, and they are pushed there once for each state as well."""
    code = with_code(site)
    hook(site.remote, "pre-receive", PROTECTED.format(branch="main"))
    told = []
    for hours in (3, 4):
        site.saw(BROKEN, hours)
        told.append(site.publish("--push", "--reports-branch", "main"))

    refused = (
        "probe-data: pushed {} to origin (ID)\n"
        "main: main refuses pushes: it is protected, or a rule or a hook says no; so the documents go to "
        "probe-data\n  reports: none was there before\n"
    )
    assert told == [
        Said(0, refused.format("4 runs") + f"probe-data: pushed {len(DOCUMENTS)} documents to origin (ID)\n"
                "  reports: none was there before\n", ""),
        Said(0, refused.format("1 run") + "probe-data: nothing new\n"
                "  reports: the state is the one that is published\n", ""),
    ]  # fmt: skip
    assert (branches(site.remote)["main"], len(messages(site.remote, "probe-data"))) == (code, 3)


def test_a_protected_data_branch_is_trouble(site: Site) -> None:
    """Nothing is published, that is said, and everything is still there."""
    hook(site.remote, "pre-receive", PROTECTED.format(branch="probe-data"))

    said = site.publish("--push")

    assert said == Said(
        3,
        "",
        "error: probe-data: probe-data refuses pushes: it is protected, or a rule or a hook says no; "
        f"not published, and still in {site.out}: 3 runs\n",
    )
    assert (branches(site.remote), len(list((site.out / "history").rglob("*.json")))) == ({}, 3)


def test_the_history_keeps_off_the_code(site: Site) -> None:
    """A branch that holds other things is another's, even when nothing forbids it."""
    code = with_code(site)

    said = site.publish("--push", "--branch", "main")

    assert (said.code, branches(site.remote)) == (3, {"main": code})
    assert "main holds other things than runs: give the history a branch of its own" in said.err


def test_a_secret_that_the_remote_finds_goes_nowhere_else(site: Site) -> None:
    """GitHub's push protection refuses what another branch must not get either."""
    with_code(site)
    site.saw(BROKEN, 3)
    site.publish("--push")
    site.saw(healthy(), 4)
    hook(site.remote, "pre-receive", "echo 'error: GH013: - Push cannot contain secrets' >&2; exit 1")
    before = branches(site.remote)

    said = site.publish("--push", "--reports-branch", "main")

    assert (said.code, branches(site.remote), said.out) == (3, before, "  reports: none was there before\n")
    assert said.err.count("for a secret and refuses it") == 2


# --- others, and trouble --------------------------------------------------------------------------------


def before_the_first_push(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[str]:
    """Do something between our fetch and our first push. Returns the branch of each push, as they come."""
    real, pushes = Remote.push, list[str]()

    async def push(self: Remote, made: str, branch: str) -> None:
        pushes.append(branch)
        if len(pushes) == 1:
            act()
        await real(self, made, branch)

    monkeypatch.setattr(Remote, "push", push)
    return pushes


def test_who_comes_second_builds_on_the_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push that is no fast-forward is made anew, and nothing of either is lost."""
    site.publish("--push")
    filled(site.out / "history", [run(3)])

    def theirs() -> None:
        git(site.clone, "fetch", "--quiet", "origin", "probe-data:theirs")
        git(site.clone, "switch", "--quiet", "theirs")
        filled(site.clone / "history", [run(4)])
        git(site.clone, "add", ".")
        git(site.clone, "commit", "--quiet", "-m", "theirs")
        git(site.clone, "push", "--quiet", "origin", "HEAD:probe-data")

    pushes = before_the_first_push(monkeypatch, theirs)
    said = site.publish("--push")

    assert (said.out, len(pushes)) == ("probe-data: pushed 1 run to origin (ID)\n", 2)
    assert messages(site.remote, "probe-data")[1] == "theirs"
    assert files(site.remote, "probe-data") == kept("pp pf pp pp pp")


def test_a_ref_that_is_locked_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another push is under way; it is over soon."""
    site.publish("--push")
    filled(site.out / "history", [run(3)])
    lock = site.remote / "refs" / "heads" / "probe-data.lock"
    pushes = before_the_first_push(monkeypatch, lock.touch)
    real = building.Builder.make

    async def make(self: building.Builder, part: building.Part) -> building.Made:
        lock.unlink(missing_ok=True)
        return await real(self, part)

    monkeypatch.setattr(building.Builder, "make", make)

    assert site.publish("--push").out == "probe-data: pushed 1 run to origin (ID)\n"
    assert len(pushes) == 2


def test_a_push_whose_answer_is_lost_is_not_made_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote took it; asking again shows that."""
    real, pushes = Remote.push, list[str]()

    async def push(self: Remote, made: str, branch: str) -> None:
        pushes.append(made)
        await real(self, made, branch)
        msg = "git failed: the remote end hung up"
        raise PublishError(msg)

    monkeypatch.setattr(Remote, "push", push)

    assert site.publish("--push").out == "probe-data: pushed 3 runs to origin (ID)\n"
    assert branches(site.remote) == {"probe-data": pushes[0]}


def test_a_remote_that_does_not_answer_ends_with_the_time(site: Site) -> None:
    """Within the deadline, with nothing left running, and it says what is not published."""
    hook(site.remote, "pre-receive", "exec sleep 86123")
    began = time.monotonic()

    said = site.publish("--push", "--within", "2")

    assert time.monotonic() - began < 8
    assert (said.code, branches(site.remote), running("sleep 86123")) == (3, {}, [])
    assert re.fullmatch(
        r"error: probe-data: git push did not end within [12] s; the time for it is over; not published, "
        rf"and still in {re.escape(str(site.out))}: 3 runs\n",
        said.err,
    )


def running(word: str) -> list[str]:
    """The command lines of this machine's processes that hold a word."""
    lines = (_command(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    return [line for line in lines if word in line]


def _command(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_behind(site: Site, tmp_path: Path, number: signal.Signals) -> None:
    """In the middle of a push: no process, no file, no lock on the remote; and the next one gets through."""
    started = tmp_path / "started"
    hook(site.remote, "pre-receive", f"touch {started}; exec sleep 86{number:03}")
    words = [sys.executable, "-m", "hokusai_probe.cli", "publish", str(site.out), "--push"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 30
        while not started.exists():
            assert time.monotonic() < end, "it never pushed"
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    (site.remote / "hooks" / "pre-receive").unlink()

    assert (process.returncode, running(f"sleep 86{number:03}")) == (128 + number, [])
    assert err == f"error: interrupted; what is not published yet is still in {site.out}\n"
    assert list((tmp_path / "scratch").iterdir()) == []
    assert site.publish("--push").code == 0


# --- secrets --------------------------------------------------------------------------------------------


def planted_in_run(site: Site) -> str:
    """A key in a run's file."""
    path = site.out / "history" / place(series("pp pf pp")[1])
    path.write_text(path.read_text("utf-8").replace("{\n", f"{{\n\n{KEY}\n", 1), "utf-8")
    return f"{path}, line 3"


def planted_in_document(site: Site) -> str:
    """A key of this process in a document, in base64."""
    path = site.out / "reports" / "MODEL_REGISTRATION_TEST_REPORT.md"
    path.write_text("\n\n" + base64.b64encode(f"x{KEY}".encode()).decode() + path.read_text("utf-8"), "utf-8")
    return f"{path}, line 3"


def planted_other_token(site: Site) -> str:
    """A token of GitHub's that we do not know."""
    path = site.out / "reports" / "badge.svg"
    path.write_text(path.read_text("utf-8") + "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "utf-8")
    return f"{path}, line {path.read_text('utf-8').count(chr(10)) + 1}"


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (planted_in_run, ()),
        (planted_in_run, ("--push",)),
        (planted_in_run, ("--push", "--reports-branch", "main")),
        (planted_in_document, ("--push",)),
        (planted_other_token, ("--push", "--reports-branch", "main")),
    ],
)
def test_a_leaked_key_publishes_nothing(
    site: Site, plant: Callable[[Site], str], words: Sequence[str]
) -> None:
    """Not even what is clean: the place is named, the key is not, and all files stay as they are."""
    with_code(site)
    site.saw(BROKEN, 3)
    where = plant(site)
    before = (branches(site.remote), contents(site.out))

    said = site.publish(*words)

    why = f"nothing is published, because there may be a secret in {where}; all of it is still in {site.out}"
    assert said == Said(3, "", f"error: {why}\n")
    assert (branches(site.remote), contents(site.out)) == before


def test_a_key_with_a_name_of_its_own_is_known(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says which variable holds the target's key."""
    target = BROKEN.configuration
    named = target.model_copy(update={"key": target.key.model_copy(update={"env": "STAGING_KEY"})})
    site.saw(BROKEN.model_copy(update={"configuration": named}), 3)
    monkeypatch.setenv("STAGING_KEY", "four words one secret")
    page = site.out / "reports" / "README.md"
    page.write_text(b"four words one secret".hex(), "utf-8")

    said = site.publish("--push")

    assert (said.code, branches(site.remote)) == (3, {})
    assert f"there may be a secret in {page}, line 1" in said.err


@pytest.mark.parametrize("in_a_job", [True, False])
def test_a_job_is_told_when_its_key_is_not_searched_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, in_a_job: bool
) -> None:
    """A step that was not given the key cannot know it; elsewhere a folder may be published without one."""
    site.saw(healthy(), 3)
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if in_a_job else "")
    monkeypatch.setenv("HOKUSAI_API_KEY", " ")

    said = site.publish("--push")

    note = "note: no key is searched for in HOKUSAI_API_KEY: give this step what the look has\n"
    assert (said.code, said.err) == (0, note if in_a_job else "")


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, with the bytes of each file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


# --- the caller's repository ----------------------------------------------------------------------------


def test_the_caller_s_repository_is_left_alone(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dirty work tree, a staged file, a detached head, a shallow clone, hooks: all as it was, none run."""
    with_code(site)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{site.remote}", "shallow")
    shallow, ran = tmp_path / "shallow", tmp_path / "a-hook-ran"
    git(shallow, "switch", "--quiet", "--detach", "HEAD")
    (shallow / "code.py").write_text("2\n", "utf-8")
    (shallow / "staged.py").write_text("3\n", "utf-8")
    git(shallow, "add", "staged.py")
    (tmp_path / "home").mkdir()
    hooks = _hooks(tmp_path / "hooks", ran)
    settings = f"[core]\nhooksPath = {hooks}\n[init]\ntemplateDir = {hooks}\n[commit]\ngpgSign = true\n"
    wrong = '[url "/nowhere/"]\ninsteadOf = file://\n[push]\ngpgSign = true\n[fetch]\nprune = maybe\n'
    (tmp_path / "home" / ".gitconfig").write_text(settings + wrong, "utf-8")
    for name in ("pre-push", "post-commit", "reference-transaction", "post-checkout", "post-index-change"):
        shutil.copy(hooks / name, shallow / ".git" / "hooks" / name)
    git(shallow, "config", "core.hooksPath", str(hooks))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere"))
    monkeypatch.chdir(shallow)
    ran.unlink(missing_ok=True)
    before = contents(shallow)

    said = site.publish("--push")

    assert said == Said(0, "probe-data: pushed 3 runs to origin (ID)\n", "")
    assert (contents(shallow), ran.exists()) == (before, False)


def _hooks(folder: Path, ran: Path) -> Path:
    """A folder of hooks that each say that they ran, and fail."""
    folder.mkdir()
    for name in ("pre-push", "post-commit", "reference-transaction", "post-checkout", "post-index-change"):
        path = folder / name
        path.write_text(f"#!/bin/sh\ntouch {ran}\nexit 1\n", "utf-8")
        path.chmod(0o755)
    return folder


# --- usage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--branch", "a..b"), 2, "no name of a branch"),
        (("--branch", "-d"), 2, "no name of a branch"),
        (("--branch", "a.lock"), 2, "no name of a branch"),
        (("--reports-branch", "refs/heads/../x y"), 2, "no name of a branch"),
        (("--reports-folder", "../x"), 2, "no folder for documents"),
        (("--reports-folder", ".git"), 2, "no folder for documents"),
        (("--reports-folder", "history/x"), 2, "no folder for documents"),
        (("--author", "nobody"), 2, "is nobody"),
        (("--author", "a\nb <c@d>"), 2, "is nobody"),
        (("--remote", "upstream"), 2, "has no remote upstream: run it in a clone, or give --remote a URL"),
        (("--remote", "./nowhere"), 3, "does not appear to be a git repository"),
        (("--remote", "ext::sh -c true"), 3, "transport 'ext' not allowed"),
    ],
)
def test_what_cannot_be_is_one_sentence(site: Site, words: Sequence[str], code: int, says: str) -> None:
    """With the exit code for it, at once, and nothing is pushed."""
    said = site.publish("--push", "--within", "2", *words)

    assert (said.code, branches(site.remote)) == (code, {})
    assert says in said.err


def test_publishing_needs_git(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it there is one sentence."""
    monkeypatch.setenv("PATH", "/nowhere")

    assert site.publish() == Said(2, "", "error: publishing needs the git command, and there is none\n")


@pytest.mark.parametrize("make", [Path.mkdir, None])
def test_nothing_to_publish_is_no_success(site: Site, make: Callable[[Path], None] | None) -> None:
    """An empty folder, or none: silence is not success."""
    shutil.rmtree(site.out)
    if make is not None:
        make(site.out)

    said = site.publish("--push")

    assert said.code == 2
    assert said.err.startswith(f"error: {site.out}")
