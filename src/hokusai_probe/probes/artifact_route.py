"""Whether the artifact store's path leads to MLflow, where nothing was stored that shows it. Second round."""

from __future__ import annotations

from collections.abc import Sequence

from hokusai_probe.answers import error_code, responder
from hokusai_probe.declare import probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts
from hokusai_probe.probes._mlflow_rest import Rest
from hokusai_probe.probes.mlflow_api import MlflowApiFacts

TIMES = 3
NO_FILE = "hkprobe-no-such-folder/no-such-file"


class ArtifactRouteFacts(Facts):
    """What fetching an artifact that does not exist answered, with the key, one time after the other."""

    answers: Sequence[Answer]

    @property
    def told(self) -> tuple[int, Answer] | None:
        """The first answer that tells whether MLflow's artifact route was reached, and its place."""
        return next(((n, a) for n, a in enumerate(self.answers) if says_no_route(a) is not None), None)


def says_no_route(answer: Answer) -> bool | None:
    """Whether a 404 speaks of the route: the gateway's RESOURCE_NOT_FOUND, or the page of MLflow's router.

    No: any other answer of MLflow's, which speaks of an experiment, a run or a file. None: no such answer.
    """
    code, who = error_code(answer), responder(answer)
    if answer.failure is not None or answer.status is None:
        return None
    if answer.status == 404 and (code == "RESOURCE_NOT_FOUND" or (who == "mlflow" and not code)):
        return True
    return False if who == "mlflow" and code else None


@probe(area="proxy", cost=TIMES, round=2)
async def artifact_route(look: Look, api: MlflowApiFacts) -> ArtifactRouteFacts:
    """Fetches an artifact that does not exist, up to three times, until an answer tells where it was sought.

    MLflow says that it has no such file; a route that MLflow does not have is another 404 (contract 4.2). An
    upload shows the same, and where one of its steps before came to nothing, no upload was tried.
    """
    found: list[Answer] = []
    while len(found) < TIMES and not any(says_no_route(a) is not None for a in found):
        found.append(await Rest(look, api.prefix).store("GET", NO_FILE))
    return ArtifactRouteFacts(answers=tuple(found))
