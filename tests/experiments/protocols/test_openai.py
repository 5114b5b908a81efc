"""Chats, completions and embeddings: what is asked, what is answered, how many tokens and calls."""

import json

import pytest

from experiments.protocols import Answered, Peek, Traits, protocol

openai = protocol("openai")


def sse(*events: dict) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def chunk(finish_reason: str | None = None, index: int = 0, **delta) -> dict:
    return {"model": "small-1", "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}


def call(index: int, arguments: str, **more) -> dict:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}, **more}]}


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
        ({"input": [[1, 2], [3]]}, None),
        ([], None),
    ],
)
def test_the_prompt_is_what_the_user_said_last(request_body: object, prompt: str | None) -> None:
    assert openai.prompt(json.dumps(request_body)) == prompt


def test_a_plain_answer_is_its_first_choice_with_model_and_usage() -> None:
    choices = [{"message": {"content": c, "tool_calls": None}, "finish_reason": "stop"} for c in ("one", "two")]
    body = {"model": "m-1", "choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 1}}

    assert openai.answer(json.dumps(body)) == Answered("one", "stop", 7, 1, model="m-1", tool_calls=0)


def test_an_empty_answer_is_one_and_a_missing_one_is_none() -> None:
    assert openai.answer(json.dumps({"choices": [{"message": {"content": ""}}]})).text == ""
    assert openai.answer(json.dumps({"choices": [{"message": {"content": None}}]})).text is None


def test_a_completion_has_no_tools_to_call() -> None:
    plain = {"model": "m", "choices": [{"text": "a", "finish_reason": "length"}]}
    streamed = [{"model": "m", "choices": [{"index": 0, "text": t, "finish_reason": None}]} for t in "abc"]

    assert openai.answer(json.dumps(plain)) == Answered("a", "length", model="m")
    assert openai.answer(sse(*streamed)) == Answered("abc", None, None, 3, tokens_estimated=True, model="m")


def test_an_embedding_has_tokens_and_a_model_but_no_text() -> None:
    body = {"object": "list", "model": "e", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 2}}

    assert openai.answer(json.dumps(body)) == Answered(None, None, 2, None, model="e")


def test_a_streams_answer_is_its_pieces_joined_with_the_usage_of_its_last_chunk() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    stream = sse(chunk(content="नम"), chunk(content="स्ते"), chunk("stop"), usage)

    assert openai.answer(stream) == Answered("नमस्ते", "stop", 3, 2, model="small-1", tool_calls=0)


def test_without_usage_the_tokens_are_counted_and_marked_as_such() -> None:
    stream = sse(chunk(role="assistant", content=""), *[chunk(content="x")] * 5, chunk("stop"))

    assert openai.answer(stream) == Answered(
        "xxxxx", "stop", None, 5, tokens_estimated=True, model="small-1", tool_calls=0
    )


def test_thoughts_are_tokens_and_no_part_of_the_answer() -> None:
    answered = openai.answer(sse(chunk(reasoning_content="hm"), chunk(reasoning="so"), chunk(content="yes")))

    assert (answered.text, answered.output_tokens) == ("yes", 3)


def test_calls_of_tools_are_counted_in_a_plain_answer() -> None:
    tools = [{"id": str(n), "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in range(2)]
    old = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}

    assert openai.answer(json.dumps({"choices": [{"message": {"content": None, "tool_calls": tools}}]})).tool_calls == 2
    assert openai.answer(json.dumps({"choices": [{"message": old}]})).tool_calls == 1


def test_the_pieces_of_a_call_are_one_call() -> None:
    stream = sse(
        chunk(**call(0, "", id="a")),
        chunk(**call(0, '{"x":')),
        chunk(**call(0, "1}")),
        chunk(**call(1, "{}", id="b")),
        chunk("tool_calls"),
    )

    answered = openai.answer(stream)

    assert (answered.text, answered.finish_reason, answered.tool_calls) == (None, "tool_calls", 2)
    assert (answered.output_tokens, answered.tokens_estimated) == (4, True)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_is_the_text_and_the_reason(streamed: bool) -> None:
    plain = json.dumps({"choices": [{"message": {"content": None, "refusal": "I will not."}, "finish_reason": "stop"}]})
    stream = sse(chunk(refusal="I will"), chunk(refusal=" not."), chunk("stop"))

    answered = openai.answer(stream if streamed else plain)

    assert (answered.text, answered.finish_reason) == ("I will not.", "refusal")


def test_of_several_answers_in_one_stream_the_first_is_read_and_the_tokens_of_all_are_counted() -> None:
    answered = openai.answer(sse(chunk(content="a"), chunk(index=1, content="z"), chunk(content="b")))

    assert (answered.text, answered.output_tokens) == ("ab", 3)


def test_a_stream_that_broke_off_gives_what_is_there() -> None:
    assert openai.answer(sse(chunk(content="half"), chunk(content="lost"))[:-90]).text == "half"


def test_an_error_inside_a_stream_is_its_end() -> None:
    answered = openai.answer(sse(chunk(content="half"), {"error": {"message": "out of memory"}}))

    assert (answered.text, answered.finish_reason) == ("half", "error")


@pytest.mark.parametrize(
    ("request_body", "traits"),
    [
        ({"temperature": 0}, Traits(deterministic=True)),
        ({"temperature": 0.0, "n": 1}, Traits(deterministic=True)),
        ({"temperature": 0, "n": 2}, Traits()),
        ({"temperature": 0.1}, Traits()),
        ({"temperature": False}, Traits()),
        ({"seed": 1}, Traits()),
        ({"tools": [{"type": "function"}]}, Traits(tools=True)),
        ({"functions": [{"name": "f"}]}, Traits(tools=True)),
        ({"tools": [], "functions": None}, Traits()),
        ({"previous_response_id": "r"}, Traits(stateful=True)),
        ({"conversation": {"id": "c"}}, Traits(stateful=True)),
        ({"store": True}, Traits(stateful=True)),
        ({"store": False, "conversation": None}, Traits()),
        ({"background": True, "temperature": 0, "tools": [1]}, Traits(True, True, True)),
        ([], Traits()),
    ],
)
def test_what_says_whether_a_request_may_be_repeated(request_body: object, traits: Traits) -> None:
    assert openai.traits(json.dumps(request_body).encode()) == traits


def test_an_error_has_the_shape_that_the_sdk_knows() -> None:
    body, content_type = openai.error(502, "no luck", "upstream_error", "upstream_connect")

    assert json.loads(body) == {
        "error": {"message": "no luck", "type": "upstream_error", "param": None, "code": "upstream_connect"}
    }
    assert content_type == b"application/json"
