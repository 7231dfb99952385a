"""Blocks of Markdown, and the sections that a report and an issue share. Pure.

Whatever did not originate here passes :mod:`hokusai_probe.text` on its way in; what these functions
are given beside that is ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from hokusai_probe import text
from hokusai_probe.model import Diagnosis, Evidence, Remedy, Report, Verdict
from hokusai_probe.reports import answer

_VALUE_CHARACTERS = 160
_SENTENCE_CHARACTERS = 1_000
FULL = "MODEL_REGISTRATION_TEST_REPORT.md"
COMMANDS = ("aws ", "curl ", "hokusai-probe ", "terraform ", "dig ", "openssl ")
KIND = {
    "automatic": "Paste as it is:",
    "needs-value": "Fill in what only you know, then paste:",
    "outside-aws": "This is mended outside AWS; what helps there:",
}


class Markdown:
    """How Markdown writes slugs, emphasis and foreign text."""

    def slug(self, text_: str) -> str:
        """A name in code type."""
        return text.code(text_)

    def strong(self, text_: str) -> str:
        """Bold words of ours."""
        return f"**{text_}**"

    def prose(self, text_: str) -> str:
        """Foreign text, inert."""
        return text.markdown(text_)


STYLE = Markdown()


def blocks(parts: Iterable[str]) -> str:
    """Blocks with a blank line between them; empty ones vanish."""
    return "\n\n".join(part for part in parts if part)


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)


def numbered(items: Iterable[str]) -> str:
    """A numbered list."""
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are escaped by the caller."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(title: str, *parts: str, level: int = 2) -> str:
    """A heading over its blocks, or nothing where there is nothing to say."""
    body = blocks(parts)
    return f"{'#' * level} {title}\n\n{body}" if body else ""


def shell(lines: Iterable[str]) -> str:
    """Commands to type, in one fenced block; nothing for none."""
    joined = "\n".join(lines)
    return text.fence(joined, "sh", exact=True) if joined else ""


def sentence(said: str) -> str:
    """Foreign text as one inert sentence."""
    return text.markdown(answer.sentence(text.clean(text.one_line(said), _SENTENCE_CHARACTERS)))


def instruction(said: str) -> str:
    """A command in a fence, or prose as a paragraph, whichever it is."""
    if not said:
        return ""
    return shell([said]) if said.startswith(COMMANDS) else sentence(said)


def slugs(names: Iterable[str]) -> str:
    """Names in code type, separated by commas."""
    return answer.slugs(names, STYLE)


def moment(when: datetime) -> str:
    """A time as people read it, in UTC to the minute."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def span(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def percent(value: float | None) -> str:
    """A percentage, or n/a where nothing was judged."""
    return "n/a" if value is None else f"{value:g} %"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def lead(report: Report) -> str:
    """The answer in short with when it was found, as the short views begin; one line where all is clear."""
    when = f"Run of {moment(report.started_at)}"
    if answer.all_clear(report):
        return f"{answer.clear_line(report, STYLE)} {when}."
    said = f"{STYLE.strong(answer.headline(report))} at {text.code(report.target)}."
    return " ".join(
        part for part in (said, f"{when}: {answer.failing(report)}.", answer.whose(report)) if part
    )


def in_full(number: int, found: Diagnosis) -> str:
    """A link to what the full report says of its root cause of this number."""
    return f"[root cause {number} of the full report]({FULL}#{_anchor(f'{number}. {_title(found)}')})"


def _title(found: Diagnosis) -> str:
    """The heading of a cause as it reads without its markup."""
    where = f" ({', '.join(text.one_line(s) for s in found.subjects)})" if found.subjects else ""
    return f"{found.cause}{where}: {answer.must_act(found.component)}"


