"""What servers say of their own time, in the shapes in which they say it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.server_timings import LEAST_MS, ServerTimings, server_timings

LLAMA = {"timings": {"cache_n": 0, "prompt_n": 22, "prompt_ms": 12.5, "predicted_n": 20, "predicted_ms": 30.0}}
OLLAMA = {
    "model": "llama3.2",
    "done": True,
    "total_duration": 5_000_000_000,
    "load_duration": 3_000_000_000,
    "prompt_eval_duration": 400_000_000,
    "eval_duration": 1_500_000_000,
}
GROQ = {"queue_time": 0.037, "prompt_time": 0.001, "completion_time": 0.463, "total_time": 0.464, "total_tokens": 574}
CEREBRAS = {"queue_time": 0.002, "prompt_time": 0.001, "completion_time": 0.005, "total_time": 0.022}


def text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def events(*values: object) -> str:
    return "".join(f"data: {text(value)}\n\n" for value in values) + "data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("protocol", "body", "expected"),
    [
        ("openai", text(LLAMA), (42.5, None)),
        ("openai", events({"choices": [{"delta": {"content": "a"}}]}, LLAMA, {"usage": {}}), (42.5, None)),
        ("openai", text({"timings": {"queue_ms": 7, "prompt_ms": 1, "predicted_ms": 2}}), (3.0, 7.0)),
        ("openai", text({"usage": GROQ}), (464.0, 37.0)),
        ("openai", events({"choices": []}, {"x_groq": {"usage": GROQ}}), (464.0, 37.0)),
        ("openai", text({"time_info": CEREBRAS, "usage": {"total_tokens": 22}}), (6.0, 2.0)),
        ("ollama", text(OLLAMA), (1900.0, 3100.0)),
        ("ollama", "\n".join([text({"message": {"content": "a"}, "done": False}), text(OLLAMA), ""]), (1900.0, 3100.0)),
        ("triton", text({"outputs": [{"name": "compute_ms", "datatype": "FP32", "data": [11.25]}]}), (11.25, None)),
    ],
)
def test_a_server_that_reports_its_time_is_understood(protocol, body, expected):
    found = server_timings(protocol, body)
    assert found is not None
    assert found.compute_ms == pytest.approx(expected[0])
    assert found.queue_ms == (None if expected[1] is None else pytest.approx(expected[1]))


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("openai", text({"choices": [], "usage": {"total_tokens": 3}})),
        ("openai", text({"timings": {"prompt_ms": -1, "predicted_ms": True}})),
        ("openai", text({"choices": [{"message": {"content": 'it said "timings"'}}]})),
        ("triton", text({"outputs": [{"name": "compute_ms", "data": [1.0, 2.0]}]})),
        ("raw", text(LLAMA)),
    ],
)
def test_a_server_that_does_not_is_not_guessed_at(protocol, body):
    assert server_timings(protocol, body) is None


@given(st.sampled_from(["openai", "ollama", "triton", "raw"]), st.text() | st.text().map('{{"timings": {}'.format))
def test_no_text_raises(protocol, body):
    server_timings(protocol, body)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_compute_and_waiting_are_never_less_than_the_latency(compute_ms, latency_ms):
    waiting_ms = ServerTimings(compute_ms).waiting_ms(latency_ms)
    assert waiting_ms >= LEAST_MS
    assert compute_ms + waiting_ms >= latency_ms - 1e-6
