"""The golden set that is shipped: large enough, in three languages, checkable by a program, and no two items alike."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from experiments.config.serving import Backend
from experiments.golden.expectations import RULES, check
from experiments.golden.items import GoldenItem, read_items
from experiments.golden.runs import ItemResult, Outcome, judge_all, plan
from experiments.golden.verdict import GateVerdict, Result, verdict
from experiments.model import CONTROL, TREATMENT
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.golden.client import GoldenClient, Target

SET = Path(__file__).parents[2] / "examples" / "golden" / "support.jsonl"
KINDS = {"intent", "extract", "policy", "price", "date", "format", "language"}
DEVANAGARI, LATIN = re.compile(r"[\u0900-\u097f]"), re.compile(r"[A-Za-z]")


@pytest.fixture(name="items", scope="module")
def _items() -> tuple[GoldenItem, ...]:
    return read_items(SET)


def prompt(item: GoldenItem) -> str:
    return str(item.request["messages"][0]["content"])


def test_there_are_enough_items_about_a_third_of_them_in_each_language(items) -> None:
    counts = Counter(item.tags["language"] for item in items)

    assert len(items) >= 210
    assert counts.keys() == {"en", "hi", "hi-en"}
    assert all(0.3 < count / len(items) < 0.37 for count in counts.values())


def test_every_kind_is_asked_in_every_language(items) -> None:
    counts = Counter((item.tags["language"], item.tags["kind"]) for item in items)

    assert {kind for _, kind in counts} == KINDS
    assert len(counts) == 3 * len(KINDS)
    assert min(counts.values()) >= 4


def test_some_items_of_every_language_are_critical(items) -> None:
    counts = Counter(item.tags["language"] for item in items if item.critical)

    assert 15 <= counts.total() <= 25
    assert min(counts[language] for language in ("en", "hi", "hi-en")) >= 5


def test_no_two_items_are_alike(items) -> None:
    assert len({item.id for item in items}) == len(items)
    assert len({" ".join(prompt(item).casefold().split()) for item in items}) == len(items)


def test_no_two_items_differ_in_their_numbers_only(items) -> None:
    seen = Counter(re.sub(r"\d+", "0", prompt(item).casefold()) for item in items)

    assert [text for text, count in seen.items() if count > 1] == []


def test_every_expectation_accepts_its_example_and_refuses_its_counterexample(items) -> None:
    wrong = [
        item.id
        for item in items
        if item.example is None
        or item.counterexample is None
        or check(item.expected, item.example) is not True
        or check(item.expected, item.counterexample) is not False
    ]

    assert wrong == []


def test_no_expectation_is_met_by_silence_or_by_repeating_the_question(items) -> None:
    lax = [item.id for item in items if check(item.expected, "") or check(item.expected, prompt(item))]

    assert lax == []


def test_every_rule_of_the_format_is_used(items) -> None:
    used = {rule for item in items for rule in RULES if getattr(item.expected, rule) is not None}

    assert used == set(RULES)


def test_the_languages_are_written_in_their_scripts(items) -> None:
    # Those about the language of the answer mix the scripts of question and answer on purpose.
    asked = [(item, prompt(item)) for item in items if item.tags["kind"] != "language"]

    assert [item.id for item, text in asked if item.tags["language"] == "en" and DEVANAGARI.search(text)] == []
    assert [item.id for item, text in asked if item.tags["language"] == "hi" and not DEVANAGARI.search(text)] == []
    assert [item.id for item, text in asked if item.tags["language"] == "hi-en" and not LATIN.search(text)] == []
    mixed = [item for item, text in asked if item.tags["language"] == "hi-en" and DEVANAGARI.search(text)]
    assert len(mixed) >= 3
    assert all(item.tags["script"] == "mixed" for item in mixed)


def test_the_set_is_large_enough_to_pass_an_equal_treatment_and_to_fail_one_that_cannot_read_hindi(items) -> None:
    def results(lost: set[str]) -> list[ItemResult]:
        return [
            ItemResult(
                id=item.id, tags=item.labels, control=Outcome.OK,
                treatment=Outcome.WRONG if item.id in lost else Outcome.OK,
            )
            for item in items
        ]  # fmt: skip

    hindi = [item.id for item in items if item.tags["language"] == "hi"]

    assert verdict(results(set())).result is Result.PASSED
    assert verdict(results(set(hindi[::4]))).result is Result.FAILED


async def run_both(items: tuple[GoldenItem, ...], treatment: dict[str, str]) -> GateVerdict:
    """Run the set: fakes answer from a list, control always with the examples."""
    examples = {prompt(item): item.example or "" for item in items}
    answers = {CONTROL: examples, TREATMENT: examples | treatment}
    fakes = {variant: FakeBackend(Behaviour(answer=said.__getitem__)) for variant, said in answers.items()}
    with serving(fakes[CONTROL]) as control, serving(fakes[TREATMENT]) as other:
        targets = {v: Target(Backend(name=v, urls=(url,))) for v, url in ((CONTROL, control), (TREATMENT, other))}
        said = await GoldenClient(targets).run(plan(items, random.Random(5), model="support"))
    return verdict(judge_all(items, said))


async def test_a_run_over_real_connections_passes_a_treatment_that_answers_as_control_does(items) -> None:
    found = await run_both(items, {})

    assert found.result is Result.PASSED
    assert found.overall.both == len(items)


async def test_a_run_over_real_connections_names_the_language_that_is_harmed(items) -> None:
    weak = [item for item in items if item.tags["language"] == "hi" and not item.critical][::3]

    found = await run_both(items, {prompt(item): item.counterexample or "" for item in weak})

    assert found.result is Result.FAILED
    assert "language=hi" in {reason.tag for reason in found.reasons}
    assert {tag.tag: tag.losses for tag in found.tags}["language=en"] == 0
    assert found.overall.losses == len(weak)
