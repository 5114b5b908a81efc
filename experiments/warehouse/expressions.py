"""The sufficient statistics as Ibis expressions: one set for every engine. Nothing here runs anything.

A unit's place (its stage, its split, its arm) is the one of its *first* live exchange in the order of the store. Place
and order are packed into one integer, `seq * 2^22 + stage * 2^15 + split * 2 + arm`: the smallest one of a unit is its
first, so a plain minimum finds it in one pass, without a window and without a join.

Which pairs of a unit count is a matter of windows. `evaluation/lanes.py` says it row by row; here it is said at once:

- a pair is *full* when as many others of its unit came before it as the cap allows;
- a unit is *closed* before a row if, at a look between the row before and this one, it was quiet or at its cap;
- once closed it stays so: a running maximum.

Without looks nothing closes in between, and only units with more pairs than the cap need any window at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from experiments.model import BACKEND_FAULTS, MISSING_SHADOW, TREATMENT, Role
from experiments.warehouse.chosen import Chosen, smallest_not_drawn
from experiments.warehouse.steps import Steps

PLACES = 2**22
"""Numbers of places: stage (below 128), split in basis points, arm."""
STAGES = 2**7
_STAGE = 2**15
YES: Any = ibis.literal(True)  # noqa: FBT003  # Ibis takes it no other way
NO: Any = ibis.literal(False)  # noqa: FBT003
_NEVER = -1e300
"""Before any time."""


def of_epoch(table: ir.Table, chosen: Chosen, upto: int | None) -> ir.Table:
    """Return the rows of the epoch, up to what the last look had read."""
    rows = table.filter(table.experiment == chosen.experiment.name, table.epoch == chosen.epoch)
    return rows if upto is None else rows.filter(rows.seq <= upto)


# --- exchanges --------------------------------------------------------------------------------------------------------


def exchange_counts(exchanges: ir.Table) -> ir.Table:
    """Return how many exchanges there are of each kind, and the ends of what must lie in limits; a handful of rows.

    Columns: role, assigned, by_treatment, missing; n, low_stage, high_stage, low_share, high_share.
    """
    rows = exchanges.filter(exchanges.role.isin([Role.LIVE.value, Role.SHADOW.value]))
    kinds = {
        "role": rows.role,
        "assigned": rows.assigned,
        "by_treatment": rows.served == TREATMENT,
        "missing": rows.error.isin(_texts(MISSING_SHADOW)),
    }
    return rows.group_by(**kinds).agg(
        n=rows.count(),
        low_stage=rows.stage.min(),
        high_stage=rows.stage.max(),
        low_share=rows.propensity.min(),
        high_share=rows.propensity.max(),
    )


def units(exchanges: ir.Table) -> ir.Table:
    """Return (unit, place, error_place, shadows) of every unit, one row each.

    `place` is that of its first live exchange, `error_place` that of the first one whose assigned variant failed while
    both had a chance (NULL if none did), both with their `seq` in front; `shadows` counts its mirrored exchanges.
    """
    live = exchanges.role == Role.LIVE.value
    packed = exchanges.seq * PLACES + place_of(exchanges)
    failed = exchanges.error.isin(_texts(BACKEND_FAULTS)) | exchanges.fallback.isin(_texts(BACKEND_FAULTS))
    return exchanges.group_by("unit").agg(
        place=packed.min(where=live),
        error_place=packed.min(where=live & failed & had_a_choice(exchanges)),
        shadows=exchanges.count(where=exchanges.role == Role.SHADOW.value),
    )


def place_of(rows: ir.Table) -> Any:
    """Return stage, split and arm of exchanges, packed into one integer below `PLACES`."""
    treatment = rows.assigned == TREATMENT
    share = ibis.ifelse(treatment, rows.propensity, 1 - rows.propensity)
    split = (share * 10_000).round().cast("int64")
    return rows.stage * _STAGE + split * 2 + treatment.ifelse(1, 0)


def had_a_choice(rows: ir.Table) -> Any:
    """Whether both variants had a chance."""
    return (rows.propensity > 0) & (rows.propensity < 1)


def places(found: ir.Table) -> ir.Table:
    """Return (place, error_place, n) of units: how many have each; a handful of rows."""
    rows = found.filter(found.place.notnull())
    kinds = {"place": rows.place % PLACES, "error_place": rows.error_place % PLACES}
    return rows.group_by(**kinds).agg(n=rows.count())


def place(code: int) -> tuple[int, int, int]:
    """Return (stage, split in basis points, arm) from a packed place.

    >>> place(3 * 2**15 + 1_000 * 2 + 1)
    (3, 1000, 1)
    """
    return code // _STAGE, code % _STAGE // 2, code % 2


# --- outcomes ---------------------------------------------------------------------------------------------------------


def census(outcomes: ir.Table) -> ir.Table:
    """Return what outcomes there are by version of their scorer: a handful of rows.

    Columns: metric, scorer; rows, first_seq, first_at_once (the first that was scored at once), and the lowest and the
    highest value of those that count.
    """
    good = outcomes.failure == ""
    return outcomes.group_by("metric", "scorer").agg(
        rows=outcomes.count(),
        first_seq=outcomes.seq.min(),
        first_at_once=outcomes.seq.min(where=outcomes.scored_at.isnull()),
        low=outcomes.value.min(where=good),
        high=outcomes.value.max(where=good),
    )


def counted(outcomes: ir.Table, found: ir.Table, chosen: Chosen) -> ir.Table:
    """Return the outcomes that count, with `observed`: whether their unit is closed, and so an observation.

    Args:
        outcomes: Of the epoch.
        found: As `units` returns it.
        chosen: By which rules.
    """
    rows = prepared(outcomes, chosen)
    if chosen.looks:
        return _as_looked_at(rows, chosen)
    many = with_many(found, chosen)
    return ibis.union(uncapped(rows, many), capped(rows, many, chosen))


def with_many(found: ir.Table, chosen: Chosen) -> ir.Table:
    """Return the units with more mirrored exchanges than the cap: only there does the order of pairs matter."""
    return found.filter(found.shadows > chosen.cap).select("unit")


def uncapped(rows: ir.Table, many: ir.Table | None) -> ir.Table:
    """Return the outcomes of all other units; of all units, where there are none with many."""
    rows = rows if many is None else rows.anti_join(many, "unit")
    return rows.mutate(observed=YES)


def capped(rows: ir.Table, many: ir.Table, chosen: Chosen) -> ir.Table:
    """Return the outcomes that count of units with many."""
    columns = [*rows.columns, "observed"]
    found = _ranked(rows.semi_join(many, "unit"), chosen).mutate(observed=YES)
    return found.filter(~found.full).select(columns)


def prepared(outcomes: ir.Table, chosen: Chosen) -> ir.Table:
    """Return the outcomes of the versions that count, with their lane, their draw and when they were heard of."""
    rows = outcomes
    for metric, version in chosen.versions.items():
        rows = rows.filter((rows.metric != metric) | (rows.scorer == version))
    own: Any = rows.metric.isin(list(chosen.lanes)) if chosen.lanes else NO
    in_all: Any = YES
    if chosen.boosted:
        in_all = drawn_below(rows.pair, chosen.experiment.mirror_percent)
    return rows.select(
        "unit",
        "metric",
        "pair",
        "seq",
        "value",
        "control_value",
        "treatment_value",
        lane=own.ifelse(rows.metric, ""),
        heard_at=own.ifelse(rows.scored_at.coalesce(rows.at), rows.at),
        text=rows.slices.coalesce("{}") if chosen.attributes else ibis.literal("{}"),
        failed=rows.failure != "",
        in_all=in_all,
    )


def drawn_below(pair: Any, percent: float) -> Any:
    """Whether a pair's draw is below a percentage; its id ends in 8 digits, which sort as their numbers do."""
    limit = smallest_not_drawn(percent)
    return YES if limit == 16**8 else pair.right(8).lower() < f"{limit:08x}"


