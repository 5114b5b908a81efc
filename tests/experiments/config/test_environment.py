"""Variables override `[router]`, and are checked as strictly as the file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config import load

Tell = Callable[..., list[str]]


def test_variables_override_the_router(good: str, write: Callable[[str], Path], tmp_path: Path) -> None:
    environ = {
        "TOUCHSTONE_ROUTER_WORKERS": "5",
        "TOUCHSTONE_ROUTER_LOOK_INTERVAL_S": "0.5",
        "TOUCHSTONE_ROUTER_JOURNAL": "elsewhere",
        "TOUCHSTONE_REFERENCE_CASES": "not ours",
    }

    router = load(write(good), environ).router

    assert (router.workers, router.look_interval_s, router.journal) == (5, 0.5, tmp_path / "elsewhere")


def test_the_process_environment_is_read_unless_another_is_given(
    good: str, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHSTONE_ROUTER_WORKERS", "7")

    assert load(write(good)).router.workers == 7
    assert load(write(good), {}).router.workers == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WORKERZ", "5", '= "5": names no key of [router] (did you mean "TOUCHSTONE_ROUTER_WORKERS"?)'),
        ("WORKERS", "many", '= "many": must be a whole number'),
        ("WORKERS", "0", '= "0": must be between 1 and 64'),
        ("CONNECT_TIMEOUT_S", "nan", '= "nan": must be a finite number'),
        ("LISTEN", "nowhere", '= "nowhere": must be "host:port" with a port from 0 to 65535'),
        ("DATABASE", "mysql://me:secret@db", '= "mysql://***@db": must begin with "sqlite:///" or "postgresql://"'),
        ("DEFAULT_BACKEND", "orignal", '= "orignal": is no backend (did you mean "original"?)'),
    ],
)
def test_a_bad_variable_is_named(good: str, told: Tell, name: str, value: str, said: str) -> None:
    [problem] = told(good, {f"TOUCHSTONE_ROUTER_{name}": value})

    assert problem == f"environment  TOUCHSTONE_ROUTER_{name} {said}"


def test_bad_variables_and_bad_keys_are_told_together(good: str, told: Tell) -> None:
    environ = {"TOUCHSTONE_ROUTER_WORKERZ": "5", "TOUCHSTONE_ROUTER_ADMIN": "x"}

    problems = told(good.replace("[1, 10, 50]", "[1, 110]"), environ)

    assert [problem.split("  ")[0] for problem in problems] == ["environment", "environment", "config.toml:16"]


def test_a_router_that_is_no_table_is_told_and_not_overridden(told: Tell) -> None:
    [problem] = told("router = 5", {"TOUCHSTONE_ROUTER_WORKERS": "5"})

    assert problem == "config.toml:1  router = 5: must be a table"
