"""The table and its sentence; the same figures as JSON."""

import json

from rich.console import Console

from analysis.paired import tango_interval
from analysis.result import Estimate
from experiments.benching.benchmark import Benchmark, Memory, benchmark
from experiments.benching.samples import Sample
from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenItem
from router.benching.showing import shown


def measured(treatment_right: int = 60, *, vectors: bool = False, answered: bool = True) -> Benchmark:
    """100 items, of which control gets all right, in half the treatment's time or so."""
    items = [
        GoldenItem(id=str(n), request={}, expected=Expected(exact="yes"), tags={"language": "hi" if n % 2 else "en"})
        for n in range(100)
    ]

    def sample(n: int, right: bool, latency_ms: float) -> Sample:
        if not answered and latency_ms < 9:
            return Sample(error="connect")
        text = None if vectors else ("yes" if right else "no")
        vector = (1.0, 0.0) if vectors else None
        return Sample(text=text, vector=vector, begun_s=n, latency_ms=latency_ms, tokens=10)

    arms = {
        "control": {item.id: sample(n, True, 10 + n % 3) for n, item in enumerate(items)},
        "treatment": {item.id: sample(n, n < treatment_right, 5 + n % 2) for n, item in enumerate(items)},
    }
    memory = {
        "control": Memory(90_900_000, "", 484_064, 1.1),
        "treatment": Memory(why_not="not on this machine", cpu_s=0.5),
    }
    return benchmark(items, arms, concurrency=1, memory=memory)


def lines(found: Benchmark, width: int = 80) -> list[str]:
    out = Console(width=width)
    with out.capture() as capture:
        for part in shown(found).parts:
            out.print(part, soft_wrap=isinstance(part, str))
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_one_table_holds_speed_memory_and_accuracy_in_80_columns() -> None:
    found = lines(measured())

    assert found[0] == "control treatment differs 95 % CI lost/won"
    assert "answered, of 100 100 100" in found
    assert "tokens per second 910 1,818 x2.00" in found
    assert "latency p50, ms 11.0 5.5 x0.50" in found
    assert "CPU a request, ms 11.0 5.0 x0.45" in found
    assert "memory (RSS), MB 90.9 cannot tell" in found
    assert "model file, MB 0.5 cannot tell" in found
    for name, lost, n in (("accuracy", 40, 100), ("language=hi", 20, 50)):
        interval = tango_interval(0, lost, n)
        assert isinstance(interval, Estimate)
        told = f"{100 * interval.lower:.1f} to {100 * interval.upper:.1f}"
        assert f"{name} (n={n}) 100.0 % 60.0 % -40.0 {told} {lost}/0" in found
    assert "Memory of treatment: cannot tell (not on this machine)." in found
    assert "times as fast as control" in " ".join(found)
    assert found[-1].endswith(": worse, shown for language=en, language=hi.")


def test_embeddings_show_how_alike_they_are_and_why_they_were_not_judged() -> None:
    found = lines(measured(vectors=True))

    assert "cosine, mean 1.0000" in found
    assert "accuracy cannot tell cannot tell" in found
    assert any("embeddings are judged by prototypes" in line for line in found)


def test_json_has_every_figure_and_the_sentence() -> None:
    data = json.loads(shown(measured()).json())

    assert data["accuracy"]["overall"]["only_a"] == 40
    assert data["speeds"]["treatment"]["answered"] == 100
    assert data["worse_in"] == ["language=en", "language=hi"]
    assert data["times_faster"]["value"] > 1.9
    assert data["summary"].endswith(": worse, shown for language=en, language=hi.")


def test_a_variant_that_never_answered_makes_it_no_result() -> None:
    view = shown(measured(answered=False))

    assert not view.ok
    assert view.parts[-1] == "Cannot tell: treatment answered no request."
