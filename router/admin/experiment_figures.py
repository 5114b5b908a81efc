"""Figures for Prometheus of how each experiment stands: read from the store at each scrape, never from the big tables.

They say what on-call must know (is anything held, is the controller still looking), and decide nothing. A label is a
name of the configuration or a word of Touchstone's own; values of slices, which clients choose, are in none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec
import structlog
from sqlalchemy import select

from experiments.config.records import Config
from experiments.evidence import Action, Verdict
from experiments.golden.verdict import Result
from experiments.model import Phase
from experiments.rows import look_of
from experiments.showing.reader import Showing, experiment_of
from experiments.showing.savings import saving
from experiments.showing.standing import Standing
from experiments.spending.account import VariantSpend
from experiments.store import Look, RouteState, Store
from experiments.tables import LOOK
from router.telemetry.metrics import Family, Labels
from router.telemetry.metrics_files import Series

_log = structlog.get_logger(__name__)
_NAME = ("experiment",)
PHASE = Family("touchstone_experiment_phase", "gauge", "1 for the phase that it is in.", (*_NAME, "phase"))
EPOCH = Family("touchstone_experiment_epoch", "gauge", "Number of its epoch.", _NAME)
STAGE = Family("touchstone_experiment_stage", "gauge", "Number of its stage of the ramp, from 0.", _NAME)
SPLIT = Family("touchstone_experiment_split_ratio", "gauge", "Share of the units that the treatment serves.", _NAME)
LOOK_AGE = Family(
    "touchstone_experiment_look_age_seconds",
    "gauge",
    "Since its newest look; since its epoch began without one.",
    _NAME,
)
UNITS = Family("touchstone_experiment_units", "gauge", "Units analysed in its epoch.", _NAME)
PAIRS = Family("touchstone_experiment_pairs", "gauge", "Pairs compared in its epoch.", _NAME)
ACTION = Family("touchstone_experiment_action", "gauge", "1 for what its newest look decided.", (*_NAME, "action"))
REASON = Family("touchstone_experiment_reason", "gauge", "1 for each reason of that.", (*_NAME, "reason"))
VERDICT = Family(
    "touchstone_experiment_verdict", "gauge", "1 for what the evidence says.", (*_NAME, "metric", "kind", "verdict")
)
ALARM = Family(
    "touchstone_experiment_split_alarm", "gauge", "1 if units are not split as configured.", (*_NAME, "counted")
)
GOLDEN = Family("touchstone_golden_result", "gauge", "1 for the newest golden run's result.", (*_NAME, "result"))
GOLDEN_AGE = Family("touchstone_golden_age_seconds", "gauge", "Since the newest golden run of its epoch.", _NAME)
SAVED_MONEY = Family(
    "touchstone_saving_usd_per_day", "gauge", "Saved if the treatment served everyone.", (*_NAME, "bound")
)
SAVED_CARBON = Family(
    "touchstone_saving_carbon_grams_per_day", "gauge", "Saved if the treatment served everyone.", (*_NAME, "bound")
)
SAVED_TIME = Family(
    "touchstone_saving_gpu_hours_per_day", "gauge", "Saved if the treatment served everyone.", (*_NAME, "bound")
)
SAVED_ENERGY = Family(
    "touchstone_saving_kwh_per_day", "gauge", "Saved if the treatment served everyone.", (*_NAME, "bound")
)
_VARIANT = (*_NAME, "variant")
SPENT = Family("touchstone_spent_usd", "gauge", "Cost of answers to users, in its epoch.", _VARIANT)
MIRRORED = Family("touchstone_mirrored_spent_usd", "gauge", "Cost of mirrored answers, in its epoch.", _VARIANT)
CACHE_SAVED = Family("touchstone_cache_saved_usd", "gauge", "Saved by repeating answers, in its epoch.", _VARIANT)
SPOT_SAVED = Family("touchstone_spot_saved_usd", "gauge", "Saved by spot instances, in its epoch.", _VARIANT)
EXPERIMENT_FAMILIES = (
    PHASE, EPOCH, STAGE, SPLIT, LOOK_AGE, UNITS, PAIRS, ACTION, REASON, VERDICT, ALARM, GOLDEN, GOLDEN_AGE,
    SAVED_MONEY, SAVED_CARBON, SAVED_TIME, SAVED_ENERGY, SPENT, MIRRORED, CACHE_SAVED, SPOT_SAVED,
)  # fmt: skip
_SAVED = {"cost": SAVED_MONEY, "gpu_hours": SAVED_TIME, "energy": SAVED_ENERGY, "carbon": SAVED_CARBON}


class ExperimentFigures:
    """Reads how the configured experiments stand.

    Args:
        store: Migrated by the first scrape.
        config: Names the experiments.
        clock: Wall-clock time in seconds since the epoch (UTC).
    """

    def __init__(self, store: Store, config: Config, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._showing = Showing(store, config)
        self._names = list(config.experiments)
        self._clock = clock
        self._broken: set[str] = set()

    def __repr__(self) -> str:
        return f"<ExperimentFigures of {len(self._names)} experiments>"

    def read(self) -> Series:
        """Return all figures by name and labels; of an experiment that no controller has seen there is none.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The store cannot be read.
        """
        found: Series = {}
        states = self._store.route_states()
        for name in self._names:
            if (state := states.get(name)) is not None:
                try:
                    self._add(found, name, state)
                except (
                    ValueError,
                    msgspec.MsgspecError,
                ) as error:  # a row of another version costs its own figures only
                    self._note_broken(name, error)
        return found

    def _note_broken(self, name: str, error: Exception) -> None:
        if name not in self._broken:
            self._broken.add(name)
            _log.warning("experiment_figures_unreadable", experiment=name, reason=type(error).__name__)

    def _add(self, found: Series, name: str, state: RouteState) -> None:
        now, route = self._clock(), state.route
        look = self._latest(name, route.epoch)
        _states(found, PHASE, (name,), Phase, [route.phase])
        _one(found, EPOCH, (name,), route.epoch)
        _one(found, STAGE, (name,), route.stage)
        _one(found, SPLIT, (name,), route.split_basis_points / 10_000)
        _one(found, LOOK_AGE, (name,), max(0.0, now - (look.at if look is not None else state.epoch_started_at)))
        if look is not None:
            _of_look(found, name, look)
        golden = self._showing.latest_golden(name, route.epoch)
        if golden is not None:
            _states(found, GOLDEN, (name,), Result, [Result(golden.result)])
            _one(found, GOLDEN_AGE, (name,), max(0.0, now - golden.at))
        self._add_savings(found, name, state, look)

    def _latest(self, name: str, epoch: int) -> Look | None:
        """Return the newest look without the state of the statistics, which is most of it."""
        columns = LOOK.c
        wanted = [column for column in columns if column.name in Look.__struct_fields__ and column.name != "state"]
        query = select(*wanted).where(columns.experiment == name, columns.epoch == epoch)
        with self._store.engine.connect() as connection:
            row = connection.execute(query.order_by(columns.number.desc()).limit(1)).mappings().first()
        return look_of({**row, "state": {}}) if row is not None else None

    def _add_savings(self, found: Series, name: str, state: RouteState, look: Look | None) -> None:
        epoch = self._store.latest_epoch(name)
        if epoch is None:
            return
        experiment = experiment_of(epoch)
        standing = Standing(
            experiment=experiment, state=state, epoch=epoch, look=look, transitions=(), golden=None, gate=None,
            concurrencies=self._showing.concurrencies(experiment),
            account=self._showing.account(experiment, state.route.epoch),
        )  # fmt: skip
        for metric, family in _SAVED.items():
            saved = saving(standing, metric)
            bounds = {"estimate": saved.per_day, "lower": saved.lower, "upper": saved.upper}
            for bound, value in bounds.items():
                if value is not None:
                    _one(found, family, (name, bound), value)
        for variant in standing.account.variants if standing.account is not None else ():
            _of_variant(found, name, variant)


def _of_variant(found: Series, name: str, variant: VariantSpend) -> None:
    figures = (
        (SPENT, variant.spent.usd),
        (MIRRORED, variant.mirrored.usd),
        (CACHE_SAVED, variant.cache_saved.usd),
        (SPOT_SAVED, variant.spot_saved_usd),
    )
    for family, value in figures:
        if value is not None:
            _one(found, family, (name, variant.variant), value)


def _of_look(found: Series, name: str, look: Look) -> None:
    evidence, decision = look.evidence, look.decision
    _one(found, UNITS, (name,), evidence.units)
    _one(found, PAIRS, (name,), evidence.pairs)
    _states(found, ACTION, (name,), Action, [decision.action])
    for reason in decision.reasons:
        _one(found, REASON, (name, reason.code.value), 1)
    for split in evidence.splits:
        _one(found, ALARM, (name, split.name), split.alarm)
    for row in evidence.metrics:
        if not row.slice:
            _states(found, VERDICT, (name, row.metric, row.kind.value), Verdict, [row.verdict])


def _one(found: Series, family: Family, labels: Labels, value: float) -> None:
    found.setdefault(family.name, {})[labels] = [float(value)]


def _states(found: Series, family: Family, labels: Labels, all_: Iterable[StrEnum], true: Iterable[StrEnum]) -> None:
    """Say 1 of what holds and 0 of what does not: so each series goes on, and a change is seen at the next scrape."""
    holds = set(true)
    for state in all_:
        _one(found, family, (*labels, state.value), state in holds)
