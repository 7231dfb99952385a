"""What should become of the issues: one for each component that must act, kept true. Pure.

An issue is known by the marker on its first line, ``<!-- hokusai-probe: TARGET/COMPONENT -->``, and by
who wrote it. Causes are sections inside, so a change of cause is an update and not another issue.
Components ``client`` and ``probe`` never open one: nobody of the platform must act there.

``known``: an issue, an action, the marker; ``needs``: what is wrong, under which key; ``decisions``: the
plan; ``body``: the text of an issue; ``listing``: the plan for a terminal.
"""

from hokusai_probe.issues.body import MOST_CHARACTERS
from hokusai_probe.issues.decisions import plan
from hokusai_probe.issues.known import (
    BOT,
    MUTE_LABEL,
    Action,
    ActionKind,
    KnownIssue,
    component_of,
    has_label,
    is_among,
    key_of,
    same_repository,
)
from hokusai_probe.issues.listing import describe

__all__ = [
    "BOT",
    "MOST_CHARACTERS",
    "MUTE_LABEL",
    "Action",
    "ActionKind",
    "KnownIssue",
    "component_of",
    "describe",
    "has_label",
    "is_among",
    "key_of",
    "plan",
    "same_repository",
]
