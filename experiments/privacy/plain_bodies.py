"""The plainest bodies of a protocol that say what is known of a request and of an answer, and nothing else. Pure.

What the recorder reads of a body is little: the prompt, the answer, a few figures. Here a body is written from just
that, so that it reads as the original did and everything else of the original is gone: earlier messages, thoughts,
arguments of calls, texts that are split over the pieces of a stream. `protocol(name).answer(answer_body(name, a))` is
`a` again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from experiments.protocols import Answered

_encode = msgspec.json.Encoder().encode


def request_body(name: str, prompt: str | None, model: str | None = None) -> str:
    """Return a request of a protocol with this prompt, and the model that it names.

    >>> request_body("openai", "hi", "m")
    '{"model":"m","prompt":"hi"}'
    """
    if name == "raw":
        return prompt or ""
    key = "text_input" if name == "triton" else "prompt"
    return _json({"model": model, key: prompt})


def answer_body(name: str, answered: Answered) -> str:
    """Return a body of a protocol that reads as this answer.

    Tokens that were counted from chunks stay so, in as many chunks without text. Of Triton, where a chunk is text by
    definition, they are reported instead if there is less text than chunks: the same number, no longer marked as
    estimated.

    >>> answer_body("ollama", Answered("hi", "stop", 3, 1, model="m"))
    '{"model":"m","done_reason":"stop","prompt_eval_count":3,"eval_count":1,"response":"hi"}'
    """
    match name:
        case "openai":
            return _openai_stream(answered) if answered.tokens_estimated else _openai(answered)
        case "ollama":
            return _ollama(answered)
        case "triton":
            return _triton(answered)
        case _:
            return answered.text or ""


def _openai(answered: Answered) -> str:
    choice: dict[str, Any] = {"finish_reason": answered.finish_reason}
    if answered.tool_calls is None:
        choice["text"] = answered.text
    else:
        choice["message"] = {"content": answered.text, "tool_calls": [{}] * answered.tool_calls}
    usage = {"prompt_tokens": answered.input_tokens, "completion_tokens": answered.output_tokens}
    return _json({"model": answered.model, "usage": _present(usage), "choices": [_present(choice)]})


def _openai_stream(answered: Answered) -> str:
    """One event: its first choice is the answer, and each further one stands for a chunk."""
    choice: dict[str, Any] = {"finish_reason": answered.finish_reason}
    if answered.tool_calls is None:
        choice["text"] = answered.text
    else:
        calls = [{"index": number} for number in range(answered.tool_calls)]
        choice["delta"] = {"content": answered.text, "tool_calls": calls}
    filling = [{"index": 1, "text": "-"}] * _missing(answered)
    usage = _present({"prompt_tokens": answered.input_tokens})
    event = _json({"model": answered.model, "usage": usage, "choices": [_present(choice), *filling]})
    return f"data: {event}\n\n"


def _ollama(answered: Answered) -> str:
    estimated = answered.tokens_estimated
    answer: dict[str, Any] = {
        "model": answered.model,
        "done_reason": answered.finish_reason,
        "prompt_eval_count": answered.input_tokens,
        "eval_count": None if estimated else answered.output_tokens,
    }
    if answered.tool_calls is None:
        answer["response"] = answered.text
    else:
        answer["message"] = {"content": answered.text, "tool_calls": [{}] * answered.tool_calls}
    if not estimated:
        return _json(answer)
    # The last line says nothing: a single one would be no stream.
    return "\n".join([_json(answer), *['{"thinking":"-"}'] * _missing(answered), "{}"])


def _triton(answered: Answered) -> str:
    figures = {
        "model_name": answered.model,
        "finish_reason": answered.finish_reason,
        "num_input_tokens": answered.input_tokens,
    }
    chunks, said = answered.output_tokens or 0, answered.text
    if answered.tokens_estimated and said is not None and len(said) >= chunks:
        pieces = [*said[: chunks - 1], said[chunks - 1 :]]
        events = [_json(figures | {"text_output": pieces[0]}), *(_json({"text_output": p}) for p in pieces[1:])]
        return "".join(f"data: {event}\n\n" for event in events)
    if said == "":  # only a tensor can be an empty text
        tensor = {"name": "text_output", "datatype": "BYTES", "shape": [1], "data": [""]}
        return _json({"model_name": answered.model, "outputs": [tensor]})
    return _json(figures | {"num_output_tokens": answered.output_tokens, "text_output": said})


def _missing(answered: Answered) -> int:
    """How many chunks are to be added to the one that carries the text and the calls, if it carries any."""
    return (answered.output_tokens or 0) - bool(answered.text or answered.tool_calls)


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _json(fields: dict[str, Any]) -> str:
    return _encode(_present(fields)).decode()
