"""The configuration that is written for a first experiment loads, whatever sensible thing one has answered."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.config import load
from router.commandline.starting_config import Answers, quoted, starting_config

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
UNITS = st.one_of(
    st.just("request"), NAMES.map("header:{}".format), NAMES.map("cookie:{}".format), NAMES.map("body:{}".format)
)
URLS = st.builds("http{}://{}.example:{}".format, st.sampled_from(["", "s"]), NAMES, st.integers(1, 65_535))


@settings(max_examples=40, deadline=None)
@given(
    answers=st.builds(
        Answers,
        control_url=URLS,
        treatment_url=URLS,
        path=NAMES.map("/v1/{}".format),
        model=st.text(max_size=30),
        unit=UNITS,
        golden=st.sampled_from(["", "golden.jsonl", 'a "file".jsonl']),
        margin=st.floats(1e-6, 1, exclude_max=True),
    )
)
def test_for_all_sensible_answers_it_loads_and_means_what_was_answered(
    tmp_path_factory: pytest.TempPathFactory, answers: Answers
) -> None:
    path = tmp_path_factory.getbasetemp() / "starting.toml"
    if answers.golden:
        (path.parent / answers.golden).write_text('{"id": "q", "prompt": "?", "expected": {"exact": "!"}}')
    path.write_text(starting_config(answers), encoding="utf-8")

    config = load(path, {})

    experiment = config.experiments["first"]
    assert config.backends["original"].urls == (answers.control_url,)
    assert (experiment.match.path, experiment.match.model or "") == (answers.path, answers.model)
    assert experiment.guardrails[0].margin == answers.margin
    assert experiment.guardrails[0].scorer == ("exact" if answers.golden else "agreement")
    assert experiment.unit.kind == answers.unit.partition(":")[0]


@given(st.text())
def test_any_text_is_quoted_so_that_toml_reads_it_back(text: str) -> None:
    assert tomllib.loads(f"x = {quoted(text)}")["x"] == text


def test_every_key_that_is_set_is_explained_on_its_line() -> None:
    for line in starting_config(Answers("http://a", "http://b", model="m", golden="g.jsonl")).splitlines():
        if line and not line.startswith(("#", "[")) and "url = " not in line:
            assert "  # " in line, line


def test_the_shipped_defaults_are_those_of_the_command(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(starting_config(Answers("http://a", "http://b")), encoding="utf-8")

    experiment = load(path, {}).experiments["first"]

    assert experiment.ramp == (5.0, 25.0, 50.0)
    assert experiment.policy.min_days == 7
