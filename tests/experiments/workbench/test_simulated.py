"""The example is simulated, and says so everywhere. That it is the same each time is tested on PostgreSQL."""

from tests_stores import NAME

from experiments.workbench import example


def test_whoever_looks_at_it_is_told_that_it_is_simulated() -> None:
    e = example().experiment(NAME)

    told = [repr(example()), repr(e), e.config.hypothesis, e.config.owner, next(iter(e.pairs()))["pair"]]

    assert all("simulated" in text.lower() for text in told)
