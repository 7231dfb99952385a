"""What the gateway's health endpoints say of MLflow, against what requests through it show."""

from __future__ import annotations

import re

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Wrong
from hokusai_probe.probes.health_bodies import HealthBodiesFacts, View
from hokusai_probe.probes.mlflow_api import SEARCH, MlflowApiFacts, is_search_result

_CANNOT_CONNECT = "Failed to connect to MLflow server"  # the proxy's own words (contract 4.1)


class HealthAgainstTrafficFacts(Facts):
    """Both sides side by side.

    ``well`` and ``unwell``: what the health endpoints said of reaching MLflow, by asking it; what the open
    circuit breaker said in its stead is left out, and so is one that waited in vain for an answer: a health
    check gives up sooner than traffic. ``search`` and ``again``: searching through the gateway before and
    after; ``again`` is asked only where the two sides contradict each other. ``works`` says of each that was
    asked whether MLflow's own JSON came back, which may be longer than the body that is kept.
    """

    well: tuple[View, ...] = ()
    unwell: tuple[View, ...] = ()
    search: Answer
    again: Answer | None = None
    works: tuple[bool, ...]

    def traffic(self) -> bool | None:
        """True: each search worked. False: for none could the gateway connect. None: neither, or hidden."""
        asked = [a for a in (self.search, self.again) if a is not None]
        if all(self.works):
            return True
        return False if all(cannot_connect(a) for a in asked) else None

    def disagrees(self) -> bool | None:
        """Whether health and traffic say the opposite of one another, both asked twice; None: not known."""
        traffic, said_well, said_unwell = self.traffic(), bool(self.well), bool(self.unwell)
        if traffic is None or said_well == said_unwell:
            return None
        return traffic is not said_well


def cannot_connect(answer: Answer) -> bool:
    """Whether the gateway itself says that it could not connect to MLflow."""
    by_gateway = answer.status == 502 and responder(answer) == "gateway"
    return by_gateway and detail(answer).startswith(_CANNOT_CONNECT)


@probe(area="resilience", needs=("auth-host",), cost=1)
async def health_against_traffic(
    look: Look, bodies: HealthBodiesFacts, api: MlflowApiFacts
) -> HealthAgainstTrafficFacts:
    """Whether the gateway's health endpoints and the traffic through it say the same of MLflow.

    Sends nothing where they do. Where they do not, the search is repeated: MLflow may just have come or gone.
    """
    well, unwell = views_of(bodies)
    contradicting = (api.works and unwell) or (cannot_connect(api.search) and well)
    again = await _search(look, api) if contradicting else None
    works = (api.works, *(is_search_result(a) for a in (again,) if a is not None))
    return HealthAgainstTrafficFacts(well=well, unwell=unwell, search=api.search, again=again, works=works)


async def _search(look: Look, api: MlflowApiFacts) -> Answer:
    query = [("max_results", "1")]
    return await look.http.send("GET", "registry", api.prefix + SEARCH, key=look.key_form(), query=query)


def views_of(bodies: HealthBodiesFacts) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """The views that count, those that find MLflow well and those that do not. Pure.

    Behind an open breaker the gateway's own search is the only one that asks MLflow. Where the breaker is
    closed that search alone says nothing: connecting works.
    """
    asked = [v for v in bodies.views if not v.by_breaker]
    if bodies.breaker_open() and bodies.experiments is False:
        asked.append(View(path="/api/health/mlflow", well=False, error="its own search fails"))
    unwell = tuple(v for v in asked if not v.well and not _gave_up(v))
    well = tuple(v for v in asked if v.well) if bodies.experiments is not False else ()
    return well, unwell


def _gave_up(view: View) -> bool:
    """Whether the view ran out of time waiting for an answer: traffic is given longer than a health check."""
    text = view.error.lower()
    return re.search(r"time[d _-]*out", text) is not None and "connect" not in text


@check(hop="mlflow-health/agreement", behaviour="health-uses-other-tls")
def health_agrees_with_traffic(facts: HealthAgainstTrafficFacts) -> Sentence:
    """What the gateway's health endpoints say of MLflow is what requests through the gateway show."""
    if not facts.well and not facts.unwell:
        return CannotTell(reason="no health endpoint says whether MLflow can be reached")
    if facts.well and facts.unwell:
        return CannotTell(reason="the health endpoints do not agree among themselves: it comes and goes")
    if facts.disagrees() is None:
        return CannotTell(reason=f"what requests to MLflow come to is not clear: {said(facts.search)}")
    if not facts.disagrees():
        return None
    one = (*facts.unwell, *facts.well)[0]
    view = "well" if one.well else f"out of reach ({one.error or 'no reason'})"
    traffic = f"is answered {said(facts.search)}" if one.well else "works"
    return Wrong(
        reason=f"{one.path} says that MLflow is {view}, and searching through the gateway {traffic}",
        reproduce=facts.search.curl(),
    )
