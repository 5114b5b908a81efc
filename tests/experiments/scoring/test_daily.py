"""The quality of a day: counted by the database, the same however often, and of the newest scorer's outcomes alone."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from experiments.scoring.daily import MAX_SLICE_VALUES, DailyQuality, DailyStore, days_between
from experiments.store import Outcome, Store

DAY = "2026-03-01"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
_numbers = itertools.count()


def outcome(control: float, treatment: float, **changes: Any) -> Outcome:
    values: dict[str, Any] = {
        "pair": f"p{next(_numbers)}",
        "metric": "quality",
        "scorer": "exact/1",
        "experiment": "support",
        "epoch": 1,
        "stage": 0,
        "unit": "u",
        "at": NOON,
        "slices": {},
        "control_value": control,
        "treatment_value": treatment,
        "value": treatment - control,
    }
    return Outcome(**(values | changes))


def computed(store: Store, *outcomes: Outcome) -> dict[tuple[str, str, str], DailyQuality]:
    store.save_outcomes(outcomes, [])
    rows = DailyStore(store.engine).compute("support", DAY)
    return {(row.metric, row.slice, row.variant): row for row in rows}


def test_accuracy_is_the_mean_of_scores_of_each_variant(store: Store) -> None:
    rows = computed(store, outcome(1, 1), outcome(1, 0), outcome(1, 0), outcome(0, 1))

    assert (rows["quality", "", "control"].pairs, rows["quality", "", "control"].mean) == (4, 0.75)
    assert rows["quality", "", "treatment"].mean == 0.5
    assert rows["quality", "", "treatment"].macro_f1 is None
    assert rows["quality", "", "treatment"].win_rate is None


def test_slices_have_their_own_figures(store: Store) -> None:
    hindi, english = ({"slices": {"language": value, "tenant": "a"}} for value in ("hi", "en"))

    rows = computed(store, outcome(1, 0, **hindi), outcome(1, 1, **english), outcome(1, 1, **english))

    assert rows["quality", "language=hi", "treatment"].mean == 0
    assert (rows["quality", "language=en", "treatment"].pairs, rows["quality", "tenant=a", "treatment"].pairs) == (2, 3)
    assert rows["quality", "tenant=a", "treatment"].mean == pytest.approx(2 / 3)


def test_labels_have_a_macro_f1_of_each_variant(store: Store) -> None:
    def labelled(expected: str, control: str | None, treatment: str | None) -> Outcome:
        detail = {"expected": expected, "control": control, "treatment": treatment}
        return outcome(float(control == expected), float(treatment == expected), scorer="label/1", detail=detail)

    rows = computed(store, labelled("a", "a", "a"), labelled("a", "a", None), labelled("b", "b", "a"))

    assert rows["quality", "", "control"].macro_f1 == 1
    # a: one hit, expected twice and answered twice; b: no hit.
    assert rows["quality", "", "treatment"].macro_f1 == pytest.approx((2 / 4 + 0) / 2)


def test_a_judges_wins_are_counted_and_ties_are_nobodys(store: Store) -> None:
    judged = [outcome(*scores, scorer="judge/1:ab") for scores in ((1, 0), (0.5, 0.5), (0, 1), (0, 1))]
    failed = outcome(0, 0, scorer="judge/1:ab", failure="judge_failed: timeout")

    rows = computed(store, *judged, failed)

    assert (rows["quality", "", "control"].win_rate, rows["quality", "", "treatment"].win_rate) == (0.25, 0.5)
    assert rows["quality", "", "control"].pairs == 4


def test_only_the_outcomes_of_the_newest_scorer_count(store: Store) -> None:
    old = [outcome(1, 0, pair=f"same{n}") for n in range(3)]
    new = [outcome(1, 1, pair=f"same{n}", scorer="exact/2") for n in range(2)]

    rows = computed(store, *old, *new)

    assert (rows["quality", "", "treatment"].pairs, rows["quality", "", "treatment"].mean) == (2, 1)


def test_a_day_ends_at_midnight_utc(store: Store) -> None:
    midnight = NOON - 12 * 3600
    inside = [outcome(1, 1, at=at) for at in (midnight, midnight + 86_399.9)]

    rows = computed(store, *inside, *(outcome(1, 0, at=at) for at in (midnight - 0.1, midnight + 86_400)))

    assert rows["quality", "", "treatment"].pairs == 2
    assert rows["quality", "", "treatment"].mean == 1


def test_computed_again_it_is_stored_once_with_the_newest_figures(store: Store) -> None:
    daily = DailyStore(store.engine)
    computed(store, outcome(1, 1, slices={"language": "hi"}))
    found = computed(store, outcome(1, 0))

    assert daily.read(DAY) == sorted(found.values(), key=lambda row: (row.metric, row.slice, row.variant))
    assert daily.read(DAY, "another") == []
    assert (daily.newest_day("support"), daily.newest_day("another")) == (DAY, None)


def test_a_day_whose_outcomes_are_gone_stays_as_it_was_computed(store: Store) -> None:
    found = computed(store, outcome(1, 1))
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM outcome")

    assert DailyStore(store.engine).compute("support", DAY) == []
    assert len(DailyStore(store.engine).read(DAY)) == len(found)


def test_epochs_are_never_pooled(store: Store) -> None:
    store.save_outcomes([outcome(1, 1), outcome(1, 0, epoch=2)], [])
    rows = DailyStore(store.engine).compute("support", DAY)

    assert [(row.epoch, row.mean) for row in rows if row.variant == "treatment"] == [(1, 1), (2, 0)]


def test_a_slice_with_a_value_for_everyone_stays_small(sqlite: Store) -> None:
    rows = computed(sqlite, *(outcome(1, 1, slices={"tenant": f"t{n}"}) for n in range(100)))

    slices = {slice_ for _, slice_, _ in rows}
    assert len(slices) == MAX_SLICE_VALUES + 2  # all traffic, and the others together
    assert rows["quality", "tenant=other", "control"].pairs == 100 - MAX_SLICE_VALUES


def test_days_follow_each_other_over_the_end_of_a_month() -> None:
    assert days_between("2026-02-28", "2026-03-01") == ["2026-02-28", "2026-03-01"]
    assert days_between("2026-03-01", "2026-02-28") == []
