"""The last minute of requests: who counts, for how long, and what is bad about them."""

from tests_builders import make_exchange

from experiments.evaluation.recent import RecentRequests
from experiments.evidence import Recent
from experiments.model import CONTROL, TREATMENT


def counted(*rows, now: float = 100.0, window_s: float = 60.0) -> tuple[Recent, Recent]:
    requests = RecentRequests(window_s)
    for row in rows:
        requests.add(row)
    return requests.counts(now)


def row(at: float = 100.0, assigned: str = TREATMENT, **changes):
    return make_exchange(at=at, assigned=assigned, **changes)


def test_requests_count_for_the_variant_that_they_were_assigned_to() -> None:
    control, treatment = counted(
        row(), row(fallback="connect", served=CONTROL), row(error="timeout"), row(empty=True), row(assigned=CONTROL)
    )

    assert treatment == Recent(variant=TREATMENT, requests=4, failed=2, empty=1)
    assert control == Recent(variant=CONTROL, requests=1)


def test_what_came_to_no_end_of_its_own_says_nothing() -> None:
    ends = [{"error": "client_closed"}, {"error": "shed"}, {"error": "drained"}, {"fallback": "drained"}]

    assert counted(*(row(**end) for end in ends))[1].requests == 0


def test_a_request_counts_for_as_long_as_the_window_whatever_the_order() -> None:
    rows = [row(at=at) for at in (39.9, 90.0, 40.0, 100.0, 20.0)]

    assert counted(*rows)[1].requests == 3
    assert counted(*rows, now=160.0)[1].requests == 1


def test_a_failed_answer_is_not_empty_as_well() -> None:
    assert counted(row(error="reset", empty=True))[1] == Recent(variant=TREATMENT, requests=1, failed=1)
