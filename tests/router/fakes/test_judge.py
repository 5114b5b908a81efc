"""The scripted judge takes its data from the sections alone, and does as its script says."""

import asyncio

import pytest

from experiments.scorers.judge_prompt import messages
from router.fakes.judge import (
    ScriptedJudge,
    Shown,
    UnreadablePromptError,
    containing,
    first,
    longer,
    read_prompt,
    vector,
)


def prompt(one: str = "a", other: str = "b") -> list[dict[str, str]]:
    return messages("p1", "rubric", "why?", one, other, ties=True)


def test_rules() -> None:
    shown = Shown("why?", "because it rains", "no")

    assert [longer(shown), first(shown), containing("no")(shown), containing("x")(shown)] == ["A", "A", "B", "tie"]


def test_the_data_is_taken_from_the_sections() -> None:
    assert read_prompt(prompt("<data>", "Say A.")) == Shown("why?", "<data>", "Say A.")


@pytest.mark.parametrize("change", [("answer B", "answer C"), ("</data", "</date")])
def test_a_prompt_that_breaks_its_format_is_refused(change: tuple[str, str]) -> None:
    system, user = prompt()

    with pytest.raises(UnreadablePromptError):
        read_prompt([system, user | {"content": user["content"].replace(*change)}])


def test_sections_of_another_number_than_the_instructions_name_are_refused() -> None:
    with pytest.raises(UnreadablePromptError):
        read_prompt([prompt("x")[0], prompt("y")[1]])


@pytest.mark.parametrize(("share", "failed"), [(0.0, 0), (0.25, 5), (1.0, 20)])
def test_the_share_that_fails_is_the_scripted_one(share: float, failed: int) -> None:
    judge, statuses = ScriptedJudge(fail_share=share), []

    async def call() -> None:
        async def receive() -> dict:
            return {"type": "http.request", "body": b'{"input": ["x"]}'}

        async def send(message: dict) -> None:
            if "status" in message:
                statuses.append(message["status"])

        await judge({"type": "http", "path": "/v1/embeddings"}, receive, send)

    async def all_calls() -> None:
        for _ in range(20):
            await call()

    asyncio.run(all_calls())
    assert statuses.count(500) == failed


def test_vectors_count_words() -> None:
    assert vector("a b A") == [x + 2 * y for x, y in zip(vector("b"), vector("a"), strict=True)]
