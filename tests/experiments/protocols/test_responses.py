"""OpenAI's responses API: an object, or a stream whose last event carries it."""

import json

import pytest

from experiments.protocols import Answered, protocol

openai = protocol("openai")


def message(*parts: dict) -> dict:
    return {"type": "message", "role": "assistant", "content": list(parts)}


def said(text: str) -> dict:
    return {"type": "output_text", "text": text, "annotations": []}


def response(*output: dict, **more) -> dict:
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    return {"object": "response", "model": "r-1", "status": "completed", "output": list(output), "usage": usage} | more


def sse(*events: dict) -> str:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


STARTED = [
    {"type": "response.created", "response": {"model": "r-1", "status": "in_progress", "output": []}},
    {"type": "response.output_item.added", "item": {"type": "message", "content": []}},
    {"type": "response.output_text.delta", "delta": "two"},
    {"type": "response.output_text.delta", "delta": " words"},
]


def test_a_plain_response_is_its_texts_with_model_and_usage() -> None:
    body = response({"type": "reasoning", "summary": []}, message(said("two"), said(" words")))

    assert openai.answer(json.dumps(body)) == Answered("two words", "completed", 5, 2, model="r-1", tool_calls=0)


def test_a_streamed_response_is_read_from_its_last_event() -> None:
    last = {"type": "response.completed", "response": response(message(said("two words")))}

    assert openai.answer(sse(*STARTED, last)) == Answered("two words", "completed", 5, 2, model="r-1", tool_calls=0)


def test_what_the_last_event_leaves_out_is_taken_from_the_pieces() -> None:
    last = {"type": "response.completed", "response": {"status": "completed"}}

    assert openai.answer(sse(*STARTED, last)) == Answered("two words", "completed", None, 2, True, "r-1", 0)


def test_a_stream_that_broke_off_gives_its_pieces_and_counts_them() -> None:
    assert openai.answer(sse(*STARTED)) == Answered("two words", None, None, 2, True, "r-1", 0)


@pytest.mark.parametrize("complete", [False, True])
def test_calls_of_tools_are_counted(complete: bool) -> None:
    calls = [{"type": "function_call", "name": "f"}, {"type": "web_search_call"}]
    events = [{"type": "response.output_item.added", "item": item} for item in calls]
    arguments = {"type": "response.function_call_arguments.delta", "delta": "{}"}
    last = [{"type": "response.completed", "response": response(*calls)}] if complete else []

    assert openai.answer(sse(*events, arguments, *last)).tool_calls == 2
    assert openai.answer(json.dumps(response(*calls))).tool_calls == 2


def test_a_refusal_is_the_text_and_the_reason() -> None:
    plain = response(message({"type": "refusal", "refusal": "I will not."}))
    stream = sse({"type": "response.refusal.delta", "delta": "I will not."})

    for body in (json.dumps(plain), stream):
        answered = openai.answer(body)
        assert (answered.text, answered.finish_reason) == ("I will not.", "refusal")


def test_the_reason_is_why_it_is_incomplete_else_its_status() -> None:
    cut = response(message(said("two")), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    failed = {"type": "response.failed", "response": response(status="failed")}

    assert openai.answer(json.dumps(cut)).finish_reason == "max_output_tokens"
    assert openai.answer(sse({"type": "response.incomplete", "response": cut})).finish_reason == "max_output_tokens"
    assert openai.answer(sse(*STARTED, failed)).finish_reason == "failed"
    assert openai.answer(sse(*STARTED, {"type": "error", "message": "no"})).finish_reason == "error"


@pytest.mark.parametrize(
    ("asked", "prompt"),
    [
        ("just a text", "just a text"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "a"),
        ([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}], "a"),
        ([{"type": "function_call_output", "output": "42"}], None),
    ],
)
def test_the_prompt_is_what_the_user_said_last(asked: object, prompt: str | None) -> None:
    assert openai.prompt(json.dumps({"model": "r", "input": asked})) == prompt
