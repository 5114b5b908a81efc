"""People are told everything once, what is critical until somebody takes it on, and nothing else at night."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.telling.escalation import (
    FORGET_S,
    Acknowledgement,
    EscalationPolicy,
    Event,
    Notification,
    Severity,
    audience,
    due,
    incidents,
    open_incidents,
)
from experiments.telling.quiet_hours import quiet_hours

NOON = datetime(2026, 1, 5, 12, tzinfo=ZoneInfo("Asia/Kolkata")).timestamp()
HOUR = 3600.0
POLICY = EscalationPolicy(renotify_s=1800, dedupe_s=HOUR)
NIGHTS = EscalationPolicy(renotify_s=1800, dedupe_s=HOUR, quiet=quiet_hours("22:00", "07:00", "Asia/Kolkata"))
MORNING = NOON + 19 * HOUR


def event(at: float, key: str = "support/1/srm", severity: Severity = Severity.WARNING, **changes: str) -> Event:
    return Event(key=key, severity=severity, at=at, **({"title": f"about {key}", "text": "why"} | changes))


def harm(at: float, key: str = "support/1/rolled_back") -> Event:
    return event(at, key, Severity.CRITICAL)


def seen(at: float, key: str = "support/1/rolled_back") -> Acknowledgement:
    return Acknowledgement(key=key, at=at, actor="asha")


class People:
    """Who is told what, minute by minute: each notification once, as an outbox would have it."""

    def __init__(self, policy: EscalationPolicy) -> None:
        self.policy = policy
        self.known: dict[str, Notification] = {}

    def at(
        self, now: float, events: Iterable[Event], acknowledged: Iterable[Acknowledgement] = ()
    ) -> list[Notification]:
        new = [note for note in due(events, acknowledged, now, self.policy) if note.id not in self.known]
        self.known |= {note.id: note for note in new}
        return new


# --- severity and repetition ------------------------------------------------------------------------------------------


def test_harm_is_told_at_once_and_again_every_half_hour_until_it_is_acknowledged() -> None:
    people, events = People(POLICY), [harm(NOON)]

    told = [(minute, note.repeat) for minute in range(120) for note in people.at(NOON + 60 * minute, events)]
    after = people.at(NOON + 150 * 60, events, [seen(NOON + 121 * 60)])

    assert told == [(0, 0), (30, 1), (60, 2), (90, 3)]
    assert after == []


def test_a_repetition_says_for_how_long_nobody_has_looked() -> None:
    [first] = due([harm(NOON)], [], NOON, POLICY)
    [later] = due([harm(NOON)], [], NOON + 5400, POLICY)

    assert (first.text, first.title) == ("why", later.title)
    assert later.text == "why\nNobody has acknowledged this for 1.5 h."
    assert later.keys == ("support/1/rolled_back",)


def test_after_an_outage_of_ours_only_the_newest_repetition_is_told() -> None:
    people = People(POLICY)
    people.at(NOON, [harm(NOON)])

    assert [note.repeat for note in people.at(NOON + 10 * HOUR, [harm(NOON)])] == [20]


def test_harm_that_comes_back_after_it_was_acknowledged_is_told_again() -> None:
    people, first, again = People(POLICY), harm(NOON), harm(NOON + 600)
    people.at(NOON, [first])

    told = people.at(NOON + 600, [first, again], [seen(NOON + 300)])

    assert [note.due_at for note in told] == [NOON + 600]


def test_an_acknowledgement_is_of_its_key_alone() -> None:
    told = due([harm(NOON, "a"), harm(NOON, "b")], [seen(NOON + 1, "a")], NOON + 2, POLICY)

    assert [note.keys for note in told] == [("b",)]


def test_what_is_not_critical_is_told_once() -> None:
    people, events = People(POLICY), [event(NOON), event(NOON, "x", Severity.INFO)]

    told = [people.at(NOON + 600 * step, events) for step in range(50)]

    assert [len(notes) for notes in told] == [2] + [0] * 49


def test_a_clock_that_was_set_back_holds_up_no_harm() -> None:
    assert [note.repeat for note in due([harm(NOON + HOUR)], [], NOON, POLICY)] == [0]


def test_old_news_is_not_told_but_old_harm_is() -> None:
    old = NOON - FORGET_S

    told = due([event(old), harm(old)], [], NOON, POLICY)

    assert [note.severity for note in told] == [Severity.CRITICAL]


def test_a_channel_gets_what_is_as_severe_as_it_asks() -> None:
    [note] = due([event(NOON)], [], NOON, POLICY)
    channels = {"log": Severity.INFO, "chat": Severity.WARNING, "pager": Severity.CRITICAL}

    found = {severity: audience(msgspec.structs.replace(note, severity=severity), channels) for severity in Severity}

    assert found == {
        Severity.INFO: ["log"],
        Severity.WARNING: ["log", "chat"],
        Severity.CRITICAL: ["log", "chat", "pager"],
    }


# --- one story, one message -------------------------------------------------------------------------------------------


def test_the_same_again_within_the_hour_is_the_same_story() -> None:
    people, events = People(POLICY), [event(NOON + 60 * minute) for minute in range(0, 120, 5)]

    told = [note.due_at for minute in range(120) for note in people.at(NOON + 60 * minute, events)]

    assert told == [NOON, NOON + HOUR]


def test_the_same_key_at_a_higher_severity_is_told_at_once() -> None:
    people = People(POLICY)
    people.at(NOON, [event(NOON, "k")])

    told = people.at(NOON + 1, [event(NOON, "k"), harm(NOON + 1, "k")])

    assert [note.severity for note in told] == [Severity.CRITICAL]


def test_open_incidents_are_the_critical_ones_that_nobody_took_on() -> None:
    events = [harm(NOON, "a"), harm(NOON, "b"), event(NOON, "c"), harm(NOON + 9, "a")]

    found = open_incidents(events, [seen(NOON + 5, "b")], POLICY)

    assert [(one.first.key, one.count) for one in found] == [("a", 2)]


# --- quiet hours ------------------------------------------------------------------------------------------------------


def test_what_comes_at_night_is_told_in_one_summary_in_the_morning() -> None:
    people, night = People(NIGHTS), NOON + 11 * HOUR
    events = [event(night, "a"), event(night + 60, "b", Severity.INFO), event(night + 90, "a")]

    told = [(note.due_at, note) for hour in range(36) for note in people.at(NOON + hour * HOUR, events)]

    [(due_at, note)] = told
    assert (due_at, note.severity, note.keys) == (MORNING, Severity.WARNING, ("a", "b"))
    assert note.title == "2 messages from the quiet hours"
    assert note.text == "warning: about a (2 times)\ninfo: about b"


def test_harm_at_night_wakes_people() -> None:
    assert len(due([harm(NOON + 11 * HOUR)], [], NOON + 11 * HOUR, NIGHTS)) == 1


def test_what_was_acknowledged_at_night_is_left_out_of_the_summary() -> None:
    night = NOON + 11 * HOUR
    events = [event(night, "a"), event(night, "b")]

    some = due(events, [seen(night + 1, "a")], MORNING, NIGHTS)
    none = due(events, [seen(night + 1, "a"), seen(night + 1, "b")], MORNING, NIGHTS)

    assert ([note.keys for note in some], none) == ([("b",)], [])


def test_a_summary_is_not_told_again_when_something_in_it_is_acknowledged_later() -> None:
    people, events = People(NIGHTS), [event(NOON + 11 * HOUR, "a"), event(NOON + 11 * HOUR, "b")]
    people.at(MORNING, events)

    assert people.at(MORNING + 60, events, [seen(MORNING + 30, "a")]) == []


def test_what_is_recorded_late_is_told_after_all() -> None:
    people, events = People(NIGHTS), [event(NOON + 11 * HOUR, "a")]
    people.at(MORNING, events)

    told = people.at(MORNING + 60, [*events, event(NOON + 12 * HOUR, "late")])

    assert [note.keys for note in told] == [("a", "late")]


def test_a_long_summary_counts_what_it_does_not_list() -> None:
    [note] = due([event(NOON + 11 * HOUR, f"{n:02}") for n in range(25)], [], MORNING, NIGHTS)

    assert note.text.splitlines()[-2:] == ["warning: about 19", "and 5 more"]
    assert len(note.keys) == 25


# --- laws -------------------------------------------------------------------------------------------------------------

TIMES = st.integers(0, 3 * 86_400).map(lambda seconds: NOON + seconds)
EVENTS = st.lists(st.builds(event, TIMES, st.sampled_from("abc"), st.sampled_from(Severity)), max_size=12)
SEEN = st.lists(st.builds(seen, TIMES, st.sampled_from("abc")), max_size=4)
POLICIES = st.sampled_from([POLICY, NIGHTS])


@given(EVENTS, SEEN, TIMES, POLICIES, st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_read_does_not_matter(events, acknowledged, now, policy, random) -> None:
    expected = due(events, acknowledged, now, policy)
    random.shuffle(events)
    random.shuffle(acknowledged)

    assert due(events, acknowledged, now, policy) == expected


@given(EVENTS, SEEN, TIMES, POLICIES)
def test_ids_are_unique_and_nothing_is_told_before_it_is_due(events, acknowledged, now, policy) -> None:
    told = due(events, acknowledged, now, policy)

    assert len({note.id for note in told}) == len(told)
    assert all(note.due_at <= now for note in told if note.severity is not Severity.CRITICAL)
    assert [note.due_at for note in told] == sorted(note.due_at for note in told)


@given(EVENTS, SEEN, POLICIES)
def test_every_event_is_told_or_acknowledged_in_the_end(events, acknowledged, policy) -> None:
    end = NOON + 4 * 86_400
    told = {key for note in due(events, acknowledged, end, policy) for key in note.keys}
    taken_on = {item.key for item in acknowledged}

    assert {one.key for one in events} <= told | taken_on


@given(EVENTS, SEEN, TIMES)
def test_at_night_nobody_is_told_what_is_not_critical(events, acknowledged, now) -> None:
    told = due(events, acknowledged, now, NIGHTS)

    assert NIGHTS.quiet is not None
    assert all(note.severity is Severity.CRITICAL or NIGHTS.quiet.until(note.due_at) is None for note in told)


@given(EVENTS, POLICIES, st.integers(1, 900))
def test_between_two_messages_of_one_critical_key_there_is_the_agreed_time(events, policy, step_s) -> None:
    people, critical = People(policy), [one for one in events if one.severity is Severity.CRITICAL]
    last: dict[str, float] = {}
    for tick in range(60):
        now = NOON + tick * (policy.renotify_s / 2 + step_s)
        for note in people.at(now, [one for one in critical if one.at <= now]):
            [key] = note.keys
            assert note.due_at - last.get(key, float("-inf")) >= policy.renotify_s
            last[key] = note.due_at


@given(EVENTS, SEEN)
def test_every_event_is_in_one_story(events, acknowledged) -> None:
    found = incidents(events, acknowledged, POLICY)

    assert sum(one.count for one in found) == len(events)
    assert len({one.id for one in found}) == len(found)


@given(EVENTS, EVENTS, SEEN, st.sampled_from([POLICY]), TIMES)
def test_what_comes_later_changes_no_story_that_has_begun(events, more, acknowledged, policy, now) -> None:
    events = [one for one in events if one.at < now]
    later = [one for one in more if one.at >= now]

    before = [one.id for one in incidents(events, acknowledged, policy)]

    assert [one.id for one in incidents(events + later, acknowledged, policy)][: len(before)] == before


@pytest.mark.parametrize("name", ["renotify_s", "dedupe_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_policy_that_would_tell_without_end_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} == .*, must be > 0"):
        EscalationPolicy(**{name: value})
