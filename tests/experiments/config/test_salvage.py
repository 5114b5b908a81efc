"""One run tells every error, and none that is only the shadow of another."""

from collections.abc import Callable

import pytest

Tell = Callable[..., list[str]]


def test_wrong_types_and_wrong_relations_are_told_in_one_run(good: str, told: Tell) -> None:
    text = (
        good.replace("workers = 2", 'workers = "two"')
        .replace('treatment = "int4"', 'treatment = "int5"')
        .replace("mirror_percent", "mirorr_percent")
        .replace("margin = 0.02", "margin = 0.02, tolerance = 0.03")
        .replace('["tenant"]', '["tennant"]\nmax_days = 3')
    )

    assert [problem.split("  ")[0] for problem in told(text)] == [
        f"config.toml:{line}" for line in (2, 15, 17, 23, 33, 34)
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("margin = 0.02", "margn = 0.02", 23),  # "margin is missing" is its shadow
        ("margin = 0.02", "margin = 0, tolerance = 0.03", 23),
        ('scorer = "exact"', 'scorer = "exakt"', 23),
        ("golden =", "goldn =", 20),
        ("control =", "contrl =", 14),
        ('control = "original"', "control = 5", 14),
        ("path =", "pathh =", 13),
        ("url =", "urll =", 5),
        ("url =", "protocol = 5\nurl =", 5),
        ("\nslices = [", "\nslics = [", 19),
        ("\nslices = [", "\nslices = [5, ", 19),
        ("price = { input = 0.5", "prise = { input = 0.5", 10),
        ("price = { input = 0.5", "price = { input = true", 10),
        ("ramp = [1, 10, 50]", 'ramp = [10, "5"]\nsplit_percent = 7', 16),
        ("protected_slices", "min_days = 9\nmax_days = true\nprotected_slices", 34),
        ("cost = {", "costs = {", 27),
    ],
)
def test_one_error_is_told_once(good: str, told: Tell, old: str, new: str, line: int) -> None:
    [problem] = told(good.replace(old, new))

    assert problem.startswith(f"config.toml:{line}  ")


def test_a_misspelt_table_beside_the_right_one_hides_nothing(good: str, told: Tell) -> None:
    text = good.replace("[experiments.support.policy]", "[experiment.support.policy]")

    problems = told(text.replace('treatment = "int4"', 'treatment = "int5"'))

    assert [problem.split("  ")[0] for problem in problems] == ["config.toml:15", "config.toml:32"]


def test_sections_that_are_no_tables_at_all_are_one_error_each(told: Tell) -> None:
    assert told("router = 1\nbackends = 2\nexperiments = 3") == [
        "config.toml:1  router = 1: must be a table",
        "config.toml:2  backends = 2: must be a table",
        "config.toml:3  experiments = 3: must be a table",
    ]


@pytest.mark.parametrize("name", ["urls", "match", "control", "name", "unit", "slices", "goals", "path"])
def test_names_that_are_keys_elsewhere_confuse_nobody(good: str, told: Tell, name: str) -> None:
    text = good.replace("experiments.support", f"experiments.{name}").replace("backends.int4", f"backends.{name}")
    text = text.replace('treatment = "int4"', f'treatment = "{name}"').replace("margin = 0.02", "margin = 2")

    problems = told(text.replace("max_relative = 1.5", "max_relative = 1.5, tolerance = 0.5"))

    assert [problem.split(" = ")[0] for problem in problems] == [
        f"config.toml:23  experiments.{name}.guardrails.quality.margin",
        f"config.toml:24  experiments.{name}.guardrails.errors.tolerance",
    ]


def test_more_errors_than_can_be_repaired_are_all_told(told: Tell) -> None:
    text = "[router]\n" + "\n".join(f"wrong_{n} = 1" for n in range(400))

    assert len(told(text)) == 400
