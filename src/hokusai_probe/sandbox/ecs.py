"""The ECS of the sandbox: makes processes, targets and Cloud Map follow what the control plane says.

Ten times a second the scheduler compares each service with its tasks and starts and stops what is missing:
`ecs_plan` decides, `ecs_tasks` carries out, `ecs_publish` tells the control plane, `circuit_breaker` judges
deployments, `ecs_health` the health of tasks, `ecs_launch` whether a container can be started at all.

What a scenario asks for directly: ``stop`` takes a service's processes away and nothing starts until there
is another deployment; ``crash`` is a crash loop, modelled: no process comes back, and after each pause there
is one more stopped task with the same exit code, reason and last words.

ECS on AWS starts a task that came to RUNNING and died again at once, and waits longer and longer, up to 27
minutes, after tasks that never came to RUNNING ("Amazon ECS service throttle logic"). Here both wait a
little, five seconds at most, so that a machine is not busy with dying processes; the service event about
throttling is told for the second kind only, as AWS does.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hokusai_probe.sandbox import processes
from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.ecs_launch import CannotAssumeRoleError
from hokusai_probe.sandbox.ecs_plan import Wish, plan
from hokusai_probe.sandbox.ecs_publish import COMPLETED, FAILED, Publisher, Rollout
from hokusai_probe.sandbox.ecs_tasks import BY_USER, Crash, Ending, Running, Tasks, utc_now
from hokusai_probe.sandbox.identity import Identity
from hokusai_probe.sandbox.served_ecs import TaskRecord
from hokusai_probe.sandbox.tasks import Runtime, Warm

_BACKOFF_S = (0.3, 0.6, 1.2, 2.4, 5.0)
_SETTLED_FAILURES = 2
_THROTTLED_FAILURES = 3
_SOON_S = 4.0
"""A task that ECS gives up on within this time is waited for before the sandbox counts as settled."""

_NEVER_LISTENS_S = 12.0
"""A task that runs and does not listen for this long is not going to."""

_SURELY_UNHEALTHY_S = 2.0
_ROLLS_ON_S = 9.0  # the gateway's first container check comes 30 platform seconds after its start
"""A verdict on a task that has only just begun to listen may be older than that."""

_FORGET_EVERY_S = 1.0
_BY_SCHEDULER = Ending("Task stopped by the scheduler")
_SCALING = "Scaling activity initiated by (deployment {})"


@dataclass(slots=True)
class _Failures:
    """How a deployment's tasks failed since the last healthy one."""

    count: int = 0
    unstarted: int = 0  # in a row that never came to RUNNING
    next_start: float = 0.0


@dataclass(slots=True)
class _Held:
    """A service that a scenario took down: nothing of this deployment starts.

    A stop ends too when the desired count is changed: whoever does so asks ECS to start tasks.
    """

    deployment: str
    desired: int
    crash: Crash | None = None


