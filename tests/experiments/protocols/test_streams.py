"""Lines end in CRLF, LF and CR, and nowhere else; what is an event, and what is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.protocols.streams import event_objects, line_objects, split_lines

NO_LINE_ENDS = ["\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c", "\x1e"]
"""What `str.splitlines` cuts at, and no stream does."""


@pytest.mark.parametrize("character", NO_LINE_ENDS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_no_event_is_lost_to_a_character_inside_a_string(character: str, end: str) -> None:
    event = {"text": f"one{character}two"}
    # JSON wants control characters escaped; the others may be raw, and mostly are.
    body = json.dumps(event, ensure_ascii=character < " ")

    assert list(event_objects(f"data: {body}{end}{end}")) == [event]
    assert list(line_objects(f"{body}{end}{body}")) == [event, event]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n")), min_size=1), st.sampled_from(["\n", "\r\n", "\r"]))
def test_lines_are_split_where_they_were_joined(lines: list[str], end: str) -> None:
    assert split_lines(end.join(lines)) == lines


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53)), max_size=5))
def test_every_object_that_was_sent_is_read(events: list[dict]) -> None:
    bodies = [json.dumps(event, ensure_ascii=False) for event in events]

    assert list(event_objects("".join(f"data: {body}\n\n" for body in bodies) + "data: [DONE]\n\n")) == events
    assert list(line_objects("".join(f"{body}\n" for body in bodies))) == events


def test_what_surrounds_the_data_is_passed_over() -> None:
    stream = '\ufeff: ping\n\nevent: message\nid: 7\ndata: {"a": 1}\n\nretry: 3\n\ndata: [1]\n\ndata:{"b": 2}'

    assert list(event_objects(stream)) == [{"a": 1}, {"b": 2}]


def test_data_in_several_lines_is_one_event_and_events_without_an_empty_line_between_them_are_several() -> None:
    assert list(event_objects('data: {"a":\ndata: 1}\n\n')) == [{"a": 1}]
    assert list(event_objects('data: {"a": 1}\ndata: {"b": 2}\ndata: [DONE]\n')) == [{"a": 1}, {"b": 2}]
