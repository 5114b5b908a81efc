"""Draws in an expression are those of the mirror, to the last id."""

from hypothesis import given
from hypothesis import strategies as st
from tests_rows import experiment

from experiments.mirroring import drawn
from experiments.warehouse.chosen import Chosen, smallest_not_drawn


@given(st.floats(0, 100))
def test_the_end_of_an_id_is_below_the_limit_exactly_where_its_draw_is_below_the_percentage(percent: float) -> None:
    limit = smallest_not_drawn(percent)

    for end in {max(0, limit - 1), min(2**32 - 1, limit), 0, 2**32 - 1}:
        assert (drawn(f"{end:08x}") < percent) == (end < limit)


def test_only_slices_above_the_rest_are_boosted() -> None:
    boosted = experiment(boosted=True).model_copy(update={"mirror_slices": {"plan=a": 10.0, "plan=b": 90.0}})

    assert Chosen(boosted, 1).boosted == {"plan=b": 90.0}
    assert Chosen(boosted, 1).feedback_metrics == ("complaint",)
