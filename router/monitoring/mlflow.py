"""Days, golden runs and decisions -> MLflow (extra `mlflow`): a run for each, brought up to date in place.

Run as a process of its own, `python -m router.monitoring.mlflow`, with a `Shipment` on its standard input: importing
MLflow takes seconds, and it changes the logging of the process that it is in. MLflow refuses plain files as a store:
the URI is that of a database (`sqlite:///mlflow.db`) or of a server.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from router.monitoring.report import DayReport, Report

_DIGEST = "touchstone.digest"
_NAME = "touchstone.day"
_RUN = "touchstone.run"
_MOST_METRICS = 1_000  # of one call, by MLflow's own limit


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, and where to."""

    tracking_uri: str
    experiment: str
    """Its name in MLflow."""
    artifact_location: str | None = None
    """Where an experiment of MLflow that has to be made keeps its artifacts; its server's own place if None."""
    reports: list[Report]


def send(shipment: Shipment) -> None:
    """Send reports; one whose figures are there already changes nothing.

    Raises:
        Exception: MLflow's own, if its store is away or refuses.
    """
    from mlflow.tracking import MlflowClient  # noqa: PLC0415  # takes seconds, and is an extra

    client = MlflowClient(tracking_uri=shipment.tracking_uri)
    found = client.get_experiment_by_name(shipment.experiment)
    experiment_id = (
        found.experiment_id
        if found is not None
        else client.create_experiment(shipment.experiment, artifact_location=shipment.artifact_location)
    )
    for report in shipment.reports:
        _send_one(client, experiment_id, report)


def _send_one(client: Any, experiment_id: str, report: Report) -> None:
    from mlflow.entities import Metric, RunTag  # noqa: PLC0415

    run = _run_of(client, experiment_id, report)
    if run.data.tags.get(_DIGEST) == report.digest:
        return
    run_id = run.info.run_id
    # The newest of a step is what is shown; the ones before stay as the metric's history.
    at_ms = time.time_ns() // 1_000_000
    metrics = [Metric(name, value, at_ms, 0) for name, value in report.figures.items()]
    for start in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + _MOST_METRICS])
    if not isinstance(report, DayReport):
        for name, content in report.files.items():
            client.log_text(run_id, content, name)
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in report.tags.items()])
    # Last: a run that was filled in part is filled again.
    client.set_tag(run_id, _DIGEST, report.digest)
    ended_ms = _ended_ms(report)
    if ended_ms is not None:
        client.set_terminated(run_id, end_time=ended_ms)


def _run_of(client: Any, experiment_id: str, report: Report) -> Any:
    """Return the report's run; made if there is none."""
    key = _NAME if isinstance(report, DayReport) else _RUN
    there = client.search_runs([experiment_id], filter_string=f"tags.`{key}` = '{report.name}'", max_results=1)
    if there:
        return there[0]
    tags = {key: report.name, "touchstone.kind": "day" if isinstance(report, DayReport) else report.kind}
    if isinstance(report, DayReport):
        tags |= {"touchstone.experiment": report.experiment, "touchstone.epoch": str(report.epoch)}
        started_ms = _ms(report.day)
    else:
        started_ms = round(report.started_at * 1000)
    return client.create_run(experiment_id, start_time=started_ms, tags=tags, run_name=report.name)


def _ended_ms(report: Report) -> int | None:
    if isinstance(report, DayReport):
        return _ms(report.day, days=1)
    return None if report.ended_at is None else round(report.ended_at * 1000)


def _ms(day: str, *, days: int = 0) -> int:
    return int((datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=days)).timestamp() * 1000)


if __name__ == "__main__":
    send(msgspec.json.decode(sys.stdin.buffer.read(), type=Shipment))
