"""Votes are counted as the ledger counts them: the latest word, once it has stood."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests_rows import START, History, experiment, gathered

from experiments.model import CONTROL, TREATMENT, Exchange
from experiments.stored import Outcome, StoredExchange, StoredFeedback


def live(number: int, arm: str, propensity: float = 0.5) -> StoredExchange:
    made = Exchange(
        id=f"x{number}", at=START, experiment="support", epoch=1, unit=f"u{number}", assigned=arm, served=arm,
        propensity=propensity, pair=f"x{number}",
    )  # fmt: skip
    return StoredExchange(exchange=made, seq=number)


def vote(seq: int, number: int, value: float, after_s: float) -> StoredFeedback:
    return StoredFeedback(
        seq=seq, exchange=f"x{number}", metric="complaint", source="client", value=value, at=START + after_s,
        unit=f"u{number}", stage=0, assigned=CONTROL if number % 2 else TREATMENT, propensity=0.5, exchange_at=START,
    )  # fmt: skip


OUTCOME = Outcome(
    pair="x1", metric="agreement", scorer="a/1", experiment="support", epoch=1, stage=0, unit="u1", at=START, slices={},
    control_value=1.0, treatment_value=1.0, value=0.0, seq=1,
)  # fmt: skip


@pytest.mark.parametrize("at_once", [True, False])
def test_a_changed_mind_counts_while_it_is_fresh_and_never_after_it_has_stood(tmp_path: Path, *, at_once: bool) -> None:
    exchanges = [live(1, CONTROL), live(2, TREATMENT), live(3, CONTROL), live(4, TREATMENT)]
    feedback = [
        vote(1, 1, 0.0, 1), vote(2, 1, 1.0, 2),  # taken back at once: no event
        vote(3, 2, 0.0, 1), vote(4, 2, 1.0, 50),  # taken back when it had stood: an event all the same
        vote(5, 3, 1.0, 1), vote(6, 3, 0.0, 4),  # a late thumb down within the time
        vote(7, 4, 0.0, 8 * 24 * 3_600),  # behind the window
    ]  # fmt: skip
    feedback.sort(key=lambda item: item.at)
    feedback = [replace(v, seq=number) for number, v in enumerate(feedback, start=1)]
    looks = [(START + 3, 4, 1, 3), (START + 40, 4, 1, 5), (START + 1e6, 4, 1, len(feedback))]
    rows = History(experiment(settle_s=5.0), exchanges, [OUTCOME], feedback, looks)
    ledger = rows.ledger(at_once=at_once)

    with gathered(rows.write(tmp_path), rows, at_once=at_once) as state:
        assert state.events["complaint"] == ledger.events["complaint"] == {(0.5, 1): 1, (0.5, 0): 1}
        assert state.answered == ledger.answered == {"complaint": {(0, 5_000): [2, 1]}}


def test_what_a_look_has_counted_stays_and_the_vote_that_settles_first_is_the_units_event(tmp_path: Path) -> None:
    early, other = live(3, TREATMENT, propensity=0.1), live(4, TREATMENT)
    same_unit = StoredExchange(exchange=replace(other.exchange, unit="u3"), seq=4)
    exchanges = [live(1, CONTROL), live(2, CONTROL), early, same_unit]
    feedback = [
        vote(1, 1, 0.0, 1),
        vote(2, 3, 1.0, 1),
        vote(3, 4, 0.0, 2),
        vote(4, 3, 0.0, 5),  # the first voter of this unit settles last
        vote(5, 1, 1.0, 4),  # on its way for long: a look has counted the one before
    ]
    about = {stored.exchange.id: stored.exchange for stored in exchanges}
    feedback = [
        replace(v, unit=x.unit, assigned=x.assigned, propensity=x.propensity)
        for v in feedback
        if (x := about[v.exchange])
    ]
    looks = [(START + 8, 4, 1, 4), (START + 20, 4, 1, 5)]
    rows = History(experiment(settle_s=5.0), exchanges, [OUTCOME], feedback, looks)

    with gathered(rows.write(tmp_path), rows) as state:
        assert state.events["complaint"] == rows.ledger().events["complaint"] == {(0.5, 0): 1, (0.5, 1): 1}
