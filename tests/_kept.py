"""Runs of a history, made by hand, drawn at random, and of the size that real ones have."""

import random
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st

from hokusai_probe.declare import catalogue
from hokusai_probe.history import folder, runs
from hokusai_probe.history.latency import Histogram, Phases
from hokusai_probe.history.parts import PARTS
from hokusai_probe.history.runs import KeptCause, OldCount, Run, State
from hokusai_probe.model import AreaScore, Score

START = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = "hokusai-development"
CHECKS = ("a", "b")
HOUR_S = 3600.0
YEAR = 8760


def at(hours: float) -> datetime:
    """So many hours after the first run."""
    return START + timedelta(hours=hours)


def cause(slug: str, *explains: str, undecided: bool = False) -> KeptCause:
    """A cause that was present or undecided."""
    return KeptCause(
        cause=slug, component="auth", priority="high", explains=explains, undecided=undecided,
    )  # fmt: skip


def state(word: str = "", *causes: KeptCause, denied: tuple[str, ...] = ()) -> State:
    """What became of the checks a, b, ... by a letter each: p(ass) f(ail) e(rror) b(locked) s(kip), - none.

    The component auth is down when a fails, up when it passes, and unknown else.
    """
    outcomes = {"p": "pass", "f": "fail", "e": "error", "b": "blocked", "s": "cannot-tell"}
    checks: dict[str, tuple[str, ...]] = {}
    for name, letter in zip("abcdefgh", word, strict=False):
        if letter in outcomes:
            checks[outcomes[letter]] = (*checks.get(outcomes[letter], ()), name)
    auth = {"p": "up", "f": "down", "i": "impaired"}.get(word[:1], "unknown")
    return State.model_validate(
        {"checks": checks, "causes": causes, "denied": denied, "components": {"auth": auth} if word else {}}
    )


def run(hours: float = 0.0, word: str = "pp", *causes: KeptCause, **more: object) -> Run:
    """A run so many hours after the first, expecting the next in an hour."""
    given = {"schema_version": 2, "target": TARGET, "started_at": at(hours), "expected_interval_s": HOUR_S}
    return Run.model_validate(given | {"trigger": "schedule", "state": state(word, *causes)} | more)


def series(words: str) -> tuple[Run, ...]:
    """Hourly runs, a word each; a dot is a run that never came."""
    return tuple(run(hour, word) for hour, word in enumerate(words.split()) if word != ".")


# --- drawn ----------------------------------------------------------------------------------------------

