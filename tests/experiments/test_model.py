"""The vocabulary: what its sets of words mean together, and how little of a record stands in a journal line."""

import msgspec

from experiments.model import BACKEND_FAULTS, ENDED, MISSING_SHADOW, ErrorKind, Exchange, Feedback, Phase, Route


def test_an_error_accuses_the_backend_or_makes_a_pair_incomplete_and_never_both() -> None:
    assert not BACKEND_FAULTS & MISSING_SHADOW
    assert set(ErrorKind) - BACKEND_FAULTS - MISSING_SHADOW == {ErrorKind.CLIENT_CLOSED}


def test_the_phases_in_which_nothing_more_happens_are_those_that_have_an_end() -> None:
    assert set(Phase) - ENDED == {Phase.DRAFT, Phase.GATED, Phase.RUNNING, Phase.PAUSED}


def test_a_line_carries_only_what_is_not_the_default() -> None:
    exchange = Exchange(id="x", at=1.0, experiment="support")

    assert msgspec.json.encode(exchange) == b'{"id":"x","at":1.0,"experiment":"support"}'
    assert msgspec.json.decode(msgspec.json.encode(exchange), type=Exchange) == exchange


def test_a_line_of_a_later_version_is_still_read() -> None:
    line = b'{"metric":"thumbs_up","value":true,"at":1.0,"a_field_of_tomorrow":{}}'

    assert msgspec.json.decode(line, type=Feedback) == Feedback(metric="thumbs_up", value=True, at=1.0)


def test_until_a_route_is_told_otherwise_control_serves_everyone() -> None:
    route = Route(experiment="support")

    assert (route.phase, route.split_basis_points, route.mirror_basis_points) == (Phase.DRAFT, 0, 0)
