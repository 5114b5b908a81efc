"""The observations are those that the newest look used: as many, with the same mean, in every metric and slice."""

import pytest
from tests_history import CONFIG, bad, live_through, living
from tests_stores import NAME

from experiments import open_store
from experiments.evidence import Kind
from experiments.workbench import OpenExperiment, example


def agrees_with_its_look(e: OpenExperiment) -> int:
    """Hold the observations of every metric and slice against the newest look; returns how many were held."""
    rows = [row for row in e.look().evidence.metrics if row.kind is Kind.PAIRED and row.units]
    for row in rows:
        found = list(e.units(row.metric, row.slice))
        assert len(found) == row.units
        assert len({unit["unit"] for unit in found}) == row.units
        assert sum(unit["value"] for unit in found) / len(found) == pytest.approx(row.estimate, abs=1e-12)
        assert sum(unit["n_pairs"] for unit in found) <= row.pairs  # which counts open units too
    return len(rows)


def test_the_observations_are_those_of_the_newest_look() -> None:
    assert agrees_with_its_look(example().experiment(NAME)) == 6


def test_units_at_their_cap_and_units_that_are_still_open_are_left_as_the_look_left_them(tmp_path) -> None:
    with living(tmp_path, CONFIG.replace("settle_seconds = 0\n", "settle_seconds = 2.5\nunit_cap = 2\n")) as life:
        live_through(life, bad, ticks=6)
        with open_store(life.config.path) as store:
            e = store.experiment("support")
            assert agrees_with_its_look(e) == 6
            assert len(e.units("agreement")) < len(e.pairs("agreement"))


def test_a_unit_has_the_place_of_its_first_request() -> None:
    e = example().experiment(NAME)
    first = {}
    for row in e.exchanges("live"):
        first.setdefault(row["unit"], (row["stage"], row["assigned"]))

    assert all((row["stage"], row["assigned"]) == first[row["unit"]] for row in e.units("agreement"))
