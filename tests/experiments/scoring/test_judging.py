"""How a judge does: its wins, its position bias, and whether people agree with it."""

import math

import pytest
from tests_builders import make_experiment, make_pair

from experiments.config.asking import Judge
from experiments.config.records import Monitor
from experiments.lifecycle import start
from experiments.model import Phase
from experiments.pairs.labels import Label, LabelStore
from experiments.scorers import Asked, Failed, PairScore
from experiments.scoring.experiment_scorer import ExperimentScorer
from experiments.scoring.judging import agreement, judging, share
from experiments.scoring.score_tasks import Spend, TaskStore, task_values
from experiments.store import Epoch, RouteState, Store, Transition

SCORES = {"control": PairScore(1.0, 0.0), "treatment": PairScore(0.0, 1.0), "tie": PairScore(0.5, 0.5)}


@pytest.fixture(name="judged")
def _judged(store: Store):
    """Store verdicts: (who won, what was picked, whether it was swapped and consistent)."""
    monitors = (Monitor(name="better", scorer="judge", judge=Judge(backend="judge")),)
    experiment = make_experiment(guardrails=(), monitors=monitors)
    scorer = ExperimentScorer(experiment)
    route = start(experiment, 1)
    begun = Transition(
        experiment="support", epoch=1, look=None, at=0.0, actor="config", from_phase=Phase.DRAFT, to_phase=route.phase,
        from_stage=0, to_stage=0, split_basis_points=0, reason="",
    )  # fmt: skip
    epoch = Epoch(experiment="support", number=1, config_hash="", config={}, started_at=0.0)
    store.begin_epoch(epoch, RouteState(route=route, epoch_started_at=0.0, stage_started_at=0.0), begun)

    def judged(*found: tuple[str, str, bool, bool] | str) -> list[str]:
        outcomes = []
        for one in found:
            if isinstance(one, str):
                made = Failed(one)
            else:
                winner, picked, swapped, consistent = one
                made = Asked(SCORES[winner], {"picked": picked, "swapped": swapped, "consistent": consistent})
            outcomes.append(scorer.asked_outcome(make_pair()[0], "better", made, 5.0))
        store.save_outcomes(outcomes, [])
        return [outcome.pair for outcome in outcomes]

    return judged


def test_what_was_said_is_counted(store: Store, judged) -> None:
    verdicts = [("treatment", "A", False, True)] * 5 + [("control", "A", True, True)] * 2
    judged(*verdicts, ("tie", "A", True, False), ("tie", "tie", False, True), "timeout", "timeout", "no room")

    found = judging(store, "support", "better", 0.0)

    assert (found.outcomes, found.judged) == (12, 9)
    assert found.failures == {"judge_failed: timeout": 2, "judge_failed: no room": 1}
    assert {side: wins.count for side, wins in found.wins.items()} == {"control": 2, "treatment": 5, "tie": 2}
    assert (found.first_preferred.count, found.first_preferred.of) == (8, 8)
    assert found.first_preferred.lower > 0.5
    assert (found.inconsistent.count, found.inconsistent.of) == (1, 3)


def test_people_are_held_against_the_judge_and_their_newest_word_counts(store: Store, judged) -> None:
    pairs = judged(("treatment", "A", False, True), ("control", "B", False, True), ("tie", "tie", False, True))
    labels = LabelStore(store.engine)
    for number, (pair, said) in enumerate(zip(pairs, ("control", "control", "a refund"), strict=True)):
        labels.add([Label(pair=pair, experiment="support", metric="better", value=said, at=float(number))])
    labels.add([Label(pair=pairs[0], experiment="support", metric="better", value="treatment", at=9.0)])

    found = judging(store, "support", "better", 0.0).agreement

    assert (found.labelled, found.same.count, found.kappa) == (2, 2, 1.0)


def test_what_waits_and_what_was_spent_today_is_told(store: Store) -> None:
    store.save_outcomes([], [], [task_values(pair, "support", 1, "better", 1.0) for pair in ("p1", "p2")])
    line = TaskStore(store.engine)
    line.finish(line.due(2.0, 1)[0], None, Spend(1, 100, 10), 50.0)

    found = judging(store, "support", "better", 60.0)

    assert (found.waiting, found.spent_today["input_tokens"]) == (1, 100)
    assert (found.version, found.wins["tie"].share, found.agreement.kappa) == ("", None, None)
    assert judging(store, "support", "better", 90_000.0).spent_today["calls"] == 0


def test_kappa_is_the_textbooks() -> None:
    # Cohen's own measure on 2 x 2: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no is 0.4.
    pairs = [("control", "control")] * 20 + [("control", "tie")] * 5 + [("tie", "control")] * 10 + [("tie", "tie")] * 15

    assert agreement(pairs).kappa == pytest.approx(0.4)
    assert agreement([("tie", "tie")] * 3).kappa is None


def test_a_share_of_nothing_has_no_interval() -> None:
    assert share(0, 0).share is None
    assert math.isclose(share(0, 10).upper, 0.2775, abs_tol=1e-4)
