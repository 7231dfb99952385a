"""Whatever runs find, miss or never tell, and whatever people do meanwhile, issues come to say what is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Literal, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import BOT, CHECKS, PARTS, TARGET, WHEN, Look, Past, World, at, run

from hokusai_probe.issues import MUTE_LABEL, Action, KnownIssue, plan
from hokusai_probe.model import Report, Target

WINDOW = ((WHEN + timedelta(hours=6)).isoformat(), (WHEN + timedelta(hours=9)).isoformat())
MAINTAINED = TARGET.model_copy(
    update={"issues": TARGET.issues.model_copy(update={"maintenance": ("/".join(WINDOW),)})}
)
Deed = Literal["", "close", "not planned", "mute", "lock", "reopen", "forge", "double"]


@dataclass(frozen=True, slots=True)
class Step:
    """An hour: what is down, what the run sees, whether its plan is carried out, what somebody does."""

    down: frozenset[str]
    look: Look
    flake: str
    synced: bool
    deed: Deed
    whose: str
    left_out: frozenset[str] = frozenset()


AREAS = [frozenset(c for c in CHECKS if CHECKS[c][0] in parts) for parts in (["auth"], ["mlflow", "site"])]
STEPS = st.lists(
    st.builds(
        Step,
        down=st.frozensets(st.sampled_from([*PARTS]), max_size=3),
        look=st.sampled_from(["whole", "whole", "whole", "blind", "interrupted"]),
        flake=st.sampled_from(["", "", "", *CHECKS]),
        synced=st.booleans(),
        deed=st.sampled_from(["", "", "", "", *get_args(Deed)]),
        whose=st.sampled_from([*PARTS]),
        left_out=st.sampled_from([frozenset(), frozenset(), *AREAS])
        | st.frozensets(st.sampled_from([*CHECKS]), max_size=3),
    ),
    max_size=14,
)


@dataclass(slots=True)
class Life:
    """A repository over time, with what really was, which no plan is told."""

    target: Target
    world: World = field(default_factory=World)
    past: Past = field(default_factory=Past)
    waiting: list[Report] = field(default_factory=list)
    rows: dict[str, list[bool]] = field(default_factory=lambda: {part: [] for part in PARTS})
    left_closed: set[str] = field(default_factory=set)
    exempt: set[str] = field(default_factory=set)
    judged: dict[str, bool] = field(default_factory=dict)

    def live(self, hour: float, step: Step) -> None:
        """One hour. A run whose plan is not carried out is told of with the next."""
        report = run(
            hour,
            step.down,
            flake=step.flake,
            look=step.look,
            target=self.target,
            left_out=step.left_out,
        )
        self.waiting.append(report)
        if step.look == "whole" and not (self.target is MAINTAINED and 6 <= hour <= 9):
            failing = {v.component for v in report.verdicts if v.status == "fail"}
            whole = {part for part in PARTS if not any(CHECKS[c][0] == part for c in step.left_out)}
            self.left_closed -= whole - failing
            self.judged |= {v.check: v.status == "fail" for v in report.verdicts}
            for part, row in self.rows.items():
                row.extend([part in failing] if part in failing | whole else [])
        if step.synced:
            self.sync(hour)
        self._do(step.deed, step.whose, hour + 0.5)

    def sync(self, hour: float) -> None:
        """Carry out the plan of all runs since the last time, and find that nothing is left to do."""
        by = self.past.by_target()
        actions = plan(self.waiting, by, self.world.issues)
        for action in actions:
            self._is_founded(action)
        self.world = self.world.after(actions, at(hour))
        again = plan(self.waiting, by, self.world.issues)
        assert {a.kind for a in again} <= {"leave"}, [(a.kind, a.key, a.reason) for a in again]
        for report in self.waiting:
            self.past.add(report)
        self.waiting = []

    def _is_founded(self, action: Action) -> None:
        """Nothing is opened that was not seen twice in a row, and nothing closed that was not well twice."""
        row = self.rows[action.key.partition("/")[2]]
        twice = any(both == (True, True) for both in pairwise(row))
        often = sum(both == (False, True) for both in pairwise([False, *row])) >= 3
        assert action.kind not in {"open", "reopen"} or twice or often, action.reason
        bad = [c for c, fails in self.judged.items() if fails and CHECKS[c][0] == action.key[5:]]
        assert action.kind != "close" or "the same as" in action.reason or not bad, (action.reason, bad)

    def _do(self, deed: Deed, part: str, hour: float) -> None:
        key = f"here/{part}"
        theirs = [i for i in self.world.issues if i.body.startswith(f"<!-- hokusai-probe: {key} -->")]
        mine = [i for i in theirs if i.author == BOT]
        if deed == "forge":
            self._add(f"<!-- hokusai-probe: {key} -->\nstranger", "stranger", hour)
        for issue in self.world.open(key):
            self._to_open(deed, part, issue, hour)
        if deed == "reopen" and mine and mine[-1].state == "closed":
            self.world = self.world.by_hand(mine[-1].number, state="open", closed_at=None, closed_by="")
            self.exempt.add(part)

    def _to_open(self, deed: Deed, part: str, issue: KnownIssue, hour: float) -> None:
        if deed in {"close", "not planned"}:
            reason = "completed" if deed == "close" else "not_planned"
            changed = {"state": "closed", "closed_at": at(hour), "closed_by": "ann", "state_reason": reason}
            self.world = self.world.by_hand(issue.number, **changed)
            self.left_closed |= {part} if self.rows[part][-1:] == [True] else set()
        if deed == "mute":
            self.world = self.world.by_hand(issue.number, labels=(*issue.labels, MUTE_LABEL))
            self.exempt.add(part)
        if deed == "lock":
            self.world = self.world.by_hand(issue.number, locked=True)
            self.exempt.add(part)
        if deed == "double":
            self._add(issue.body, BOT, hour)

    def _add(self, said: str, author: str, hour: float) -> None:
        issue = KnownIssue(
            number=len(self.world.issues) + 1,
            state="open",
            title="x",
            body=said,
            author=author,
            created_at=at(hour),
        )
        self.world = self.world.put(issue)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.frozensets(st.sampled_from([*PARTS]), max_size=3), st.sampled_from([TARGET, MAINTAINED]))
def test_two_runs_after_it_all_issues_say_what_is(
    steps: Sequence[Step], down: frozenset[str], target: Target
) -> None:
    """One open issue for each component that fails, none for one that is well, and strangers' untouched."""
    life = Life(target)
    for hour, step in enumerate(steps):
        life.live(hour, step)
    forged = [i for i in life.world.issues if i.author != BOT]
    for hour in (40, 65):  # a day between, so that nothing comes and goes any more
        life.live(hour, Step(down, "whole", "", synced=True, deed="", whose="auth"))
    assert [i for i in life.world.issues if i.author != BOT] == forged
    for part in PARTS:
        found = [i for i in life.world.open(f"here/{part}") if not i.locked]
        if part in life.exempt:
            assert len(found) <= 1
        else:
            assert len(found) == (part in down and part not in life.left_closed), part
