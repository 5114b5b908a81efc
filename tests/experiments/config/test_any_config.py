"""Every possible configuration loads with its values; every mutation of one is told at its line, and only there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from experiments.config import Config, ConfigError, Experiment, load
from experiments.config.records import PROMPT_SLICES

Table = dict[str, Any]
Write = Callable[[str], Path]
law = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

names = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True)
percents = st.integers(0, 100) | st.floats(0, 100, width=32)
positives = st.floats(0.001, 1e6) | st.integers(1, 1000)
shares = st.floats(0.001, 0.5)
places = st.sampled_from(["header:X-User", "cookie:sid", "body:metadata.user"])


def tables(required: Table | None = None, **optional: Any) -> st.SearchStrategy[Table]:
    return st.fixed_dictionaries(required or {}, optional=optional)


prices = tables({"input": positives, "output": positives})
backends = tables({"url": st.sampled_from(["http://a:1", "https://b/c"]), "price": prices})
routers = tables(
    workers=st.integers(1, 64),
    listen=st.integers(1, 65535).map(lambda port: f"0.0.0.0:{port}"),
    journal_fsync=st.sampled_from(["interval", "always", "never"]),
    look_interval_s=positives,
    capture_bytes=st.integers(1, 10**9),
)
policies = tables(
    on_harm=st.sampled_from(["rollback", "pause"]),
    mirror_after_rollback=st.booleans(),
    max_days=st.integers(7, 90),
    min_units=st.integers(1, 10**6),
    alpha_rollback=shares,
)


@st.composite
def guardrails(draw: st.DrawFn) -> Table:
    margin = draw(shares)
    paired = {"scorer": "agreement", "margin": margin, "tolerance": margin / 2, "slice_margin": margin * 1.5}
    return {"quality": paired, "errors": {"max_relative": draw(st.floats(1, 5))}}


@st.composite
def experiments(draw: st.DrawFn, number: int, pair: tuple[str, str]) -> Table:
    required = {"match": {"path": f"/v1/{number}", "model": "m"}, "control": pair[0], "treatment": pair[1]}
    ramp = st.lists(st.integers(0, 100), min_size=1, max_size=5, unique=True).map(sorted)
    optional = tables(
        owner=st.text(max_size=20),
        hypothesis=st.text(max_size=40),
        mirror_percent=percents,
        unit=places,
        slices=st.lists(places | st.sampled_from(PROMPT_SLICES), unique=True, max_size=5),
        salt=st.text(max_size=10),
        guardrails=guardrails(),
        goals=tables(
            cost=tables({"better_by": st.integers(1, 99).map("{}%".format)}), ttft=tables({"better_by": shares})
        ),
        monitors=tables(thumbs_up=tables({"feedback": st.just(True)})),
        policy=policies,
    )
    split = draw(st.fixed_dictionaries({"ramp": ramp}) | st.fixed_dictionaries({"split_percent": percents}))
    return required | split | draw(optional)


@st.composite
def documents(draw: st.DrawFn) -> Table:
    pool = draw(st.lists(names, min_size=2, max_size=3, unique=True))
    called = draw(st.lists(names, min_size=1, max_size=2, unique=True))
    return {
        "router": draw(routers) | {"default_backend": pool[0]},
        "backends": {name: draw(backends) for name in pool},
        "experiments": {name: draw(experiments(n, (pool[0], pool[-1]))) for n, name in enumerate(called)},
    }


def rendered(document: Table) -> tuple[str, dict[tuple[str, ...], int]]:
    """Return the document as TOML, a key a line, and the lines: an oracle that knows nothing of tree-sitter."""
    text: list[str] = []
    lines: dict[tuple[str, ...], int] = {}

    def section(table: Table, at: tuple[str, ...]) -> None:
        text.append("[" + ".".join(map(json.dumps, at)) + "]")
        for key, value in table.items():
            if not isinstance(value, dict):
                text.append(f"{key} = {_toml(value)}")
                lines[*at, key] = len(text)
        for key, value in table.items():
            if isinstance(value, dict):
                section(value, (*at, key))

    for top in ("router", "backends", "experiments"):
        section(document[top], (top,))
    return "\n".join(text), lines


def _toml(value: Any) -> str:
    """JSON is TOML for numbers and lists; in texts TOML wants other escapes."""
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list) else json.dumps(value)


@law
@given(document=documents())
def test_every_possible_configuration_loads_and_carries_its_values(write: Write, document: Table) -> None:
    config = load(write(rendered(document)[0]), {})

    for key, value in document["router"].items():
        assert getattr(config.router, key) == value
    for name, table in document["backends"].items():
        assert config.backends[name].urls == (table["url"],)
        assert config.backends[name].price is not None
        assert config.backends[name].price.model_dump(exclude_unset=True) == table["price"]
    for name, table in document["experiments"].items():
        _assert_carried(config.experiments[name], table, name)


def _assert_carried(experiment: Experiment, table: Table, name: str) -> None:
    assert (experiment.name, experiment.salt) == (name, table.get("salt", name))
    assert experiment.ramp == tuple(table.get("ramp", [table.get("split_percent")]))
    assert (experiment.control, experiment.treatment) == (table["control"], table["treatment"])
    assert experiment.mirror_percent == table.get("mirror_percent", 0)
    assert len(experiment.slices) == len(table.get("slices", []))
    assert [g.model_dump(exclude_unset=True) for g in experiment.guardrails if g.name == "quality"] == [
        {"name": key, **value} for key, value in table.get("guardrails", {}).items() if key == "quality"
    ]
    assert [goal.name for goal in experiment.goals] == list(table.get("goals", {}))
    for key, value in table.get("policy", {}).items():
        assert getattr(experiment.policy, key) == value


def _config_error(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        _: Config = load(path, {})
    return caught.value


def _mutated(document: Table, at: tuple[str, ...], key: str, value: Any) -> Table:
    """Return the document with another key and value in the place of one."""
    first, *rest = at
    if rest:
        return {**document, first: _mutated(document[first], tuple(rest), key, value)}
    return {(key if name == first else name): (value if name == first else old) for name, old in document.items()}


@law
@given(document=documents(), data=st.data())
def test_a_misspelt_key_is_told_at_its_line(write: Write, document: Table, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(sorted(rendered(document)[1])))
    misspelt = at[-1] + "x"
    text, lines = rendered(_mutated(document, at, misspelt, _value(document, at)))

    problems = _config_error(write(text)).problems

    told = [problem for problem in problems if problem.rule.startswith("unknown key")]
    assert [(problem.line, problem.suggestion) for problem in told] == [(lines[*at[:-1], misspelt], at[-1])]


WRONG_TYPES = (True, 5, "x y", ["x", 5])


@law
@given(document=documents(), data=st.data())
def test_a_wrong_type_is_told_at_its_line_and_nowhere_else(write: Write, document: Table, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(sorted(rendered(document)[1])))
    old = _value(document, at)
    number = isinstance(old, int | float) and not isinstance(old, bool)
    wrong = data.draw(st.sampled_from(WRONG_TYPES))
    assume(not isinstance(wrong, type(old)) and not (number and wrong == 5))
    assume(not (at[-1] == "better_by" and isinstance(wrong, str)))
    text, lines = rendered(_mutated(document, at, at[-1], wrong))

    problems = _config_error(write(text)).problems

    assert {problem.line for problem in problems} == {lines[at]}


OUT_OF_RANGE: dict[str, list[Any]] = {
    "workers": [0, 65],
    "listen": ["nowhere", "a:65536"],
    "journal_fsync": ["allways"],
    "look_interval_s": [0, -1],
    "capture_bytes": [-1],
    "url": ["ftp://x", "http://", "http://u:p@x", "http://x?q"],
    "input": [-1],
    "output": [-0.5],
    "split_percent": [-1, 100.5],
    "mirror_percent": [150],
    "ramp": [[], [5, 5], [10, 1], [101]],
    "unit": ["user", "header:"],
    "margin": [0, 1, -0.02],
    "tolerance": [0, 0.99],
    "slice_margin": [1, 0.0001],
    "max_relative": [0.9],
    "better_by": ["100%", 1, -0.1],
    "on_harm": ["rolback"],
    "max_days": [0, 6],
    "min_units": [0],
    "alpha_rollback": [0, 1],
    "default_backend": ["Nobody"],
    "control": ["Nobody"],
    "treatment": ["Nobody"],
    "path": ["v1"],
}


@law
@given(document=documents(), data=st.data())
def test_a_value_out_of_range_is_told_at_its_line_and_nowhere_else(
    write: Write, document: Table, data: st.DataObject
) -> None:
    at = data.draw(st.sampled_from(sorted(at for at in rendered(document)[1] if at[-1] in OUT_OF_RANGE)))
    wrong = data.draw(st.sampled_from(OUT_OF_RANGE[at[-1]]))
    text, lines = rendered(_mutated(document, at, at[-1], wrong))

    problems = _config_error(write(text)).problems

    assert {problem.line for problem in problems} == {lines[at]}


def _value(document: Any, at: tuple[str, ...]) -> Any:
    for part in at:
        document = document[part]
    return document
