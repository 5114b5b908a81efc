"""A store names its experiments: those of the configuration, and those that only it knows by now."""

import pytest
from tests_history import CONFIG, living
from tests_stores import NAME, database

from experiments import open_store
from experiments.workbench import WorkbenchError


def test_an_experiment_that_has_not_begun_is_shown_and_has_nothing_to_open(tmp_path) -> None:
    other = CONFIG[CONFIG.index("[experiments.support]") :].replace("support", "other")
    with living(tmp_path) as life:
        life.start()
    (tmp_path / "config.toml").write_text(CONFIG + other)

    with open_store(tmp_path / "config.toml") as store:
        assert [(row["name"], row["phase"]) for row in store.experiments()] == [
            ("support", "running"),
            ("other", "draft"),
        ]
        with pytest.raises(WorkbenchError, match="other has not begun"):
            store.experiment("other")


def test_an_experiment_that_was_taken_out_of_the_configuration_is_still_there(tmp_path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.replace("sqlite:///touchstone.db", f"sqlite:///{database()}"))

    with open_store(tmp_path / "config.toml") as store:
        assert [row["name"] for row in store.experiments()] == [NAME, "support"]
        assert store.experiment(NAME).verdict().phase == "promoted"
