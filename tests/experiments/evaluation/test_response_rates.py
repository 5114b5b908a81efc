"""Response rates: who answers at all, and when that is a caution."""

import pytest
from tests_builders import make_exchange, make_experiment, make_vote

from experiments.config.records import Guardrail
from experiments.evaluation.ledger import Ledger
from experiments.evaluation.response_rates import responses, unequal
from experiments.model import CONTROL, TREATMENT


def voted(units: int, rates: dict[str, float], propensity: float = 0.5, stage: int = 0, into: Ledger | None = None):
    thumbs = Guardrail(name="thumbs_up", feedback=True, max_relative=1.2)
    ledger = into or Ledger(make_experiment(guardrails=(thumbs,)))
    ledger.begin_look(9999.0)
    for variant, rate in rates.items():
        names = [f"{variant}-{stage}-{n}" for n in range(units)]
        share = propensity if variant == TREATMENT else 1 - propensity
        ledger.add_exchanges(make_exchange(unit=u, assigned=variant, propensity=share, stage=stage) for u in names)
        ledger.add_feedback(make_vote(u, 1.0, assigned=variant) for u in names[: round(rate * units)] for _ in "ab")
    return ledger


def test_a_unit_counts_once_however_often_it_votes() -> None:
    found = responses(voted(200, {CONTROL: 0.1, TREATMENT: 0.2}))

    assert [(r.variant, r.units, r.answered, r.share) for r in found] == [
        (CONTROL, 200, 20, 0.1),
        (TREATMENT, 200, 40, 0.2),
    ]


@pytest.mark.parametrize(("treatment", "told"), [(0.1, []), (0.15, []), (0.3, ["thumbs_up"])])
def test_only_rates_that_differ_beyond_chance_are_told(treatment: float, told: list[str]) -> None:
    assert list(unequal(voted(200, {CONTROL: 0.1, TREATMENT: treatment}))) == told


def test_stages_with_other_rates_are_not_pooled() -> None:
    """In the first stage few answer, in the second many; each stage has its own share of treated units."""
    ledger = voted(400, {CONTROL: 0.05}, stage=0)
    voted(100, {TREATMENT: 0.05}, stage=0, into=ledger)
    voted(100, {CONTROL: 0.4}, stage=1, into=ledger)
    voted(400, {TREATMENT: 0.4}, stage=1, into=ledger)

    assert list(unequal(ledger)) == []


def test_where_one_variant_had_no_chance_nobody_is_compared_and_without_feedback_there_is_nothing_to_tell() -> None:
    alone = voted(200, {TREATMENT: 0.3}, propensity=1.0)

    assert [response.units for response in responses(alone)] == [0, 0]
    assert list(responses(Ledger(make_experiment()))) == []
    assert list(unequal(alone)) == list(unequal(voted(10, {CONTROL: 0.0, TREATMENT: 0.0}))) == []
