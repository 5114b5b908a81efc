"""The audit of a real life, read from the store and written out."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_history import Life, bad, live_through, living

from experiments.drains import DrainStore
from experiments.golden.store import GoldenRun, GuardStore
from experiments.model import Drain
from experiments.telling import audit_trail
from experiments.telling.audit_trail import UnknownExperimentError, audit_of, written
from experiments.telling.escalation import Acknowledgement
from experiments.telling.incidents import incident_log


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A harmful treatment that was rolled back; somebody has taken that on; a drain and its end, a golden run."""
    folder: Path = tmp_path_factory.mktemp("life")
    with living(folder) as life:
        live_through(life, bad, ticks=8, users=100)
        log = incident_log(life.store)
        log.acknowledge(Acknowledgement(key="support/1/rolled_back/0", at=life.now + 1, actor="asha", reason="=on it"))
        log.acknowledge(Acknowledgement(key="channel/pager", at=life.now + 2, actor="asha", reason="new token"))
        drains = DrainStore(life.store.engine)
        drains.put(Drain(backend="int4", endpoint="", since=life.now + 3, actor="ravi", reason="gone"))
        drains.lift("int4", at=life.now + 4, actor="asha")
        run = {"experiment": "support", "epoch": 1, "number": 1, "items": [{"id": "secret-question"}]}
        GuardStore(life.store.engine).add_run(
            GoldenRun(at=life.now + 5, actor="gate", result="passed", summary="300 of 300", **run)
        )
        yield life


def test_it_tells_who_did_what_when_and_why_from_the_first_epoch_on(life: Life) -> None:
    rows = audit_of(life.store, "support")

    did = [(row.actor, row.what) for row in rows]
    assert did[0] == ("config", "epoch started")
    assert ("controller", "rolled back") in did
    assert did[-4:] == [
        ("asha", "acknowledged"),
        ("ravi", "drained"),
        ("asha", "drain lifted"),
        ("gate", "golden set passed"),
    ]
    assert [row.time for row in rows] == sorted(row.time for row in rows)
    [rolled_back] = [row for row in rows if row.what == "rolled back"]
    assert "worse than the tolerated" in rolled_back.why
    assert rolled_back.look is not None
    assert "pairs" in rolled_back.evidence


def test_of_all_experiments_it_has_what_belongs_to_none_too(life: Life) -> None:
    one, everything = audit_of(life.store, "support"), audit_of(life.store)

    assert [(row.after, row.experiment) for row in everything if row not in one] == [("channel/pager", "")]
    assert all(row in everything for row in one)


def test_an_experiment_that_never_began_is_told_with_those_that_have(life: Life) -> None:
    with pytest.raises(UnknownExperimentError, match="no experiment 'suport' has begun; there are: support"):
        audit_of(life.store, "suport")


def test_both_formats_say_the_same_and_no_spreadsheet_runs_a_reason(life: Life) -> None:
    rows = audit_of(life.store)

    lines = [json.loads(line) for line in written(rows, "json")]
    table = list(csv.DictReader(io.StringIO("".join(written(rows, "csv")), newline="")))

    assert [line["time"] for line in lines] == [line["time"] for line in table]
    assert [line["why"] for line in lines if line["what"] == "acknowledged"] == ["=on it", "new token"]
    assert [line["why"] for line in table if line["what"] == "acknowledged"] == ["'=on it", "new token"]


def test_it_is_the_same_however_many_looks_are_read_at_a_time(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = audit_of(life.store)

    monkeypatch.setattr(audit_trail, "_A_PAGE", 1)

    assert life.store.looks("support", 1)
    assert audit_of(life.store) == whole
