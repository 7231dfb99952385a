"""What a tired person understands at nine in the morning. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import Diagnosis, Report, Verdict
from hokusai_probe.reports import answer, client, since

_WIDTH = 100
_CHECKS_PER_AREA = 4
_COMMANDS_PER_CAUSE = 4
_REQUESTS = 6
_LINE_CHARACTERS = 400
_WORKFLOW_COMMAND = re.compile(r"(?m)^\s*:(?=:)|##(?=\[)")
_BOLD, _RED, _GREEN, _YELLOW, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"


def verbatim(line: str) -> str:
    """Something to paste, as it is but for control characters and workflow commands.

    GitHub's runner obeys ``::`` only where it begins a line, so ``arn:aws:s3:::bucket`` stays whole;
    ``##[`` it obeys anywhere.
    """
    return _WORKFLOW_COMMAND.sub("\\g<0>\u200b", text.clean(line))


def _line(said: str) -> str:
    return text.terminal(text.clean(text.one_line(said), _LINE_CHARACTERS))


class Plain:
    """A terminal without colour."""

    def slug(self, text_: str) -> str:
        """A name on one line."""
        return _line(text_)

    def strong(self, text_: str) -> str:
        """Words of ours as they are."""
        return text_

    def prose(self, text_: str) -> str:
        """Foreign text on one line, without control characters."""
        return _line(text_)


class Coloured(Plain):
    """A terminal that shows bold."""

    def strong(self, text_: str) -> str:
        """Bold words of ours."""
        return f"{_BOLD}{text_}{_PLAIN}"


def render(
    report: Report, *, colour: bool, fail_on: answer.FailOn = "failure", past: Past | None = None
) -> str:
    """The run in a few lines, ending in a newline; all clear is exactly one line.

    The last line tells the exit code that ``fail_on`` makes of the run. ``past``: what the history knows of
    the time before, where there is one.
    """
    style = Coloured() if colour else Plain()
    if answer.all_clear(report):
        return _tinted(answer.clear_line(report, style), _GREEN, colour=colour) + "\n"
    verdict = _tinted(_verdict(report, style), _verdict_colour(report), colour=colour)
    parts = (
        verdict,
        *_causes(report, past, style),
        _undecided(report, style),
        _unexplained(report),
        _failing(report),
        _commands(report),
        _client(report),
        _trouble(report),
        _compared(past, style),
        _ending(report, fail_on),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _tinted(line: str, tint: str, *, colour: bool) -> str:
    return f"{tint}{line.replace(_PLAIN, _PLAIN + tint)}{_PLAIN}" if colour else line


def _verdict_colour(report: Report) -> str:
    return _RED if answer.outcome(report) == 1 else _YELLOW


def _verdict(report: Report, style: answer.Style) -> str:
    causes = len(answer.roots(report))
    cut = f" (interrupted: {_line(report.interrupted)})" if report.interrupted else ""
    found = f"{causes} root cause{'' if causes == 1 else 's'}" if causes else "no cause named"
    counts = f"{report.score.overall.failed} failing, {found}"
    head = f"{style.strong(_line(report.target))}: {answer.headline(report)}; {counts}.{cut}"
    return f"{head} {answer.whose(report)}".rstrip()


def _causes(report: Report, past: Past | None, style: answer.Style) -> Iterable[str]:
    for number, root in enumerate(answer.roots(report), 1):
        found = root.diagnosis
        head = f"{number}. {style.strong(_line(found.cause))} {_brackets(found)}"
        because = _indented(answer.sentence(_line(found.because)))
        seen = since.cause_since(past, found.cause)
        known = [_indented(f"Seen since: {seen}.")] if seen else []
        yield "\n".join([head, because, *known, *_to_do(report, found)])


def _brackets(found: Diagnosis) -> str:
    where = [_line(subject) for subject in found.subjects]
    return f"({', '.join([*where, found.priority, answer.must_act(found.component)])})"


def _indented(said: str) -> str:
    return textwrap.fill(said, _WIDTH, initial_indent="   ", subsequent_indent="   ", break_on_hyphens=False)


def _to_do(report: Report, found: Diagnosis) -> list[str]:
    remedy = found.remedy
    if remedy is None:
        return [f"   $ {answer.verify_command(report, found.cause)}"]
    if not remedy.aws_cli:
        return [_indented(f"Do: {_line(remedy.summary)}")]
    if not _sees_aws(report):
        return [
            _indented(f"The platform's side must do: {_line(remedy.summary)} (The report has the commands.)")
        ]
    commands = [f"   $ {verbatim(line)}" for line in remedy.aws_cli]
    if len(commands) <= _COMMANDS_PER_CAUSE:
        return commands
    if remedy.kind != "automatic":
        return [_indented(f"Do: {_line(remedy.summary)} (The report has the {len(commands)} commands.)")]
    return [commands[0], f"   (then {len(commands) - 1} more, in the report)"]


def _sees_aws(report: Report) -> bool:
    """Whether the caller has a way into AWS; whoever has none must not read commands for it."""
    return report.configuration.aws is not None


def _undecided(report: Report, style: answer.Style) -> str:
    found = report.undecided()
    if not found:
        return ""
    names = ", ".join(f"{_line(d.cause)} ({d.component})" for d in found)
    lines = [style.strong("Undecided:"), _indented(names)]
    commands = dict.fromkeys(s.aws_cli for d in found for s in d.settled_by if s.aws_cli)
    looks = dict.fromkeys(_line(s.look) for d in found for s in d.settled_by)
    if commands and not _sees_aws(report):
        return "\n".join([*lines, _indented(f"The platform's side must look: {', '.join(looks)}")])
    if looks:
        lines.append(_indented(f"Settled by: {', '.join(looks)}"))
    return "\n".join([*lines, *(f"   $ {verbatim(c)}" for c in list(commands)[:1])])


def _unexplained(report: Report) -> str:
    reasons = {v.check: v.reason for v in report.verdicts}
    lines = [_indented(f"{_line(c)}: {_line(reasons.get(c, ''))}") for c in report.unexplained]
    return "\n".join(["No known cause explains:", *lines]) if lines else ""


def _failing(report: Report) -> str:
    lines = []
    for area in answer.areas_in_order(report):
        names = [_line(v.check) for v in report.with_status("fail") if v.area == area]
        more = f" and {len(names) - _CHECKS_PER_AREA} more" if len(names) > _CHECKS_PER_AREA else ""
        if names:
            lines.append(_indented(f"{area} {len(names)}: {', '.join(names[:_CHECKS_PER_AREA])}{more}"))
    return "\n".join(["Failing checks:", *lines]) if lines else ""


def _commands(report: Report) -> str:
    """What a person can paste to see the same: one request for each root cause and each of what has none."""
    by_request: dict[str, list[str]] = {}
    for verdict in _to_be_seen(report):
        by_request.setdefault(verdict.reproduce or "", []).append(_line(verdict.check))
    lines: list[str] = []
    for command, checks in list(by_request.items())[:_REQUESTS]:
        lines += [_indented(", ".join(checks)), f"   $ {verbatim(' '.join(command.splitlines()))}"]
    if len(by_request) > _REQUESTS:
        lines.append(f"   (and {len(by_request) - _REQUESTS} more, in the report)")
    return "\n".join(["See for yourself:", *lines]) if lines else ""


def _to_be_seen(report: Report) -> Iterable[Verdict]:
    """Failures with a request to repeat: the first that each root explains, and those that none does."""
    failing = [v for v in report.with_status("fail") if v.reproduce]
    followed = [
        {check for found in (root.diagnosis, *root.consequences) for check in found.explains}
        for root in answer.roots(report)
    ]
    firsts = [next((v for v in failing if v.check in checks), None) for checks in followed]
    explained: set[str] = set().union(*followed)
    return [v for v in failing if v in firsts or v.check not in explained]


def _client(report: Report) -> str:
    """The variables with which MLflow's client registered a model, as lines to paste."""
    lines = [f"   $ export {verbatim(line)}" for line in client.working(report)]
    return "\n".join(["MLflow's client registered a model with:", *lines]) if lines else ""


def _trouble(report: Report) -> str:
    found = answer.troubles(report)
    lines = [_indented(f"{_line(t.where)}: {_line(t.reason)}{_unjudged(t)}") for t in found]
    return "\n".join(["Our own trouble:", *lines]) if lines else ""


def _compared(past: Past | None, style: answer.Style) -> str:
    if past is None or past.compared is None:
        return ""
    found = (*since.compared(past.compared, style), *since.flapping(past, style), *since.beside_old(past))
    return "\n".join([f"{since.heading(past.compared)}:", *map(_indented, found)])


def _unjudged(found: answer.Trouble) -> str:
    return f" (not judged: {', '.join(_line(check) for check in found.checks)})" if found.checks else ""


def _ending(report: Report, fail_on: answer.FailOn) -> str:
    count = report.score.overall
    share = "" if count.percent is None else f" ({count.percent:g} %)"
    counts = (
        f"{count.passed} passed, {count.failed} failed, {count.errors} errors, "
        f"{count.blocked} blocked, {count.skipped} skipped{share}"
    )
    return f"{counts}\nExit {answer.exit_code(report, fail_on)}: {answer.meaning(report, fail_on)}."
