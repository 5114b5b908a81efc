"""`check` and `plan`: what a configuration means, and what to expect of it."""

import json
from pathlib import Path

import pytest
from tests_commandline import one_line, touchstone, write_traffic
from tests_history import CONFIG, write_config

from experiments.config import load
from router.commandline.serving import describe

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_file_of_warm_up_requests_that_cannot_be_used_is_one_line(tmp_path: Path, command: str) -> None:
    config = write_config(tmp_path)
    (tmp_path / "warm.jsonl").write_text('{"path": "/v1/models", "body": {}}\nnot json\n')
    name = next(line for line in config.read_text().splitlines() if line.startswith("[backends."))
    config.write_text(config.read_text() + f'\n{name[:-1]}.warmup]\nrequests = "warm.jsonl"\n')

    assert "warm.jsonl:2" in one_line(touchstone(command, "--config", config))


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_says_what_a_configuration_means(tmp_path: Path) -> None:
    path = write_config(tmp_path)

    done = touchstone("check", "--config", path)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"{path}: fine. 2 backends (original, int4), 1 experiments."
    assert "int4 against original, split 10 % -> 50 %" in done.stdout


def test_check_shows_the_shipped_configuration_to_be_fine() -> None:
    done = touchstone("check", "--config", ROOT / "config.toml")

    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 3


def test_check_tells_every_error_at_once_with_its_line(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.replace("mirror_percent = 100", "mirror_percent = 101\nmirorr = 1"))

    done = touchstone("check", "--config", path)

    assert (done.exit_code, done.stdout) == (2, "")
    said = done.stderr.splitlines()
    assert said[0] == "touchstone: the configuration has errors:"
    assert [line.removeprefix(str(path)).partition("  ")[0] for line in said[1:]] == [":20", ":21"]
    assert "must be between 0 and 100" in said[1]


def test_the_configuration_is_looked_for_in_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path)
    monkeypatch.chdir(tmp_path)

    assert touchstone("check").stdout.startswith(f"{tmp_path}/config.toml: fine.")


def test_a_configuration_is_told_in_the_words_of_a_product_manager(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.replace("[experiments.support.policy]", """\
[experiments.support.goals]
cost = { better_by = "30%" }
latency = { better_by = 0.125 }
[experiments.support.policy]"""))  # fmt: skip

    first, second = describe(load(path, {}))

    assert first == f"{path}: fine. 2 backends (original, int4), 1 experiments."
    assert second == (
        "  support: int4 against original, split 10 % -> 50 %, mirror 100 %; must not harm agreement "
        "(margin 20 points), errors (margin 20 points), complaint; must reach cost 30 % lower or latency 12.5 % lower."
    )


def test_of_several_treatments_each_says_that_it_is_one_of_them(tmp_path: Path) -> None:
    several = CONFIG.replace('treatment = "int4"', 'treatments = ["int4", "int8"]')
    text = several.replace(
        "[experiments.support]", '[backends.int8]\nurl = "http://127.0.0.1:9"\n[experiments.support]'
    )

    said = [*describe(load(write_config(tmp_path, text), {}))]

    assert said[1].startswith("  support.int4: int4 (one of 2 treatments) against original")


def test_an_experiment_without_conditions_says_so(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG[: CONFIG.index("[experiments.support.guardrails]")])

    assert [*describe(load(path, {}))][1].endswith("must not harm nothing; must reach nothing more.")


# --- plan -------------------------------------------------------------------------------------------------------------


def test_plan_says_before_the_start_what_to_expect_and_needs_no_database(tmp_path: Path) -> None:
    config = write_config(tmp_path)

    done = touchstone("plan", "--traffic", write_traffic(tmp_path, "[discordance]\nagreement = 0.1\n"), "-c", config)

    assert (done.exit_code, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0] == "support: 1,000 new units a day, 1,000 of them with a mirrored request"
    assert any(line.startswith("- agreement, all traffic: if there is no loss, one of 20 points is") for line in said)
    assert any(line.startswith("warning: cannot tell") for line in said)
    assert not (tmp_path / "touchstone.db").exists()


def test_plan_as_json_has_the_same_experiments(tmp_path: Path) -> None:
    done = touchstone("plan", "-t", write_traffic(tmp_path), "-e", "support", "--json", "-c", write_config(tmp_path))

    assert [made["experiment"] for made in json.loads(done.stdout)] == ["support"]


def test_plan_refuses_an_unknown_experiment_and_a_file_of_traffic_that_is_wrong_in_one_line(tmp_path: Path) -> None:
    config = write_config(tmp_path)

    stranger = one_line(touchstone("plan", "-t", write_traffic(tmp_path), "-e", "suport", "-c", config))
    missing = one_line(touchstone("plan", "-t", tmp_path / "none.toml", "-c", config))
    misspelt = one_line(touchstone("plan", "-t", write_traffic(tmp_path, "eror_rate = 0.1"), "-c", config))

    assert stranger == f"no experiment 'suport' in {config}; there are: support"
    assert missing == f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory"
    assert misspelt.startswith(f"{tmp_path / 'traffic.toml'}: eror_rate: ")
    assert touchstone("plan", "-c", config).exit_code == 2


def test_plan_of_a_configuration_without_experiments_is_one_line(tmp_path: Path) -> None:
    config = write_config(tmp_path, '[router]\ndefault_backend = "a"\n[backends.a]\nurl = "http://127.0.0.1:9"\n')

    assert "there is nothing to plan" in one_line(touchstone("plan", "-t", write_traffic(tmp_path), "-c", config))
