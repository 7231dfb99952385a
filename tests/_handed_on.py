"""Facts about requests that arrive at MLflow as they were sent, or otherwise."""

from _facts import answer

from hokusai_probe.http import Answer
from hokusai_probe.probes.hostile_requests import HostileRequestsFacts
from hokusai_probe.probes.mlflow_routes import READS, MlflowRoutesFacts
from hokusai_probe.probes.repeated_parameters import ORDERS, RepeatedParametersFacts, missing
from hokusai_probe.probes.versions import VersionsFacts

PATH = "/api/mlflow/api/2.0/mlflow/registered-models/search"
REFUSED = answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid ordering key"}, path=PATH)
TAKEN = answer(body={}, path=PATH)
WELL = dict(zip(ORDERS, (REFUSED, REFUSED, REFUSED, TAKEN), strict=True))
TYPE = {
    "error_code": "INVALID_PARAMETER_VALUE",
    "message": "Content-Type must be one of ['application/json'].",
}
NO_TYPE = {"error_code": "INVALID_PARAMETER_VALUE", "message": "Bad Request. Content-Type header is missing."}


def repeated(**changed: Answer) -> RepeatedParametersFacts:
    """What a gateway gets that hands everything on, some of it changed."""
    answers = WELL | changed
    return RepeatedParametersFacts(answers=answers, missing=missing(answers))


def untyped(given: Answer, server: str | None = "3.17.2") -> tuple[HostileRequestsFacts, VersionsFacts]:
    """How a good body was answered that says it is plain text, and by which MLflow."""
    facts = HostileRequestsFacts(answers={}, broken=answer(400, TYPE), untyped=given)
    return facts, VersionsFacts(answer=answer(body=server or ""), server=server, client=None)


def routes(runs: Answer) -> MlflowRoutesFacts:
    """Routes that are well, but for the one that is posted."""
    reads = dict.fromkeys(READS, answer(body={})) | {"runs": runs}
    return MlflowRoutesFacts(reads=reads, listing=answer(body={}))
