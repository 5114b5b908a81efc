"""The alpha of a build over its retries: never more than there is, whatever the number of attempts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.alpha_ledger import AlphaLedger, Attempt, attempt_alpha

alphas = st.floats(1e-6, 0.999)


@given(alpha=alphas, attempts=st.integers(0, 200))
def test_alpha_is_never_overspent_and_never_used_up(alpha: float, attempts: int) -> None:
    ledger = AlphaLedger("build", alpha)
    for _ in range(attempts):
        before = ledger
        ledger = ledger.begin()
        assert ledger.left < before.left
        assert ledger.attempts[-1].alpha == before.next_alpha

    assert ledger.spent + ledger.left == pytest.approx(alpha)
    assert 0 < ledger.left <= alpha
    assert 0 < ledger.next_alpha < ledger.left or attempts == 0


def test_shares_fall_with_the_square_of_the_attempt_and_add_up_to_alpha() -> None:
    shares = [attempt_alpha(0.05, j) for j in range(1, 100_001)]

    assert shares[0] / shares[2] == pytest.approx(9)
    assert sum(shares) == pytest.approx(0.05, rel=1e-5)
    assert sum(shares) < 0.05


def test_a_ledger_is_never_changed() -> None:
    ledger = AlphaLedger("build", 0.025)
    ledger.begin("epoch 1")

    assert ledger.attempts == ()


@given(alpha=alphas, attempts=st.integers(0, 8))
def test_a_ledger_comes_back_from_json_as_it_was(alpha: float, attempts: int) -> None:
    ledger = AlphaLedger("build", alpha)
    for number in range(attempts):
        ledger = ledger.begin(f"epoch {number}")

    assert AlphaLedger.from_dict(json.loads(json.dumps(ledger.to_dict()))) == ledger


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AlphaLedger("build", 0.0), r"alpha == 0.0, must be in \(0, 1\)"),
        (lambda: attempt_alpha(0.05, 0), "number - 1 == -1, must be >= 0"),
        (lambda: AlphaLedger("build", 0.05, (Attempt(2, 0.001),)), "attempt.number == 2, must be 1"),
        (lambda: AlphaLedger("build", 0.05, (Attempt(1, 0.05),)), "attempt.alpha == 0.05, must be in"),
        (lambda: AlphaLedger("build", 0.05, (Attempt(1, -0.01),)), "attempt.alpha == -0.01, must be in"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