def _ranked(rows: ir.Table, chosen: Chosen) -> ir.Table:
    """Add `taken` (pairs of the unit that count over all traffic, so far) and `full` (no place for this one)."""
    of_unit = ["lane", "unit"]
    rows = rows.mutate(pair_seq=rows.seq.min().over(ibis.window(group_by=[*of_unit, "pair"])))
    place = ibis.dense_rank().over(ibis.window(group_by=[*of_unit, "in_all"], order_by="pair_seq"))
    rows = rows.mutate(place=place)
    rows = rows.mutate(rank=rows.in_all.ifelse(rows.place + 1, 0))
    running = ibis.window(group_by=of_unit, order_by="seq", preceding=None, following=0)
    rows = rows.mutate(taken=rows["rank"].max().over(running))
    cap = chosen.cap
    return rows.mutate(full=rows.in_all.ifelse(rows["rank"] > cap, rows.taken >= cap))


def _as_looked_at(rows: ir.Table, chosen: Chosen) -> ir.Table:
    """Drop what came to a unit after it was closed, by a look between two of its rows."""
    looks, cap, settle_s = chosen.looks, chosen.cap, chosen.settle_s
    columns = [*rows.columns]
    steps = Steps(looks, [look.outcome_seq for look in looks])
    rows = _ranked(steps.joined(rows, "seq"), chosen)
    of_unit = ["lane", "unit"]
    ordered = ibis.window(group_by=of_unit, order_by="seq")
    running = ibis.window(group_by=of_unit, order_by="seq", preceding=None, following=0)
    rows = rows.mutate(last_at=rows.full.ifelse(_NEVER, rows.heard_at).max().over(running))
    before = {name: rows[name].lag().over(ordered) for name in ("taken", "last_at", "look")}
    rows = rows.mutate(taken_before=before["taken"], last_before=before["last_at"], look_before=before["look"])
    ripe = (rows.taken_before >= cap) | (rows.before_at - rows.last_before >= settle_s)
    closes = ((rows.look > rows.look_before) & ripe).fill_null(NO)
    rows = rows.mutate(closed=closes.ifelse(1, 0).max().over(running))
    in_unit = ibis.window(group_by=of_unit)
    # At the last look: closed before, at its cap, or quiet by then.
    last_at = (rows.closed == 0).ifelse(rows.last_at, _NEVER).max().over(in_unit)
    observed = (rows.closed.max().over(in_unit) == 1) | (rows.taken.max().over(in_unit) >= cap)
    rows = rows.mutate(observed=observed | (looks[-1].at - last_at >= settle_s))
    return rows.filter((rows.closed == 0) & ~rows.full).select(*columns, "observed")


