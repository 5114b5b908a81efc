"""A plain body says what the original said: read again, it gives the same answer, for any body of any protocol."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_bodies import BODIES, maybe

from experiments.privacy.plain_bodies import answer_body, request_body
from experiments.protocols import protocol


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=300)
@given(data=st.data())
def test_an_answer_reads_the_same_from_its_plain_body(name: str, data: st.DataObject) -> None:
    first = protocol(name).answer(data.draw(BODIES[name]))

    again = protocol(name).answer(answer_body(name, first))

    if (
        name == "triton"
        and first.tokens_estimated
        and (first.text is None or len(first.text) < (first.output_tokens or 0))
    ):
        first = first._replace(tokens_estimated=False)
    assert again == first


@pytest.mark.parametrize("name", BODIES)
@given(prompt=maybe, model=maybe)
def test_a_request_reads_the_same_from_its_plain_body(name: str, prompt: str | None, model: str | None) -> None:
    body = request_body(name, prompt, model)

    assert protocol(name).prompt(body) == (prompt or None if name == "raw" else prompt)
    if name in {"openai", "ollama"}:
        assert protocol(name).peek(body.encode()).model == model
