"""The program that trains: loads MLflow and scikit-learn once, and forks a child for each job.

``_fork_server`` starts it, by its path, and says how the two talk. For the task ``model`` a child trains and
saves ``DIR/model``, writes ``{"predictions": [...]}``, waits for any line, then loads ``DIR/fetched`` and
writes its predictions on the same rows. For ``client`` it does what ``_client_job`` says. Nothing of ours is
imported but that file, by its path, so that loading costs what the two libraries cost.
"""

import contextlib
import fcntl
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TextIO

_OWNER, _STDERR = 0, 2


def _beside(name: str) -> ModuleType:
    """A file beside this one as a module; no directory of ours may lend modules to the libraries."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_CLIENT = _beside("_client_job")


def main(control: socket.socket) -> NoReturn:
    """Load, then serve until the owner lets go."""
    warnings.simplefilter("ignore")
    os.nice(10)  # training must not take the processor from the platform, where both share one machine
    gc.disable()  # what is loaded stays, and collecting would copy the memory that server and child share
    with tempfile.TemporaryDirectory(prefix="hokusai-probe-") as name, _ending_with_owner(name):
        _rehearse(Path(name))
    _serve(control)
    os._exit(0)  # taking thousands of modules down would only keep the owner waiting


@contextlib.contextmanager
def _ending_with_owner(directory: str) -> Iterator[None]:
    """While loading, have the kernel tell of the owner's end: who has a second thread must not fork."""

    def vanish(*_: object) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(1)  # an exception might be swallowed by whatever is being imported

    flags = fcntl.fcntl(_OWNER, fcntl.F_GETFL)
    signal.signal(signal.SIGIO, vanish)
    fcntl.fcntl(_OWNER, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(_OWNER, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([_OWNER], [], [], 0)[0]:
        vanish()  # the owner's end came before the kernel was asked to tell
    yield
    fcntl.fcntl(_OWNER, fcntl.F_SETFL, flags)


def _rehearse(directory: Path) -> None:
    """Do a whole job: the first save and load import for most of a second more, and no child shall again."""
    _train(directory)
    _load(directory / "model")
    _CLIENT.prepare()


def _serve(control: socket.socket) -> None:
    """Fork a child for each job and kill it when its leash ends. Returns when the owner lets go."""
    children: dict[socket.socket, int] = {}
    serving = True
    while serving:
        ready, _, _ = select.select([control, *children], [], [])
        for leash in children.keys() & set(ready):
            _kill(children.pop(leash), leash)
        if control in ready:
            serving = _begin(control, children)
    for leash, pid in children.items():
        _kill(pid, leash)


def _begin(control: socket.socket, children: dict[socket.socket, int]) -> bool:
    """Take a job and fork its child. Returns False when there is none, because the owner has let go."""
    _, descriptors, _, _ = socket.recv_fds(control, 1, 3)
    if not descriptors:
        return False
    channel, leash = (socket.socket(fileno=fd) for fd in descriptors[:2])
    with channel, os.fdopen(descriptors[2], "wb") as stderr:
        if select.select([leash], [], [], 0)[0]:
            leash.close()  # given up while this was loading; its directory is gone
        elif pid := os.fork():
            children[leash] = pid
        else:
            control.close()
            os.dup(channel.fileno())  # never closed: the owner must not see the end before the reason
            os.dup2(stderr.fileno(), _STDERR)
            _work(channel)
    return True


def _kill(pid: int, leash: socket.socket) -> None:
    """End a child, dead already or not, and say that it is gone."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with leash, contextlib.suppress(OSError):  # the owner may be gone too
        leash.send(b"\n")


def _work(channel: socket.socket) -> NoReturn:
    """In the child: one job. What goes wrong ends it with a traceback, whose last line the owner reads."""
    with channel.makefile("rw", encoding="utf-8") as owner:
        task, _, name = owner.readline().removesuffix("\n").partition(" ")
        directory = Path(name)
        if task == "client":
            _CLIENT.work(owner, directory)
            os._exit(0)
        _say(owner, _train(directory))
        if owner.readline():
            _say(owner, _load(directory / "fetched"))
    os._exit(0)


def _train(directory: Path) -> object:
    """Train a small forest and save it in ``directory/model``. Returns its predictions."""
    import mlflow.sklearn
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    rows, labels = load_iris(return_X_y=True)
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(rows, labels)
    # skops, MLflow's default, does not trust the trees of a forest; requirements are given because
    # inferring them takes seconds
    mlflow.sklearn.save_model(
        model,
        str(directory / "model"),
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn", "cloudpickle"],
    )
    return model.predict_proba(rows[::10])


def _load(model: Path) -> object:
    """Load a saved model. Returns its predictions on the rows that were asked after training."""
    import mlflow.sklearn
    from sklearn.datasets import load_iris

    rows, _ = load_iris(return_X_y=True)
    return mlflow.sklearn.load_model(str(model)).predict_proba(rows[::10])


def _say(owner: TextIO, predictions: object) -> None:
    rows = predictions.tolist()  # type: ignore[attr-defined]  # a NumPy array
    owner.write(json.dumps({"predictions": rows}) + "\n")
    owner.flush()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