def pair_sums(rows: ir.Table) -> ir.Table:
    """Return what the pairs say, by metric and text of slices, and the first outcome of each: a handful of rows.

    Args:
        rows: As `counted` returns them, or of these the ones that count in a slice.
    """
    good = ~rows.failed
    return rows.group_by("metric", "text").agg(
        first_seq=rows.seq.min(),
        n=rows.count(where=good),
        failed=rows.count(where=rows.failed),
        losses=rows.count(where=good & (rows.value < 0)),
        wins=rows.count(where=good & (rows.value > 0)),
        control=rows.control_value.sum(where=good).coalesce(0.0),
        treatment=rows.treatment_value.sum(where=good).coalesce(0.0),
    )


def unit_sums(rows: ir.Table, metrics: Sequence[str], labels: ir.Table | None = None) -> ir.Table:
    """Return one row a unit (and slice), with the number and the sum of each metric's values side by side.

    Side by side, since a row for each metric would repeat the unit's name, which is most of what is kept.

    Args:
        rows: As `counted` returns them, or of these the ones that count in a slice.
        metrics: `n_0` and `total_0` are those of the first one, and so on.
        labels: (text, slice) of the slices; all traffic unless given.

    Returns:
        unit, slice, analysed (whether any outcome of the first lane is observed), n_0, total_0, n_1, ...
    """
    rows = rows.filter(rows.observed)
    rows = rows.mutate(slice=ibis.literal("")) if labels is None else rows.join(labels, "text")
    columns: dict[str, Any] = {"analysed": (rows.lane == "").max()}
    for index, metric in enumerate(metrics):
        mine = (rows.metric == metric) & ~rows.failed
        columns[f"n_{index}"] = rows.count(where=mine)
        columns[f"total_{index}"] = rows.value.sum(where=mine)
    return rows.group_by("unit", "slice").agg(**columns)


def observations(of_units: ir.Table, index: int, metric: str) -> ir.Table:
    """Return (unit, metric, slice, n_pairs, mean) of one metric: one observation a unit.

    Args:
        of_units: As `unit_sums` returns them.
        index: Of the metric there.
        metric: Its name.
    """
    rows = of_units.filter(of_units[f"n_{index}"] > 0)
    n: Any = rows[f"n_{index}"]
    return rows.select(
        "unit",
        "slice",
        metric=ibis.literal(metric),
        n_pairs=n,
        # 0.0 and -0.0 are one value, whatever an engine says.
        mean=rows[f"total_{index}"] / n + 0.0,
    )


def differences(found: ir.Table) -> ir.Table:
    """Return (metric, slice, mean, n): how many units have each mean."""
    return found.group_by("metric", "slice", "mean").agg(n=found.count())


def moments(found: ir.Table) -> ir.Table:
    """Return (metric, slice, n, average, variance) over units."""
    mean: Any = found["mean"]
    return found.group_by("metric", "slice").agg(n=found.count(), average=mean.mean(), variance=mean.var(how="pop"))


def analysed(of_units: ir.Table, found: ir.Table) -> ir.Table:
    """Return (place, n): the units that are observations of the first lane, by where they first were."""
    some = of_units.filter(of_units.analysed).select("unit")
    rows = found.semi_join(some, "unit")
    return rows.group_by(place=rows.place % PLACES).agg(n=rows.count())


def _texts(kinds: Any) -> list[str]:
    return sorted(kind.value for kind in kinds)
