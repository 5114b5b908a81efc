"""Where an epoch stands follows from its transitions; the newest epoch of a store has it from its route."""

from msgspec.structs import replace
from tests_history import Life, bad, live_through, living

from experiments.model import Phase
from experiments.showing.reader import Showing
from experiments.workbench.standings import route_state_of, standing_of


def told_and_stored(life: Life) -> tuple[object, object]:
    epoch = life.store.latest_epoch("support")
    assert epoch is not None
    stored = life.store.route_states()["support"]
    return route_state_of(epoch, life.store.transitions("support")), replace(stored)


def test_the_transitions_tell_what_the_route_says(tmp_path) -> None:
    with living(tmp_path) as life:
        life.start()
        running = told_and_stored(life)
        live_through(life, bad)
        ended = told_and_stored(life)

    assert running[0] == running[1]
    assert ended[0] == ended[1]
    assert ended[0].route.phase is Phase.ROLLED_BACK


def test_an_epoch_without_a_transition_stands_nowhere_and_the_newest_as_it_is_shown(tmp_path) -> None:
    with living(tmp_path) as life:
        life.start()
        epoch, showing = life.store.latest_epoch("support"), Showing(life.store, life.config)
        assert epoch is not None

        assert route_state_of(epoch, []) is None
        assert standing_of(life.store, showing, epoch) == showing.standing("support")
