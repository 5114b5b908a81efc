"""Files of feedback: what a line gives, and which line is wrong; whatever the file is, reading it ends."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.feedback.file import FeedbackFileError, Given, Line, read_lines

CSV, JSONL = Path("votes.csv"), Path("votes.jsonl")


def read(path: Path, content: str | bytes) -> list[Line]:
    data = content if isinstance(content, bytes) else content.encode()
    return list(read_lines(io.BytesIO(data), path, {"right"}.__contains__))


def test_a_csv_file_gives_a_feedback_a_line() -> None:
    found = read(
        CSV,
        "exchange,metric,value,at\n"
        "x1,thumbs_up,true,2026-11-25T10:00:00Z\n"
        "\n"
        "x2,thumbs_up, 0.5 ,1796000000.5\r\n"
        "x3,right,007,\n"
        'x4,right,"two\nlines, in quotes",\n'
        "x5,thumbs_up,False,2026-11-25T12:00:00+02:00\n",
    )

    assert found == [
        Line(2, Given("thumbs_up", True, "x1", "", 1_795_600_800.0)),
        Line(4, Given("thumbs_up", 0.5, "x2", "", 1_796_000_000.5)),
        Line(5, Given("right", "007", "x3", "", None)),
        Line(7, Given("right", "two\nlines, in quotes", "x4", "", None)),
        Line(8, Given("thumbs_up", False, "x5", "", 1_795_600_800.0)),
    ]


def test_units_may_stand_in_for_exchanges_and_the_columns_in_any_order() -> None:
    [line] = read(CSV, "\ufeffValue,Unit,Metric\n1,user-1,thumbs_up\n")

    assert line == Line(2, Given("thumbs_up", 1.0, "", "user-1", None))


def test_json_lines_give_the_same() -> None:
    found = read(
        JSONL,
        '{"exchange": "x1", "metric": "thumbs_up", "value": true, "at": "2026-11-25T10:00:00Z"}\n'
        "\n"
        '{"unit": "user-1", "metric": "right", "value": "Paris", "at": 5}',
    )

    assert found == [
        Line(1, Given("thumbs_up", True, "x1", "", 1_795_600_800.0)),
        Line(3, Given("right", "Paris", "", "user-1", 5.0)),
    ]


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        (CSV, "x1,thumbs_up\n", "has 2 fields, the header has 4"),
        (CSV, "x1,thumbs_up,1,yesterday\n", "at: 'yesterday' is neither seconds since 1970 nor a time"),
        (CSV, ",thumbs_up,1,\n", "exactly one of exchange and unit must be given"),
        (CSV, b"x\xff,thumbs_up,1,\n", "is no UTF-8"),
        (CSV, 'x1,thumbs_up,"' + "9" * 140_000 + '",\n', "no CSV: field larger than field limit"),
        (JSONL, "{\n", "truncated"),
        (JSONL, b'{"metric": "\xff"}\n', "utf-8"),
        (JSONL, '{"metric": "m", "value": 1, "colour": "blue"}\n', "unknown field `colour`"),
        (JSONL, '{"metric": "m", "value": 1, "exchange": "a", "unit": "b"}\n', "exactly one of exchange and unit"),
        (JSONL, '{"metric": "m", "value": NaN, "exchange": "a"}\n', "JSON is malformed"),
    ],
)
def test_a_line_that_is_wrong_says_why_and_those_behind_it_are_read(path: Path, content, said: str) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    head = b"exchange,metric,value,at\n" if path == CSV else b""
    good = b"x9,thumbs_up,1,\n" if path == CSV else b'{"exchange": "x9", "metric": "thumbs_up", "value": 1.0}\n'

    wrong, right = read(path, head + data + good)

    assert (wrong.given, wrong.number) == (None, 2 if head else 1)
    assert said in wrong.fault
    assert right.given == Given("thumbs_up", 1.0, "x9", "", None)


@pytest.mark.parametrize("cell", ["1_000", "yes", "", "0x10", "1,5"])
def test_what_is_no_number_stays_a_text_for_the_rules_to_refuse(cell: str) -> None:
    [line] = read(CSV, f'exchange,metric,value\nx1,thumbs_up,"{cell}"\n')

    assert line.given is not None
    assert line.given.value == cell


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        (Path("votes.xlsx"), "", "votes.xlsx: a file of feedback is .csv, .jsonl or .ndjson"),
        (CSV, "", "votes.csv:1: no column exchange or unit and no column metric and no column value"),
        (CSV, "exchange,metric,valeu\n", "votes.csv:1: unknown column 'valeu'; the columns are exchange, unit"),
        (CSV, "exchange,metric\n", "votes.csv:1: no column value"),
        (CSV, "unit,metric,value,value\n", "votes.csv:1: a column is there twice"),
        (JSONL, "x" * 300_000, "votes.jsonl:1: longer than 262144 bytes"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_as_a_whole(path: Path, content: str, said: str) -> None:
    with pytest.raises(FeedbackFileError) as refused:
        read(path, content)

    assert said in str(refused.value)


@given(st.binary(max_size=200))
def test_whatever_follows_the_header_every_line_is_read_or_said_to_be_wrong(rest: bytes) -> None:
    for line in read(CSV, b"exchange,metric,value\n" + rest):
        assert (line.given is None) == bool(line.fault)


@given(st.lists(st.tuples(st.text(min_size=1).filter(str.strip), st.booleans() | st.floats(-9, 9) | st.text())))
def test_what_is_written_as_json_lines_is_read_back(rows) -> None:
    content = "\n".join(json.dumps({"exchange": name, "metric": "m", "value": value}) for name, value in rows)

    assert [line.given[:3] for line in read(JSONL, content) if line.given] == [("m", v, name) for name, v in rows]
