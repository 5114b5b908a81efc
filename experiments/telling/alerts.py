"""Turns what the controller does into notifications: reads transitions, hears of looks, and asks what is due.

It stands beside the controller and never in its way: what fails here is logged, and made up for at the next tick.
Nothing is lost in a kill between a transition and its notification, for transitions are read from the store; an alarm
that was going on is told once more by the next process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import structlog

from experiments.evidence import Decision
from experiments.stored import Look, Transition
from experiments.telling.escalation import EscalationPolicy, Event, Notification, due
from experiments.telling.events import alarms, event_of
from experiments.telling.incident_log import IncidentLog

_log = structlog.get_logger(__name__)
CATCH_UP_S = 3600.0
"""How far back a new process looks for transitions that nobody was told of."""


class Alerts:
    """What people are told of the experiments. For one thread, but for `tell`.

    Args:
        transitions: Experiment -> its transitions, in order; as `Store.transitions`.
        log: Keeps events and acknowledgements.
        policy: How often people are told.
        put: Takes notifications for delivery, at once, and knows those that it has had; as `Notifier.put`.
    """

    def __init__(
        self,
        transitions: Callable[[str], Sequence[Transition]],
        log: IncidentLog,
        policy: EscalationPolicy,
        put: Callable[[Sequence[Notification], float], int],
    ) -> None:
        self._transitions = transitions
        self._log = log
        self._policy = policy
        self._put = put
        self._told: dict[str, int] = {}
        """Experiment -> how many of its transitions have been told."""
        self._last: dict[tuple[str, int], Decision] = {}
        self._waiting: list[Event] = []
        self._trouble = ""

    def __repr__(self) -> str:
        return f"<Alerts [{len(self._waiting)} events wait]>"

    def saw(self, look: Look) -> None:
        """Hear of a look that was taken and stored. It only remembers."""
        key = look.experiment, look.epoch
        self._waiting += alarms(self._last.get(key), look)
        self._last[key] = look.decision

    def tell(self, event: Event) -> None:
        """Keep an event of another kind; from any thread.

        Raises:
            SQLAlchemyError: The store is away.
        """
        self._log.record([event])

    def tick(self, now: float, experiments: Iterable[str]) -> None:
        """Do all that is due. Never raises for a store that is away: the next tick makes up for it.

        Args:
            now: Wall-clock time in seconds since the epoch (UTC).
            experiments: Names of those that are carried through.
        """
        try:
            for name in experiments:
                self._note_transitions(name, now)
            self._log.record(self._waiting)
            self._waiting = []
            self._put(due(*self._log.known(now), now, self._policy), now)
            self._trouble = ""
        except Exception as error:  # noqa: BLE001  # no experiment waits for a notification
            if type(error).__name__ != self._trouble:
                self._trouble = type(error).__name__
                _log.error("alerts_failed", trouble=self._trouble)

    def _note_transitions(self, name: str, now: float) -> None:
        moves = self._transitions(name)
        known = self._told.get(name)
        new = moves[known:] if known is not None else [move for move in moves if move.at > now - CATCH_UP_S]
        self._log.record([event_of(move) for move in new])
        self._told[name] = len(moves)
