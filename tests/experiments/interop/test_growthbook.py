"""GrowthBook's features: what we write we read back, their own SDK takes it, and what does not match is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_assignments import config_of, configs, same, words

from experiments.assignment import assign, unit_of
from experiments.config import Config
from experiments.interop import growthbook
from experiments.interop.conversion import Choices, Table, not_carried
from experiments.interop.growthbook import CARRIED, read, write

URLS = {"original": "http://127.0.0.1:9001", "small": "http://127.0.0.1:9002"}
CHOICES = Choices(backends=URLS, units={"id": "header:x-user-id"})
RULE: Table = {"variations": ["original", "small"], "weights": [0.8, 0.2], "hashAttribute": "id", "hashVersion": 2}


def payload(*rules: Table, default: Any = "original", **keys: Any) -> Table:
    return {"status": 200, "features": {"support": {"defaultValue": default, "rules": list(rules)}}} | keys


def only(config: Config) -> Any:
    return next(iter(config.experiments.values()))


matches = st.fixed_dictionaries(
    {"path": st.just("/v1/chat/completions")},
    optional={"model": words, "headers": st.dictionaries(st.sampled_from(["x-tenant", "x-plan"]), words)},
)


@settings(max_examples=40, deadline=None)
@given(
    configs(
        match=matches,
        salt=words,
        owner=words,
        mirror_percent=st.integers(1, 100),
        monitors=st.just({"thumbs_up": {"feedback": True}}),
    )
)
def test_what_is_written_is_read_back_as_the_same_experiment_and_the_rest_is_named(config: Config) -> None:
    experiment = only(config)
    written = write([experiment])
    found = read(json.loads(json.dumps(written.document)), Choices({n: b.urls[0] for n, b in config.backends.items()}))

    assert (written.refused, found.refused) == ([], [])
    same(only(config_of(found.document)), experiment, CARRIED)
    named = [finding.location[2] for finding in written.noted if "left out" in finding.rule]
    assert named == not_carried(experiment, CARRIED)
    assert set(named) == experiment.model_fields_set & {"owner", "mirror_percent", "monitors"}


def test_growthbooks_own_sdk_gives_the_written_share_of_users_the_treatment_and_all_others_control() -> None:
    sdk = pytest.importorskip("growthbook")
    tables = {
        "backends": {name: {"url": url} for name, url in URLS.items()},
        "experiments": {
            "support": {
                "match": {"path": "/v1/chat/completions", "model": "support"},
                "control": "original",
                "treatment": "small",
                "split_percent": 20,
                "unit": "header:x-user-id",
            }
        },
    }
    features = write([only(config_of(tables))]).document["features"]

    def served(number: int, model: str) -> str:
        attributes = {"header:x-user-id": f"user-{number}", "path": "/v1/chat/completions", "model": model}
        return str(sdk.GrowthBook(attributes=attributes, features=features).get_feature_value("support", None))

    mine = [served(number, "support") for number in range(2_000)]
    assert set(mine) == {"original", "small"}
    assert abs(mine.count("small") / 2_000 - 0.2) < 0.045, "five standard deviations"
    assert {served(number, "other") for number in range(50)} == {"original"}


@pytest.mark.parametrize(
    ("rule", "percent"),
    [
        ({}, 20.0),
        ({"coverage": 0.5}, 10.0),
        ({"weights": None}, 50.0),
        ({"ranges": [[0, 0.1], [0.5, 0.53]], "coverage": 1}, 3.0),
        ({"variations": [False, True]}, 20.0),
        ({"bucketVersion": 0, "disableStickyBucketing": True, "meta": [{"key": "0"}, {"key": "1"}]}, 20.0),
    ],
)
def test_weights_coverage_and_ranges_become_the_treatments_share_of_all_units(rule: Table, percent: float) -> None:
    changed = {key: value for key, value in (RULE | rule).items() if value is not None}
    backends = URLS | {"control": "http://127.0.0.1:1", "treatment": "http://127.0.0.1:2"}

    found = read(payload(changed, default=changed["variations"][0]), CHOICES._replace(backends=backends))

    assert found.refused == []
    experiment = config_of(found.document).experiments["support"]
    assert experiment.ramp == (percent,)
    assert (experiment.unit.name, experiment.match.path) == ("x-user-id", "/v1/chat/completions")
    assert any("units are drawn anew" in finding.rule for finding in found.noted)
    assert ("coverage" in rule or "ranges" in rule) == any("count as control" in f.rule for f in found.noted)


def test_of_the_real_hashes_as_many_units_change_sides_as_is_said() -> None:
    """The promise of the note, 2 s (1 - s), against both hashes on the same users."""
    core = pytest.importorskip("growthbook.core")
    users = [f"user-{number}" for number in range(4_000)]
    theirs = [core.gbhash("support", user, 2) >= 0.8 for user in users]
    ours = [assign(unit_of("support", user.encode()).bucket, 2_000).variant == "treatment" for user in users]
    moved = sum(one != other for one, other in zip(theirs, ours, strict=True)) / len(users)
    [note] = [f.rule for f in read(payload(RULE), CHOICES).noted if "anew" in f.rule]

    assert note.endswith("with probability 0.32")
    assert abs(moved - 0.32) < 0.037, "five standard deviations"


@pytest.mark.parametrize(
    ("change", "key", "rule"),
    [
        ({"namespace": ["pricing", 0, 0.5]}, "namespace", "shares units out"),
        ({"filters": [{"seed": "x", "ranges": [[0, 1]]}]}, "filters", "shares units out"),
        ({"force": "small"}, "force", "makes no exceptions"),
        ({"parentConditions": [{"id": "other"}]}, "parentConditions", "depends on another feature"),
        ({"fallbackAttribute": "device"}, "fallbackAttribute", "a second unit"),
        ({"minBucketVersion": 2}, "minBucketVersion", "exposed_before"),
        ({"hashVersion": 3}, "hashVersion", "must be 1 or 2"),
        ({"variations": ["original", "small", "tiny"]}, "variations", "has 3"),
        ({"variations": ["original", 7]}, "1", "must be the name of a backend"),
        ({"variations": ["original", "tiny"]}, "1", "--backend tiny=URL"),
        ({"weights": [0.5, 0.4]}, "weights", "whose sum is 1"),
        ({"weights": [0.5, "a"]}, "1", "expected `float`, got `str`"),
        ({"coverage": 1.5}, "coverage", "between 0 and 1"),
        ({"ranges": [[0, 0.6], [0.5, 1]]}, "ranges", "must not overlap"),
        ({"hashAttribute": "deviceId"}, "hashAttribute", "--unit deviceId=header:x-user-id"),
        ({"condition": {"country": "IN"}}, "country", '"path", "model" or "header:NAME"'),
        ({"condition": {"model": {"$in": ["a", "b"]}}}, "model", "operators have no match"),
        ({"key": "Support Test"}, "key", "rename it there first"),
        ({"nobody": "knows"}, "nobody", "is no key that is known here"),
    ],
)
def test_what_would_change_who_is_served_what_is_refused_at_its_key(change: Table, key: str, rule: str) -> None:
    found = read(payload(RULE | change), CHOICES)

    [finding] = found.refused
    assert str(finding.location[-1]) == key
    assert rule in finding.rule


def test_a_feature_is_refused_for_what_stands_around_its_experiment_and_left_out_without_one() -> None:
    beside = read(payload({"force": "small", "condition": {"id": "me"}}, RULE), CHOICES)
    wrong_default = read(payload(RULE, default="small"), CHOICES)
    twice = payload(RULE | {"key": "same"})
    twice["features"]["other"] = copy.deepcopy(twice["features"]["support"])
    flag = payload(RULE)
    flag["features"]["dark"] = {"defaultValue": False}

    assert [f.location[2:] for f in beside.refused] == [("rules", 0)]
    assert [f.location[-1] for f in wrong_default.refused] == ["defaultValue"]
    assert "another experiment" in read(twice, CHOICES).refused[0].rule
    assert [f.rule for f in read(flag, CHOICES).noted if f.location[-1] == "dark"] == ["has no experiment: left out"]


@pytest.mark.parametrize(
    "document", [[], 3, {"features": []}, {"a": 1}, {"a": {"rules": 3}}, {"encryptedFeatures": "x"}]
)
def test_what_is_no_payload_is_one_refusal(document: Any) -> None:
    found = growthbook.read(document, CHOICES)

    assert len(found.refused) == 1
    assert found.document["experiments"] == {}


def test_what_a_rule_cannot_carry_is_not_written() -> None:
    table = {"match": {"path": "/p"}, "control": "original", "treatment": "small"}
    backends = {name: {"url": url} for name, url in (URLS | {"tiny": "http://127.0.0.1:3"}).items()}

    def refused(stage: int | None = None, **more: Any) -> list[str]:
        tables = {"backends": backends, "experiments": {"support": table | {"unit": "cookie:sid"} | more}}
        return [str(f.location[-1]) for f in write(config_of(tables).experiments.values(), stage).refused]

    assert refused(ramp=[5, 25]) == ["ramp"]
    assert refused(stage=1, ramp=[5, 25]) == []
    assert refused(stage=2, ramp=[5, 25]) == ["ramp"]
    assert refused(unit="request") == ["unit"]
    assert refused(match={"path": "/p", "headers": {"x.y": "1"}}) == ["x.y"]
    del table["treatment"]
    assert refused(treatments=["small", "tiny"]) == ["treatments", "treatments"]
