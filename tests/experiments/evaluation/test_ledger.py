"""One unit, one observation: what the ledger counts, and when."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_exchange, make_experiment, make_outcome, make_vote

from experiments.config.records import Guardrail, Policy
from experiments.evaluation.ledger import ALL, MAX_SLICE_VALUES, Key, Ledger
from experiments.mirroring import drawn
from experiments.model import TREATMENT, Role
from experiments.store import Outcome

QUALITY = Key("quality", ALL)


def outcome(unit: str, value: float, at: float = 1000.0, **slices: str) -> Outcome:
    return make_outcome(unit, value, at=at, slices=slices)


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

    ledger.add_exchanges(exchange(unit=unit) for unit in "ab")
    ledger.begin_look(2000.0)
    ledger.add_feedback([make_vote("a", 0.0), make_vote("b", 1.0), make_vote("a", 0.0)])

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


# --- slices that are mirrored more ------------------------------------------------------------------------------------


def _mirrored(seed: int, boost: dict[str, float]) -> Ledger:
    """3,000 users with three requests each; a tenth is of the slice `hi`, and loses half of its answers."""
    rng = random.Random(seed)
    changes = {"mirror_percent": 20.0, "mirror_slices": boost, "policy": Policy(settle_seconds=0, unit_cap=3)}
    ledger = Ledger(make_experiment(**changes))
    for number in range(3_000):
        unit, language = f"u{number}", "hi" if number % 10 == 0 else "en"
        ledger.add_exchanges([make_exchange(unit=unit)])
        for _ in range(3):
            pair, lost = f"{rng.getrandbits(128):032x}", language == "hi" and rng.random() < 0.5
            if drawn(pair) < boost.get(f"language={language}", 20.0):
                slices = {"language": language}
                ledger.add_outcomes([make_outcome(unit, -float(lost), pair=pair, slices=slices)])
    ledger.close_units(now=2000.0)
    return ledger


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_harmed_slice_that_is_mirrored_more_has_more_units_and_leaves_the_whole_as_it_was(seed: int) -> None:
    """To the last bit: what counts over all traffic are the very pairs that would have been mirrored in any case."""
    plain, boosted = _mirrored(seed, {}), _mirrored(seed, {"language=hi": 100.0})
    hindi = Key("quality", "language=hi")

    assert boosted.differences[QUALITY] == plain.differences[QUALITY]
    assert boosted.pair_counts[QUALITY] == plain.pair_counts[QUALITY]
    assert (boosted.units, boosted.analysed) == (plain.units, plain.analysed)
    assert boosted.differences[Key("quality", "language=en")] == plain.differences[Key("quality", "language=en")]
    assert boosted.differences[hindi].total() == 300
    assert plain.differences[hindi].total() < 200
    mean = sum(value * n for value, n in boosted.differences[hindi].items()) / 300
    assert mean == pytest.approx(-0.5, abs=0.08)


def test_a_unit_with_extra_pairs_only_is_no_analysed_unit(experiment, exchange) -> None:
    ledger = ledger_with(
        experiment, exchange, ["a"], mirror_percent=10.0, mirror_slices={"language=hi": 50.0, "language=en": 5.0}
    )
    chances = {"00000000": "en", "33333333": "hi", "33333334": "en", "99999999": "hi"}  # 0 %, 20 %, 20 %, 60 %
    ledger.add_outcomes(make_outcome("a", 0.0, pair=pair, slices={"language": chances[pair]}) for pair in chances)
    extra = ledger_with(experiment, exchange, ["a"], mirror_percent=10.0, mirror_slices={"language=hi": 50.0})
    extra.add_outcomes([make_outcome("a", 0.0, pair="33333333", slices={"language": "hi"})])

    assert (ledger.close_units(2000.0), extra.close_units(2000.0)) == (1, 1)

    assert {key.slice: counts.pairs for key, counts in ledger.pair_counts.items()} == {
        "": 1,
        "language=en": 1,
        "language=hi": 1,
    }
    assert (extra.units, extra.analysed, extra.closing) == (0, {}, [])
    assert extra.differences == {Key("quality", "language=hi"): {0.0: 1}}


# --- metrics that come late or anew -----------------------------------------------------------------------------------


def test_a_judge_that_answers_after_a_unit_is_closed_still_counts_and_its_own_clock_closes_it(
    experiment, exchange
) -> None:
    ledger = ledger_with(experiment, exchange, ["a"])
    ledger.add_outcomes([outcome("a", 0.0)])
    ledger.close_units(now=1010.0)
    ledger.add_outcomes([make_outcome("a", -1.0, metric="judge", scored_at=1100.0)])

    assert ledger.close_units(now=1109.0) == 0
    assert ledger.close_units(now=1110.0) == 1
    assert ledger.differences[Key("judge")] == {-1.0: 1}
    assert (ledger.units, ledger.analysed, ledger.units_by_stage) == (1, {(0, 5000): [1, 0]}, {0: 1})


def test_rescored_pairs_of_closed_units_begin_their_metric_anew_and_late_ones_of_the_former_scorer_are_passed_over(
    experiment, exchange
) -> None:
    ledger = ledger_with(experiment, exchange, ["a", "b"])
    ledger.add_outcomes([outcome("a", -1.0), make_outcome("a", 0.0, "errors"), outcome("b", -1.0, at=1500.0)])
    ledger.close_units(now=1500.0)
    ledger.begin_look(now=1501.0)
    ledger.add_outcomes([make_outcome("a", 0.5, scorer="exact/2"), outcome("b", -1.0), outcome("a", -1.0)])

    ledger.close_units(now=1510.0)
    assert QUALITY not in ledger.differences, "the rows came at 1501, whenever their requests did"
    ledger.close_units(now=1511.0)

    assert ledger.differences == {QUALITY: {0.5: 1}, Key("errors"): {0.0: 1}}
    assert ledger.pair_counts[QUALITY].pairs == 1
    assert ledger.begun_anew == ["quality"]
    assert ledger.units == 2


def test_a_unit_whose_only_metric_has_a_lane_of_its_own_is_still_analysed(experiment, exchange) -> None:
    ledger = ledger_with(experiment, exchange, ["a", "b"])
    ledger.add_outcomes([outcome("a", 0.0), make_outcome("b", 0.0, scorer="exact/2")])

    ledger.close_units(now=2000.0)

    assert ledger.units == 2


def test_failures_of_a_scorer_are_due_pairs_that_take_their_place_under_the_cap(experiment, exchange) -> None:
    ledger = ledger_with(experiment, exchange, ["a"])
    failed = [make_outcome("a", 0.0, scored_at=1000.0, failure="judge_failed: timeout") for _ in range(4)]
    scored = [make_outcome("a", -1.0, scored_at=1000.0) for _ in range(3)]
    ledger.add_outcomes([*failed, *scored])
    ledger.close_units(now=1000.0)

    assert (ledger.failed[QUALITY], ledger.pair_counts[QUALITY].pairs) == (4, 1)
    assert ledger.differences == {QUALITY: {-1.0: 1}}


def test_feedback_counts_when_it_has_settled_by_its_last_value(experiment, exchange) -> None:
    ledger = Ledger(experiment(guardrails=(Guardrail(name="thumbs_up", feedback=True, max_relative=1.2),)))
    ledger.add_exchanges(exchange(unit=unit) for unit in "ab")
    for now, votes in (
        (1001.0, [make_vote("a", 0.0, exchange="x", at=1001.0), make_vote("b", 1.0, exchange="y", at=1001.0)]),
        (1005.0, [make_vote("a", 1.0, exchange="x", at=1005.0)]),
        (1012.0, [make_vote("b", 0.0, exchange="y", at=1012.0)]),
        (1100.0, []),
    ):
        ledger.begin_look(now)
        ledger.add_feedback(votes)

    assert ledger.events == {"errors": {}}
    assert ledger.answered == {"thumbs_up": {(0, 5000): [2, 0]}}
