"""How long an epoch and its stage have run."""

from hypothesis import given
from hypothesis import strategies as st

from experiments.evidence import Elapsed
from experiments.stopwatch import Stopwatch, resumed

NOTHING = Elapsed(epoch_s=0.0, stage_s=0.0)


@given(steps=st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=20))
def test_however_it_is_read_the_epoch_is_the_sum_of_what_passed_and_a_stage_the_sum_since_it_began(
    steps: list[tuple[int, bool]],
) -> None:
    watch, steady_s, stage = Stopwatch(NOTHING, 0, 0.0), 0, 0
    began_s = 0
    for passed_s, moves in steps:
        steady_s += passed_s
        elapsed = watch.read(stage, float(steady_s))

        assert elapsed == Elapsed(epoch_s=float(steady_s), stage_s=float(steady_s - began_s))
        watch.go_on(elapsed, stage, float(steady_s))
        if moves:
            stage, began_s = stage + 1, steady_s


def test_a_reading_whose_look_was_not_stored_counts_nothing_twice() -> None:
    watch = Stopwatch(NOTHING, 0, 0.0)

    watch.read(0, 5.0)

    assert watch.read(0, 8.0).epoch_s == 8.0


def test_the_gap_between_two_runs_counts_unless_the_clock_was_set_back() -> None:
    before = Elapsed(epoch_s=100.0, stage_s=30.0)

    assert resumed(before, at=1_000.0, now=1_060.0) == Elapsed(epoch_s=160.0, stage_s=90.0)
    assert resumed(before, at=1_000.0, now=1_060.0, same_stage=False) == Elapsed(epoch_s=160.0, stage_s=60.0)
    assert resumed(before, at=1_000.0, now=200.0) == before
