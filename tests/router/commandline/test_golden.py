"""`touchstone golden run` without anything to run; what a run brings is tested beside it, in `router.golden`."""

from pathlib import Path

import pytest
from tests_commandline import one_line, touchstone
from tests_history import CONFIG, write_config


def test_an_experiment_without_a_golden_set_is_told_in_one_line(tmp_path: Path) -> None:
    said = one_line(touchstone("golden", "run", "support", "-c", write_config(tmp_path)))

    assert "golden set" in said
    assert not (tmp_path / "touchstone.db").exists()


def test_a_run_that_can_be_sent_nowhere_is_not_begun(tmp_path: Path) -> None:
    nowhere = one_line(touchstone("golden", "run", "support", "--send", "-c", write_config(tmp_path)))

    assert nowhere.startswith("there is nowhere to send it: ")


def test_nor_is_one_that_the_store_does_not_keep(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="needs the extra `wandb`")
    monitored = write_config(tmp_path, f'{CONFIG}[router.monitoring]\nwandb_project = "ours"\n')
    unkept = one_line(touchstone("golden", "run", "support", "--send", "-c", monitored))

    assert unkept.startswith("--send sends what the store keeps: ")
