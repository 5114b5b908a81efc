"""A configuration is loaded whole, or refused with every error at its line."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.config import ConfigError, Problem, config_hash, load

GOOD = """\
[router]
workers = 2

[backends.original]
url = "http://127.0.0.1:9101"
price = { input = 1, output = 2.5 }

[backends.int4]
urls = ["http://127.0.0.1:9102", "http://127.0.0.1:9103"]
price = { input = 0.5, output = 1.0 }

[experiments.support]
match = { path = "/v1/chat/completions", model = "support" }
control = "original"
treatment = "int4"
ramp = [1, 10, 50]
mirror_percent = 25
unit = "header:X-User-Id"
slices = ["header:x-language", "body:metadata.tenant"]
golden = "golden.jsonl"

[experiments.support.guardrails]
quality = { scorer = "exact", margin = 0.02 }
errors = { max_relative = 1.5 }

[experiments.support.goals]
cost = { better_by = "30%" }

[experiments.support.monitors]
thumbs_up = { feedback = true }

[experiments.support.policy]
protected_slices = ["tenant"]
"""


def _write(folder: Path, text: str = GOOD) -> Path:
    line = '{"id": "1", "request": {"prompt": "hi"}, "expected": {"exact": "hello"}}\n'
    (folder / "golden.jsonl").write_text(line)
    path = folder / "config.toml"
    path.write_text(text)
    return path


def _problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(_write(folder, text), environ or {})
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_good_file_becomes_records_with_every_default_filled_in(tmp_path: Path) -> None:
    config = load(_write(tmp_path), {})

    support = config.experiments["support"]
    assert config.router.database == f"sqlite:///{tmp_path}/touchstone.db"
    assert config.router.journal == tmp_path / "journal"
    assert config.backends["int4"].urls == ("http://127.0.0.1:9102", "http://127.0.0.1:9103")
    assert (support.unit.kind, support.unit.name) == ("header", "x-user-id")
    assert [s.attribute for s in support.slices] == ["x-language", "tenant"]
    assert (support.ramp, support.salt, support.golden) == ((1, 10, 50), "support", tmp_path / "golden.jsonl")
    assert (support.guardrails[1].max_relative, support.guardrails[1].margin) == (1.5, 0.01)
    assert support.goals[0].better_by == pytest.approx(0.3)
    assert support.policy.min_days == 7


def test_records_are_frozen(tmp_path: Path) -> None:
    config = load(_write(tmp_path), {})

    with pytest.raises(ValueError, match="frozen"):
        config.router.workers = 3


def test_all_errors_of_a_file_are_told_at_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace("workers = 2", 'workers = "two"')
        .replace("mirror_percent", "mirorr_percent")
        .replace("0.02", "-0.02")
    )

    problems = _problems(tmp_path, text)

    assert [problem.split(":")[1] for problem in problems] == ["2", "17", "23"]


CASES: list[tuple[str, str, int, str]] = [
    ("workers = 2", "workerz = 2", 2, "did you mean 'workers'?"),
    ("workers = 2", 'workers = "2"', 2, "must be a whole number"),
    ("workers = 2", "workers = 0", 2, "must be 1 or more"),
    ("workers = 2", 'listen = "nowhere"', 2, 'must be "host:port"'),
    ("workers = 2", 'listen = "127.0.0.1:8081"', 1, "must differ from router.listen"),
    ("workers = 2", 'database = "mysql://x"', 2, 'must begin with "sqlite:///"'),
    ("workers = 2", 'default_backend = "orignal"', 2, "did you mean 'original'?"),
    ("workers = 2", 'journal_fsync = "often"', 2, 'must be "interval", "always" or "never"'),
    ("http://127.0.0.1:9101", "ftp://x", 5, "must be http:// or https://"),
    ("input = 1,", "input = -1,", 6, "must be 0 or more"),
    ("input = 1,", "inputs = 1,", 6, "did you mean 'input'?"),
    ("http://127.0.0.1:9103", "http://user:secret@x", 9, "without user"),
    ('path = "/v1/chat/completions"', 'path = "v1"', 13, 'must begin with "/"'),
    ('control = "original"', 'control = "orginal"', 14, "did you mean 'original'?"),
    ('treatment = "int4"', 'treatment = "original"', 15, "must differ from the control"),
    ("[1, 10, 50]", "[1, 110]", 16, "must be 100 or less"),
    ("[1, 10, 50]", "[10, 1]", 16, "must rise"),
    ("[1, 10, 50]", "[10, 20]\nsplit_percent = 30", 17, "the ramp decides"),
    ("mirror_percent = 25", "mirror_percent = 150", 17, "must be 100 or less"),
    ("mirror_percent = 25", "mirror_percent = true", 17, "must be a number"),
    ("header:X-User-Id", "X-User-Id", 18, 'must be "header:NAME"'),
    ("body:metadata.tenant", "language", 19, 'must be "header:NAME"'),
    ("body:metadata.tenant", "header:X-Language", 19, "is there twice"),
    ('golden = "golden.jsonl"', 'golden = "none.jsonl"', 20, "No such file"),
    ("margin = 0.02", "margin = 0", 23, "must be above 0"),
    ("margin = 0.02", "margin = 2", 23, "must be below 1"),
    (", margin = 0.02", "", 23, "is missing: the loss that you agree to accept"),
    ("margin = 0.02", "margin = 0.02, tolerance = 0.03", 23, "must not be above the margin"),
    ("margin = 0.02", "margin = 0.02, slice_margin = 0.01", 23, "must not be below the margin"),
    ('scorer = "exact"', 'scorer = "exakt"', 23, 'must be "exact", "label" or "agreement"'),
    ('scorer = "exact"', 'scorer = "label"', 23, 'must be "json:path.to.field"'),
    ('scorer = "exact"', 'scorer = "label", label = "regex:("', 23, 'must be "json:path.to.field"'),
    ('scorer = "exact"', 'scorer = "exact", label = "json:a"', 23, 'is for scorer = "label" only'),
    ('scorer = "exact", ', "", 23, "needs a scorer"),
    ("max_relative = 1.5", "max_relative = 0.5", 24, "must be 1 or more"),
    ('better_by = "30%"', 'better_by = "a third"', 27, "must be a number"),
    ("cost = {", "costs = {", 27, 'must be "latency", "ttft" or "cost"'),
    ("thumbs_up = { feedback = true }", "thumbs_up = {}", 30, "needs a scorer"),
    ("thumbs_up = {", "quality = {", 30, "there is a metric of this name under guardrails"),
    ('["tenant"]', '["tennant"]', 33, "did you mean 'tenant'?"),
    ('protected_slices = ["tenant"]', "min_days = 60", 33, "must not be above max_days"),
    ('protected_slices = ["tenant"]', 'golden = "x"', 33, "unknown key"),
    ("[experiments.support.policy]", "[experiment.support.policy]", 32, "did you mean 'experiments'?"),
    ("price = { input = 0.5, output = 1.0 }", "", 27, "needs a price on the backend 'int4'"),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), CASES, ids=[f"{case[2]}: {case[3]}" for case in CASES])
def test_an_impossible_value_is_refused_at_its_line_with_the_rule(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    assert old in GOOD

    problems = _problems(tmp_path, GOOD.replace(old, new))

    assert any(problem.startswith(f"config.toml:{line}: ") and said in problem for problem in problems), problems


def test_two_experiments_that_may_match_the_same_request_are_refused(tmp_path: Path) -> None:
    twin = GOOD[GOOD.index("[experiments.support]") :].replace("experiments.support", "experiments.twin")

    [problem] = _problems(tmp_path, GOOD + "\n" + twin.replace(', model = "support"', ""))

    assert "experiments.twin.match: matches requests that 'support' matches too" in problem


def test_two_experiments_told_apart_by_model_or_header_are_fine(tmp_path: Path) -> None:
    twin = GOOD[GOOD.index("[experiments.support]") :].replace("experiments.support", "experiments.twin")

    by_model = load(_write(tmp_path, GOOD + twin.replace('model = "support"', 'model = "other"')), {})

    assert list(by_model.experiments) == ["support", "twin"]


def test_a_syntax_error_is_told_with_its_line(tmp_path: Path) -> None:
    [problem] = _problems(tmp_path, GOOD.replace("workers = 2", "workers = = 2"))

    assert problem.startswith("config.toml:2: syntax: ")


def test_a_missing_file_is_one_clear_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml:1: file: cannot be read: No such file"):
        load(tmp_path / "nothing.toml", {})


def test_the_environment_overrides_the_router_and_is_checked_as_strictly(tmp_path: Path) -> None:
    path = _write(tmp_path)

    assert load(path, {"TOUCHSTONE_ROUTER_WORKERS": "5"}).router.workers == 5
    with pytest.raises(ConfigError, match="TOUCHSTONE_ROUTER_WORKERZ = 5: names no key"):
        load(path, {"TOUCHSTONE_ROUTER_WORKERZ": "5"})
    with pytest.raises(ConfigError, match="must be a whole number"):
        load(path, {"TOUCHSTONE_ROUTER_WORKERS": "many"})


def test_postgresql_urls_name_the_driver_by_themselves(tmp_path: Path) -> None:
    text = GOOD.replace("workers = 2", 'database = "postgresql://db/touchstone"')

    assert load(_write(tmp_path, text), {}).router.database == "postgresql+psycopg://db/touchstone"


def test_the_hash_of_an_epoch_changes_with_what_bears_on_its_figures_and_with_nothing_else(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        config = load(_write(tmp_path, text), {})
        return config_hash(config.experiments["support"], config.backends)

    base = digest(GOOD)

    assert digest(GOOD.replace("workers = 2", "workers = 3")) == base
    assert digest(GOOD.replace('control = "original"', 'owner = "me"\ncontrol = "original"')) == base
    for old, new in (("0.02", "0.03"), ("9103", "9104"), ("[1, 10, 50]", "[1, 50]"), ("25", "26")):
        assert digest(GOOD.replace(old, new)) != base


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300))
def test_no_text_whatever_ends_in_anything_but_a_config_or_its_problems(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fuzz.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")

    with contextlib.suppress(ConfigError):
        load(path, {})


_values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 200)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "x", "header:a"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, GOOD.count("\n") - 1), value=_values)
def test_any_value_in_any_place_ends_in_a_config_or_in_problems_with_lines_of_the_file(
    tmp_path: Path, place: int, value: Any
) -> None:
    lines = GOOD.splitlines()
    key, equals, _ = lines[place].partition("=")
    if equals:
        lines[place] = f"{key}= {_toml(value)}"

    for problem in _all_problems(_write(tmp_path, "\n".join(lines))):
        assert 1 <= problem.line <= len(lines)


def _all_problems(path: Path) -> tuple[Problem, ...]:
    try:
        load(path, {})
    except ConfigError as error:
        return error.problems
    return ()


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if value is None or isinstance(value, str) else repr(value).replace("inf", "inf")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ramp=st.lists(st.integers(0, 100), min_size=1, max_size=5, unique=True).map(sorted),
    mirror=st.floats(0, 100),
    margin=st.floats(0.001, 0.99),
)
def test_every_possible_experiment_carries_the_values_of_its_file(
    tmp_path: Path, ramp: list[int], mirror: float, margin: float
) -> None:
    # The margin first: a mirror of 0.02... must not be taken for it.
    text = GOOD.replace("0.02", repr(margin)).replace("[1, 10, 50]", str(ramp)).replace("= 25", f"= {mirror!r}")

    support = load(_write(tmp_path, text), {}).experiments["support"]

    assert support.ramp == tuple(ramp)
    assert support.mirror_percent == mirror
    assert support.guardrails[0].margin == margin
