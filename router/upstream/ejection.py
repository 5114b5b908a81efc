"""The circuit breaker of one endpoint: when it is left out, and how it comes back. Pure; the clock is the caller's.

    closed --(failures in a row, or too large a share of them)--> open --(its time is over)--> half-open
       ^                                                           ^                              |
       |                                                           +---(the try failed: twice as long)
       +-----------------------------(the try succeeded)------------------------------------------+

Answers come long after their requests. So each request carries a **ticket** of the period in which it began, and a
verdict from another period says nothing: what was sent before the circuit opened neither closes it nor keeps it open.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from experiments.config.serving import Ejection

LONGEST_OPEN_S = 60.0
SUSPECT_S = 5.0
"""How long an endpoint that once could not be connected to comes last among several."""
NO_TICKET = 0
"""Of a request whose outcome says nothing: it was sent to an open circuit, for want of anything better."""


class State(StrEnum):
    """Where a circuit is."""

    CLOSED = "closed"
    """Requests go through."""
    OPEN = "open"
    """None does, until its time is over."""
    HALF_OPEN = "half_open"
    """One request tries."""


_CLOSED = State.CLOSED  # looking up a member of an enumeration takes its time


class Breaker:
    """One circuit.

    Args:
        settings: When it opens, and for how long.
    """

    __slots__ = (
        "_due_at",
        "_failed",
        "_in_a_row",
        "_open_s",
        "_outcomes",
        "_settings",
        "_suspect_until",
        "ejections",
        "state",
        "ticket",
    )

    def __init__(self, settings: Ejection) -> None:
        self._settings = settings
        self.state = State.CLOSED
        self.ejections = 0
        """How often it opened."""
        self.ticket = 1
        """Of the present period: what a request takes that begins while the circuit is closed."""
        self._in_a_row = 0
        self._outcomes: deque[bool] = deque(maxlen=settings.window)
        """Of the last answers, whether each failed."""
        self._failed = 0
        self._open_s = settings.seconds
        self._due_at = 0.0
        self._suspect_until = float("-inf")

    def __repr__(self) -> str:
        return f"<Breaker {self.state} [{self._in_a_row} failures in a row, {self.ejections} ejections]>"

    def admits(self, now: float) -> bool:
        """Whether a request may go through now."""
        return self.state is _CLOSED or (self.state is State.OPEN and now >= self._due_at)

    def is_suspect(self, now: float) -> bool:
        """Whether another endpoint, if there is one, should be asked first."""
        return now < self._suspect_until

    def begin(self, now: float) -> int:
        """Note that a request begins, and return its ticket.

        If the circuit is open and its time is over, this is the one request that tries. Any other that is sent while
        the circuit is not closed gets `NO_TICKET`.
        """
        if self.state is _CLOSED:
            return self.ticket
        if not self.admits(now):
            return NO_TICKET
        self.state = State.HALF_OPEN
        self.ticket += 1
        return self.ticket

    def succeeded(self, ticket: int) -> bool:
        """Note that a request was answered, to the end; returns whether that closed the circuit."""
        if ticket != self.ticket:
            return False
        if self.state is not _CLOSED:
            self._close()
            return True
        self._in_a_row = 0
        self._suspect_until = float("-inf")
        self._note(failed=False)
        return False

    def failed(self, ticket: int, now: float, *, refused: bool = False) -> None:
        """Note that a request failed through the endpoint's fault.

        Args:
            ticket: Of the request.
            now: On the monotonic clock, in seconds.
            refused: No connection was had.
        """
        if ticket != self.ticket:
            return
        if self.state is State.HALF_OPEN:
            self._open_s = min(2 * self._open_s, max(LONGEST_OPEN_S, self._settings.seconds))
            self._open(now)
            return
        self._in_a_row += 1
        self._note(failed=True)
        if refused:
            self._suspect_until = now + SUSPECT_S
        if self._in_a_row >= self._settings.failures or self._too_many():
            self._open(now)

    def abandoned(self, ticket: int) -> None:
        """Note that a request ended without a verdict: its client left. If it was the try, the next one tries."""
        if ticket == self.ticket and self.state is State.HALF_OPEN:
            self.state = State.OPEN
            self.ticket += 1

    def _note(self, *, failed: bool) -> None:
        outcomes = self._outcomes
        if len(outcomes) == self._settings.window:
            if not failed and not self._failed:
                return  # one more among nothing but good ones
            self._failed -= outcomes[0]
        outcomes.append(failed)
        self._failed += failed

    def _too_many(self) -> bool:
        """Whether the share of failures is too large; a window that is not full says nothing yet."""
        window = self._settings.window
        return len(self._outcomes) == window and 100 * self._failed >= self._settings.failure_percent * window

    def _open(self, now: float) -> None:
        self.state = State.OPEN
        self.ticket += 1
        self.ejections += 1
        self._due_at = now + self._open_s
        self._suspect_until = float("-inf")

    def _close(self) -> None:
        self.state = State.CLOSED
        self.ticket += 1
        self._open_s = self._settings.seconds
        self._in_a_row = self._failed = 0
        self._outcomes.clear()
