"""GitHub issues, read and written: the other half of :mod:`hokusai_probe.issues`, which decides and is pure.

``GitHub.known_issues`` says which issues of ours there are, ``GitHub.apply`` carries a plan out and says
what became of each action. Whatever a run is cut short at, and whoever else writes at the same time, later
runs come to one open issue for each key: an issue is known by its marker, looked for before it is opened
and again afterwards, and of several the lowest number stays.

``calls``: a request, its answer, and the door; ``replies``: what answers mean; ``patience``: tries, pauses
and the time they may take; ``repository``: the requests we make; ``applying``, ``opening``, ``changing`` and
``work``: their order; ``settings`` and ``door``: the tokens, and PyGithub, which only the door knows.
``docs/github.md`` is the manual.
"""

from hokusai_probe.github.applying import GitHub
from hokusai_probe.github.outcome import GitHubError, Outcome, Result, describe
from hokusai_probe.github.patience import Patience
from hokusai_probe.github.settings import APP_TOKEN, TOKEN, URL, connect

__all__ = [
    "APP_TOKEN",
    "TOKEN",
    "URL",
    "GitHub",
    "GitHubError",
    "Outcome",
    "Patience",
    "Result",
    "connect",
    "describe",
]
