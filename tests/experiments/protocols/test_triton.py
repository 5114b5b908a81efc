"""Triton: tensors in and out, and the text of its generate extension."""

import json

import pytest

from experiments.protocols import Answered, Peek, Traits, protocol

triton = protocol("triton")


def sse(*events: dict) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


def piece(text: str, **more) -> dict:
    return {"model_name": "t", "model_version": "1", "text_output": text, **more}


def test_the_model_is_in_the_path_and_so_not_peeked_at() -> None:
    assert triton.peek(b'{"model": "m"}') == Peek(None)


def test_a_generated_text_is_read_plain_and_from_a_stream() -> None:
    assert triton.prompt(json.dumps({"text_input": "say it", "parameters": {"stream": True}})) == "say it"
    assert triton.answer(json.dumps(piece("two words"))) == Answered("two words", model="t")
    assert triton.answer(sse(piece("two"), piece(" words"))) == Answered(
        "two words", None, None, 2, tokens_estimated=True, model="t"
    )


def test_tokens_and_reason_are_taken_where_the_backend_reports_them() -> None:
    pieces = [
        piece("a b", num_output_tokens=2, num_input_tokens=7, finish_reason="None"),
        piece(" c", num_output_tokens=1, finish_reason="length"),
    ]

    assert triton.answer(sse(*pieces)) == Answered("a b c", "length", 7, 3, model="t")
    assert triton.answer(json.dumps(pieces[1])) == Answered(" c", "length", None, 1, model="t")


def test_an_error_inside_a_stream_is_its_end() -> None:
    answered = triton.answer(sse(piece("half"), {"error": "out of memory"}))

    assert (answered.text, answered.finish_reason) == ("half", "error")


def test_the_outputs_of_infer_are_the_answer() -> None:
    outputs = [
        {"name": "score", "datatype": "FP32", "shape": [1], "data": [0.5]},
        {"name": "text_output", "datatype": "BYTES", "shape": [2], "data": ["one", "two"]},
    ]

    assert triton.answer(json.dumps({"model_name": "t", "outputs": outputs})) == Answered("one\ntwo", model="t")
    assert triton.answer(json.dumps({"model_name": "t", "outputs": outputs[:1]})) == Answered("[0.5]", model="t")


def test_the_inputs_of_infer_are_the_prompt() -> None:
    inputs = [
        {"name": "sampling_parameters", "datatype": "BYTES", "shape": [1], "data": ["{}"]},
        {"name": "text_input", "datatype": "BYTES", "shape": [1, 1], "data": [["say it"]]},
    ]

    assert triton.prompt(json.dumps({"inputs": inputs})) == "say it"


@pytest.mark.parametrize(
    ("request_body", "traits"),
    [
        ({"text_input": "a", "temperature": 0}, Traits(deterministic=True)),
        ({"text_input": "a", "parameters": {"temperature": 0.0}}, Traits(deterministic=True)),
        ({"text_input": "a", "parameters": {"temperature": 0, "n": 3}}, Traits()),
        ({"inputs": [], "parameters": {"sequence_id": 42}}, Traits(stateful=True)),
        ({"text_input": "a", "tools": [{}]}, Traits(tools=True)),
        ({"inputs": []}, Traits()),
    ],
)
def test_what_says_whether_a_request_may_be_repeated(request_body: object, traits: Traits) -> None:
    assert triton.traits(json.dumps(request_body).encode()) == traits
    assert triton.traits(json.dumps(request_body).encode() + b"\x80\0\0\0binary") == traits


def test_an_error_has_the_shape_that_its_clients_know() -> None:
    body, content_type = triton.error(502, "no luck", "upstream_error")

    assert (json.loads(body), content_type) == ({"error": "no luck"}, b"application/json")