def _anchor(heading: str) -> str:
    """What GitHub calls a heading in a link, of plain letters alone: what else a name holds is left out."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


# --- a diagnosis ------------------------------------------------------------------------------------


def cause_name(diagnosis: Diagnosis) -> str:
    """The cause and where it is."""
    where = f" ({', '.join(text.markdown(s) for s in diagnosis.subjects)})" if diagnosis.subjects else ""
    return f"{text.code(diagnosis.cause)}{where}"


def diagnosis_title(diagnosis: Diagnosis) -> str:
    """The cause, where, and who must act."""
    return f"{cause_name(diagnosis)}: {answer.must_act(diagnosis.component)}"


def consequence(found: Diagnosis) -> str:
    """A present cause that goes when its root goes."""
    because = sentence(found.because)
    return f"{cause_name(found)}: goes with the root cause, else {found.component} must act. {because}"


def evidence(items: Iterable[Evidence]) -> str:
    """What was seen: the sentence, the look, the fact and its value."""
    return bullets(dict.fromkeys(_one_evidence(item) for item in items))


def _one_evidence(item: Evidence) -> str:
    fact = f" {text.code(item.fact)} = {_value(item)}" if item.fact else ""
    return f"{text.markdown(item.text)} ({text.code(item.probe)}{fact})"


def _value(item: Evidence) -> str:
    shown = item.value if isinstance(item.value, str) else json.dumps(item.value, ensure_ascii=False)
    return text.code(text.clean(shown, _VALUE_CHARACTERS))


def remedy(said: Remedy | None, verify: str, level: int) -> str:
    """What to type, how to see that it helped, how to undo it, and what else it touches."""
    if said is None:
        return section(
            "What to do", "No remedy is known for this cause. Afterwards:", shell([verify]), level=level
        )
    return blocks(
        [
            section("What to do", *typing(said), level=level),
            section("Verify", instruction(beside(said.verify)), shell([verify]), level=level),
            section("Rollback", instruction(said.rollback), level=level),
            section("Also touches", instruction(said.also_touches), level=level),
        ]
    )


def beside(said: str) -> str:
    """What a remedy says on verifying, less our own command, which knows no target there."""
    return said.partition("hokusai-probe ")[0].rstrip(" ,;:&`")


def typing(said: Remedy) -> tuple[str, ...]:
    """What to type before, to mend it, and after."""
    terraform = text.fence(said.terraform, "terraform", exact=True) if said.terraform else ""
    return (
        sentence(said.summary),
        *_steps("Before:", said.before),
        KIND[said.kind] if said.aws_cli else "",
        shell(said.aws_cli),
        "The same in Terraform:" if terraform else "",
        terraform,
        *_steps("After:", said.after),
    )


def _steps(label: str, steps: Sequence[str]) -> tuple[str, ...]:
    return (label, *(instruction(step) for step in steps)) if steps else ()


def undecided(found: Iterable[Diagnosis]) -> str:
    """Causes that fit as well, each with the look that would settle it."""
    return blocks(_one_undecided(d) for d in found)


def _one_undecided(found: Diagnosis) -> str:
    head = bullets([f"{cause_name(found)}: {found.component} would have to act. {sentence(found.because)}"])
    looks = [s.look for s in found.settled_by]
    settled = (
        f"  Settled by the look {slugs(dict.fromkeys(looks))}." if looks else "  No look of ours settles it."
    )
    commands = [s.aws_cli for s in found.settled_by if s.aws_cli]
    return f"{head}\n{settled}" + (f"\n\n{shell(dict.fromkeys(commands))}" if commands else "")


def check_line(report: Report, check: str) -> str:
    """A check with what became of it."""
    verdict = next((v for v in report.verdicts if v.check == check), None)
    if verdict is None:
        return f"{text.code(check)} (not asked in this run)"
    state = "blocked" if verdict.skip_kind == "blocked" else verdict.status
    return f"{text.code(check)} ({state}): {text.markdown(verdict.title)}"


def reproductions(verdicts: Iterable[Verdict]) -> str:
    """One fenced request for each failing check that has one; the same request once."""
    by_request: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.reproduce:
            by_request.setdefault(verdict.reproduce, []).append(verdict.check)
    return blocks(f"{slugs(checks)}:\n\n{shell([request])}" for request, checks in by_request.items())
