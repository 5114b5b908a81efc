"""At one look the figures are the controller's own, where they depend on counts alone."""

from pathlib import Path

import pytest
from tests_history import Life, living
from tests_lives import database, lived

from experiments.evidence import Evidence
from experiments.warehouse import Analysis, analyze
from experiments.warehouse.sources import opened

SAME = (
    "units", "pairs", "losses", "wins", "ties", "failed", "control_mean", "treatment_mean", "estimate", "margin",
    "tolerance", "log_e_harm", "log_e_any_loss", "log_e_noninferior", "scorer",
)  # fmt: skip


def found_and_seen(life: Life) -> tuple[Analysis, Evidence]:
    lived(life)
    look = life.store.latest_look("support", 1)
    assert look is not None
    with opened(life.config.router.database, "support") as source:
        return analyze(source, "support"), look.evidence


def test_they_are_those_of_the_last_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with living(tmp_path, database(tmp_path)) as life:
        life.store.migrate()
        found, seen = found_and_seen(life)

    assert (found.units, found.exchanges, found.looks) == (seen.units, seen.exchanges, seen.look)
    assert [(r.metric, r.slice, r.role, r.kind) for r in found.metrics] == [
        (r.metric, r.slice, r.role, r.kind) for r in seen.metrics
    ]
    for ours, theirs in zip(found.metrics, seen.metrics, strict=True):
        for name in SAME:
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-9), (
                ours.metric,
                ours.slice,
                name,
            )
    assert [s.stages for s in found.splits] == [s.stages for s in seen.splits]
    assert [s.log_bayes_factor for s in found.splits] == pytest.approx([s.log_bayes_factor for s in seen.splits])
    assert found.completeness == seen.completeness
    assert tuple(found.responses) == seen.responses
    assert any(row.not_estimable for row in found.metrics)
    with pytest.raises(KeyError):
        found.row("nothing")
