"""What the command line shows: the same facts as data and as text, before the first look and after the last."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from sqlalchemy import text
from tests_history import CONFIG, Life, bad, good, live_through, living

from experiments.evidence import MetricEvidence, Verdict
from router import views


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


def shown(view: views.View, width: int = 200) -> str:
    """What a person reads."""
    out = Console(width=width, highlight=False, color_system=None)
    with out.capture() as capture:
        for part in view.parts:
            out.print(part, soft_wrap=isinstance(part, str))
    return capture.get()


def plain(view: views.View) -> dict | list:
    return json.loads(view.json())


def test_before_the_controller_ever_ran_every_configured_experiment_is_a_draft(life: Life) -> None:
    life.store.migrate()

    view = views.status(life.store, life.config)

    [row] = plain(view)
    savings = row.pop("savings")
    assert [row] == [
        {
            "experiment": "support",
            "phase": "draft",
            "split": "0 %",
            "live": 0,
            "pairs": 0,
            "units": 0,
            "says": "Not started: control serves everyone.",
            "tone": "neutral",
            "epoch": 0,
            "stage": 0,
            "looked_at": None,
        }
    ]
    assert [saving["why_not"] for saving in savings["projections"]] == ["no request has come in yet"] * 4
    assert "Not started" in shown(view)


def test_of_several_treatments_each_says_that_it_is_one_of_them(tmp_path: Path) -> None:
    several = CONFIG.replace('treatment = "int4"', 'treatments = ["int4", "int8"]')
    several = several.replace(
        "[experiments.support]", '[backends.int8]\nurl = "http://127.0.0.1:9"\n[experiments.support]'
    )
    with living(tmp_path, several) as life:
        life.store.migrate()
        rows = plain(views.status(life.store, life.config))

    assert [row["experiment"] for row in rows] == ["support.int4", "support.int8"]
    assert all(row["says"].endswith("One of 2 treatments of support.") for row in rows)


def test_before_the_first_look_it_says_so(life: Life) -> None:
    life.start()

    assert plain(views.status(life.store, life.config))[0]["says"].startswith("Cannot tell yet")
    assert shown(views.explain(life.store, life.config, "support")) == "support: no look has been taken yet\n"


def test_status_counts_what_the_latest_look_counted(life: Life) -> None:
    life.start()
    life.serve(0, 20)
    life.tick()
    life.serve(20, 40)

    [row] = plain(views.status(life.store, life.config))

    assert (row["phase"], row["split"], row["epoch"]) == ("running", "10 %", 1)
    assert (row["live"], row["pairs"], row["units"]) == (20, 20, 20)
    assert row["says"].startswith("Cannot tell yet")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (good, ["support, int4 against original: promoted.", "Look 3: promoted, because", "is not worse by 20 points"]),
        (bad, ["support, int4 against original: rolled back.", "rolled back, because", "worse than the tolerated"]),
    ],
)
def test_explain_tells_the_decision_its_reasons_and_the_history(life: Life, answer, said: list[str]) -> None:
    live_through(life, answer)

    view = views.explain(life.store, life.config, "support")
    text = shown(view)

    for words in said:
        assert words in text
    transitions = life.store.transitions("support")
    for transition in transitions:
        assert f"(by {transition.actor}): {transition.reason}" in text
    assert len(plain(view)["transitions"]) == len(transitions) >= 2
    assert plain(view)["look"] == json.loads(msgspec.json.encode(life.store.latest_look("support", 1)))


def test_the_evidence_table_has_a_row_for_all_traffic_and_one_for_each_slice_with_units(life: Life) -> None:
    live_through(life, bad, ticks=1)
    look = life.store.latest_look("support", 1)
    assert look is not None

    lines = shown(views.View(None, [views.evidence_table(look.evidence)])).splitlines()

    rows = [line.split() for line in lines[1:]]
    assert [row[:2] for row in rows if row[0] == "agreement"] == [
        ["agreement", "all"],
        ["agreement", "English"],
        ["agreement", "Hindi"],
    ]
    overall = look.evidence.of("agreement")
    assert overall is not None
    [line] = [line for line in lines if line.split()[:2] == ["agreement", "all"]]
    assert f"{overall.losses} / {overall.wins}" in line
    assert f"{100 * overall.estimate:+.1f} points" in line
    assert "errors (live)" in shown(views.View(None, [views.evidence_table(look.evidence)]))


def test_a_slice_without_a_unit_is_left_out_and_all_traffic_never_is(life: Life) -> None:
    live_through(life, good, ticks=1)
    look = life.store.latest_look("support", 1)
    assert look is not None
    empty = [msgspec.structs.replace(row, units=0) for row in look.evidence.metrics if row.metric == "agreement"]
    evidence = msgspec.structs.replace(look.evidence, metrics=empty)

    lines = shown(views.View(None, [views.evidence_table(evidence)])).splitlines()

    assert [line.split()[:3] for line in lines[1:]] == [["agreement", "all", "traffic"]]


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_can_be_shown(life: Life, verdict: Verdict) -> None:
    live_through(life, good, ticks=1)
    look = life.store.latest_look("support", 1)
    assert look is not None
    fields = msgspec.structs.asdict(look.evidence.metrics[0]) | {"verdict": verdict}
    evidence = msgspec.structs.replace(look.evidence, metrics=[MetricEvidence(**fields)])

    assert verdict.value.replace("_", " ") in shown(views.View(None, [views.evidence_table(evidence)]))


def test_replay_of_an_experiment_that_never_began_is_no_success(life: Life) -> None:
    life.store.migrate()

    view = views.replay(life.store, life.config, "support")

    assert not view.ok
    assert (plain(view), shown(view)) == ({"looks": []}, "support: no epoch yet\n")


def test_replay_recomputes_every_look_under_the_configuration_of_its_own_epoch(life: Life, tmp_path: Path) -> None:
    live_through(life, good)
    changed = CONFIG.replace("margin = 0.2", "margin = 0.001")

    with living(tmp_path, changed) as later:
        view = views.replay(later.store, later.config, "support")

    assert view.ok
    assert "support, epoch 1: 3 of 3 looks recomputed to the last bit." in shown(view)
    told = [line for line in shown(view).splitlines() if "recomputed: " in line]
    assert told == [
        "Look 1, recomputed: advanced to the next stage, because",
        "Look 3, recomputed: promoted, because",
    ], "looks at which nothing happened are not told"
    assert plain(view)["looks"][-1] == {"look": 3, "stored": "promote", "replayed": "promote", "same": True}


def test_replay_of_what_still_runs_tells_the_latest_look_too(life: Life) -> None:
    live_through(life, good, ticks=2)

    text = shown(views.replay(life.store, life.config, "support"))

    assert "Look 1, recomputed: advanced to the next stage, because" in text
    assert "Look 2, recomputed: kept running, because" in text


def test_a_look_after_the_end_only_observes_and_is_not_told_as_a_decision(tmp_path: Path) -> None:
    text = CONFIG.replace("settle_seconds = 0", "settle_seconds = 0\nmirror_after_rollback = true")
    with living(tmp_path, text) as life:
        live_through(life, bad, ticks=6)
        replayed = shown(views.replay(life.store, life.config, "support"))
        explained = shown(views.explain(life.store, life.config, "support"))

    assert "Look 6: observed only, because" in explained
    assert "recomputed: rolled back, because" in replayed
    assert "observed only" not in replayed


def test_replay_names_the_looks_that_come_out_otherwise(life: Life) -> None:
    live_through(life, good)
    with life.store.engine.begin() as connection:
        connection.execute(text("UPDATE outcome SET value = -1, treatment_value = 0 WHERE seq > 100"))

    view = views.replay(life.store, life.config, "support")

    assert not view.ok
    different = [row["look"] for row in plain(view)["looks"] if not row["same"]]
    assert different
    assert different[-1] == 3
    for look in different:
        assert f"look {look}: stored" in shown(view)
    assert f"{3 - len(different)} of 3 looks" in shown(view)


def test_a_second_epoch_starts_its_own_history_and_the_first_one_is_still_told(life: Life, tmp_path: Path) -> None:
    live_through(life, good)

    with living(tmp_path, CONFIG.replace("min_units = 100", "min_units = 101")) as later:
        later.start()
        [row] = plain(views.status(later.store, later.config))
        explained = views.explain(later.store, later.config, "support")

        assert (row["phase"], row["epoch"], row["units"]) == ("running", 2, 0)
        assert shown(explained) == "support: no look has been taken yet\n"
        assert [t["to_phase"] for t in plain(explained)["transitions"]] == ["running", "running", "promoted", "running"]


def test_the_data_of_a_view_are_indented_json_whatever_its_parts_are() -> None:
    view = views.View({"split": 0.5}, ["half"])

    assert json.loads(view.json()) == {"split": 0.5}
    assert view.json().count("\n") == 2
    assert view.ok
