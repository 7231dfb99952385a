"""What tests share: registries put back as they were, so that a made-up look stays in its test."""

from collections.abc import Iterator

import pytest

from hokusai_probe import declare, sandbox
from hokusai_probe.declare import Catalogue
from hokusai_probe.model import PROBE_OF_FACTS


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
    with sandbox.warm():
        yield


@pytest.fixture(scope="session")
def real() -> Catalogue:
    """Every look, check and cause that ships."""
    return declare.catalogue()
