"""What happens to an experiment reaches people once, also over a kill, and holds nothing up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from tests_history import START, Life, bad, living

from experiments.evidence import Action, Code, Decision, Reason
from experiments.model import Phase
from experiments.stored import Look, Transition
from experiments.tables import ACKNOWLEDGEMENT, EVENT
from experiments.telling.alerts import CATCH_UP_S, Alerts
from experiments.telling.escalation import Acknowledgement, EscalationPolicy, Event, Notification, Severity
from experiments.telling.incident_log import IncidentLog

POLICY = EscalationPolicy()
NAMES = ("support",)


class Inbox:
    """Takes each notification once, as a notifier does."""

    def __init__(self) -> None:
        self.got: dict[str, Notification] = {}

    def put(self, notifications: Sequence[Notification], now: float) -> int:
        new = {note.id: note for note in notifications if note.id not in self.got}
        assert all(note.due_at <= now for note in new.values())
        self.got |= new
        return len(new)

    def titles(self) -> list[str]:
        return [note.title for note in self.got.values()]


def alerts_of(life: Life, inbox: Inbox) -> Alerts:
    log = IncidentLog(life.store.engine, EVENT, ACKNOWLEDGEMENT)
    return Alerts(life.store.transitions, log, POLICY, inbox.put)


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    """A harmful treatment, a second at a time."""
    with living(tmp_path) as life:
        life.start()
        yield life


def until_rolled_back(life: Life, alerts: Alerts) -> None:
    for number in range(12):
        life.serve(number * 100, number * 100 + 100, bad)
        life.tick()
        alerts.tick(life.now, NAMES)
        if life.store.route_states()["support"].route.phase is Phase.ROLLED_BACK:
            return
    raise AssertionError("it was never rolled back")


def look(life: Life, *codes: Code) -> Look:
    """The newest look, with other reasons."""
    newest = life.store.latest_look("support", 1)
    assert newest is not None
    values = {name: getattr(newest, name) for name in Look.__struct_fields__}
    reasons = [Reason(code=code, metric="assigned") for code in codes]
    return Look(**(values | {"decision": Decision(action=Action.HOLD, reasons=reasons)}))


def test_a_rollback_is_told_once_and_again_until_somebody_takes_it_on(life: Life) -> None:
    inbox = Inbox()
    alerts = alerts_of(life, inbox)
    until_rolled_back(life, alerts)
    first = inbox.titles()
    alerts.tick(life.now + 60, NAMES)
    same = inbox.titles()
    alerts.tick(life.now + 1800, NAMES)
    again = inbox.titles()
    IncidentLog(life.store.engine, EVENT, ACKNOWLEDGEMENT).acknowledge(
        Acknowledgement(key="support/1/rolled_back/0", at=life.now + 1900, actor="asha")
    )
    alerts.tick(life.now + 3600, NAMES)

    rolled_back = "support is rolled back, control serves everyone"
    assert first == ["support is running at stage 1: the treatment serves 10 %", rolled_back]
    assert (same, again, inbox.titles()) == (first, [*first, rolled_back], [*first, rolled_back])


def test_what_a_killed_process_did_not_tell_the_next_one_does_and_only_that(life: Life) -> None:
    inbox = Inbox()
    silent = Alerts(life.store.transitions, IncidentLog(life.store.engine, EVENT, ACKNOWLEDGEMENT), POLICY, Inbox().put)
    until_rolled_back(life, silent)

    alerts_of(life, inbox).tick(life.now + 5, NAMES)
    alerts_of(life, inbox).tick(life.now + 9, NAMES)

    assert len(inbox.titles()) == 2


def test_what_happened_long_before_it_was_turned_on_is_not_told(life: Life) -> None:
    inbox = Inbox()

    alerts_of(life, inbox).tick(START + CATCH_UP_S + 1, NAMES)

    assert inbox.titles() == []


def test_an_alarm_of_a_look_is_told_at_the_next_tick_and_not_while_it_lasts(life: Life) -> None:
    inbox = Inbox()
    alerts = alerts_of(life, inbox)
    life.tick()
    for _ in range(3):
        alerts.saw(look(life, Code.SPLIT_MISMATCH))
        alerts.tick(life.now, NAMES)

    assert inbox.titles()[1:] == ["support is held up"]


def test_an_event_of_another_kind_is_told_too(life: Life) -> None:
    inbox = Inbox()
    alerts = alerts_of(life, inbox)
    alerts.tell(Event(key="channel/pager", severity=Severity.WARNING, at=life.now, title="the channel is down"))
    alerts.tick(life.now, NAMES)

    assert "the channel is down" in inbox.titles()


def test_a_store_that_is_away_holds_nothing_up_and_costs_no_event(life: Life) -> None:
    inbox, away = Inbox(), [True]

    def transitions(name: str) -> list[Transition]:
        if away[0]:
            raise OperationalError("SELECT", {}, ConnectionError("postgresql://user:hunter2@db"))
        return life.store.transitions(name)

    alerts = Alerts(transitions, IncidentLog(life.store.engine, EVENT, ACKNOWLEDGEMENT), POLICY, inbox.put)
    life.tick()
    with capture_logs() as logs:
        alerts.saw(look(life, Code.SPLIT_MISMATCH))
        alerts.tick(life.now, NAMES)
        alerts.tick(life.now, NAMES)
        away[0] = False
        alerts.tick(life.now, NAMES)

    assert [(entry["event"], entry["trouble"]) for entry in logs] == [("alerts_failed", "OperationalError")]
    assert sorted(inbox.titles()) == [
        "support is held up",
        "support is running at stage 1: the treatment serves 10 %",
    ]
