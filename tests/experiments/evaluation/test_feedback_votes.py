"""Votes: the latest word counts, once it has stood for a while, and once only."""

from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_vote

from experiments.evaluation.feedback_votes import FeedbackVotes, Vote
from experiments.stored import StoredFeedback

HOUR = 3_600.0


def votes() -> FeedbackVotes:
    return FeedbackVotes(["thumbs_up"], settle_s=60.0, window_s=HOUR)


def thumb(value: float, at: float, **changes) -> StoredFeedback:
    return make_vote("a", value, **({"exchange": "x", "at": at} | changes))


def values(found: list[Vote]) -> list[float]:
    return [item.value for item in found]


def test_a_changed_mind_replaces_the_former_one_until_it_has_stood_for_a_while() -> None:
    waiting = votes()
    waiting.add([thumb(0.0, 1000.0)], now=1000.0)
    waiting.add([thumb(1.0, 1050.0)], now=1050.0)

    assert waiting.settled(1109.0) == []
    assert values(waiting.settled(1110.0)) == [1.0]


def test_a_mind_that_is_changed_afterwards_counts_for_nothing() -> None:
    waiting = votes()
    waiting.add([thumb(1.0, 1000.0)], now=1000.0)
    waiting.settled(1060.0)
    waiting.add([thumb(0.0, 1061.0)], now=1061.0)

    assert waiting.settled(9999.0) == []


def test_a_vote_that_has_stood_counts_though_no_look_came_before_the_next_one() -> None:
    waiting = votes()
    waiting.add([thumb(1.0, 1000.0), thumb(0.0, 1060.0)], now=1060.0)

    assert values(waiting.settled(1060.0)) == [1.0]


def test_each_exchange_metric_and_source_is_a_vote_of_its_own() -> None:
    waiting = FeedbackVotes(["thumbs_up", "complaint"], settle_s=0.0, window_s=HOUR)
    others = [{}, {"exchange": "y"}, {"metric": "complaint"}, {"source": "agent"}, {"metric": "unknown"}]
    waiting.add([thumb(0.0, 1000.0, **other) for other in others], now=1000.0)

    assert len(waiting.settled(1000.0)) == 4


def test_what_comes_behind_the_window_counts_for_nothing_and_what_claims_to_be_earlier_counts() -> None:
    waiting = votes()
    times = {"before": 10.0, "in time": 1000.0 + HOUR, "too late": 1000.1 + HOUR}
    waiting.add([thumb(0.0, at, exchange=name) for name, at in times.items()], now=9999.0)

    assert [item.exchange for item in waiting.settled(9999.0)] == ["before", "in time"]


def test_what_comes_too_late_replaces_nothing() -> None:
    waiting = votes()
    waiting.add([thumb(1.0, 1000.0), thumb(0.0, 1001.0 + HOUR)], now=1001.0)

    assert values(waiting.settled(1060.0)) == [1.0]


def test_a_vote_that_claims_to_come_from_the_future_waits_no_longer_than_one_of_now() -> None:
    waiting = votes()
    waiting.add([thumb(0.0, 2000.0)], now=1000.0)

    assert values(waiting.settled(1060.0)) == [0.0]


def test_at_once_takes_every_change_of_mind_and_leaves_nothing_to_settle() -> None:
    waiting = votes()
    found = waiting.at_once([thumb(0.0, 1000.0), thumb(1.0, 1001.0), thumb(1.0, 1001.0, metric="unknown")])
    waiting.add([thumb(0.0, 1002.0)], now=1002.0)

    assert values(found) == [0.0, 1.0]
    assert waiting.settled(9999.0) == []


@given(
    said=st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from([0.0, 1.0])), max_size=20),
    cut=st.integers(0, 20),
)
def test_within_the_settling_time_any_cut_into_looks_counts_the_same_votes(said, cut: int) -> None:
    rows = [thumb(value, 1000.0 + n, exchange=name) for n, (name, value) in enumerate(said)]
    whole, parts = votes(), votes()
    whole.add(rows, now=1020.0)
    parts.add(rows[:cut], now=1010.0)
    parts.add(rows[cut:], now=1020.0)

    found = whole.settled(1080.0)
    assert found == parts.settled(1080.0)
    assert {item.exchange: item.value for item in found} == dict(said)
