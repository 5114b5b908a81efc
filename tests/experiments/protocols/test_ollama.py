"""Ollama's own API: chats, completions and embeddings, plain and a line at a time."""

import json

import pytest

from experiments.protocols import Answered, Peek, Traits, protocol

ollama = protocol("ollama")
LAST = {"model": "o-1", "done": True, "done_reason": "stop", "prompt_eval_count": 4, "eval_count": 2}


def lines(*events: dict) -> str:
    return "".join(f"{json.dumps(event, ensure_ascii=False)}\n" for event in events)


def said(content: str, **more) -> dict:
    return {"model": "o-1", "message": {"role": "assistant", "content": content, **more}, "done": False}


def test_only_the_model_is_peeked_at() -> None:
    assert ollama.peek(b'{"messages": [], "model": "support"}') == Peek("support")


@pytest.mark.parametrize(
    ("request_body", "prompt"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"prompt": "complete me"}, "complete me"),
        ({"input": ["one", "two"]}, "one\ntwo"),
        ([], None),
    ],
)
def test_the_prompt_is_what_the_user_said_last(request_body: object, prompt: str | None) -> None:
    assert ollama.prompt(json.dumps(request_body)) == prompt


def test_a_plain_chat_and_a_streamed_one_read_the_same() -> None:
    plain = LAST | {"message": {"role": "assistant", "content": "two\u2028words"}}
    stream = lines(said("two\u2028"), said("words"), LAST | {"message": {"role": "assistant", "content": ""}})

    expected = Answered("two\u2028words", "stop", 4, 2, model="o-1", tool_calls=0)

    assert ollama.answer(json.dumps(plain, indent=2)) == expected
    assert ollama.answer(stream) == expected


def test_a_completion_has_no_tools_to_call() -> None:
    stream = lines({"model": "o-1", "response": "two "}, {"model": "o-1", "response": "words"}, LAST | {"response": ""})

    assert ollama.answer(stream) == Answered("two words", "stop", 4, 2, model="o-1")


def test_a_stream_that_broke_off_gives_its_pieces_and_counts_them() -> None:
    stream = lines(said("a"), said("", thinking="hm"), said("b"), said("lost"))[:-9]

    assert ollama.answer(stream) == Answered("ab", None, None, 3, tokens_estimated=True, model="o-1", tool_calls=0)


def test_one_body_is_not_one_token() -> None:
    assert ollama.answer(json.dumps(said("three whole words"))).output_tokens is None


def test_calls_of_tools_are_counted_over_all_lines() -> None:
    call = {"function": {"name": "f", "arguments": {}}}

    assert ollama.answer(lines(said("", tool_calls=[call]), said("", tool_calls=[call, call]), LAST)).tool_calls == 3


def test_an_embedding_has_tokens_and_a_model_but_no_text() -> None:
    body = {"model": "e", "embeddings": [[0.5]], "prompt_eval_count": 2}

    assert ollama.answer(json.dumps(body)) == Answered(None, None, 2, None, model="e")


def test_an_error_inside_a_stream_is_its_end() -> None:
    answered = ollama.answer(lines(said("half"), {"error": "out of memory"}))

    assert (answered.text, answered.finish_reason) == ("half", "error")


@pytest.mark.parametrize(
    ("request_body", "traits"),
    [
        ({"options": {"temperature": 0}}, Traits(deterministic=True)),
        ({"options": {"temperature": 0.7}}, Traits()),
        ({"temperature": 0}, Traits()),
        ({"options": None, "tools": [{"type": "function"}]}, Traits(tools=True)),
        ([], Traits()),
    ],
)
def test_what_says_whether_a_request_may_be_repeated(request_body: object, traits: Traits) -> None:
    assert ollama.traits(json.dumps(request_body).encode()) == traits


def test_an_error_has_the_shape_that_its_clients_know() -> None:
    body, content_type = ollama.error(502, "no luck", "upstream_error")

    assert (json.loads(body), content_type) == ({"error": "no luck"}, b"application/json")
