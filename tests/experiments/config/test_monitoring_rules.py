"""Where daily quality goes: what would be refused later is refused at start, at its key."""

import pytest

from experiments.config.monitoring_rules import check_monitoring
from experiments.config.serving import Monitoring


def rules(*installed: str, **given: str) -> list[str]:
    found = check_monitoring(Monitoring(**given), is_installed=lambda package: package in installed)
    return [f"{'.'.join(map(str, f.location))}: {f.rule}" for f in found]


def test_without_a_target_nothing_is_needed() -> None:
    assert list(check_monitoring(None)) == []
    assert rules() == []


def test_what_is_there_is_fine() -> None:
    assert rules("mlflow", "wandb", mlflow_tracking_uri="sqlite:///mlflow.db", wandb_project="touchstone") == []
    assert rules("mlflow", mlflow_tracking_uri="http://127.0.0.1:5000") == []


def test_a_missing_package_is_named_with_its_extra() -> None:
    assert rules(mlflow_tracking_uri="sqlite:///mlflow.db", wandb_project="touchstone") == [
        "router.monitoring.mlflow_tracking_uri: needs the package mlflow: pip install 'touchstone-router[mlflow]'",
        "router.monitoring.wandb_project: needs the package wandb: pip install 'touchstone-router[wandb]'",
    ]


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///tmp/mlruns", "sqlite:///"])
def test_a_plain_file_is_no_store_of_mlflow(uri: str) -> None:
    [said] = rules("mlflow", mlflow_tracking_uri=uri)

    assert "must be a database or a server" in said


def test_a_project_has_a_name() -> None:
    assert rules("wandb", wandb_project=" ") == ["router.monitoring.wandb_project: must not be empty"]
