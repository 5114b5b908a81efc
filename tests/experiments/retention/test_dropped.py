"""What is known of exchanges that are there no more, and which ones are still needed."""

import pytest
from tests_days import DAY

from experiments.model import Phase
from experiments.retention.dropped import DroppedError, EpochKey, check_whole, dropped, needed, note
from experiments.store import Store


def test_an_epoch_is_needed_until_it_has_ended_or_another_has_begun(store: Store, begin) -> None:
    for name, phase in (("paused", Phase.PAUSED), ("stopped", Phase.STOPPED), ("gated", Phase.GATED)):
        begin(1, phase, name=name)
    begin(1, Phase.STOPPED)
    begin(2)

    with store.engine.connect() as connection:
        assert needed(connection) == {EpochKey("paused", 1), EpochKey("gated", 1), EpochKey("support", 2)}


def test_a_replay_of_what_was_dropped_is_refused_in_one_line_that_says_when_and_by_what(store: Store) -> None:
    check_whole(store.engine, "support", 1)
    with store.engine.begin() as connection:
        note(connection, {EpochKey("support", 1): 1_200, EpochKey("support", 2): 0}, 20_000 * DAY, 30)
        note(connection, {EpochKey("support", 1): 34}, 20_002 * DAY, 30)

    with pytest.raises(DroppedError) as refused:
        check_whole(store.engine, "support", 1)
    assert str(refused.value) == (
        "epoch 1 of support cannot be replayed: 1,234 of its exchanges were dropped from 2024-10-04 to 2024-10-06 by "
        "keep_exchanges_days = 30; its looks are stored as they were"
    )
    assert dropped(store.engine, "support", 2) is None
