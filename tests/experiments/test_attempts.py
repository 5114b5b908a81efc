"""Which attempt of a build an epoch is, and what that costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests_builders import make_experiment

from experiments.assignment import unit_of
from experiments.attempts import AA_CANDIDATE, attempt_of, candidate_of, exposed_before, for_attempt
from experiments.config.records import Backend
from experiments.model import Phase
from experiments.stored import Epoch, Transition


def backends(build: str = "", url: str = "http://b") -> dict[str, Backend]:
    return {
        "original": Backend(name="original", urls=("http://a",)),
        "int4": Backend(name="int4", urls=(url,), build=build),
    }


def epoch(number: int, candidate: str = "a") -> Epoch:
    return Epoch(experiment="support", number=number, config_hash="", config={}, started_at=0.0, candidate=candidate)


def ended(number: int, phase: Phase = Phase.ROLLED_BACK, look: int | None = 7) -> Transition:
    return Transition(
        experiment="support", epoch=number, look=look, at=1.0, actor="controller", from_phase=Phase.RUNNING,
        to_phase=phase, from_stage=0, to_stage=0, split_basis_points=0, reason="",
    )  # fmt: skip


def described(number: int, candidate: str = "a", salt: str = "support", unit: dict | None = None) -> Epoch:
    config = {"salt": salt, "unit": unit or {"kind": "request", "name": ""}}
    return replace(epoch(number, candidate), config=config)


def served(number: int, split: int, phase: Phase = Phase.RUNNING) -> Transition:
    return replace(ended(number, phase), split_basis_points=split)


def test_a_new_build_or_address_is_a_new_candidate_and_a_new_margin_is_not() -> None:
    first = candidate_of(make_experiment(), backends())

    assert candidate_of(make_experiment(ramp=(1.0, 50.0)), backends()) == first
    assert len({first, candidate_of(make_experiment(), backends("v2")), candidate_of(make_experiment(), backends(url="http://c"))}) == 3  # fmt: skip # noqa: E501


@pytest.mark.parametrize("phase", [Phase.PROMOTED, Phase.ROLLED_BACK, Phase.STOPPED])
def test_each_epoch_that_a_look_has_ended_is_an_attempt(phase: Phase) -> None:
    epochs = [epoch(1), epoch(2, "b"), epoch(3)]

    assert attempt_of("a", [], []) == 1
    assert attempt_of("a", epochs, [ended(1, phase), ended(2, phase)]) == 2
    assert attempt_of("a", epochs, [ended(1, phase), ended(3, phase)]) == 3


def test_what_a_person_ended_or_nobody_did_has_judged_nothing() -> None:
    moved = ended(1, Phase.RUNNING)

    assert attempt_of("a", [epoch(1)], [ended(1, look=None), moved]) == 1


def test_a_retry_draws_its_users_anew_and_is_no_less_safe() -> None:
    first, second = (for_attempt(make_experiment(), attempt) for attempt in (1, 2))

    assert first == make_experiment()
    assert second.policy.alpha_rollback == first.policy.alpha_rollback
    drawn = [[unit_of(e.salt, f"u{n}".encode()).bucket < 500 for n in range(5_000)] for e in (first, second)]
    both = sum(a and b for a, b in zip(*drawn, strict=True))
    assert both < 30, "of 250 each, about 12 are in both by chance"


def test_who_met_an_earlier_attempt_is_known_by_its_salt_and_its_widest_split() -> None:
    experiment = make_experiment()
    epochs = [described(1), described(2), described(3, candidate="b"), described(4, salt="support/2")]
    epochs += [described(5, salt="x", unit={"kind": "cookie", "name": "id"}), described(6, candidate=AA_CANDIDATE)]
    moves = [served(1, 500), served(1, 0, Phase.ROLLED_BACK), served(2, 3_000), served(2, 1_000), served(3, 9_000)]
    moves += [served(4, 9_500, Phase.PROMOTED), served(5, 700), served(6, 5_000, Phase.GATED)]

    assert exposed_before(experiment, "a", epochs, moves) == (("support", 3_000), ("support/2", 9_500))
    assert exposed_before(experiment, "a", epochs[:1], [served(1, 5_000, Phase.GATED)]) == ()


@given(st.integers(1, 400))
def test_all_attempts_together_stay_below_one_and_a_half_times_alpha(attempts: int) -> None:
    spent = sum(for_attempt(make_experiment(), n).policy.alpha_promote for n in range(1, attempts + 1))

    assert spent < 1.4 * make_experiment().policy.alpha_promote
