"""What the scheduler decides."""

import pytest

from hokusai_probe.sandbox.ecs_plan import Plan, Seen, Wish, plan


def _wish(desired: int, **more: object) -> Wish:
    return Wish("api", "cluster", desired, "family:2", "new", **more)  # type: ignore[arg-type]


OLD, OLD_TOO = Seen("old-1", "old", ready=True), Seen("old-2", "old", ready=True)
OLD_SICK = Seen("old-1", "old", ready=False, unhealthy=True)
COMING, HERE, HERE_TOO = (
    Seen("new-1", "new", ready=False),
    Seen("new-1", "new", ready=True),
    Seen("new-2", "new", ready=True),
)
SICK, SICK_TOO = (Seen(f"new-{n}", "new", ready=False, unhealthy=True) for n in (1, 2))
COMING_TOO = Seen("new-2", "new", ready=False)


@pytest.mark.parametrize(
    ("desired", "tasks", "todo"),
    [
        (1, [], Plan(start=1)),
        (1, [HERE], Plan()),
        (2, [HERE], Plan(start=1)),
        (0, [HERE], Plan(stop=("new-1",))),
        (1, [HERE, HERE_TOO], Plan(stop=("new-2",))),
        (1, [OLD], Plan(start=1)),
        (1, [OLD, COMING], Plan()),
        (1, [OLD, HERE], Plan(stop=("old-1",))),
        (1, [OLD, OLD_TOO, COMING], Plan(stop=("old-2",))),
        (0, [OLD, COMING], Plan(stop=("old-1", "new-1"))),
    ],
)
def test_new_tasks_start_first_and_old_ones_go_when_those_are_healthy(
    desired: int, tasks: list[Seen], todo: Plan
) -> None:
    """A rolling update at 100 % minimum: never fewer healthy tasks than wanted."""
    assert plan(_wish(desired), tasks) == todo


@pytest.mark.parametrize(
    ("tasks", "todo"),
    [
        ([SICK], Plan(start=1)),
        ([SICK, COMING_TOO], Plan()),
        ([SICK, HERE_TOO], Plan(stop=("new-1",))),
        ([SICK, SICK_TOO], Plan(start=1, stop=("new-1",))),
        ([OLD, SICK], Plan(start=1, stop=("new-1",))),
        ([OLD_SICK], Plan(start=1)),
        ([OLD_SICK, HERE], Plan(stop=("old-1",))),
    ],
)
def test_an_unhealthy_task_goes_when_its_replacement_is_healthy(tasks: list[Seen], todo: Plan) -> None:
    """Both unhealthy: one goes. No room for another beside the old one: the unhealthy one goes first."""
    assert plan(_wish(1), tasks) == todo


@pytest.mark.parametrize(
    ("minimum", "maximum", "tasks", "todo"),
    [
        (0, 100, [OLD], Plan(start=1, stop=("old-1",))),
        (50, 100, [OLD, OLD_TOO], Plan(start=1, stop=("old-1",))),
        (100, 100, [OLD, OLD_TOO], Plan()),
        (100, 150, [OLD, OLD_TOO], Plan(start=1)),
        (100, 200, [OLD, OLD_TOO], Plan(start=2)),
    ],
)
def test_percentages_limit_a_rolling_update(
    minimum: int, maximum: int, tasks: list[Seen], todo: Plan
) -> None:
    """Old tasks go first only as far as the minimum lets them, and only to make room below the maximum."""
    wish = _wish(len(tasks), minimum_percent=minimum, maximum_percent=maximum)
    assert plan(wish, tasks) == todo


@pytest.mark.parametrize(
    ("tasks", "todo"),
    [
        ([COMING], Plan(restore=1)),
        ([OLD, COMING], Plan()),
        ([HERE], Plan()),
        ([], Plan(start=1, restore=1)),
        ([OLD_SICK, COMING], Plan()),
    ],
)
def test_a_lost_task_of_the_version_that_runs_comes_back(tasks: list[Seen], todo: Plan) -> None:
    """As long as the new deployment has nothing healthy to offer, and the maximum leaves room."""
    assert plan(_wish(1, previous="old"), tasks) == todo


def test_a_failed_deployment_launches_nothing() -> None:
    """What runs of it stays."""
    assert plan(_wish(2, launches=False), [HERE]) == Plan()
