"""What the last minute of requests looked like: for the hard trips, which wait for no statistics. Pure."""

from __future__ import annotations

from collections import deque

from experiments.evidence import Recent
from experiments.model import CONTROL, MISSING_SHADOW, TREATMENT, ErrorKind
from experiments.scoring.sides import failed
from experiments.store import StoredExchange

_SAY_NOTHING = MISSING_SHADOW | {ErrorKind.CLIENT_CLOSED}


class RecentRequests:
    """Requests of the last seconds, live and mirrored, by the variant that they were assigned to.

    Args:
        window_s: How long a request counts.
    """

    __slots__ = ("_rows", "_window_s")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._rows: deque[tuple[float, str, bool, bool]] = deque()

    def add(self, stored: StoredExchange) -> None:
        """Take one; what came to no end of its own says nothing."""
        exchange = stored.exchange
        if {exchange.error, exchange.fallback} & _SAY_NOTHING:
            return
        bad = failed(stored)
        self._rows.append((exchange.at, exchange.assigned, bad, not bad and stored.empty))

    def counts(self, now: float) -> tuple[Recent, Recent]:
        """Return what there is of control and of the treatment as of `now`, and forget what is older."""
        since = now - self._window_s
        # Rows come nearly in the order of time: what hides behind a newer one is not counted all the same.
        while self._rows and self._rows[0][0] < since:
            self._rows.popleft()
        found = {CONTROL: [0, 0, 0], TREATMENT: [0, 0, 0]}
        for at, variant, bad, empty in self._rows:
            if at >= since and variant in found:
                sums = found[variant]
                sums[0] += 1
                sums[1] += bad
                sums[2] += empty
        control, treatment = (
            Recent(variant=variant, requests=n, failed=bad, empty=empty) for variant, (n, bad, empty) in found.items()
        )
        return control, treatment
