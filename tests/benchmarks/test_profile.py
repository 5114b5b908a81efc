"""What a sampled stack counts for."""

from benchmarks.profile import LOOP, part_of, shares, table

SERVE = "run_proxy (router/processes/workers.py:105);run (uvloop/__init__.py:82)"


def test_a_stack_counts_for_the_part_that_is_deepest_in_it() -> None:
    assert part_of(
        f"{SERVE};feed (router/direct/exchange.py:1);append (router/journal.py:2);x (y.py:3)".split(";")
    ) == ("journal: encode and write")
    assert part_of(SERVE.split(";")) == LOOP


def test_threads_that_wait_do_not_count_and_shares_are_of_the_cpu_that_was_measured() -> None:
    raw = f"{SERVE} 30\n{SERVE};plan (router/proxy.py:1) 10\n_keep (router/journal.py:9);wait (threading.py:331) 900\n"

    found = shares(raw)

    assert dict(found) == {LOOP: 30, "planning": 10}
    assert f"| {LOOP} | 75.0 | 75% |" in table("a request", found, 100.0)
