"""What the store keeps of an exchange is what scorers see: finish reason, calls, emptiness, prompt."""

from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_experiment, make_pair

from experiments.config.records import Monitor
from experiments.scorers import PairScore
from experiments.scoring.experiment_scorer import STEPS, ExperimentScorer
from experiments.stored import StoredExchange

MONITORS = tuple(
    Monitor(name=name, scorer=name)
    for name in ("truncated", "tool_calls", "empty", "refusal", "answered_language", "chrf", "json_valid")
)


def differences(shadow: dict, **texts: object) -> dict[str, float]:
    def told(exchange: StoredExchange, **more: object) -> StoredExchange:
        common = {"prompt": "Where is my order?", "finish_reason": "stop", "tool_calls": 0}
        return msgspec.structs.replace(exchange, **(common | texts | more))

    live, mirrored = make_pair({"answer": "Your order comes tomorrow."}, {"answer": "Your order comes tomorrow."})
    scorer = ExperimentScorer(make_experiment(guardrails=(), monitors=MONITORS))
    found = scorer.outcomes(told(live), told(mirrored, **shadow))
    return {outcome.metric: outcome.value for outcome in found if outcome.scorer.startswith(outcome.metric + "/1")}


def quality(shadow: dict, **texts: object) -> dict[str, float]:
    found = differences(shadow, **texts)
    return {name: found[name] for name in sorted(found) if name not in {"errors", "latency", "ttft"}}


def test_two_good_answers_differ_in_nothing() -> None:
    assert quality({}) == dict.fromkeys(sorted(monitor.name for monitor in MONITORS), 0.0)


def test_each_scorer_sees_its_part_of_the_exchange() -> None:
    assert quality({"finish_reason": "length"})["truncated"] == -1
    assert quality({"finish_reason": "refusal"})["refusal"] == -1
    assert quality({"tool_calls": 1})["tool_calls"] == -1
    assert quality({"answer": "", "empty": True})["empty"] == -1
    assert quality({"answer": "Aapka order kal tak aa jayega"})["answered_language"] == -1
    assert -1 < quality({"answer": "The order will come tomorrow."})["chrf"] < 0
    assert quality({"answer": "{}"})["json_valid"] == 1


def test_without_a_prompt_or_a_finish_reason_their_scorers_cannot_tell() -> None:
    found = quality({}, prompt=None, finish_reason=None)

    assert "answered_language" not in found
    assert "truncated" not in found


scores = st.floats(0, 1)


@given(pairs=st.lists(st.tuples(scores, scores), min_size=1, max_size=6))
def test_equal_means_of_units_are_equal_numbers_whatever_the_order_of_their_pairs(pairs: list) -> None:
    kept = [on_steps(*pair) for pair in pairs]

    assert sum(kept) / len(kept) == sum(reversed(kept)) / len(kept) == float(sum(map(Fraction, kept)) / len(kept))
    assert all(abs(value - (b - a)) <= 1 / STEPS for value, (a, b) in zip(kept, pairs, strict=True))


def on_steps(control: float, treatment: float) -> float:
    class Given:
        version = "given/1"

        def score(self, *_: object) -> PairScore:
            return PairScore(control, treatment)

    scorer = ExperimentScorer(make_experiment(guardrails=(), monitors=(Monitor(name="given", scorer="empty"),)))
    scorer._scorers["given"] = Given()
    return next(outcome.value for outcome in scorer.outcomes(*make_pair()) if outcome.metric == "given")
