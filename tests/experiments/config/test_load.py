"""A configuration is loaded whole, or refused with every error at its line; nothing else ever happens."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.config import ConfigError, Problem, config_hash, load

Write = Callable[[str], Path]
Tell = Callable[..., list[str]]
fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_good_file_becomes_records_with_every_default_filled_in(good: str, write: Write, tmp_path: Path) -> None:
    config = load(write(good), {})

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


def test_records_are_frozen(good: str, write: Write) -> None:
    config = load(write(good), {})

    with pytest.raises(ValueError, match="frozen"):
        config.router.workers = 3


def test_paths_are_relative_to_the_file_and_problems_name_it_as_it_was_given(
    good: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(good)
    monkeypatch.chdir(tmp_path)
    relative = Path("config.toml")

    assert load(relative, {}).router.journal == tmp_path / "journal"
    write("workers = 2")
    with pytest.raises(ConfigError, match=r"^config\.toml:1  workers = 2: unknown key"):
        load(relative, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[router]\nworkers = = 2", "config.toml:2  syntax: Invalid value (at line 2, column 11)"),
        ("[router]\nworkers = [1,\n\n", "config.toml:2  syntax: "),
        ("[router]\n[router]", "config.toml:2  syntax: "),
        ("a = 1\nb = " + "9" * 5000, "config.toml:2  syntax: a number has too many digits"),
        ("a = " + "[" * 100_000, "config.toml:1  syntax: too deeply nested"),
    ],
)
def test_a_syntax_error_is_one_problem_with_its_line(told: Tell, text: str, said: str) -> None:
    [problem] = told(text)

    assert problem.startswith(said)


def test_a_file_with_a_byte_order_mark_is_read(good: str, write: Write) -> None:
    assert load(write("\ufeff" + good), {}).router.workers == 2


def test_a_file_that_cannot_be_read_is_one_clear_problem(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# \xe4")
    for name, said in (
        ("nothing.toml", r"nothing\.toml:1  file: cannot be read: No such file"),
        (".", r":1  file: cannot be read: Is a directory"),
        ("latin.toml", r"latin\.toml:1  file: must be UTF-8 text"),
        ("a\0b", r"file: is no possible name"),
    ):
        with pytest.raises(ConfigError, match=said):
            load(tmp_path / name, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_golden_set_that_is_a_pipe_is_refused_and_not_waited_for(good: str, told: Tell, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    [problem] = told(good.replace("golden.jsonl", "pipe"))

    assert problem.startswith("config.toml:20  ")


@pytest.mark.parametrize("line", ["[]", '{"id": "1"}', "no json", '{"id": 1, "request": {}, "expected": {}}'])
def test_a_line_of_a_golden_set_is_an_item(good: str, write: Write, tmp_path: Path, line: str) -> None:
    path = write(good)
    with (tmp_path / "golden.jsonl").open("a") as golden:
        golden.write(line)

    with pytest.raises(ConfigError, match=r"config\.toml:20  .*golden\.jsonl:2: "):
        load(path, {})


def test_the_hash_of_an_epoch_changes_with_what_bears_on_its_figures(good: str, write: Write) -> None:
    def digest(text: str) -> str:
        config = load(write(text), {})
        return config_hash(config.experiments["support"], config.backends)

    base = digest(good)

    assert len(base) == 64
    for old, new in (
        ("workers = 2", "workers = 3"),
        ('control = "original"', 'owner = "me"\nhypothesis = "it is"\ncontrol = "original"'),
        ("[1, 10, 50]", "[1.0, 10.0, 50.0]"),
        ("unit =", 'salt = "support"\nunit ='),
        ("[backends.original]", '[backends.unused]\nurl = "http://x"\n[backends.original]'),
    ):
        assert digest(good.replace(old, new)) == base, new
    for old, new in (
        ("/v1/chat/completions", "/v1/completions"),
        ("9101", "9104"),
        ("9103", "9104"),
        ("output = 1.0", "output = 1.1"),
        ("[1, 10, 50]", "[1, 50]"),
        ("mirror_percent = 25", "mirror_percent = 26"),
        ("X-User-Id", "X-Session-Id"),
        ('["header:x-language", ', "["),
        ("0.02", "0.03"),
        ("30%", "31%"),
        ("thumbs_up", "thumbs"),
        ('["tenant"]', "[]"),
        ("unit =", 'salt = "other"\nunit ='),
    ):
        assert digest(good.replace(old, new)) != base, new


def test_the_hash_of_an_epoch_is_the_same_in_another_folder(good: str, write: Write, tmp_path: Path) -> None:
    here = load(write(good), {})
    there = here.experiments["support"].model_copy(update={"golden": tmp_path / "moved" / "golden.jsonl"})

    assert config_hash(there, here.backends) == config_hash(here.experiments["support"], here.backends)


def _problems(path: Path) -> tuple[Problem, ...]:
    try:
        load(path, {})
    except ConfigError as error:
        return error.problems
    return ()


_soup = st.lists(st.sampled_from([*'[]{}=".,\n #ab1', "\n[router]\n", "\n[experiments.a]\n", "match", "[[", "\\u0000"]))


@fuzz
@given(text=st.text(max_size=300) | _soup.map("".join))
def test_any_text_is_a_config_or_problems(write: Write, text: str) -> None:
    for problem in _problems(write(text)):
        assert problem.line >= 1
        assert "\n" not in str(problem)


@fuzz
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_config_or_problems(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bytes.toml"
    path.write_bytes(content)

    _problems(path)


_values: Any = st.recursive(
    st.sampled_from(
        ["true", "0", "-1", "7", "150", "0x" + "f" * 6000, "1e400", "nan", "inf", '""', '"x"', '"header:a"', '"50%"']
    )
    | st.sampled_from(["{}", "1979-05-27", "07:32:00", "[[[[[[[[[[1]]]]]]]]]]", '"\\u0000"', "{ name = 1, a.b = 2 }"])
    | st.text(max_size=8).map(lambda text: '"' + "".join(f"\\U{ord(c):08x}" for c in text) + '"'),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)


@fuzz
@given(
    places=st.lists(st.tuples(st.integers(0, 32), _values), min_size=1, max_size=4),
    treatments=st.sampled_from(['treatment = "int4"', 'treatments = ["int4", "int8"]', 'treatments = ["int4", 5, ""]']),
)
def test_any_values_in_any_places_are_a_config_or_problems_with_lines_of_the_file(
    good: str, write: Write, places: list[tuple[int, str]], treatments: str
) -> None:
    lines = good.replace('treatment = "int4"', treatments).splitlines()
    for place, value in places:
        key, equals, _ = lines[place].partition("=")
        lines[place] = f"{key}= {value}" if equals else lines[place]

    for problem in _problems(write("\n".join(lines))):
        assert 1 <= problem.line <= len(lines)
        assert "\n" not in str(problem)
