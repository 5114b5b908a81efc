"""What is read of an exchange's bodies, and when the time between two tokens is known."""

import json

import pytest

from experiments.journal.reading import read_texts
from experiments.model import ErrorKind, Exchange

CHAT = {"model": "asked-for", "messages": [{"role": "user", "content": "नमस्ते"}]}


def exchange(response: str, **more) -> Exchange:
    fields = {"stream": True, "ttft_ms": 100.0, "latency_ms": 160.0} | more
    return Exchange(id="a", at=1.0, experiment="e", request_text=json.dumps(CHAT), response_text=response, **fields)


def sse(pieces: int, tokens: int | None = None) -> str:
    events = [{"choices": [{"index": 0, "delta": {"content": "x"}}]} for _ in range(pieces)]
    usage = [] if tokens is None else [{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}}]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in [*events, *usage])


def test_prompt_answer_model_tokens_and_calls_are_read_from_the_bodies() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = {"message": {"content": "hello", "tool_calls": [call]}, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 7, "completion_tokens": 4}
    answer = {"model": "m-1", "choices": [choice], "usage": usage}

    loaded = read_texts(exchange(json.dumps(answer), stream=False))

    assert (loaded.prompt, loaded.answer, loaded.finish_reason) == ("नमस्ते", "hello", "tool_calls")
    assert (loaded.input_tokens, loaded.output_tokens, loaded.tokens_estimated) == (7, 4, False)
    assert (loaded.model, loaded.tool_calls, loaded.inter_token_ms) == ("m-1", 1, None)


def test_without_a_model_in_the_answer_it_is_the_one_that_was_asked_for() -> None:
    assert read_texts(exchange(sse(2))).model == "asked-for"
    assert read_texts(exchange("", status=502, error=ErrorKind.CONNECT)).model == "asked-for"
    assert read_texts(exchange("{}", protocol="raw")).model == ""


def test_what_the_server_says_of_its_own_time_is_read_unless_it_is_said_again_from_a_cache() -> None:
    answer = json.dumps({"choices": [], "timings": {"queue_ms": 3.0, "prompt_ms": 12.0, "predicted_ms": 30.0}})

    loaded, repeated = read_texts(exchange(answer)), read_texts(exchange(answer, cached=True))

    assert (loaded.server_compute_ms, loaded.server_queue_ms) == (42.0, 3.0)
    assert (repeated.server_compute_ms, repeated.server_queue_ms) == (None, None)


def test_the_time_between_two_tokens_is_the_streams_time_over_its_steps() -> None:
    assert read_texts(exchange(sse(3, tokens=7))).inter_token_ms == pytest.approx(10.0)


def test_counted_tokens_do_as_well_and_stay_marked() -> None:
    loaded = read_texts(exchange(sse(4)))

    assert loaded.inter_token_ms == pytest.approx(20.0)
    assert (loaded.output_tokens, loaded.tokens_estimated) == (4, True)


@pytest.mark.parametrize(
    "change",
    [
        {"stream": False},
        {"cached": True},
        {"error": ErrorKind.RESET},
        {"error": ErrorKind.CLIENT_CLOSED},
        {"ttft_ms": None},
        {"latency_ms": None},
        {"truncated": True},
    ],
)
def test_the_time_between_two_tokens_is_unknown(change: dict) -> None:
    assert read_texts(exchange(sse(4), **change)).inter_token_ms is None


def test_one_token_has_no_next() -> None:
    assert read_texts(exchange(sse(1))).inter_token_ms is None


def test_a_cut_off_text_does_not_matter_where_the_backend_reported_its_tokens() -> None:
    assert read_texts(exchange(sse(4, tokens=4), truncated=True)).inter_token_ms == pytest.approx(20.0)


ASKED = {"id": "x", "at": 1.0, "experiment": "support", "status": 200}


@pytest.mark.parametrize(
    ("answer", "empty"),
    [
        ('{"choices": [{"message": {"content": ""}}]}', True),
        ('{"choices": [{"message": {"content": " \\n NaN "}}]}', True),
        ('{"choices": [{"message": {"content": "no"}}]}', False),
        ('{"choices": [{"message": {"content": null, "tool_calls": [{"id": "1"}]}}]}', False),
        ("not JSON", False),
    ],
)
def test_an_answer_with_nothing_in_it_is_noted(answer: str, empty: bool) -> None:
    assert read_texts(Exchange(**{**ASKED, "response_text": answer})).empty is empty
    assert not read_texts(Exchange(**{**ASKED, "response_text": answer, "status": 404})).empty
    assert not read_texts(Exchange(**{**ASKED, "response_text": answer, "error": "reset"})).empty
