"""Rules about scorers that ask another server: whom they ask, and that it is not a party. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.problems import nearest
from experiments.config.records import Backend, Experiment, Guardrail, Monitor
from experiments.scorers import ScorerError, scorer_for
from experiments.scorers.asking import Asking, asks

_TABLES = {"judge": "judge", "similarity": "embeddings"}
"""Scorer -> the key of its table; other packages' scorers have `options`."""


def check_asking(
    at: Location, metric: Guardrail | Monitor, experiment: Experiment, backends: Mapping[str, Backend]
) -> Iterator[Finding]:
    """Yield what is wrong with the server that a metric's scorer asks."""
    try:
        scorer = scorer_for(metric)
    except ScorerError:
        return  # told by the rules about metrics
    if scorer is None or not asks(scorer):
        return
    table = (*at, _TABLES.get(metric.scorer or "", "options"))
    backend = backends.get(scorer.asking.backend)
    here = (*table, "backend")
    if backend is None:
        because = (("backends", scorer.asking.backend),)
        yield Finding(here, "is no backend", nearest(scorer.asking.backend, backends), because)
        return
    if backend.protocol != "openai":
        rule = f'must speak protocol = "openai", and "{backend.name}" speaks "{backend.protocol}"'
        yield Finding(here, rule, because=(("backends", backend.name, "protocol"),))
    yield from _party(table, scorer.asking, backend, experiment, backends)


def _party(
    table: Location, asking: Asking, backend: Backend, experiment: Experiment, backends: Mapping[str, Backend]
) -> Iterator[Finding]:
    if asking.may_be_compared:
        return
    for side in ("control", "treatment"):
        compared = backends.get(getattr(experiment, side))
        if compared is not None and _same(backend, compared):
            rule = (
                f"is the {side} that it would judge, and models prefer their own answers: name another backend, "
                "or set allow_compared = true"
            )
            yield Finding((*table, "backend"), rule, because=((*table, "allow_compared"),))
            return


def _same(one: Backend, other: Backend) -> bool:
    """Whether two backends are one server, by name or by address."""
    addresses = [{url.rstrip("/").lower() for url in backend.urls} for backend in (one, other)]
    return one.name == other.name or bool(addresses[0] & addresses[1])
