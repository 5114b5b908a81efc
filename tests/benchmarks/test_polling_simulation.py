"""The simulation of polling proxies: laws that hold whatever a poll costs."""

from statistics import mean, median

import pytest

from benchmarks.polling_simulation import ALL_IS_WELL, CONNECT_TIMEOUT_S, Polling, Trouble, many, reach

FEW = Polling(proxies=4, poll_cpu_s=0.001, connect_cpu_s=0.005, elsewhere_s=(0.004,))
MANY = FEW._replace(proxies=1_000, cores=8)


def test_one_proxy_learns_of_a_decision_at_a_time_that_is_uniform_over_its_interval() -> None:
    times = [found.last_s for found in many(FEW._replace(proxies=1), ALL_IS_WELL, times=1_000)]
    # A poll that begins just before the commit misses it: interval + its own time; the luckiest: its way back.
    assert min(times) >= 0.001 + 0.002
    assert max(times) <= 0.25 + 2 * 0.005
    assert mean(times) == pytest.approx((0.003 + 0.003 + 0.255) / 2, abs=0.015)


def test_the_last_of_four_has_it_when_the_largest_of_four_uniform_times_is_over() -> None:
    times = [found.last_s for found in many(FEW, ALL_IS_WELL, times=1_000)]
    assert mean(times) == pytest.approx(0.003 + 0.255 * 4 / 5, abs=0.015)


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    assert reach(FEW, ALL_IS_WELL, 1) == reach(FEW, ALL_IS_WELL, 1) != reach(FEW, ALL_IS_WELL, 2)


def test_more_proxies_than_the_database_can_answer_wait_in_line() -> None:
    # A core answers 1,000 polls a second: 1,000 proxies are back for the next one after a second at the earliest.
    found = reach(MANY._replace(cores=1), ALL_IS_WELL, 1)
    assert found.busy == pytest.approx(1.0, abs=0.02)
    assert found.last_s == pytest.approx(1.0, rel=0.05)
    relaxed = reach(MANY, ALL_IS_WELL, 1)
    assert relaxed.last_s < 0.3
    assert relaxed.busy == pytest.approx(1_000 * 0.001 / 0.255 / 8, rel=0.05)


def test_a_proxy_that_is_cut_off_for_good_never_learns_and_the_others_do() -> None:
    found = reach(MANY, Trouble(cut_off_share=0.1), 1)
    assert (found.never, len(found.times_s)) == (100, 900)
    assert found.last_s < 0.3


def test_one_that_is_cut_off_for_a_while_learns_within_a_connections_time_limit_after() -> None:
    found = reach(MANY, Trouble(cut_off_share=0.1, heals_s=3.0), 1)
    late = [time for time in found.times_s if time > 1.0]
    assert (found.never, len(late)) == (0, 100)
    assert min(late) >= 3.0
    assert 3.0 + CONNECT_TIMEOUT_S < max(late) < 3.0 + CONNECT_TIMEOUT_S + 0.3


def test_nobody_learns_of_it_while_the_store_is_away_and_all_have_to_connect_anew() -> None:
    found = reach(MANY, Trouble(restart_s=2.0), 1)
    assert found.times_s[0] >= 2.0
    # 1,000 connections of 5 ms and as many polls of 1 ms on 8 cores.
    assert found.last_s == pytest.approx(2.0 + 1_000 * 0.006 / 8, rel=0.1)
    cheap = reach(MANY._replace(connect_cpu_s=0.0), Trouble(restart_s=2.0), 1)
    assert median(cheap.times_s) < median(found.times_s)
