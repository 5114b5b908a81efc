"""Experiments as functions of TensorZero: what is written is read back, and what is not carried is named."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_assignments import config_of, configs, same, words

from experiments.config import Config
from experiments.interop.conversion import Choices, not_carried
from experiments.interop.tensorzero import read
from experiments.interop.tensorzero_export import CARRIED, write

feedback = st.dictionaries(st.sampled_from(["solved", "thumbs_up"]), st.just({"feedback": True}))


@settings(max_examples=40, deadline=None)
@given(configs(fallback=st.just("both"), monitors=feedback, owner=words, mirror_percent=st.integers(1, 100)))
def test_what_is_written_is_read_back_as_the_same_experiment_and_the_rest_is_named(config: Config) -> None:
    """Unit and requests are TensorZero's own (an episode, a function): a note says what they become."""
    [(name, experiment)] = config.experiments.items()
    written = write(config, (name,))
    found = read(tomllib.loads(tomli_w.dumps(written.document)), Choices())

    assert (written.refused, found.refused) == ([], [])
    again = config_of(found.document)
    kept = ("control", "treatment", "ramp", "monitors") + (("fallback",) if experiment.fallback == "both" else ())
    same(again.experiments[name], experiment, kept)
    assert again.backends == config.backends
    noted = [finding.location[2] for finding in written.noted]
    assert {"unit", "match", *not_carried(experiment, CARRIED)} | ({"fallback"} - set(kept)) == set(noted)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"ramp": [5, 50]}, "ramp"),
        ({"match": {"path": "/v1/embeddings"}}, "path"),
        ({"match": {"path": "/v1/chat/completions", "headers": {"x-tenant": "a"}}}, "x-tenant"),
    ],
)
def test_what_a_function_cannot_carry_is_not_written(change: dict[str, Any], key: str) -> None:
    backends = {"original": {"url": "http://127.0.0.1:1"}, "small": {"url": "http://127.0.0.1:2"}}
    table = {"match": {"path": "/v1/chat/completions"}, "control": "original", "treatment": "small"} | change

    found = write(config_of({"backends": backends, "experiments": {"support": table}}), ("support",))

    assert [finding.location[-1] for finding in found.refused] == [key]
    assert found.document == {}


def test_several_servers_of_a_backend_are_refused_and_metrics_are_written_without_what_decides() -> None:
    table = {
        "match": {"path": "/v1/chat/completions"},
        "control": "original",
        "treatment": "small",
        "guardrails": {
            "complaint": {"feedback": True, "max_relative": 1.5},
            "agreement": {"scorer": "agreement", "margin": 0.02},
        },
    }
    two = {"urls": ["http://127.0.0.1:2", "http://127.0.0.1:3"]}
    one = {"url": "http://127.0.0.1:1"}

    refused = write(config_of({"backends": {"original": one, "small": two}, "experiments": {"s": table}}), ("s",))
    other = {"url": "http://127.0.0.1:2"}
    written = write(config_of({"backends": {"original": one, "small": other}, "experiments": {"s": table}}), ("s",))

    assert [finding.location for finding in refused.refused] == [("backends", "small", "urls")]
    assert list(written.document["metrics"]) == ["complaint"]
    said = {finding.location[-1]: finding.rule for finding in written.noted}
    assert "without the loss that is accepted" in said["complaint"]
    assert "left out" in said["agreement"]
