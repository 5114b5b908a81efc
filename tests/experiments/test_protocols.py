"""What is read of a body; and that no body, however hostile, raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.protocols import Answered, Peek, body_field, protocol

openai = protocol("openai")


def sse(*events: dict) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def test_only_the_model_is_peeked_at() -> None:
    assert openai.peek(b'{"messages": [{"a": [1, 2]}], "model": "support"}') == Peek("support")
    assert openai.peek(b'{"model": 3}') == openai.peek(b'{"model": "sup') == openai.peek(b"") == Peek(None)


@pytest.mark.parametrize(
    ("request_body", "prompt"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]}, "a"),
        ({"messages": [{"role": "system", "content": "a"}]}, None),
        ({"prompt": "complete me"}, "complete me"),
        ({"input": ["one", "two"]}, "one\ntwo"),
        ([], None),
    ],
)
def test_the_prompt_is_what_the_user_said_last(request_body: object, prompt: str | None) -> None:
    assert openai.prompt(json.dumps(request_body)) == prompt


def test_a_streams_answer_is_its_pieces_joined_with_the_usage_of_its_last_chunk() -> None:
    pieces = [{"choices": [{"delta": {"content": c}}]} for c in ("नम", "स्ते")]
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}

    assert openai.answer(sse(*pieces, last, usage)) == Answered("नमस्ते", "stop", 3, 2)


def test_without_usage_the_tokens_are_counted_and_marked_as_such() -> None:
    pieces = [{"choices": [{"delta": {"content": "x"}}]} for _ in range(5)]

    assert openai.answer(sse(*pieces)) == Answered("xxxxx", None, None, 5, tokens_estimated=True)


def test_a_stream_that_broke_off_gives_what_is_there() -> None:
    pieces = [{"choices": [{"delta": {"content": c}}]} for c in ("half", "lost")]

    assert openai.answer(sse(*pieces)[:-20]).text == "half"


def test_an_error_has_the_shape_of_the_protocol() -> None:
    body, content_type = openai.error(502, "no luck", "upstream_error", "upstream_connect")
    problem, problem_type = protocol("raw").error(502, "no luck", "upstream_error")

    assert json.loads(body) == {
        "error": {"message": "no luck", "type": "upstream_error", "param": None, "code": "upstream_connect"}
    }
    assert content_type == b"application/json"
    assert (json.loads(problem)["detail"], problem_type) == ("no luck", b"application/problem+json")


@given(st.binary(max_size=200) | st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b'{"model":"\xff"}', b"1e999999"]))
def test_no_bytes_whatever_raise(body: bytes) -> None:
    text = body.decode("utf-8", "replace")

    openai.peek(body)
    openai.prompt(text)
    openai.answer(text)
    body_field(body, "a.b.c")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda i: (
            st.lists(i, max_size=3)
            | st.dictionaries(
                st.sampled_from(["choices", "message", "delta", "content", "text", "usage", "messages", "role"]),
                i,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_whatever_raises(value: object) -> None:
    text = json.dumps(value)

    openai.prompt(text)
    openai.answer(text)
    openai.answer(f"data: {text}\n\n")
