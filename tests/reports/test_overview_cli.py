"""``overview`` as a user meets it: a page over several targets, from what their runs wrote."""

import re
from pathlib import Path

import made
import pytest
from click.testing import CliRunner, Result

from hokusai_probe.cli import main
from hokusai_probe.history import folder
from hokusai_probe.history.condense import run_of
from hokusai_probe.model import Report
from hokusai_probe.reports import DOCUMENTS, write

KEY = "hk_test_Zx9qLmP2vR7tYw4B"


def call(*arguments: object) -> Result:
    """Run the command as a user would."""
    return CliRunner().invoke(main, ["overview", *map(str, arguments)], env={"HOKUSAI_API_KEY": KEY})


def named(report: Report, target: str) -> Report:
    """The same of another target."""
    return report.model_copy(update={"target": target})


def saved(path: Path, report: Report) -> Path:
    """A report's JSON."""
    path.write_text(report.to_json(), "utf-8")
    return path


def test_a_page_over_targets_with_their_documents_and_badges(tmp_path: Path) -> None:
    """From files and from folders that `run --reports` wrote; every link leads to a page."""
    write(named(made.two_causes(), "development"), tmp_path / "one")
    other = saved(tmp_path / "two.json", named(made.healthy(), "staging"))

    found = call(tmp_path / "one", other, "--out", tmp_path / "site")

    site = tmp_path / "site"
    assert (found.exit_code, found.output) == (0, f"{site / 'index.html'}: 2 targets\n")
    assert sorted(path.name for path in site.iterdir()) == ["development", "index.html", "staging"]
    assert sorted(path.name for path in (site / "staging").iterdir()) == sorted(DOCUMENTS)
    links = re.findall(r'<a href="([^"#]*)"', (site / "index.html").read_text("utf-8"))
    assert links == ["development/report.html", "staging/report.html"]
    assert all((site / link).is_file() for link in links)


def test_with_a_history_it_says_since_when(tmp_path: Path) -> None:
    """On the page and in the documents; the history is read and not added to."""
    runs, now = tmp_path / "runs", made.later(made.two_causes(), 2)
    for hours, earlier in enumerate((made.healthy(), made.two_causes())):
        folder.write(runs, run_of(made.later(earlier, hours)))
    before = folder.listing(runs)

    found = call(saved(tmp_path / "now.json", now), "--out", tmp_path / "site", "--history", runs)

    since = "between 2025-08-05 09:27 UTC (last good run) and 2025-08-05 10:27 UTC (first bad one; 2 bad"
    pages = ("index.html", "hokusai-development/RECOMMENDATIONS.md")
    assert (found.exit_code, found.stderr, folder.listing(runs)) == (0, "", before)
    assert [since in (tmp_path / "site" / page).read_text("utf-8") for page in pages] == [True, True]
    page = (tmp_path / "site" / "hokusai-development" / "report.html").read_text("utf-8")
    assert "2025-08-05 10:27 UTC until now (the last run without it: 2025-08-05 09:27 UTC)" in page
    assert "Over time" in page


def test_no_key_gets_onto_a_page(tmp_path: Path) -> None:
    """What the environment holds is redacted from a file that somebody else wrote."""
    leaky = made.report(made.verdicts(search=made.fail(f"sent {KEY}")))

    call(saved(tmp_path / "a.json", leaky), "--out", tmp_path / "site")

    texts = [path.read_text("utf-8") for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert len(texts) == len(DOCUMENTS) + 1
    assert [said for said in texts if KEY[8:16] in said] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gone.json", "--out", "site"), "cannot read gone.json: No such file or directory"),
        (("empty", "--out", "site"), "cannot read empty/test_execution_summary.json"),
        (("a.json", "--out", "taken"), "cannot write taken"),
        (("a.json", "--out", "site", "--history", "gone"), "there is no such folder of runs"),
        (("a.json",), "Missing option '--out'"),
        ((), "Missing argument"),
    ],
)
def test_it_refuses_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    """Exit code 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "a.json", made.healthy())
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").write_text("mine", "utf-8")

    found = call(*arguments)

    assert (found.exit_code, says in found.output) == (2, True), found.output
    assert "Traceback" not in found.output
    assert not (tmp_path / "site").exists()


def test_help_has_examples() -> None:
    """With what it is given and what it makes."""
    assert "hokusai-probe overview out/development out/staging --out site/" in call("--help").output
