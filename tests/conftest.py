"""What tests share: the run's seed, and registries put back as they were after a made-up look."""

import os
import random
from collections.abc import Iterator

import pytest

from hokusai_probe import declare, sandbox
from hokusai_probe.declare import Catalogue
from hokusai_probe.model import PROBE_OF_FACTS

# the workers of a run inherit it from the process that starts them
SEED = int(os.environ.setdefault("HOKUSAI_TEST_SEED", str(random.SystemRandom().randrange(2**31))))


def pytest_report_header() -> str:
    """The seed of this run's sandboxes: HOKUSAI_TEST_SEED gives the same names and ids again."""
    return f"sandbox seed: {SEED}"


@pytest.fixture
def registries() -> Iterator[None]:
    """The global registries, restored when the test ends."""
    real = declare.catalogue()
    kept = [
        (where, dict(where)) for where in (PROBE_OF_FACTS, declare._PROBES, declare._CHECKS, declare._CAUSES)
    ]
    yield
    for where, before in kept:
        where.clear()
        where.update(before)
    assert declare.catalogue() is real


@pytest.fixture(scope="session", autouse=True)
def warm() -> Iterator[None]:
    """Sandboxes of one test process share their imports; nothing starts before the first sandbox does."""
    with sandbox.warm(SEED):
        yield


@pytest.fixture(scope="session")
def real() -> Catalogue:
    """Every look, check and cause that ships."""
    return declare.catalogue()
