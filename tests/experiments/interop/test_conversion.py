"""What does not match is told as a line with file, line, key, value and rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_builders import make_experiment

from experiments.config.messages import Finding
from experiments.interop import growthbook, tensorzero
from experiments.interop.conversion import Choices, not_carried, problems, record_of, stage_percent, value_at


class _Numbers(msgspec.Struct, forbid_unknown_fields=True):
    shares: list[float] = []


def test_a_finding_is_a_line_with_file_line_key_value_and_rule() -> None:
    document = {"features": {"a": {"weights": [0.5, 0.4]}}}
    found = [Finding(("features", "a", "weights"), "must sum to 1"), Finding(("b",), "is missing")]

    lines = [str(problem) for problem in problems(found, Path("f.json"), lambda at: 7 if len(at) > 1 else 0, document)]

    assert lines == ["f.json:7  features.a.weights = [0.5, 0.4]: must sum to 1", "f.json  b: is missing"]
    assert value_at(document, ("features", 3, "x")) == {}


def test_a_wrong_key_of_a_foreign_table_is_found_where_it_stands() -> None:
    assert record_of({"shares": [1]}, _Numbers, ()) == _Numbers([1.0])
    assert record_of({"shares": [1, "a"]}, _Numbers, ("x",)) == Finding(
        ("x", "shares", 1), "expected `float`, got `str`"
    )
    assert record_of({"odd": 1}, _Numbers, ("x",)) == Finding(("x", "odd"), "is no key that is known here")
    assert record_of(3, _Numbers, ("x",)) == Finding(("x",), "expected `object`, got `int`")


def test_of_a_ramp_a_stage_is_chosen_and_of_an_experiment_only_what_says_something_is_named() -> None:
    experiment = make_experiment(ramp=(5.0, 25.0), owner="pm", salt="other")

    assert [stage_percent(experiment, stage) for stage in (None, 0, 1, 2, -1)] == [None, 5.0, 25.0, None, None]
    assert stage_percent(make_experiment(ramp=(5.0,)), None) == 5.0
    assert {"owner", "salt"} <= set(not_carried(experiment, ("match", "control", "treatment", "ramp")))
    assert "expose_variant" not in not_carried(experiment, ())


scalars = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from(["a", "control", "chat", "static"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "control", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def maybe(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw a table with any of these keys, or something else in its place."""
    return st.fixed_dictionaries({}, optional=keys) | values


rules = maybe(
    variations=st.lists(scalars, max_size=3), weights=values, ranges=values, condition=values, meta=values,
    coverage=scalars, hashVersion=scalars, seed=scalars, minBucketVersion=scalars, force=values,
)  # fmt: skip
features = st.dictionaries(st.sampled_from(["f", "G"]), maybe(defaultValue=scalars, rules=st.lists(rules, max_size=2)))
variants = st.dictionaries(st.sampled_from(["a", "control"]), maybe(type=scalars, model=scalars, weight=scalars))
experimentation = maybe(type=scalars, candidate_variants=values, fallback_variants=values, namespaces=values)
functions = maybe(type=scalars, variants=variants, experimentation=experimentation)
models = maybe(routing=values, providers=maybe(a=maybe(type=scalars, api_base=scalars)))
tensorzero_files = maybe(
    functions=maybe(f=functions, G=functions), models=maybe(a=models, control=models), metrics=maybe(m=values), x=values
)


@settings(max_examples=60, deadline=None)
@given(features | maybe(features=features, experiments=values) | values, tensorzero_files)
def test_whatever_a_file_holds_it_is_converted_or_refused_and_never_an_exception(
    payload: Any, configuration: Any
) -> None:
    choices = Choices({"a": "http://a", "control": "http://b"}, {"id": "header:x"}, {"f": "a"})
    found = [growthbook.read(payload, choices)]
    if isinstance(configuration, dict):  # a TOML file is a table
        found.append(tensorzero.read(configuration, choices))

    for conversion in found:
        assert conversion.refused or conversion.document["experiments"]
        assert all(finding.rule for finding in (*conversion.refused, *conversion.noted))