class Reconciler:
    """Keeps the processes in step with the control plane. Thread-safe; call `tick` often.

    Args:
        plane: The control plane.
        runtime: What the tasks are told.
        identity: Whose account it is, and the seed of the task ids.
        warm: Programs that run already; whoever needs exactly one of them takes it over.
        now: The clock of what is shown.

    """

    def __init__(
        self,
        plane: MotoControlPlane,
        runtime: Runtime,
        identity: Identity,
        warm: Sequence[Warm] = (),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._plane = plane
        self._runtime = runtime
        self._publisher = Publisher(plane, identity.seed)
        self._tasks = Tasks(plane, runtime, identity, warm, self._publisher, now)
        self._failures: dict[str, _Failures] = {}  # by deployment
        self._held: dict[str, _Held] = {}  # by service
        self._hung: dict[str, str] = {}  # service -> deployment
        self._forget_at = 0.0
        self._lock = threading.RLock()
        self._closed = False

    # What scenario steps ask for

    def stop(self, service: str, *, keep_target: bool = False) -> None:
        """Take a service's processes away; they stay away until a new deployment or desired count."""
        with self._lock:
            self._hold(service, None)
            self._end_all(service, _BY_SCHEDULER, keep_target=keep_target)

    def crash(
        self, service: str, exit_code: int, reason: str, log: Sequence[str], *, keep_target: bool
    ) -> None:
        """Have a service's processes die like this, again and again, until there is a new deployment."""
        crash = Crash(exit_code, reason, tuple(log))
        with self._lock:
            self._hold(service, crash)
            for task in self._tasks.of(service):
                self._tasks.log(task.record, log)
                self._fail(task.deployment)
            self._end_all(service, crash.ending, keep_target=keep_target)

    def hang(self, service: str) -> None:
        """Freeze a service's processes (SIGSTOP): connections are accepted by the kernel, nothing answers.

        ECS replaces a task whose checks fail long enough; the next one hangs as soon as it listens, and so on
        until there is a new deployment.
        """
        with self._lock:
            wish = self._wish(service)
            if wish is not None:
                self._hung[service] = wish.deployment
                self._freeze(service)

    def _freeze(self, service: str) -> None:
        for task in self._tasks.of(service):
            hangs = task.deployment == self._hung.get(service)
            if hangs and task.listens_since is not None and not task.frozen:
                task.child.signal(signal.SIGSTOP)
                task.frozen = True

    def end_old(self, service: str) -> None:
        """Stop the processes of earlier deployments at once, without waiting for the new ones."""
        with self._lock:
            wish = self._wish(service)
            for task in self._tasks.of(service):
                if wish is None or task.deployment != wish.deployment:
                    self._tasks.end(task, _BY_SCHEDULER)
            if wish is not None and wish.previous:
                self._publisher.let_go(wish.previous)

    def newest(self, service: str) -> TaskRecord | None:
        """The newest task of a service that runs, else the newest that stopped; None when there is none."""
        group = f"service:{service}"
        records = [record for record in self._plane.ecs.records() if record.group == group]
        return max(records, key=lambda one: (one.stopped_at is None, one.created_at), default=None)

    # How far things are

    def is_up(self) -> bool:
        """Whether as many tasks as wanted listen, healthy or not yet known to be."""
        with self._lock:
            return all(
                sum(task.listens_since is not None for task in self._tasks.of(wish.name)) == wish.desired
                for wish in self._publisher.wishes()
            )

    def keeps_failing(self, service: str) -> bool:
        """Whether the service's newest deployment failed more than once without a task that serves."""
        wish = self._wish(service)
        return wish is not None and self._failures_of(wish.deployment).count >= _SETTLED_FAILURES

    def trouble(self, service: str) -> str | None:
        """Why a service does not serve, ending in its last log line; None when it does."""
        if any(task.listens_since is not None for task in self._tasks.of(service)):
            return None
        newest = self.newest(service)
        reason = newest.stopped_reason if newest and newest.stopped_reason else "nothing listens yet"
        lines = self._last_lines(service, newest) if newest else []
        return f"{reason}; last log line: {lines[0]}" if lines else reason

    def _last_lines(self, service: str, record: TaskRecord) -> list[str]:
        return processes.last_lines(self._runtime.log(self._runtime.services[service], record.ip), 1)

    def settled(self) -> bool:
        """Whether nothing is about to happen.

        Each service runs as wished, is held down, keeps failing with no circuit breaker to end that, has
        tasks that ECS will give up on, but not soon, or rolls out tasks that serve and whose checks are far.
        """
        with self._lock:
            wishes = {wish.name: wish for wish in self._publisher.wishes()}
            strays = any(task.service not in wishes for task in self._tasks.running.values())
            return not strays and all(self._is_settled(wish) for wish in wishes.values())

    def _is_settled(self, wish: Wish) -> bool:
        tasks = self._tasks.of(wish.name)
        failures = self._failures_of(wish.deployment).count
        held = self._held_down(wish)
        if held is not None:
            return not tasks and (held.crash is None or failures >= _SETTLED_FAILURES)
        rollout = self._publisher.rollout(wish.name)
        if rollout is None or _is_final(rollout, failures):
            return rollout is not None
        current = [task for task in tasks if task.deployment == wish.deployment]
        if rollout.state == COMPLETED and all(task.healthy for task in tasks):
            return len(tasks) == wish.desired
        now = time.monotonic()
        if len(current) < wish.desired:
            return False
        waits = any(task.ailment is not None for task in tasks)
        return (waits and all(_stays(task, now) for task in tasks)) or all(_serves(t, now) for t in tasks)

    # The scheduler's round

    def let_go_of_spares(self) -> None:
        """End the programs that nobody took over."""
        self._tasks.let_go_of_spares()

    def close(self) -> None:
        """Kill every process."""
        with self._lock:
            self._closed = True
            self._tasks.close()

    def tick(self) -> None:
        """Compare and carry out, once."""
        with self._lock:
            if self._closed:
                return
            self._obey_stop_requests()
            wishes = self._publisher.wishes()
            self._end_strays({wish.name for wish in wishes})
            for wish in wishes:
                self._watch(wish)
                self._freeze(wish.name)
                self._carry_out(wish)
                self._publish(wish)
            self._forget_old()

    def _wish(self, service: str) -> Wish | None:
        return next((wish for wish in self._publisher.wishes() if wish.name == service), None)

    def _watch(self, wish: Wish) -> None:
        now = time.monotonic()
        grace_s = self._grace_s(wish.name)
        for task in self._tasks.of(wish.name):
            if not task.child.alive:
                self._fail(task.deployment)
                self._tasks.reap(task)
                continue
            was_healthy = task.healthy
            self._tasks.watch(task, now, grace_s)
            if task.healthy and not was_healthy:
                self._recover(wish.name, task.deployment)

    def _grace_s(self, service: str) -> float:
        found = self._publisher.service(service)
        seconds = getattr(found, "health_check_grace_period_seconds", None) or 0
        return float(seconds) / self._runtime.time_scale

    def _carry_out(self, wish: Wish) -> None:
        todo = plan(wish, [task.seen for task in self._tasks.of(wish.name)])
        for arn in todo.stop:
            self._stop(wish, self._tasks.running[arn])
        held = self._held_down(wish)
        if held is not None:
            self._crash_again(wish, held)
            return
        self._start(wish, wish.deployment, wish.revision, todo.start)
        if todo.restore:
            self._start(wish, wish.previous, self._publisher.revision_of(wish), todo.restore)
        taking_over = self._publisher.break_off(wish, self._failures_of(wish.deployment).count)
        self._failures.pop(taking_over, None)

    def _stop(self, wish: Wish, task: Running) -> None:
        if task.given_up is not None:
            self._fail(task.deployment)
            self._tasks.end(task, Ending(task.given_up.reason))
        else:
            self._tasks.end(task, Ending(_SCALING.format(wish.deployment)))

    def _start(self, wish: Wish, deployment: str, revision: str, count: int) -> None:
        for _ in range(count):
            if time.monotonic() < self._failures_of(deployment).next_start:
                return
            try:
                if not self._tasks.start(wish, deployment, revision):
                    self._fail_to_start(wish, deployment)
            except CannotAssumeRoleError as error:
                self._publisher.tell(wish.name, f"failed to launch a task with (error {error}).")
                self._fail_to_start(wish, deployment)

    def _crash_again(self, wish: Wish, held: _Held) -> None:
        due = time.monotonic() >= self._failures_of(wish.deployment).next_start
        if held.crash is not None and due and wish.desired:
            self._fail(wish.deployment)
            self._tasks.crash(wish, held.crash)

    def _publish(self, wish: Wish) -> None:
        seen = [task.seen for task in self._tasks.of(wish.name)]
        counts = {deployment: failures.count for deployment, failures in self._failures.items()}
        self._publisher.publish(wish, seen, counts)
        cluster = self._plane.ecs.clusters[wish.cluster.rpartition("/")[2]]
        cluster.running_tasks_count = len(self._tasks.running)
        cluster.pending_tasks_count = 0

    # Failures

    def _failures_of(self, deployment: str) -> _Failures:
        return self._failures.get(deployment, _Failures())

    def _fail(self, deployment: str) -> None:
        failures = self._failures.setdefault(deployment, _Failures())
        pause = _BACKOFF_S[min(failures.count, len(_BACKOFF_S) - 1)]
        failures.count += 1
        failures.unstarted = 0
        failures.next_start = time.monotonic() + pause

    def _fail_to_start(self, wish: Wish, deployment: str) -> None:
        unstarted = self._failures_of(deployment).unstarted + 1
        self._fail(deployment)
        self._failures[deployment].unstarted = unstarted
        if unstarted == _THROTTLED_FAILURES:
            self._publisher.tell(wish.name, "is unable to consistently start tasks successfully.")

    def _recover(self, service: str, deployment: str) -> None:
        rollout = self._publisher.rollout(service)
        if rollout is None or rollout.breaker.resets or rollout.state == COMPLETED:
            self._failures.pop(deployment, None)
        elif deployment in self._failures:
            self._failures[deployment].next_start = 0.0

    # Endings

    def _hold(self, service: str, crash: Crash | None) -> None:
        wish = self._wish(service)
        if wish is not None:
            self._held[service] = _Held(wish.deployment, wish.desired, crash)
            self._publisher.let_go(wish.deployment)

    def _held_down(self, wish: Wish) -> _Held | None:
        """How a service is held down, None when it is not, or not any more."""
        held = self._held.get(wish.name)
        if held is None or held.deployment != wish.deployment:
            return None
        if held.crash is None and held.desired != wish.desired:
            del self._held[wish.name]
            return None
        return held

    def _end_all(self, service: str, ending: Ending, *, keep_target: bool) -> None:
        for task in self._tasks.of(service):
            if keep_target:
                self._tasks.keep_targets(task)
            self._tasks.end(task, ending)

    def _obey_stop_requests(self) -> None:
        requests = self._plane.ecs.stop_requests
        for arn in list(requests):
            reason = requests.pop(arn)
            if arn in self._tasks.running:
                self._tasks.end(self._tasks.running[arn], Ending(reason, BY_USER))

    def _end_strays(self, known: set[str]) -> None:
        for task in list(self._tasks.running.values()):
            if task.service not in known:
                self._tasks.end(task, Ending("Service deleted"))

    def _forget_old(self) -> None:
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY_S
            self._tasks.forget_old()


def _stays(task: Running, now: float) -> bool:
    """Whether a task's health is what it is for a while: good, or bad and not about to be acted on."""
    if task.healthy:
        return True
    since = _SURELY_UNHEALTHY_S if task.listens_since is not None else _NEVER_LISTENS_S
    is_sure = now - (task.listens_since or task.started) >= since and task.given_up is None
    return is_sure and task.ailment is not None and task.ailment.due - now >= _SOON_S


def _serves(task: Running, now: float) -> bool:
    """Whether a task has served for longer than the platform's own checks take to say so."""
    return task.listens_since is not None and task.ailment is None and now - task.listens_since >= _ROLLS_ON_S


def _is_final(rollout: Rollout, failures: int) -> bool:
    """Whether a deployment ended in failure, or its tasks fail and no circuit breaker will end that."""
    if rollout.state == FAILED:
        return True
    is_judged = rollout.breaker.enabled and rollout.state != COMPLETED
    return not is_judged and failures >= _SETTLED_FAILURES
