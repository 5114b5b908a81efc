"""Events and acknowledgements outlive the process; what is asked for is what still matters."""

import pytest

from experiments.store import Store
from experiments.tables import ACKNOWLEDGEMENT, EVENT
from experiments.telling.escalation import FORGET_S, Acknowledgement, EscalationPolicy, Event, Severity, due
from experiments.telling.incident_log import IncidentLog

NOW = 1_700_000_000.123456
OLD = NOW - 2 * FORGET_S - 1


def event(at: float, key: str = "k", severity: Severity = Severity.CRITICAL) -> Event:
    return Event(key=key, severity=severity, at=at, experiment="support", title="t", text="हिन्दी")


def seen(at: float, key: str = "k") -> Acknowledgement:
    return Acknowledgement(key=key, at=at, actor="asha")


@pytest.fixture(name="log")
def _log(store: Store) -> IncidentLog:
    return IncidentLog(store.engine, EVENT, ACKNOWLEDGEMENT)


def test_what_was_recorded_comes_back_as_it_was_and_once(log: IncidentLog) -> None:
    log.record([event(NOW), event(NOW - 1)])
    log.record([event(NOW), event(NOW, severity=Severity.INFO)])
    log.record([])
    log.acknowledge(seen(NOW))
    log.acknowledge(seen(NOW))

    events, acknowledgements = log.known(NOW)

    assert events[0] == event(NOW - 1)
    assert sorted(one.severity for one in events[1:]) == ["critical", "info"]
    assert acknowledgements == [seen(NOW)]


def test_of_old_events_only_the_critical_ones_that_nobody_acknowledged_matter(log: IncidentLog) -> None:
    log.record([event(OLD, "open"), event(OLD, "taken"), event(OLD, "again"), event(OLD, "news", Severity.WARNING)])
    log.acknowledge(seen(OLD + 1, "taken"))
    log.acknowledge(seen(OLD - 1, "again"))

    assert sorted(one.key for one in log.known(NOW).events) == ["again", "open"]


def test_what_it_forgets_would_not_have_been_told(log: IncidentLog) -> None:
    times = [OLD - 5, OLD, OLD + 2, NOW - FORGET_S, NOW - 60, NOW]
    events = [event(at, key, severity) for at in times for key in "ab" for severity in Severity]
    acknowledgements = [seen(OLD + 1, "a"), seen(NOW - 100, "a")]
    log.record(events)
    for one in acknowledgements:
        log.acknowledge(one)

    known = log.known(NOW)

    assert len(known.events) < len(events)
    assert due(*known, NOW, EscalationPolicy()) == due(events, acknowledgements, NOW, EscalationPolicy())


def test_the_audit_gets_all_acknowledgements_in_order(log: IncidentLog) -> None:
    log.acknowledge(seen(NOW, "b"))
    log.acknowledge(seen(OLD, "a"))

    assert log.acknowledgements() == [seen(OLD, "a"), seen(NOW, "b")]
