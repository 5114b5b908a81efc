"""Whom a scorer may ask: a backend of the configuration that speaks OpenAI's API, and no party."""

import pytest

from experiments.config import load

JUDGE = """
[backends.judge]
url = "http://127.0.0.1:9109"

[backends.copy]
url = "http://127.0.0.1:9102/"

[backends.llama]
url = "http://127.0.0.1:9110"
protocol = "ollama"

[experiments.support.monitors.better]
"""


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ('scorer = "judge"', '"judge" is missing: scorer = "judge" needs it'),
        ('scorer = "similarity"', '"embeddings" is missing: scorer = "similarity" needs it'),
        (
            'scorer = "judge"\njudge = { backend = "jugde" }',
            'judge.backend = "jugde": is no backend (did you mean "judge"?)',
        ),
        (
            'scorer = "judge"\njudge = { backend = "int4" }',
            'judge.backend = "int4": is the treatment that it would judge',
        ),
        ('scorer = "judge"\njudge = { backend = "original" }', "is the control that it would judge"),
        ('scorer = "judge"\njudge = { backend = "copy" }', "is the treatment that it would judge"),
        (
            'scorer = "judge"\njudge = { backend = "llama" }',
            'must speak protocol = "openai", and "llama" speaks "ollama"',
        ),
        ('scorer = "similarity"\nembeddings = { backend = "llama" }', 'must speak protocol = "openai"'),
        ('scorer = "similarity"\nembeddings = { backend = "nobody" }', 'embeddings.backend = "nobody": is no backend'),
        ('scorer = "empty"\njudge = { backend = "judge" }', 'judge: is for scorer = "judge" only'),
        ('scorer = "judge"\nembeddings = { backend = "judge" }', "embeddings"),
        ('feedback = true\njudge = { backend = "judge" }', "judge: is for a scorer, and this metric has none"),
        ('scorer = "judge"\njudge = { backend = "judge", retries = 11 }', "judge.retries = 11: must be"),
        ('scorer = "judge"\njudge = { backend = "judge", swap = 3 }', "judge.swap"),
        ('scorer = "jugde"\njudge = { backend = "judge" }', '(did you mean "judge"?)'),
    ],
)
def test_what_makes_no_sense_is_told_at_its_line(good: str, told, added: str, said: str) -> None:
    problems = told(good + JUDGE + added)

    lines = range(len((good + JUDGE).splitlines()), len((good + JUDGE + added).splitlines()) + 1)
    assert any(said in problem and int(problem.split(":")[1].split()[0]) in lines for problem in problems), problems


def test_a_judge_as_a_guardrail_needs_a_margin(good: str, told) -> None:
    added = JUDGE.replace("monitors", "guardrails") + 'scorer = "judge"\njudge = { backend = "judge" }'

    assert any("margin: is missing" in problem for problem in told(good + added))


@pytest.mark.parametrize(
    "added",
    [
        'scorer = "judge"\njudge = { backend = "judge", rubric = "be brief", ties = false }',
        'scorer = "judge"\njudge = { backend = "copy", allow_compared = true }',
        'scorer = "similarity"\nembeddings = { backend = "int4", model = "small" }',
    ],
)
def test_what_makes_sense_is_taken(good: str, write, added: str) -> None:
    [*_, metric] = load(write(good + JUDGE + added), {}).experiments["support"].monitors

    assert metric.name == "better"
