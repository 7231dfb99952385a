"""What git's words mean. They are git's own, GitHub's, and those of hooks."""

import pytest

from hokusai_probe.publish.errors import DeniedError, LeakError, MovedError, PublishError, RefusedError
from hokusai_probe.publish.refusals import is_missing, of_push

TO = "\trefs/out/x:refs/heads/main\t"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (f"!{TO}[rejected] (fetch first)", MovedError),
        (f"!{TO}[rejected] (non-fast-forward)", MovedError),
        (f"!{TO}[rejected] (stale info)", MovedError),
        (f"!{TO}[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)", MovedError),
        (f"!{TO}[remote rejected] (failed to update ref)", MovedError),
        (f"remote: error: GH006: Protected branch update failed.\n!{TO}[remote rejected] (x)", RefusedError),
        (f"remote: error: GH013: Repository rule violations found\n!{TO}[remote rejected] (x)", RefusedError),
        (f"!{TO}[remote rejected] (protected branch hook declined)", RefusedError),
        (f"!{TO}[remote rejected] (pre-receive hook declined)", RefusedError),
        (f"!{TO}[remote rejected] (refusing to allow a GitHub App to create a workflow)", RefusedError),
        (
            "remote: error: GH013: Repository rule violations\nremote: - Push cannot contain secrets",
            LeakError,
        ),
        ("fatal: Authentication failed for 'https://github.com/o/r/'", DeniedError),
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", DeniedError),
        ("remote: Permission to o/r.git denied to github-actions[bot].", DeniedError),
        ("git@github.com: Permission denied (publickey).", DeniedError),
        ("remote: Write access to repository not granted.", DeniedError),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", DeniedError),
        ("fatal: transport 'ext' not allowed", DeniedError),
        ("git: 'remote-x' is not a git command\nfatal: unable to find remote helper for 'x'", DeniedError),
        ("fatal: '/nowhere' does not appear to be a git repository", DeniedError),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 502", PublishError),
        ("fatal: the remote end hung up unexpectedly", PublishError),
        (f"!{TO}[remote rejected] (Internal Server Error)", PublishError),
        ("", PublishError),
    ],
)
def test_a_failed_push_is_of_one_kind(said: str, kind: type[PublishError]) -> None:
    """Come again, go elsewhere, or give up: each has its words, and what is not known is tried again."""
    assert type(of_push(said, "main")) is kind


def test_what_git_said_is_told_on_one_line() -> None:
    """Only what says what went wrong, and no terminal sequence of the remote's."""
    said = "hint: x\nremote: \x1b[31m##[add-mask]e\nfatal: the remote end hung up\n"

    assert str(of_push(said, "main")) == "git failed: remote: ##[add-mask]e; fatal: the remote end hung up"


def test_a_branch_that_is_missing_is_told_from_trouble() -> None:
    """In either spelling of git's versions."""
    assert is_missing("fatal: couldn't find remote ref refs/heads/probe-data")
    assert is_missing("fatal: Couldn't find remote ref refs/heads/probe-data")
    assert not is_missing("fatal: unable to access 'https://x/': Could not resolve host: x")
