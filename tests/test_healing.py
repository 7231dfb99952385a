"""Remedies are carried out as they are printed: without a shell, on this machine alone."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe import sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.config import load
from hokusai_probe.grading import Healed
from hokusai_probe.healing import Hands, HealingError, Pipeline, heal, is_well, pipeline
from hokusai_probe.model import Diagnosis, Hosts, Remedy, Report, Target
from hokusai_probe.runner import conclude, run

SLOW = ("trained-model", "mlflow-client")


def test_a_line_is_split_as_a_shell_splits_it() -> None:
    """Quotes hold words together, a bar hands on, and what is left over goes to a file."""
    assert pipeline("aws ecs x --q 'a | b' | python3 -c 'p > q' one > new.json") == Pipeline(
        programs=(("aws", "ecs", "x", "--q", "a | b"), ("python3", "-c", "p > q", "one")), into="new.json"
    )


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="'"))))
def test_quoted_words_come_through_whole(words: list[str]) -> None:
    """What a remedy quotes arrives as it was: blanks, bars, dollars, line ends and all."""
    assert pipeline(shlex.join(["aws", *words])) == Pipeline(programs=(("aws", *words),))


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf x",
        "aws s3 ls && aws s3 rb x",
        "aws s3 ls; ls",
        "aws s3 ls $(id)",
        "aws s3 ls `id`",
        "aws s3 ls > /etc/x",
        "aws s3 ls > ../x",
        "aws s3 ls | tee x",
        "aws s3 ls |",
        "aws s3 ls $HOME",
        'aws s3 ls "$HOME"',
        "aws s3 ls *",
        "aws s3 ls {a,b}",
        "aws s3 ls ~",
        "aws s3 ls #x",
        "aws s3\nls",
        "aws s3 ls 2>x",
        "aws s3 ls > ..",
        "aws s3 ls > a b",
        "aws s3 ls > a | aws b",
        "aws --endpoint-url https://s3.amazonaws.com s3 ls",
        "aws s3 ls --endpoint-url=https://s3.amazonaws.com",
        "python3 x.py",
        "aws 's3",
        "",
        "# by hand: rule 10",
    ],
)
def test_what_no_remedy_has_is_refused(line: str) -> None:
    """Another program, another operator, another directory: nothing of it is run."""
    with pytest.raises(HealingError):
        pipeline(line)


@pytest.mark.parametrize(
    "url", ["", "https://ecs.us-east-1.amazonaws.com", "http://10.0.0.1:80", "http://name:1"]
)
def test_nothing_is_carried_out_off_this_machine(url: str, tmp_path: Path) -> None:
    """AWS is an address of this machine, or no command runs."""
    with pytest.raises(HealingError, match="not on this machine"):
        Hands(url, {}, _never).carry_out(["aws --version"])


def _never() -> Report:
    pytest.fail("nothing is looked at")


def test_a_quoted_sign_is_a_word() -> None:
    """Only what stands outside quotes cuts a line."""
    assert pipeline("aws x '|' '>' y") == Pipeline(programs=(("aws", "x", "|", ">", "y"),))


def test_rds_is_asked_where_it_was_told() -> None:
    """The AWS CLI has an address of its own for RDS in us-east-1, whatever the environment says."""
    asked: list[str] = []

    class Cloud(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers["Host"])
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.9", 0), Cloud) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.9:{server.server_port}"
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        ran = Hands(url, keys, _never).carry_out(["aws rds describe-db-instances"])
        server.shutdown()
        thread.join()

    assert [r.exit_code for r in ran] != [0]
    assert set(asked) == {url.removeprefix("http://")}


def test_a_command_that_fails_ends_it(tmp_path: Path) -> None:
    """What follows is not run, and what it said is kept."""
    failing = "python3 -c 'import sys; sys.exit(\"no such thing\")'"
    ran = Hands("http://127.0.0.1:1", {}, _never).carry_out(["python3 -c 0", failing, "python3 -c 1"])

    assert [(r.exit_code, r.said) for r in ran] == [(0, ""), (1, "no such thing")]


# --- live -----------------------------------------------------------------------------------------------


class Patient:
    """A broken sandbox, what was seen of it, and hands to mend it."""

    def __init__(self, box: sandbox.Box) -> None:
        environment = {**bare_environment(), **box.environment}
        target = load(box.target_file, environment)
        self.look: Callable[[], Report] = partial(run, target, environment=environment, skip=SLOW)
        assert target.aws is not None
        self.hands = Hands(target.aws.endpoint_url or "", environment, self.look)
        self.names = box.names
        self.report = self.look()

    def look_until(self, remedies: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The remedies of what is wrong; a platform that boots on a busy machine may need some looks."""
        for _ in range(3):
            if _remedies(self.report) != remedies:
                self.report = self.look()
        return _remedies(self.report)


STRANGE = "aws elbv2 modify-load-balancer-attributes --load-balancer-arn {} --attributes "
IDLE = "Key=idle_timeout.timeout_seconds,Value=60"
"""The remedy of `load-balancer-idle-timeout-too-short`, in its words."""


@pytest.fixture
def ill() -> Iterator[Patient]:
    """A sandbox that is ill of one cause and ends with the test."""
    with sandbox.start("gateway-mlflow-url-wrong") as box:
        yield Patient(box)


@pytest.mark.timeout(300)
def test_a_remedy_heals_and_nothing_else_does(ill: Patient) -> None:
    """Another cause's remedy leaves a platform as ill as it was; its own, as printed, makes it well."""
    own = ("gateway-mlflow-url-wrong", "automatic")
    assert ill.look_until([own]) == [own]

    done = ill.hands.carry_out([STRANGE.format(ill.names["load_balancer.registry"]) + IDLE])
    assert [r.exit_code for r in done] == [0]
    assert not is_well(ill.look())

    healed = heal(ill.report, ill.hands)
    assert [(r.exit_code, r.said) for r in healed.ran] == [(0, "")] * len(healed.ran)
    assert (healed.outcome, healed.causes, healed.left) == ("healed", ("gateway-mlflow-url-wrong",), ())


def _remedies(report: Report) -> list[tuple[str, str]]:
    return [(d.cause, d.remedy.kind if d.remedy else "none") for d in report.roots()]


def test_what_needs_a_person_is_left_to_one() -> None:
    """Nothing is carried out where one of the remedies cannot be pasted."""
    ready = Remedy(kind="automatic", summary="s", aws_cli=("aws --version",))
    person = ready.model_copy(update={"kind": "outside-aws"})
    found = (_present("one", ready), _present("other", person))
    report = empty_report().model_copy(update={"diagnoses": found})

    assert heal(report, Hands("http://127.0.0.1:1", {}, _never)) == Healed(outcome="n/a")


def _present(slug: str, remedy: Remedy) -> Diagnosis:
    return Diagnosis(
        cause=slug,
        component="gateway",
        status="present",
        because="b",
        priority="high",
        effort="minutes",
        remedy=remedy,
    )


def empty_report() -> Report:
    """A report of nothing."""
    return conclude(
        Target(name="t", hosts=Hosts(registry="http://127.0.0.1:1")),
        (),
        frozenset(),
        began=datetime(2026, 1, 1, tzinfo=UTC),
    )
