"""What holds for every protocol: no body, however hostile or large, raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.protocols import Answered, Peek, Protocol, Traits, body_field, protocol

PROTOCOLS = [protocol(name) for name in ("openai", "ollama", "triton", "raw")]
HOSTILE = [
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"model":"\xff"}',
    b"1e999999",
    b'{"n":' + b"9" * 5_000 + b"}",
    b"data: \n" * 1_000,
    b'{"model":"\\ud800"}',
]
FIELDS = [
    *("background", "choices", "content", "conversation", "data", "delta", "done_reason", "error", "eval_count"),
    *("finish_reason", "function_call", "functions", "index", "input", "inputs", "item", "message", "messages", "n"),
    *("model", "num_output_tokens", "object", "options", "output", "outputs", "parameters", "prompt", "reasoning"),
    *("refusal", "response", "role", "sequence_id", "shape", "status", "store", "temperature", "text", "text_output"),
    *("thinking", "tool_calls", "tools", "type", "usage", "binary_data_size", "datatype", "completion_tokens"),
]
WORDS = ["", "user", "message", "BYTES", "response", "response.completed", "response.refusal.delta", "f_call", "error"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=20,
)


def read_all(speaks: Protocol, body: bytes) -> None:
    """Call every method on a body; each must come back with what it promises."""
    text = body.decode("utf-8", "replace")
    answered = speaks.answer(text)
    assert isinstance(speaks.peek(body), Peek)
    assert isinstance(speaks.traits(body), Traits)
    assert isinstance(speaks.prompt(text), str | None)
    assert isinstance(answered, Answered)
    assert all(isinstance(field, str | None) for field in (answered.text, answered.finish_reason, answered.model))
    assert all(type(n) in {int, type(None)} for n in (*answered[2:4], answered.tool_calls))


@pytest.mark.parametrize("speaks", PROTOCOLS)
@given(body=st.binary(max_size=200) | st.sampled_from(HOSTILE))
def test_no_bytes_whatever_raise(speaks: Protocol, body: bytes) -> None:
    read_all(speaks, body)
    read_all(speaks, b"data: " + body + b"\n\n")
    read_all(speaks, b'{"outputs": []}' + body)
    body_field(body, "a.b.c")


@pytest.mark.parametrize("speaks", PROTOCOLS)
@given(value=JSON)
def test_no_json_whatever_raises(speaks: Protocol, value: object) -> None:
    text = json.dumps(value).encode()

    read_all(speaks, text)
    read_all(speaks, b"data: " + text + b"\n\n")
    read_all(speaks, text + b"\n" + text + b"\n")


@given(message=st.text(st.characters(exclude_categories=["Cs"])), status=st.integers(400, 599))
def test_an_error_says_what_it_was_told_whatever_that_is(message: str, status: int) -> None:
    said = [json.loads(speaks.error(status, message, "upstream_error")[0]) for speaks in PROTOCOLS]

    assert [said[0]["error"]["message"], said[1]["error"], said[2]["error"], said[3]["detail"]] == [message] * 4


@pytest.mark.parametrize("name", ["openai", "ollama", "triton"])
def test_an_event_of_ten_megabytes_is_read_whole(name: str) -> None:
    text = "x\u2028" * 2_500_000  # 10 MB as UTF-8
    event = {
        "openai": {"choices": [{"delta": {"content": text}}]},
        "ollama": {"message": {"content": text}},
        "triton": {"text_output": text},
    }[name]
    body = json.dumps(event, ensure_ascii=False)
    stream = f"{body}\n{body}\n" if name == "ollama" else f"data: {body}\n\ndata: {body}\n\n"

    answered = protocol(name).answer(stream)

    assert answered.text == text + text


def test_nothing_is_known_of_a_raw_body() -> None:
    raw = protocol("raw")
    body, content_type = raw.error(502, "no luck", "upstream_error")

    assert raw.traits(b'{"temperature": 0, "tools": [1], "store": true}') == Traits(False, False, False)
    assert raw.peek(b'{"model": "m"}') == Peek(None)
    assert (raw.prompt("ask"), raw.answer("say")) == ("ask", Answered("say"))
    assert (json.loads(body)["detail"], content_type) == ("no luck", b"application/problem+json")
    assert json.loads(raw.error(599, "odd", "x")[0])["status"] == 599
