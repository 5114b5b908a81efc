"""What people are told of the recording of each host."""

from __future__ import annotations

from experiments.journal.recorders import Recorded, Report, troubles
from experiments.journal.status import Status

NOW = 1_700_000_000.0
SHEDDING = {"a~1~1.status": Status(shed=1, shedding="full")}


def recorded(*, silent_s: float = 0.0, **changes: object) -> Recorded:
    values = {"folder": "f", "host": "mumbai-2", "waiting_bytes": 0, "writers": {}} | changes
    return Recorded(report=Report(**values), at=NOW - silent_s, beat=1, told={})


def told(one: Recorded) -> list[str]:
    return list(troubles([one], NOW))


def test_of_a_host_whose_journal_is_loaded_nothing_is_said() -> None:
    assert told(recorded(silent_s=59, waiting_bytes=2**20)) == []


def test_a_host_that_is_not_heard_is_named_with_what_to_do() -> None:
    (line,) = told(recorded(silent_s=300, writers=SHEDDING))

    assert line.startswith("the journal of mumbai-2 has not been loaded for 5 minutes")
    assert "`touchstone record` runs there" in line


def test_one_that_stopped_in_good_order_is_not_missed() -> None:
    assert told(recorded(silent_s=300, ended=True, writers=SHEDDING)) == []


def test_shedding_and_a_long_queue_are_told() -> None:
    found = told(recorded(writers=SHEDDING, waiting_bytes=300 * 2**20))

    assert [line.split(",")[0] for line in found] == [
        "recording is shed by a proxy of mumbai-2",
        "300 MiB of the journal of mumbai-2 wait to be loaded",
    ]