slugs = st.sampled_from(["x", "y", "hostile \x1b[31m|`<!--"])
causes = st.builds(
    KeptCause,
    cause=slugs,
    component=st.sampled_from(["auth", "gateway"]),
    undecided=st.booleans(),
    priority=st.just("high"),
    explains=st.lists(st.sampled_from(CHECKS), unique=True).map(tuple),
)
states = st.builds(
    lambda word, found, denied: state(word, *found, denied=denied),
    st.text("pfebs-", min_size=2, max_size=2),
    st.lists(causes, max_size=2, unique_by=lambda c: c.cause),
    st.lists(slugs, unique=True).map(lambda found: tuple(sorted(found))),
)
histograms = st.builds(
    Histogram, buckets=st.dictionaries(st.integers(0, 145), st.integers(1, 5), min_size=1, max_size=4)
)
phases = st.builds(Phases, connect=histograms | st.just(Histogram()), first_byte=histograms, total=histograms)
old_counts = st.builds(
    OldCount,
    percent=st.floats(0, 100),
    passed=st.none() | st.integers(0, 20),
    total=st.none() | st.integers(1, 20),
)
moments = st.integers(0, 60 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
texts = st.text("aZ9 é\N{PILE OF POO}\x1b\n|`<\u202e", max_size=6)
seen_runs = st.builds(
    lambda hours, word, found, interval: run(hours, word, *found, expected_interval_s=interval),
    st.floats(0, 40),
    st.text("pfebs-", min_size=2, max_size=2),
    st.lists(causes, max_size=1),
    st.sampled_from([None, 600.0, HOUR_S]),
)
new_runs = st.builds(
    Run,
    schema_version=st.just(2),
    target=st.sampled_from([TARGET, "../corrupt", "corrupt", ""]),
    started_at=moments,
    duration_s=st.floats(0, 300),
    trigger=st.sampled_from(["schedule", "deploy", "manual"]),
    verified_sha=st.none() | texts,
    expected_interval_s=st.none() | st.sampled_from([600.0, HOUR_S]),
    interrupted=st.none() | st.just("SIGTERM"),
    requests_sent=st.integers(0, 300),
    state=states,
    reasons=st.dictionaries(st.sampled_from(CHECKS), texts),
    latency=st.dictionaries(st.sampled_from(["GET registry /health 200"]), histograms),
    parts=st.dictionaries(st.sampled_from(["auth", "key"]), phases),
    objective_ms=st.none() | st.floats(1, 9000),
)
legacy_runs = st.builds(
    Run,
    schema_version=st.just(2),
    target=st.just(TARGET),
    started_at=moments,
    old_count=st.dictionaries(st.sampled_from(["infrastructure", "suite"]), old_counts, min_size=1),
)
any_runs = new_runs | legacy_runs


# --- of the size of real ones ---------------------------------------------------------------------------

ENDPOINTS = 45
FAILING, BLOCKED, DENIED, EXPLAINED = 21, 11, 84, 25
_REASON = "GET https://auth.hokus.ai/health: 502 from the load balancer (text/html), {} times in {:.2f} s"


def realistic(hours: float, *, broken: bool = False, flaky: bool = False, seed: int = 0) -> Run:
    """A run with every check that ships, as large as real ones are: healthy, or broken as on 2025-08-05.

    Flaky: any one check fails.
    """
    draw = random.Random(f"{seed} {hours}")
    checks, denied = sorted(catalogue().checks), sorted(catalogue().causes)[:DENIED]
    bad = checks[::4][: FAILING + BLOCKED] if broken else []
    bad += draw.sample(sorted({*checks} - {*bad}), 1) if flaky else []
    failing, blocked = [*bad[:FAILING], *bad[FAILING + BLOCKED :]], bad[FAILING : FAILING + BLOCKED]
    reasons = {slug: _REASON.format(draw.randrange(40), draw.random()) for slug in failing}
    names = ("target-port-mismatch", "listener-rule-wrong-target-group", "listener-rules-only-on-http")
    named = tuple(cause(name, *bad[:EXPLAINED]) for name in names) if broken else ()
    passing = tuple(slug for slug in checks if slug not in bad)
    found = {"pass": passing, "fail": tuple(failing), "blocked": tuple(blocked)}
    count = AreaScore(passed=len(passing), failed=len(failing), blocked=len(blocked))
    return run(
        hours,
        started_at=at(hours) + timedelta(seconds=draw.random() * 600),
        duration_s=round(draw.uniform(4, 10), 3),
        tool_version="0.1.0",
        requests_sent=draw.randrange(160, 175),
        state=State(
            checks={outcome: slugs for outcome, slugs in found.items() if slugs},
            causes=named,
            denied=tuple(denied[len(named) :]),
            components=_components(broken),
        ),
        reasons=reasons | dict.fromkeys(blocked, f"{checks[0]} did not pass"),
        score=Score(overall=count, areas=dict.fromkeys(_AREAS, count)),
        latency=_latency(draw),
        parts={name: _phases(draw) for name in PARTS},
        objective_ms=1000.0,
    )


_AREAS = ("infrastructure", "authentication", "proxy", "registration", "errors", "performance", "data")
_NAMES = ("auth", "cache", "database", "dns", "ecs", "gateway", "load-balancer", "mlflow", "network", "tls")


def _components(broken: bool) -> dict[str, str]:
    return {name: "down" if broken and name in {"auth", "gateway", "mlflow"} else "up" for name in _NAMES}


def _latency(draw: random.Random) -> dict[str, Histogram]:
    names = (f"GET registry /api/mlflow/api/2.0/mlflow/endpoint-{n}/search 200" for n in range(ENDPOINTS))
    return {
        name: Histogram.of(draw.lognormvariate(-1.5, 0.7) for _ in range(draw.choice((1, 1, 2, 4))))
        for name in names
    }


def _phases(draw: random.Random) -> Phases:
    """Six answers of one part, two of which opened a connection."""
    opened = [Histogram.of(draw.lognormvariate(-3.5, 0.3) for _ in range(2)) for _ in range(2)]
    answered = [Histogram.of(draw.lognormvariate(-1.5, 0.3) for _ in range(6)) for _ in range(2)]
    return Phases(connect=opened[0], tls=opened[1], first_byte=answered[0], total=answered[1])


def year(count: int = YEAR, seed: int = 0) -> Iterable[Run]:
    """Hourly runs with one flake in a hundred and a day's outage every month."""
    for hour in range(count):
        flaky = random.Random(f"{seed} flake {hour}").random() < 0.01
        yield realistic(hour, broken=hour % 730 >= 706, flaky=flaky, seed=seed)


def git_bytes(repository: Path, kept: Iterable[Run]) -> int:
    """Bytes of a git repository with one commit for each run, after ``git gc``."""
    git = ("git", "-c", "gc.autoDetach=false", "-C", str(repository))
    repository.mkdir()
    subprocess.run((*git, "init", "--quiet"), check=True)
    stream = b"".join(_commit(one) for one in kept)
    subprocess.run((*git, "fast-import", "--quiet"), input=stream, check=True)
    subprocess.run((*git, "gc", "--quiet"), check=True)
    return sum(path.stat().st_size for path in (repository / ".git").rglob("*") if path.is_file())


def _commit(one: Run) -> bytes:
    text = runs.text_of(one)
    data, message = text.encode(), f"Run of {one.started_at:%Y-%m-%d %H:%M}".encode()
    when = int(one.started_at.timestamp())
    return b"".join((
        b"commit refs/heads/main\ncommitter probe <probe@example.com> %d +0000\n" % when,
        b"data %d\n%s\n" % (len(message), message),
        b"M 100644 inline %s\ndata %d\n%s\n" % (runs.place(one, text).encode(), len(data), data),
    ))  # fmt: skip


def filled(where: Path, kept: Iterable[Run]) -> Path:
    """A folder with these runs."""
    for one in kept:
        folder.write(where, one)
    return where
