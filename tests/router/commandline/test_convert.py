"""`touchstone convert`: a file of another system in, a configuration that loads out, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from tests_history import CONFIG
from typer.testing import CliRunner, Result

from experiments.config import load
from router.commandline.convert import convert

ADDRESSES = ("--backend", "original=http://127.0.0.1:1", "--backend", "small=http://127.0.0.1:2")
UNIT = ("--unit", "id=header:x-user-id")
RULE: dict[str, Any] = {"variations": ["original", "small"], "weights": [0.9, 0.1], "hashAttribute": "id"}


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(convert)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(name="features")
def _features(tmp_path: Path) -> Path:
    path = tmp_path / "features.json"
    path.write_text(json.dumps({"features": {"support": {"defaultValue": "original", "rules": [RULE]}}}, indent=1))
    return path


def loaded(folder: Path, text: str) -> Any:
    path = folder / "converted.toml"
    path.write_text(text)
    return load(path, {})


def test_a_feature_becomes_a_configuration_that_loads_with_what_it_means_as_comments(
    features: Path, tmp_path: Path
) -> None:
    done = run(features, "--from", "growthbook", *ADDRESSES, *UNIT, "--path", "/v1/completions")

    assert done.exit_code == 0
    experiment = loaded(tmp_path, done.stdout).experiments["support"]
    assert (experiment.ramp, experiment.match.path) == ((10.0,), "/v1/completions")
    [note] = [line.removeprefix("touchstone: note: ") for line in done.stderr.splitlines()]
    assert note.startswith(f"{features}:6  features.support.rules.0.hashVersion: GrowthBook hashes by FNV-1a")
    assert f"# {note}" in done.stdout.splitlines()


@pytest.mark.parametrize("system", ["growthbook", "tensorzero"])
def test_what_is_written_for_a_system_is_read_back(tmp_path: Path, system: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.replace('"http://127.0.0.1:9"', '"http://127.0.0.1:8"', 1))
    there = tmp_path / "there"

    several = run(config, "--to", system)
    out = run(config, "--to", system, "--stage", 0)
    there.write_text(out.stdout)
    addresses = ("--backend", "original=http://127.0.0.1:8", "--backend", "int4=http://127.0.0.1:9")
    back = run(there, "--from", system, *(addresses if system == "growthbook" else ()))

    assert several.exit_code == 2
    assert "experiments.support.ramp = [10, 50]: has 2 stages" in several.stderr
    assert (out.exit_code, back.exit_code) == (0, 0)
    experiment = loaded(tmp_path, back.stdout).experiments["support"]
    assert (experiment.control, experiment.treatment, experiment.ramp) == ("original", "int4", (10.0,))
    assert all(line.startswith(f"touchstone: note: {config}:") for line in out.stderr.splitlines())
    assert "guardrails" in out.stderr


def test_what_has_no_match_is_told_line_by_line_and_nothing_is_printed(features: Path) -> None:
    refused = run(features, "--from", "growthbook")

    assert (refused.exit_code, refused.stdout) == (2, "")
    head, *lines = refused.stderr.splitlines()
    assert head == "touchstone: nothing is converted, since some of it has no match:"
    assert [line.partition("  ")[2].partition(" = ")[0] for line in lines] == [
        "features.support.rules.0.variations.0",
        "features.support.rules.0.variations.1",
        "features.support.rules.0.hashAttribute",
    ]
    assert lines[0].startswith(f"{features}:8  ")
    assert lines[2].endswith('= "id": is an attribute of your app: say where a request names it: ' + " ".join(UNIT))


def test_two_features_that_match_the_same_requests_are_no_configuration(features: Path) -> None:
    document = json.loads(features.read_text())
    document["features"]["other"] = document["features"]["support"]
    features.write_text(json.dumps(document))

    done = run(features, "--from", "growthbook", *ADDRESSES, *UNIT)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "since this would be no configuration" in done.stderr
    assert 'experiments.other.match: matches requests that "support" matches too' in done.stderr


def test_of_many_features_one_is_chosen_and_the_others_need_no_match(features: Path, tmp_path: Path) -> None:
    document = json.loads(features.read_text())
    document["features"]["prices"] = {"defaultValue": 1, "rules": [{"variations": [1, 2], "namespace": ["n", 0, 1]}]}
    features.write_text(json.dumps(document))

    every = run(features, "--from", "growthbook", *ADDRESSES, *UNIT)
    one = run(features, "--from", "growthbook", *ADDRESSES, *UNIT, "--experiment", "support")
    nobody = run(features, "--from", "growthbook", "--experiment", "nobody")

    assert [line.split("  ")[1].split(" ")[0] for line in every.stderr.splitlines()[1:]] == [
        f"features.prices.rules.0.{key}" for key in ("namespace", "variations.0", "variations.1")
    ], "all that has no match is told at once"
    assert list(loaded(tmp_path, one.stdout).experiments) == ["support"]
    assert "features: has no experiment" in nobody.stderr


@pytest.mark.parametrize(
    ("arguments", "text", "says"),
    [
        ((), "{}", "one of --from and --to is needed, with one of growthbook, tensorzero"),
        (("--from", "optimizely"), "{}", "one of --from and --to is needed, with one of growthbook, tensorzero"),
        (("--from", "growthbook", "--to", "growthbook"), "{}", "one of --from and --to is needed"),
        (("--from", "growthbook", "--unit", "id"), "{}", "--unit 'id' must be NAME=VALUE"),
        (("--from", "growthbook"), '{\n"a": ', ":2  is no JSON: Expecting value"),
        (("--from", "growthbook"), "[" * 100_000, "is no JSON that can be read"),
        (("--from", "tensorzero"), "a = ", "is no TOML that can be read: Invalid value"),
        (("--to", "growthbook"), "a = ", "the configuration has errors"),
    ],
)
def test_what_cannot_be_converted_is_told_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], text: str, says: str
) -> None:
    file = tmp_path / "file"
    file.write_text(text)

    done = run(file, *arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_file_that_is_not_there_and_an_experiment_that_is_none_are_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)

    assert run(tmp_path / "no.json", "--from", "growthbook").stderr.endswith(
        "cannot be read: No such file or directory\n"
    )
    assert "there are: support" in run(config, "--to", "growthbook", "--experiment", "nobody").stderr
