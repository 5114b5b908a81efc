"""What a span says of an exchange: names of the conventions, figures of the answer, never a text or a unit."""

import json
from typing import Any

import pytest

from experiments.model import Exchange, Role
from router.telemetry.spans import describe, operation_of

CHAT = "/v1/chat/completions"
SECRETS = ("my prompt", "the answer", "u-hashed")
ASKED = {"model": "support", "messages": [{"role": "user", "content": "my prompt"}]}
PLAIN = {
    "model": "support-int4",
    "choices": [{"message": {"content": "the answer"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3},
}
STREAMED = (
    'data: {"model": "support-int4", "choices": [{"delta": {"content": "the "}}]}\n\n'
    'data: {"choices": [{"delta": {"content": "answer"}, "finish_reason": "length"}]}\n\n'
    'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}\n\n'
    "data: [DONE]\n\n"
)


def make(**changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "id": "x1",
        "at": 1.0,
        "experiment": "support",
        "stage": 2,
        "unit": "u-hashed",
        "assigned": "treatment",
        "served": "treatment",
        "backend": "int4",
        "endpoint": "http://gpu-1:8000/base",
        "path": CHAT,
        "status": 200,
        "ttft_ms": 40.0,
        "latency_ms": 90.0,
        "request_text": json.dumps(ASKED),
        "response_text": json.dumps(PLAIN),
    }
    return Exchange(**(values | changes))


def test_a_chat_says_who_was_asked_and_what_came_of_it() -> None:
    found = describe(make())

    assert found.name == "chat support"
    assert found.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "gpu-1",
        "server.port": 8000,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "support",
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "support-int4",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "feature_flag.key": "support",
        "feature_flag.provider.name": "touchstone",
        "feature_flag.result.variant": "treatment",
        "feature_flag.result.reason": "split",
        "touchstone.exchange": "x1",
        "touchstone.role": "live",
        "touchstone.cached": False,
        "touchstone.backend": "int4",
        "touchstone.variant": "treatment",
        "touchstone.stage": 2,
    }


def test_a_stream_has_a_first_chunk_and_its_usage() -> None:
    found = describe(make(stream=True, response_text=STREAMED)).attributes

    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.04)
    assert found["gen_ai.response.finish_reasons"] == ("length",)
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (7, 2)


def test_a_repeated_answer_has_no_time_of_its_own() -> None:
    found = describe(make(stream=True, cached=True, response_text=STREAMED)).attributes

    assert found["touchstone.cached"] is True
    assert "gen_ai.response.time_to_first_chunk" not in found


def test_a_failure_has_its_kind_and_a_fallback_its_reason() -> None:
    failed = describe(make(status=502, error="connect", response_text="")).attributes
    fallen_back = describe(make(served="control", fallback="timeout")).attributes

    assert (failed["error.type"], failed["http.response.status_code"]) == ("connect", 502)
    assert (fallen_back["touchstone.fallback"], fallen_back["touchstone.variant"]) == ("timeout", "control")
    assert fallen_back["feature_flag.result.variant"] == "treatment"


def test_an_exchange_without_an_answer_says_nothing_of_one() -> None:
    found = describe(make(status=0, error="connect", endpoint="", response_text="", ttft_ms=None)).attributes

    assert not [key for key in found if key.startswith(("gen_ai.response", "gen_ai.usage", "http.response", "server."))]


def test_a_shadow_names_its_pair_and_a_request_of_no_experiment_has_no_flag() -> None:
    shadow = describe(make(role=Role.SHADOW, pair="x0")).attributes
    other = describe(make(experiment="", assigned="", served="")).attributes

    assert (shadow["touchstone.role"], shadow["touchstone.pair"]) == ("shadow", "x0")
    assert not [key for key in other if key.startswith("feature_flag")]


def test_of_a_text_that_was_cut_off_no_figure_is_read() -> None:
    cut = describe(make(truncated=True, response_text=json.dumps(PLAIN)[:40])).attributes

    assert not [key for key in cut if key.startswith("gen_ai.usage")]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"model": 3}', "\x00", "[" * 100_000])
def test_whatever_the_bodies_are_there_is_a_span(text: str) -> None:
    found = describe(make(request_text=text, response_text=text))

    assert found.name == "chat"
    assert "gen_ai.request.model" not in found.attributes


def test_names_that_a_client_invents_are_cut_or_left_out() -> None:
    long = describe(make(request_text=json.dumps({"model": "m" * 5_000})))
    odd = describe(make(method="FROBNICATE", path="/metrics"))

    assert len(long.name) == len("chat ") + 128
    assert (odd.name, odd.attributes["http.request.method"]) == ("HTTP", "_OTHER")


@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/v1/embeddings"])
def test_neither_texts_nor_the_unit_are_in_a_span(path: str) -> None:
    said = repr(describe(make(path=path)))

    assert [secret for secret in SECRETS if secret in said] == []


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        (CHAT, "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/responses", "chat"),
        ("/openai/deployments/x/embeddings", "embeddings"),
        ("/api/chat", "chat"),
        ("/api/generate", "text_completion"),
        ("/v2/models/m/generate_stream", "text_completion"),
        ("/v2/models/m/infer", None),
        ("/v1/models", None),
        ("/", None),
    ],
)
def test_an_operation_is_read_from_the_end_of_the_path(path: str, operation: str | None) -> None:
    assert operation_of(path) == operation


@pytest.mark.parametrize(("endpoint", "port"), [("https://gpu-1/x", 443), ("http://gpu-1", 80), ("http://[::1]:9", 9)])
def test_a_port_that_is_not_written_is_the_schemes(endpoint: str, port: int) -> None:
    assert describe(make(endpoint=endpoint)).attributes["server.port"] == port


def test_another_path_is_named_by_its_method() -> None:
    found = describe(make(method="GET", path="/v1/models"))

    assert found.name == "GET"
    assert not [key for key in found.attributes if key.startswith("gen_ai")]
