from typing import Any

import pytest

from experiments.benching.benchmark import Benchmark, Memory, benchmark
from experiments.benching.embeddings import Prototypes
from experiments.benching.samples import Sample
from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenItem

MEMORY = {"control": Memory(2), "treatment": Memory(1)}


def items(count: int, **expected: str) -> list[GoldenItem]:
    kinds = expected or {"exact": "yes"}
    return [GoldenItem(id=str(n), request={}, expected=Expected(**kinds)) for n in range(count)]


def said(*texts: str | None) -> dict[str, Sample]:
    return {
        str(n): Sample(error="timeout") if text is None else Sample(text=text, latency_ms=n + 1.0)
        for n, text in enumerate(texts)
    }


def run(golden: list[GoldenItem], control: dict[str, Sample], treatment: dict[str, Sample], **more: Any) -> Benchmark:
    return benchmark(golden, {"control": control, "treatment": treatment}, concurrency=1, memory=MEMORY, **more)


def test_a_failure_is_a_wrong_answer_and_two_failures_say_nothing() -> None:
    found = run(items(4), said("yes", "yes", None, "no"), said("yes", None, None, "yes"))

    assert found.accuracy is not None
    overall = found.accuracy.overall
    assert (overall.n, overall.only_a, overall.only_b, found.not_judged) == (3, 1, 1, 1)
    assert found.errors == {"control": {"timeout": 1}, "treatment": {"timeout": 2}}


def test_what_no_rule_can_judge_is_left_out_and_said() -> None:
    found = run(items(2, reference="within seven days"), said("a", "b"), said("c", "d"))

    assert (found.accuracy, found.not_judged) == (None, 2)
    assert "no rule of the golden set" in found.not_judged_because


def test_if_nothing_was_answered_that_is_the_reason() -> None:
    assert run(items(1), said(None), said(None)).not_judged_because == "nothing was answered"


@pytest.mark.parametrize("known", [True, False])
def test_embeddings_are_judged_by_prototypes_alone(known: bool) -> None:
    prototypes = Prototypes(["refund", "invoice"], [(1.0, 0.0), (0.0, 1.0)]) if known else None
    control = {"0": Sample(vector=(1.0, 0.1), latency_ms=1.0)}
    treatment = {"0": Sample(vector=(0.1, 1.0), latency_ms=1.0)}

    found = run(items(1, label="refund"), control, treatment, prototypes=prototypes)

    assert found.likeness is not None
    if known:
        assert found.accuracy is not None
        assert (found.accuracy.overall.only_a, found.accuracy.overall.only_b) == (1, 0)
    else:
        assert "none were given" in found.not_judged_because
