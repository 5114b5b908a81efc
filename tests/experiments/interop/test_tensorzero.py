"""TensorZero's functions: shares, addresses and metrics that match are read; what writes requests itself is refused."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from tests_assignments import config_of

from experiments.interop.conversion import Choices, Conversion
from experiments.interop.tensorzero import read

MODELS = """
[models.big]
routing = ["here"]
providers.here = { type = "vllm", api_base = "http://gpu-1:8000/v1/", model_name = "m", api_key_location = "none" }
[models.little]
routing = ["here"]
providers.here = { type = "openai", api_base = "http://gpu-2:8000/v1", model_name = "m" }
"""
FUNCTION = """
[functions.draft]
type = "chat"
variants.control = { type = "chat_completion", model = "big" }
variants.cheap = { type = "chat_completion", model = "little" }
"""
STATIC = '[functions.draft.experimentation]\ntype = "static"\n'


def converted(text: str, **choices: Any) -> Conversion:
    return read(tomllib.loads(text), Choices(**choices))


@pytest.mark.parametrize(
    ("more", "percent"),
    [
        ("", 50.0),
        (f"{STATIC}candidate_variants = {{ control = 9, cheap = 1 }}", 10.0),
        (f'{STATIC}candidate_variants = ["control", "cheap"]', 50.0),
        (f"{STATIC}candidate_variants = {{ control = 1.0, cheap = 0.0 }}", 0.0),
        (f"{STATIC.replace('static', 'static_weights')}candidate_variants = {{ control = 3, cheap = 1 }}", 25.0),
        (STATIC.replace("static", "uniform"), 50.0),
    ],
)
def test_fixed_shares_become_a_split_between_the_models_servers(more: str, percent: float) -> None:
    found = converted(MODELS + FUNCTION + more)

    assert found.refused == []
    config = config_of(found.document)
    experiment = config.experiments["draft"]
    assert (experiment.control, experiment.treatment, experiment.ramp) == ("big", "little", (percent,))
    assert [config.backends[name].urls for name in ("big", "little")] == [
        ("http://gpu-1:8000",),
        ("http://gpu-2:8000",),
    ]
    assert experiment.match.model == "tensorzero::function_name::draft", "clients go on asking as they do"
    assert (experiment.unit.name, experiment.fallback) == ("tensorzero::episode_id", "both")
    assert any("units are drawn anew" in finding.rule for finding in found.noted)


def test_weights_in_the_variants_count_where_there_is_no_experimentation() -> None:
    weighted = FUNCTION.replace('"big" }', '"big", weight = 3 }').replace('"little" }', '"little", weight = 1 }')

    assert converted(MODELS + weighted).document["experiments"]["draft"]["split_percent"] == 25.0


def test_boolean_metrics_are_shown_and_the_rest_of_the_file_is_named_as_left_out() -> None:
    rest = """
[metrics.solved]
type = "boolean"
optimize = "max"
level = "inference"
[metrics.edits]
type = "float"
optimize = "min"
level = "episode"
[evaluations.quality]
type = "inference"
function_name = "draft"
[gateway]
bind_address = "0.0.0.0:3000"
"""
    found = converted(MODELS + FUNCTION + rest)

    assert config_of(found.document).experiments["draft"].monitors[0].name == "solved"
    said = {finding.location: finding.rule for finding in found.noted}
    assert "decides nothing" in said["metrics", "solved"]
    assert "left out" in said["metrics", "edits"]
    assert "touchstone golden" in said["evaluations", "quality"]
    assert said[("gateway",)] == "is of the gateway: left out"


def test_the_control_is_the_variant_that_is_called_so_or_chosen() -> None:
    renamed = FUNCTION.replace("variants.control", "variants.trusted")

    refused = converted(MODELS + renamed).refused
    chosen = converted(MODELS + renamed, controls={"draft": "trusted"})

    assert [finding.rule for finding in refused] == [
        "which is the control? --control draft=VARIANT, with trusted or cheap"
    ]
    assert chosen.document["experiments"]["draft"]["control"] == "big"


@pytest.mark.parametrize(
    ("replaced", "by", "key", "rule"),
    [
        ("", STATIC.replace("static", "adaptive"), "type", "moves traffic by itself"),
        ("", STATIC.replace("static", "track_and_stop"), "type", "moves traffic by itself"),
        ("", STATIC.replace("static", "dice"), "type", "must be"),
        ("", f'{STATIC}fallback_variants = ["x"]', "fallback_variants", "third backend"),
        ("", f'{STATIC}namespaces.a = {{ type = "static" }}', "namespaces", "experiments of their own"),
        ("", f'{STATIC}candidate_variants = ["nobody"]', "candidate_variants", "no such variant"),
        ("", f"{STATIC}candidate_variants = {{ control = -1, cheap = 1 }}", "control", "must be 0 or more"),
        ("", f"{STATIC}candidate_variants = 3", "candidate_variants", "must be a list of variants"),
        ("", f"{STATIC}candidate_variants = {{ control = 0, cheap = 0 }}", "draft", "no variant a weight above 0"),
        ("", 'variants.third = { type = "chat_completion", model = "big" }', "draft", "among 3 variants"),
        ('"chat"', '"json"', "type", 'must be "chat"'),
        ('"chat"', '"chat"\nsystem_schema = "s.json"', "system_schema", "prepares requests"),
        ('"little" }', '"little", temperature = 0.2 }', "temperature", "changes the request"),
        ('"little" }', '"big" }', "variants", "compared with itself"),
        ('"little" }', '"nothing" }', "model", "no OpenAI-compatible model"),
        ('"chat_completion", model = "little"', '"experimental_best_of_n_sampling"', "type", "chat_completion"),
        ('"openai", api_base', '"anthropic", api_base', "type", "OpenAI-compatible address"),
        (
            '[models.little]\nrouting = ["here"]',
            '[models.little]\nrouting = ["here", "there"]',
            "routing",
            "one provider",
        ),
        ("", "[surprise]\nx = 1", "surprise", "no table that is known"),
    ],
)
def test_what_would_change_who_is_served_what_is_refused_at_its_key(
    replaced: str, by: str, key: str, rule: str
) -> None:
    text = MODELS + FUNCTION

    [finding, *others] = converted(text.replace(replaced, by) if replaced else text + by).refused

    assert (str(finding.location[-1]), others) == (key, [])
    assert rule in finding.rule


def test_a_file_without_an_experiment_is_one_refusal() -> None:
    one = MODELS + FUNCTION.replace("variants.cheap", "# variants.cheap")

    assert [f.rule for f in converted(one).noted] == ["has no experiment: one variant has all of its traffic; left out"]
    for text in (one, "", "functions = 3"):
        assert [finding.location for finding in converted(text).refused] == [("functions",)]
