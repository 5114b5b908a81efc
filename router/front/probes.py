"""Who asks for this process's health, and whether they know yet that it ends.

A load balancer that asks learns from the answers that no requests are to come here any more. Until it has learnt that,
the port must stay open: a request that comes to a port as it is closed fails, and the balancer may not send it again,
for it cannot know whether it was served.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_WAIT_S = 10.0
"""For those who ask, at most."""
_TOLD = 3
"""So many bad answers in a row take a server out of service: HAProxy's default, and more than most others ask for."""
_LATE_S = 0.5
_MOST_ASKERS = 64


@dataclass(slots=True)
class _Asker:
    asked: int = 0
    last: float = 0.0
    interval_s: float = 0.0
    told: int = 0


class Probes:
    """Those who ask for the health of one process.

    Attributes:
        ending: Whether the process ends, and says so.
    """

    def __init__(self) -> None:
        self.ending = False
        self._askers: dict[str, _Asker] = {}

    def note(self, address: str, now: float) -> bool:
        """Note that somebody asks; whether the answer is that this process is in service.

        Args:
            address: Of who asks.
            now: In seconds, of a clock that never goes back.
        """
        asker = self._askers.pop(address, None) or _Asker()
        asker.interval_s = now - asker.last
        asker.last = now
        asker.asked += 1
        asker.told += self.ending
        self._askers[address] = asker
        if len(self._askers) > _MOST_ASKERS:
            del self._askers[next(iter(self._askers))]  # who has been silent for longest
        return not self.ending

    def is_waited_for(self, now: float, longest_s: float = LONGEST_WAIT_S) -> bool:
        """Whether somebody keeps asking, often enough to learn it in time, and does not know yet that we end.

        Args:
            now: As of `note`.
            longest_s: How long may be waited in all.
        """
        return any(_is_waited_for(asker, now, longest_s) for asker in self._askers.values())


def _is_waited_for(asker: _Asker, now: float, longest_s: float) -> bool:
    asks_often = asker.asked > 1 and asker.interval_s * _TOLD <= longest_s
    goes_on = now - asker.last <= 2 * asker.interval_s + _LATE_S
    return asks_often and goes_on and asker.told < _TOLD
