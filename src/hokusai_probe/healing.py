"""Carry out what remedies print, on a platform on this machine, and see whether it heals.

A command is split as a shell splits it and run without one. All that is added is where AWS is, which must be
on this machine; what would go elsewhere all the same meets a proxy that is not there. It is added as
``--endpoint-url``: the AWS CLI (1.46) puts ``rds.amazonaws.com`` in the place of what the environment says
for RDS in us-east-1. ``grade --heal`` proves remedies with it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from hokusai_probe.errors import ProbeError
from hokusai_probe.grading import Healed, Ran
from hokusai_probe.model import Diagnosis, Frozen, Report

COMMAND_S = 60.0
PATIENCE_S = 60.0
_SAID = 300
_LATE = 124
"""The exit code of timeout(1)."""
_MEANT_BY_A_SHELL = frozenset("&;<()$`\\*?[]{}~#!\n")
"""Outside quotes; in double quotes the first few of them mean something, too."""
_IN_DOUBLE_QUOTES = frozenset("$`\\!\n")


class HealingError(ProbeError):
    """A command that is not carried out: another program, a file elsewhere, AWS off this machine."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What carries commands out: where AWS is, the environment beside it, and how to look again."""

    endpoint_url: str
    environment: Mapping[str, str]
    look: Callable[[], Report]

    def carry_out(self, lines: Sequence[str]) -> tuple[Ran, ...]:
        """Run command lines in a directory of their own, up to the first that fails.

        Raises HealingError, before anything runs, for a line that is none of ours.
        """
        where = _on_this_machine(self.endpoint_url)
        planned = [(line, pipeline(line).at(where)) for line in lines]
        with TemporaryDirectory(prefix="hokusai-heal-") as name:
            return tuple(_until_one_fails(planned, Path(name), {**self.environment, **_closed_in(where)}))


def check_programs() -> None:
    """Find out before anything starts whether commands can be carried out here. Raises HealingError."""
    _program("aws")


# --- judging ------------------------------------------------------------------------------------------


def is_well(report: Report) -> bool:
    """Whether nothing fails, nothing is blocked, and nothing is diagnosed."""
    wrong = any(v.status in {"fail", "error"} or v.skip_kind == "blocked" for v in report.verdicts)
    return not wrong and not report.roots() and not report.unexplained


def is_healable(report: Report) -> bool:
    """Whether everything that is wrong has a remedy that can be pasted as it is."""
    return bool(report.roots()) and all(_lines(d) for d in report.roots())


def _lines(diagnosis: Diagnosis) -> tuple[str, ...]:
    remedy = diagnosis.remedy
    return remedy.aws_cli if remedy is not None and remedy.kind == "automatic" else ()


# --- carrying out -------------------------------------------------------------------------------------


def heal(report: Report, hands: Hands, *, masked: Sequence[str] = ()) -> Healed:
    """Carry out the remedies of what is wrong, one cause after the other, looking again between them.

    Two remedies may start from the same revision of a task definition, so that the second would undo the
    first. ``masked``: causes that may show only afterwards; they need not be healable.
    """
    if not is_healable(report):
        return Healed(outcome="n/a")
    began, ran, causes = time.monotonic(), list[Ran](), list[str]()
    known = {d.cause for d in report.roots()} | {*masked}
    while (following := _following(report, causes)) is not None:
        causes.append(following.cause)
        ran.extend(hands.carry_out(_lines(following)))
        report = _until_mended(known - {*causes}, hands.look)
    left = tuple(d.cause for d in report.roots())
    own = {*causes} <= known  # else it was the remedy of what another one broke
    rest = "n/a" if left and {*left} <= {*masked} else "not"
    return Healed(
        outcome="healed" if is_well(report) and own else rest,
        causes=tuple(causes),
        ran=tuple(ran),
        left=left,
        seconds=round(time.monotonic() - began, 1),
    )


def _following(report: Report, done: Sequence[str]) -> Diagnosis | None:
    """The next cause whose remedy was not tried yet."""
    return next((d for d in report.roots() if d.cause not in done and _lines(d)), None)


