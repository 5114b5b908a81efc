"""Configurations of which a foreign system knows the assignment, and nothing else: for laws of conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from experiments.config import Config, Experiment
from experiments.config.rules import check
from experiments.config.shape import shape
from experiments.lifecycle import basis_points

Table = dict[str, Any]
names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True)
words = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="\x7f"), min_size=1, max_size=8)
units = st.sampled_from(["header:x-user-id", "cookie:sid", "body:metadata.user"])


@st.composite
def configs(draw: st.DrawFn, **more: st.SearchStrategy[Any]) -> Config:
    """Draw a configuration of one experiment; `more` are further keys of its table."""
    name, (control, treatment) = draw(names), draw(st.lists(names, min_size=2, max_size=2, unique=True))
    table = {"match": {"path": "/v1/chat/completions"}, "control": control, "treatment": treatment}
    table |= {"split_percent": draw(st.integers(0, 10_000)) / 100, "unit": draw(units)}
    table |= draw(st.fixed_dictionaries({}, optional=more))
    backends = {control: {"url": "http://127.0.0.1:9001"}, treatment: {"url": "http://127.0.0.1:9002"}}
    return config_of({"backends": backends, "experiments": {name: table}})


def config_of(tables: Table) -> Config:
    """Return tables as the loader would, if there is nothing wrong with them."""
    config = Config.model_validate(shape(tables, Path("/config.toml")))
    assert list(check(config)) == []
    return config


def same(one: Experiment, other: Experiment, keys: tuple[str, ...]) -> None:
    """Assert that two experiments agree in these keys; of a split, whole basis points count."""
    for key in keys:
        mine, yours = getattr(one, key), getattr(other, key)
        if key == "ramp":
            mine, yours = [basis_points(p) for p in mine], [basis_points(p) for p in yours]
        assert mine == yours, key
