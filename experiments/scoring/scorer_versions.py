"""Under which version the outcomes of a metric are counted at present.

A scorer names its own version. `touchstone rescore --labels` gives all pairs of a metric another one, the scorer's with
the newest label that it knew behind it: `exact/1 labels/17`. What is scored afterwards must go on under that one, since
the ledger counts one version of a metric only.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace
from sqlalchemy import Engine, select

from experiments.stored import Outcome
from experiments.tables import OUTCOME

_LABELS = " labels/"


def with_labels(version: str, newest: int) -> str:
    """Return the version of a scorer that knows the labels up to one.

    Args:
        version: The scorer's own.
        newest: `seq` of the newest label.
    """
    return f"{version}{_LABELS}{newest}"


def version_in_use(engine: Engine, experiment: str, epoch: int, metric: str, version: str) -> str:
    """Return the version under which a metric's next outcome is counted together with its newest ones.

    Args:
        engine: Of a migrated store.
        experiment: Its name.
        epoch: Of that experiment.
        metric: Its name.
        version: The scorer's own.
    """
    o = OUTCOME.c
    query = select(o.scorer).where(o.experiment == experiment, o.epoch == epoch, o.metric == metric)
    with engine.connect() as connection:
        newest = connection.execute(query.order_by(o.seq.desc()).limit(1)).scalar_one_or_none()
    return newest if newest is not None and newest.startswith(f"{version}{_LABELS}") else version


def under_versions_in_use(engine: Engine, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return outcomes, just made, under the versions that are in use."""
    versions: dict[tuple[str, int, str, str], str] = {}
    found = []
    for outcome in outcomes:
        key = (outcome.experiment, outcome.epoch, outcome.metric, outcome.scorer)
        if key not in versions:
            versions[key] = version_in_use(engine, *key)
        version = versions[key]
        found.append(outcome if version == outcome.scorer else replace(outcome, scorer=version))
    return found
