"""Whole platforms that several files look at: started once in a run, by the one worker that has their group.

Whoever changes something puts it back.
"""

from collections.abc import Iterator

import pytest
from control_side import Prober

from hokusai_probe.sandbox import start

BACKENDS = """\
name = "both-backends"
summary = "MLflow keeps its data in Postgres and S3; webhooks are signed with a secret that the site lacks"
backends = { database = "postgres", storage = "s3" }
seed_registry = { experiments = 2, models = 1 }
behaviours = ["webhook-secret-wrong"]
"""


@pytest.fixture(scope="session")
def healthy() -> Iterator[Prober]:
    """The healthy platform; its tests are in the group ``healthy``."""
    with start("healthy") as box:
        yield Prober(box)


@pytest.fixture(scope="session")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prober]:
    """A platform with a database and a bucket; its tests are in the group ``backends``."""
    path = tmp_path_factory.mktemp("scenario") / "both-backends.toml"
    path.write_text(BACKENDS)
    with start(path) as box:
        yield Prober(box)
