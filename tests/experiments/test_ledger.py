"""One unit, one observation: what the ledger counts, and when."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_exchange, make_experiment

from experiments.config.records import Guardrail, Policy
from experiments.ledger import ALL, MAX_SLICE_VALUES, Key, Ledger
from experiments.model import TREATMENT, Role
from experiments.store import Outcome, StoredFeedback

QUALITY = Key("quality", ALL)
_pairs = itertools.count()


def outcome(unit: str, value: float, at: float = 1000.0, metric: str = "quality", **slices: str) -> Outcome:
    return Outcome(
        pair=f"pair-{next(_pairs)}",
        metric=metric,
        scorer="exact/1",
        experiment="support",
        epoch=1,
        stage=0,
        unit=unit,
        at=at,
        slices=slices,
        control_value=1.0,
        treatment_value=1.0 + value,
        value=value,
    )


def ledger_with(experiment, exchange, units: list[str], **changes) -> Ledger:
    ledger = Ledger(experiment(**changes))
    ledger.add_exchanges(exchange(unit=unit) for unit in units)
    return ledger


def test_a_units_pairs_become_one_observation_their_mean(experiment, exchange) -> None:
    ledger = ledger_with(experiment, exchange, ["a"])
    ledger.add_outcomes([outcome("a", -1.0), outcome("a", 0.0), outcome("a", 0.0), outcome("a", 0.0)])

    ledger.close_units(now=1010.0)

    assert ledger.differences[QUALITY] == {-0.25: 1}
    assert ledger.units == 1


def test_a_unit_that_is_still_active_is_not_counted_yet(experiment, exchange) -> None:
    ledger = ledger_with(experiment, exchange, ["a"])
    ledger.add_outcomes([outcome("a", -1.0, at=1000.0), outcome("a", 0.0, at=1009.0)])

    assert ledger.close_units(now=1018.0) == 0
    assert ledger.close_units(now=1019.0) == 1


def test_a_unit_at_its_cap_is_counted_at_once_and_later_pairs_change_nothing(experiment, exchange) -> None:
    ledger = ledger_with(experiment, exchange, ["a"])
    ledger.add_outcomes([outcome("a", -1.0) for _ in range(5)] + [outcome("a", 1.0)])

    ledger.close_units(now=1000.0)
    ledger.add_outcomes([outcome("a", 1.0)])
    ledger.close_units(now=9999.0)

    assert ledger.differences[QUALITY] == {-1.0: 1}


def test_slices_are_followed_beside_all_traffic_and_rare_values_share_one_place(experiment, exchange) -> None:
    names = [f"u{n}" for n in range(MAX_SLICE_VALUES + 3)]
    ledger = ledger_with(experiment, exchange, names)
    ledger.add_outcomes(outcome(name, 0.0, language=f"l{n}") for n, name in enumerate(names))

    ledger.close_units(now=2000.0)

    assert len(ledger.slices()) == MAX_SLICE_VALUES + 1
    assert ledger.differences[Key("quality", "language=other")] == {0.0: 3}
    assert ledger.differences[QUALITY] == {0.0: len(names)}


def test_only_a_units_first_error_is_an_event_and_only_while_both_variants_had_a_chance(experiment, exchange) -> None:
    ledger = Ledger(experiment())
    for propensity in (0.1, 0.1, 1.0):
        unit = "b" if propensity == 1.0 else "a"
        ledger.add_exchanges([exchange(unit=unit, assigned=TREATMENT, propensity=propensity, error="timeout")])

    assert ledger.events["errors"] == {(0.1, 1): 1}


def test_an_event_of_control_counts_with_the_treatments_propensity(experiment, exchange) -> None:
    ledger = Ledger(experiment())

    ledger.add_exchanges([exchange(propensity=0.9, error="reset"), exchange(propensity=0.9, error="client_closed")])

    assert ledger.events["errors"] == {(0.1, 0): 1}


def test_a_fallback_is_the_treatments_error_though_control_answered(experiment, exchange) -> None:
    ledger = Ledger(experiment())

    ledger.add_exchanges([exchange(assigned=TREATMENT, served="control", fallback="connect")])

    assert ledger.events["errors"] == {(0.5, 1): 1}
    assert ledger.served_by_treatment == 0


def test_a_unit_belongs_to_the_stage_of_its_first_exposure(experiment, exchange) -> None:
    ledger = Ledger(experiment())
    ledger.add_exchanges([exchange(unit="a", stage=0, propensity=0.9), exchange(unit="a", stage=1)])
    ledger.add_outcomes([outcome("a", 0.0)])
    ledger.close_units(now=2000.0)

    assert ledger.exposures == {(0, 1000): [1, 0]}
    assert ledger.analysed == {(0, 1000): [1, 0]}
    assert ledger.units_by_stage == {0: 1}


def test_mirrored_requests_that_never_ended_are_counted_as_missing(experiment, exchange) -> None:
    ledger = Ledger(experiment())

    ledger.add_exchanges(
        exchange(role=Role.SHADOW, assigned=TREATMENT, error=error) for error in ("", "timeout", "shed", "cancelled")
    )

    assert ledger.shadows == {TREATMENT: [2, 4]}


def test_bad_feedback_is_an_event_of_the_unit_and_good_feedback_is_none(experiment, exchange) -> None:
    ledger = Ledger(experiment(guardrails=(Guardrail(name="thumbs_up", feedback=True, max_relative=1.2),)))

    def thumb(unit: str, value: float) -> StoredFeedback:
        return StoredFeedback(
            seq=1, exchange="x", metric="thumbs_up", source="client", value=value, at=1.0, unit=unit, stage=0,
            assigned=TREATMENT, propensity=0.2,
        )  # fmt: skip

    ledger.add_feedback([thumb("a", 0.0), thumb("b", 1.0), thumb("a", 0.0)])

    assert ledger.events["thumbs_up"] == {(0.2, 1): 1}


@given(
    values=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([-1.0, 0.0, 1.0])), max_size=60),
    data=st.data(),
)
def test_how_the_rows_are_cut_into_looks_does_not_change_the_counts_of_closed_units(values, data) -> None:
    """As long as no unit is closed in between, any way of reading the same rows is the same."""
    rows = [outcome(unit, value) for unit, value in values]
    cut = data.draw(st.integers(0, len(rows)))
    whole, pieces = (Ledger(make_experiment(policy=Policy(unit_cap=1000, settle_seconds=10))) for _ in range(2))
    exposed = [make_exchange(unit=unit) for unit in "abcdef"]
    for ledger in (whole, pieces):
        ledger.add_exchanges(exposed)
    whole.add_outcomes(rows)
    for part in (rows[:cut], rows[cut:]):
        pieces.add_outcomes(part)
        pieces.close_units(now=1000.0)
    for ledger in (whole, pieces):
        ledger.close_units(now=2000.0)

    assert whole.snapshot() == pieces.snapshot()
