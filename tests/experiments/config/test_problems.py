"""A problem is one line that names file, line, key, value and rule, and gives no secret away."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from experiments.config.problems import ConfigError, Problem, dotted, nearest, shown

SPLIT = Problem(Path("config.toml"), 23, "experiments.support-int4.split_percent", "150", "must be between 0 and 100")


def test_a_problem_is_one_line() -> None:
    assert str(SPLIT) == "config.toml:23  experiments.support-int4.split_percent = 150: must be between 0 and 100"


def test_a_near_miss_is_suggested() -> None:
    problem = Problem(Path("config.toml"), 2, "a.mirorr_percent", "", "unknown key", "mirror_percent")

    assert str(problem) == 'config.toml:2  a.mirorr_percent: unknown key (did you mean "mirror_percent"?)'


def test_the_environment_has_no_lines() -> None:
    assert str(Problem(Path("environment"), 0, "X", '"1"', "is bad")) == 'environment  X = "1": is bad'


def test_an_error_carries_all_problems_and_tells_them_a_line_each() -> None:
    error = ConfigError([SPLIT, SPLIT])

    assert error.problems == (SPLIT, SPLIT)
    assert str(error).splitlines() == [str(SPLIT), str(SPLIT)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (150, "150"),
        (float("inf"), "inf"),
        (date(2020, 1, 1), "2020-01-01"),
        ('two\n"lines"', '"two\\n\\"lines\\""'),
        ("हिन्दी", '"हिन्दी"'),
        ("\udc80", '"\\udc80"'),
        ([1, "a", {"b": 1}], '[1, "a", {...}]'),
        ([[[[1]]]], "[[[[...]]]]"),
        ({"a": 1}, ""),
        ("postgres://me:secret@db/x", '"postgres://***@db/x"'),
        ("x" * 200, '"' + "x" * 76 + "..."),
    ],
)
def test_a_value_is_shown_as_it_stands_in_the_file_on_one_short_line(value: Any, text: str) -> None:
    assert shown(value) == text


def test_a_number_that_python_cannot_write_is_described() -> None:
    assert shown(16**6000) == "a very long number"


def test_a_key_that_is_no_word_is_quoted() -> None:
    assert dotted(("experiments", "a b\n", "ramp", 0)) == 'experiments."a b\\n".ramp.0'


@pytest.mark.parametrize(
    ("word", "meant"),
    [("mirorr_percent", "mirror_percent"), ("split", "split_percent"), ("urlss", "urls"), ("urll", "url"), ("zz", "")],
)
def test_the_nearest_word_is_the_one_that_was_meant(word: str, meant: str) -> None:
    assert nearest(word, ["url", "urls", "split_percent", "mirror_percent"]) == meant
