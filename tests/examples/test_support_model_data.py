from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

from examples.support_model.data import CHAT_TEMPLATE, GOLDEN, LANGUAGES, golden_samples, prompt, samples
from examples.support_model.train import unseen_samples
from experiments.golden.sets import load_golden

ROOT = Path(__file__).parents[2]

ORIGINAL_SHA256 = "2d994bbe0f86c20aa1c03055772f3d48a156ad9d58f8f1b2ce145d84a181cbe3"
"""Of the golden set that the shipped weights were first measured with: a JSON list in an older form."""


def test_golden_queries_are_those_that_the_weights_were_first_measured_with() -> None:
    older_names = {"en": "en", "hi-Latn": "hinglish", "hi": "hi"}
    rows = [
        {"lang": older_names[s.language], "intent": s.intent, "q": s.query, "a": s.answer, "id": f"t{number:03d}"}
        for number, s in enumerate(golden_samples())
    ]
    older_form = json.dumps(rows, ensure_ascii=False, indent=0).encode()
    assert hashlib.sha256(older_form).hexdigest() == ORIGINAL_SHA256


def test_the_documented_command_regenerates_the_golden_file() -> None:
    command = [sys.executable, "-m", "examples.support_model.data"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, env={"LC_ALL": "C"})
    assert done.stdout == GOLDEN.read_bytes()


def test_the_product_reads_the_golden_file() -> None:
    golden = load_golden(GOLDEN)
    assert [item.id for item in golden.items[:2]] == ["t000", "t001"]
    assert len(golden) == 3000
    first = golden.items[0]
    expected = golden.expected(first.request["messages"][0]["content"])
    assert expected is not None
    assert expected.exact == '{"intent":"track","order":"639645103882"}'
    assert first.tags == {"language": "en", "intent": "track", "template": "track.en.0"}


def test_languages_are_equally_frequent_and_templates_are_66() -> None:
    drawn = golden_samples()
    assert {language: sum(s.language == language for s in drawn) for language in LANGUAGES} == dict.fromkeys(
        LANGUAGES, 1000
    )
    assert len({s.template for s in drawn}) == 66
    assert all(s.template.startswith(f"{s.intent}.{s.language}.") for s in drawn)


def test_slips_leave_the_digits_that_the_answer_depends_on() -> None:
    for sample in itertools.islice(samples(seed=3), 2000):
        answer = json.loads(sample.answer)
        digits = [int(part) for part in "".join(c if c.isdigit() else " " for c in sample.query).split()]
        if sample.intent == "total":
            assert sum(digits) == answer["sum"]
        elif sample.intent == "price":
            assert digits[0] * digits[1] == answer["sum"]
        else:
            assert answer["order"] in sample.query


def test_training_never_sees_a_golden_query() -> None:
    golden = {sample.query for sample in golden_samples()}
    assert golden.isdisjoint(sample.query for sample in itertools.islice(unseen_samples(seed=1), 20_000))
    everything = itertools.islice(samples(seed=1), 20_000)
    assert any(sample.query in golden for sample in everything), "the test above would prove nothing"


def test_prompt_and_chat_template_are_the_same_text() -> None:
    inside = CHAT_TEMPLATE.partition("%}")[2].partition("%}")[2].partition("{% endif")[0]
    assert inside.replace("{{ m['content'] }}", "where is {x}") == prompt("where is {x}")
