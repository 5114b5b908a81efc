"""Who asks for a process's health is waited for until it knows that the process ends; nobody else is."""

import pytest

from router.front.probes import Probes


def asked(*times: float, address: str = "10.0.0.1", probes: Probes | None = None) -> Probes:
    """Somebody who has asked at these times, in seconds."""
    probes = probes or Probes()
    for time in times:
        probes.note(address, time)
    return probes


def test_a_balancer_that_asks_every_second_is_waited_for_until_it_was_told_three_times() -> None:
    probes = asked(0.0, 1.0, 2.0)
    probes.ending = True

    assert probes.is_waited_for(2.1)
    told = [(probes.note("10.0.0.1", at), probes.is_waited_for(at)) for at in (3.0, 4.0, 5.0)]
    assert told == [(False, True), (False, True), (False, False)]


def test_before_it_ends_a_process_says_that_it_is_in_service() -> None:
    assert Probes().note("10.0.0.1", 0.0)


@pytest.mark.parametrize(
    ("times", "now"),
    [((), 0.0), ((0.0,), 0.1), ((0.0, 1.0), 3.6), ((0.0, 4.0), 4.1)],
    ids=["nobody", "once only", "has stopped asking", "too seldom to learn it in time"],
)
def test_who_does_not_keep_asking_is_not_waited_for(times: tuple[float, ...], now: float) -> None:
    probes = asked(*times)
    probes.ending = True

    assert not probes.is_waited_for(now)


def test_how_often_is_often_enough_follows_from_how_long_may_be_waited() -> None:
    probes = asked(0.0, 1.0)

    assert probes.is_waited_for(1.1, longest_s=3.0)
    assert not probes.is_waited_for(1.1, longest_s=2.9)


def test_of_two_balancers_both_must_know() -> None:
    probes = asked(0.0, 1.0)
    asked(0.0, 1.0, address="10.0.0.2", probes=probes)
    probes.ending = True
    asked(1.1, 1.2, 1.3, probes=probes)

    assert probes.is_waited_for(1.4)


def test_whoever_asks_from_everywhere_takes_no_memory() -> None:
    probes = Probes()
    for number in range(1_000):
        asked(number, address=f"10.0.{number}", probes=probes)

    assert len(probes._askers) == 64
