"""Bad events: one a unit, each a flip of the coin that assigned it."""

from experiments.evaluation.bad_events import BadEvents, Flip
from experiments.model import CONTROL, TREATMENT


def test_the_first_bad_event_of_a_unit_counts_with_the_treatments_share() -> None:
    events = BadEvents(["errors"])
    events.strike("errors", "a", TREATMENT, 0.1)
    events.strike("errors", "a", TREATMENT, 0.1)
    events.strike("errors", "b", CONTROL, 0.9)
    events.strike("thumbs_up", "a", TREATMENT, 0.1)

    assert events.counts == {"errors": {(0.1, 1): 1, (0.1, 0): 1}, "thumbs_up": {(0.1, 1): 1}}


def test_where_only_one_variant_had_a_chance_nothing_is_counted() -> None:
    events = BadEvents(["errors"])
    events.begin_look(watching=True)
    events.strike("errors", "a", TREATMENT, 1.0)

    assert (events.counts, events.late) == ({"errors": {}}, [])


def test_what_is_watched_after_a_promotion_is_the_first_event_since_and_each_look_has_its_own() -> None:
    events = BadEvents(["errors"])
    events.strike("errors", "a", TREATMENT, 0.5)
    events.begin_look(watching=True)
    for _ in range(2):
        events.strike("errors", "a", TREATMENT, 0.9)
    events.strike("errors", "b", CONTROL, 0.1)

    assert events.late == [Flip("errors", 0.9, 1), Flip("errors", 0.9, 0)]
    assert events.counts["errors"] == {(0.5, 1): 1, (0.9, 0): 1}
    events.begin_look(watching=True)
    assert events.late == []