def _until_mended(others: Collection[str], look: Callable[[], Report]) -> Report:
    """Look until all is well, or nothing but other causes is left, or patience ends.

    What shows for a moment only, as that a service is down while its task starts, is waited out.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        report = look()
        left = {d.cause for d in report.roots()}
        if is_well(report) or (left and left <= {*others}) or time.monotonic() > until:
            return report


def _until_one_fails(
    planned: Sequence[tuple[str, Pipeline]], directory: Path, environment: Mapping[str, str]
) -> Iterator[Ran]:
    for line, parts in planned:
        ran = _run(line, parts, directory, environment)
        yield ran
        if ran.exit_code:
            return


def _run(line: str, parts: Pipeline, directory: Path, environment: Mapping[str, str]) -> Ran:
    """One line: each program is given what the one before it wrote."""
    given = b""
    for words in parts.programs:
        try:
            done = subprocess.run(
                [_program(words[0]), *words[1:]],
                input=given,
                capture_output=True,
                cwd=directory,
                env=environment,
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ran(command=line, exit_code=_LATE, said=f"not done within {COMMAND_S:g} s")
        given = done.stdout
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-_SAID:]
            return Ran(command=line, exit_code=done.returncode, said=said)
    if parts.into:
        (directory / parts.into).write_bytes(given)
    return Ran(command=line, exit_code=0)


def _program(name: str) -> str:
    """Where a program is: beside this Python first. Raises HealingError where it is not installed."""
    if name == "python3":
        return sys.executable
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    found = shutil.which(name, path=beside)
    if found is None:
        msg = f"{name} is not installed here; remedies are carried out with the AWS CLI (pip install awscli)"
        raise HealingError(msg)
    return found


def _closed_in(url: str) -> dict[str, str]:
    """Variables by which all that would go elsewhere goes to a port of this machine where nobody is."""
    return {
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), urlsplit(url).hostname or ""),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _on_this_machine(url: str) -> str:
    host = urlsplit(url).hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        msg = f"remedies are carried out on a sandbox alone: {url or 'no endpoint'} is not on this machine"
        raise HealingError(msg)
    return url


# --- splitting ----------------------------------------------------------------------------------------


class Pipeline(Frozen):
    """The programs of a line with their words, and the file that what the last one writes goes to."""

    programs: tuple[tuple[str, ...], ...]
    into: str = ""

    def at(self, endpoint_url: str) -> Pipeline:
        """The same with the AWS CLI told where AWS is."""
        told = ("--endpoint-url", endpoint_url)
        programs = (p[:1] + (told if p[0] == "aws" else ()) + p[1:] for p in self.programs)
        return self.model_copy(update={"programs": tuple(programs)})


def pipeline(line: str) -> Pipeline:
    """Split a line as a shell does, at white space, ``|`` and ``>``, quotes respected.

    Raises HealingError for what a remedy never is: another program, another operator, something that a shell
    would fill in, a path, another endpoint.
    """
    try:
        commands, into = _taken_apart(line)
        programs = tuple(tuple(shlex.split(command)) for command in commands)
    except ValueError as trouble:
        msg = f"cannot be carried out without a shell ({trouble}): {line}"
        raise HealingError(msg) from None
    plain = all(_is_ours(words) for words in programs)
    if not plain or Path(into).name != into or into in {".", ".."}:
        msg = f"not a command of a remedy: {line}"
        raise HealingError(msg)
    return Pipeline(programs=programs, into=into)


def _is_ours(words: tuple[str, ...]) -> bool:
    if words[:1] == ("aws",):
        return not any(word.startswith("--endpoint-url") for word in words)
    return words[:2] == ("python3", "-c")


def _taken_apart(line: str) -> tuple[list[str], str]:
    """The commands between bars, and the file at the end. Raises ValueError for what only a shell can do."""
    bare = list(_unquoted(line))
    cuts = [(place, sign) for place, sign in bare if sign in "|>"]
    strange = next((sign for _, sign in bare if sign in _MEANT_BY_A_SHELL), None)
    if strange is not None:
        msg = f"{strange!r} means something to a shell"
        raise ValueError(msg)
    into = ""
    if cuts and cuts[-1][1] == ">":
        place, _ = cuts.pop()
        line, into = line[:place], line[place + 1 :].strip()
    if any(sign == ">" for _, sign in cuts) or (into and not line.endswith(" ")) or " " in into:
        msg = "'>' stands where no remedy has it"
        raise ValueError(msg)
    starts = [0, *(place + 1 for place, _ in cuts)]
    ends = [*(place for place, _ in cuts), len(line)]
    return [line[start:end] for start, end in zip(starts, ends, strict=True)], into


def _unquoted(line: str) -> Iterator[tuple[int, str]]:
    """The characters outside quotes with their places, and those of double quotes that a shell minds."""
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            if quote == '"' and sign in _IN_DOUBLE_QUOTES:
                yield place, sign
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            yield place, sign
