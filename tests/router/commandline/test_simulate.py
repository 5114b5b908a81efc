"""`touchstone simulate`: what it says, and what it refuses."""

import json
from pathlib import Path

from tests_commandline import one_line, touchstone, write_traffic
from tests_history import write_config

EXPECTED = "error_rate = 0.01\n[discordance]\nagreement = 0.1\n"


def test_it_says_that_all_is_simulated_and_what_became_of_both_truths(tmp_path: Path) -> None:
    traffic, config = write_traffic(tmp_path, EXPECTED), write_config(tmp_path)

    done = touchstone("simulate", "-t", traffic, "--runs", 2, "--units", 1000, "-c", config)

    assert (done.exit_code, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0] == "support, SIMULATED: nothing was sent, and no user had any part in it"
    assert said[1].startswith("- no loss: of 2 runs 2 promoted; decided after ")
    assert said[2].startswith("- agreement worse by its margin, 20 points: of 2 runs 2 rolled back; decided after ")
    assert not (tmp_path / "touchstone.db").exists()


def test_the_same_seed_gives_the_same_figures_and_a_loss_that_is_given_is_the_only_truth(tmp_path: Path) -> None:
    traffic, config = write_traffic(tmp_path, EXPECTED), write_config(tmp_path)
    arguments = (
        "simulate",
        "-t",
        traffic,
        "--runs",
        1,
        "--units",
        300,
        "--loss",
        "agreement=0.3",
        "--json",
        "-c",
        config,
    )

    one, other = (json.loads(touchstone(*arguments).stdout) for _ in range(2))

    assert one == other
    assert one["simulated"] is True
    [outlook] = one["outlooks"]
    assert (outlook["losses"], outlook["decisions"]) == ({"agreement": 0.3}, {"rolled_back": 1})


def test_what_is_not_expected_or_not_there_is_refused(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    known = ("simulate", "-t", write_traffic(tmp_path, EXPECTED), "-c", config)

    assert "no guardrail with a margin" in touchstone(*known, "--loss", "quality=0.1").stderr
    assert one_line(touchstone(*known, "--loss", "agreement")) == (
        "--loss agreement: METRIC=SHARE is expected, such as quality=0.01"
    )
    assert "there are: support" in one_line(touchstone(*known, "-e", "other"))
    missing = touchstone("simulate", "-t", write_traffic(tmp_path), "-c", config)
    assert (missing.exit_code, missing.stderr.splitlines()[1:]) == (
        2, ["discordance.agreement is not given", "error_rate is not given"],
    )  # fmt: skip
