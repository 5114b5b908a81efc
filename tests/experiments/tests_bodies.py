"""Bodies of every protocol, whole and streamed, as hypothesis draws them."""

from typing import Any

import msgspec
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
maybe = st.one_of(st.none(), texts)
counts = st.one_of(st.none(), st.integers(0, 900))
calls = st.one_of(st.none(), st.lists(st.fixed_dictionaries({"index": st.integers(0, 3)}), max_size=3))
usages = st.one_of(st.none(), st.fixed_dictionaries({"prompt_tokens": counts, "completion_tokens": counts}))
messages = st.fixed_dictionaries(
    {}, optional={"content": maybe, "refusal": maybe, "tool_calls": calls, "reasoning": maybe}
)
finishes = st.sampled_from([None, "stop", "length", "tool_calls"])
choices = st.one_of(
    st.fixed_dictionaries({"message": messages, "delta": messages, "finish_reason": finishes}),
    st.fixed_dictionaries({"text": maybe, "index": st.integers(0, 1), "finish_reason": finishes}),
)
chats = st.fixed_dictionaries({"choices": st.lists(choices, max_size=2), "usage": usages}, optional={"model": texts})
parts = st.lists(st.fixed_dictionaries({"text": maybe}), max_size=2)
items = st.fixed_dictionaries({"type": st.sampled_from(["message", "function_call"]), "content": parts})
responses = st.fixed_dictionaries(
    {"object": st.just("response"), "output": st.lists(items, max_size=2), "status": st.just("completed")}
)
deltas = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["response.output_text.delta", "response.refusal.delta", "response.reasoning.delta", "error"]
        ),
        "delta": maybe,
    }
)
ollama = st.fixed_dictionaries(
    {},
    optional={
        "model": texts,
        "response": maybe,
        "thinking": maybe,
        "message": messages,
        "done_reason": finishes,
        "eval_count": counts,
        "prompt_eval_count": counts,
        "error": st.just("broken"),
    },
)
triton = st.fixed_dictionaries(
    {"text_output": maybe},
    optional={"model_name": texts, "finish_reason": finishes, "num_output_tokens": counts, "num_input_tokens": counts},
)
tensors = st.fixed_dictionaries(
    {"name": st.just("o"), "datatype": st.just("BYTES"), "data": st.lists(texts, max_size=2)}
)


def plain(objects: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[str]:
    return objects.map(lambda value: msgspec.json.encode(value).decode())


def stream(objects: st.SearchStrategy[dict[str, Any]], event: str) -> st.SearchStrategy[str]:
    return st.lists(plain(objects), max_size=6).map(lambda found: "".join(event % one for one in found))


BODIES = {
    "openai": plain(chats) | plain(responses) | stream(chats, "data: %s\n\n") | stream(deltas, "data: %s\n\n") | texts,
    "ollama": plain(ollama) | stream(ollama, "%s\n") | texts,
    "triton": plain(triton) | stream(triton, "data: %s\n\n") | plain(tensors.map(lambda t: {"outputs": [t]})) | texts,
    "raw": texts,
}
