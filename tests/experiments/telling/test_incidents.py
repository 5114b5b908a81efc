"""What waits for a person, and taking it on."""

from datetime import time

import pytest
from tests_history import CONFIG, write_config

from experiments.config import load
from experiments.config.records import Config
from experiments.store import Store
from experiments.telling.escalation import EscalationPolicy, Event, Severity
from experiments.telling.incidents import UnknownIncidentError, acknowledge, incident_log, open_now, policy_of

NOW = 1_700_000_000.0
NOTIFICATIONS = """
[router.notifications]
renotify_minutes = 5
dedupe_minutes = 90
quiet = { start = "22:00", end = "07:30", zone = "Asia/Kolkata" }
"""


@pytest.fixture(name="config")
def _config(tmp_path) -> Config:
    return load(
        write_config(tmp_path, CONFIG.replace("[backends.original]", f"{NOTIFICATIONS}[backends.original]")), {}
    )


def event(key: str, severity: Severity = Severity.CRITICAL, at: float = NOW) -> Event:
    return Event(key=key, severity=severity, at=at, experiment="support", title="rolled back", text="why")


def test_the_policy_is_as_it_is_configured(config: Config) -> None:
    policy = policy_of(config)

    assert (policy.renotify_s, policy.dedupe_s) == (300.0, 5400.0)
    assert policy.quiet is not None
    assert (policy.quiet.start, policy.quiet.end, policy.quiet.zone.key) == (time(22), time(7, 30), "Asia/Kolkata")


def test_without_a_word_of_it_the_policy_is_the_default(tmp_path) -> None:
    assert policy_of(load(write_config(tmp_path), {})) == EscalationPolicy()


def test_only_what_is_critical_and_not_acknowledged_is_open(store: Store, config: Config) -> None:
    log = incident_log(store)
    log.record([event("support/1/rolled_back/0"), event("support/1/rolled_back/0", at=NOW + 1)])
    log.record([event("support/1/srm", Severity.WARNING), event("support/2/paused/0", at=NOW + 2)])

    before = open_now(store, config, NOW + 9)
    done = acknowledge(store, "support/1/rolled_back/0", actor="asha", reason="on it", now=NOW + 9)
    after = open_now(store, config, NOW + 9)

    assert [(one.key, one.times) for one in before] == [("support/1/rolled_back/0", 2), ("support/2/paused/0", 1)]
    assert (before[0].since, before[0].severity) == ("2023-11-14T22:13:20Z", "critical")
    assert [one.key for one in after] == ["support/2/paused/0"]
    assert log.acknowledgements() == [done]
    assert (done.actor, done.reason, done.at) == ("asha", "on it", NOW + 9)


def test_what_is_not_critical_may_be_acknowledged_too(store: Store) -> None:
    incident_log(store).record([event("support/1/srm", Severity.WARNING)])

    acknowledge(store, "support/1/srm", actor="asha", reason="known", now=NOW + 1)

    assert [one.key for one in incident_log(store).acknowledgements()] == ["support/1/srm"]


def test_what_never_happened_cannot_be_acknowledged(store: Store) -> None:
    with pytest.raises(UnknownIncidentError, match="nothing has happened under the key 'support/9/x'"):
        acknowledge(store, "support/9/x", actor="asha", reason="?", now=NOW)

    assert incident_log(store).acknowledgements() == []
