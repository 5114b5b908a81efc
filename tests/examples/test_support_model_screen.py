"""What the demo shows: the figures of the admin API, each against the threshold at which Touchstone acts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from tests_history import Life, bad, good, live_through, living

from examples.support_model.screen import Screen, Standing, parse_evidence, parse_standings, plain, rows
from experiments.config import Config, load
from experiments.evidence import Evidence, Interval, Kind, MetricEvidence, Verdict
from experiments.model import Phase
from router import views

ROOT = Path(__file__).parents[2]


def said(slice_: str = "", metric: str = "quality", kind: Kind = Kind.PAIRED, **more) -> MetricEvidence:
    values = {
        "metric": metric, "role": "guardrail", "kind": kind, "slice": slice_, "verdict": Verdict.INSUFFICIENT,
        "units": 40, "estimate": -0.104, "interval": Interval(-0.2, 0.0), "weight": 0.25,
    }  # fmt: skip
    return MetricEvidence(**(values | more))


def evidence(*metrics: MetricEvidence, exchanges: int = 200) -> Evidence:
    return Evidence(
        experiment="web-8bit", epoch=1, look=1, at=1.0, stage=0, phase=Phase.RUNNING, units=40, stage_units=40,
        exchanges=exchanges, served_by_treatment=exchanges // 4, pairs=120, metrics=list(metrics), splits=[],
        completeness=[], log_e_family=0.0, peak_log_e_family=0.0,
    )  # fmt: skip


@pytest.fixture(name="config", scope="module")
def _config() -> Config:
    return load(ROOT / "config.toml", {})


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


def shown(config: Config, sent: int = 0, **standings: Standing) -> str:
    out = Console(width=160, color_system=None)
    with out.capture() as capture:
        out.print(Screen(config, most=1_000).render(sent, {n.replace("_", "-"): s for n, s in standings.items()}))
    return capture.get()


def bars(config: Config, row: MetricEvidence) -> tuple[float, float]:
    """How full the two bars of a row are: evidence of harm, evidence of safety."""
    experiment = config.experiments["web-8bit"]
    *_, harm, safe = Screen(config, most=1)._cells(row, experiment)
    return harm.completed / harm.total, safe.completed / safe.total


def test_before_anything_is_known_every_experiment_is_there(config: Config) -> None:
    text = shown(config)

    assert "web-8bit: int8 against original  draft" in text
    assert "mobile-4bit: int4 against original  draft" in text
    assert "0 requests" in text


def test_a_running_experiment_shows_traffic_split_and_the_figures_of_each_group(config: Config) -> None:
    found = evidence(said("x-language=hi", estimate=-0.3), said(), said(metric="errors"), said(kind=Kind.EVENT))

    text = shown(config, 250, web_8bit=Standing("running", "10 %", "", found))

    assert "250 requests" in text
    assert "25%" in text, "of the most that may be needed"
    assert "split 10 %, 200 live requests (25% by int8), 120 pairs" in " ".join(text.split())
    lines = [line.split() for line in text.splitlines() if "points" in line]
    assert [line[:3] for line in lines] == [["all", "traffic", "40"], ["Hindi", "40", "-30.0"]]


def test_the_end_of_an_experiment_is_told_in_words(config: Config) -> None:
    text = shown(config, web_8bit=Standing("promoted"), mobile_4bit=Standing("rolled_back"))

    assert "web-8bit: int8 against original  promoted" in text
    assert "mobile-4bit: int4 against original  rolled back" in text


def test_no_traffic_yet_is_no_division_by_zero(config: Config) -> None:
    assert "0 live requests (0% by int8)" in " ".join(
        shown(config, web_8bit=Standing("running", "10 %", "", evidence(said(), exchanges=0))).split()
    )


def test_a_bar_is_full_at_the_very_threshold_at_which_touchstone_acts(config: Config) -> None:
    policy = config.experiments["web-8bit"].policy
    harm_at = math.log(1 / policy.alpha_rollback) - math.log(0.25)
    safe_at = math.log(1 / policy.alpha_promote)

    assert bars(config, said(peak_log_e_harm=harm_at, peak_log_e_noninferior=safe_at)) == pytest.approx((1, 1))
    assert bars(config, said(peak_log_e_harm=harm_at - 1, peak_log_e_noninferior=safe_at / 2)) == pytest.approx(
        (1 - 1 / math.log(1 / policy.alpha_rollback), 0.5)
    )
    assert bars(config, said(peak_log_e_harm=99.0, peak_log_e_noninferior=99.0)) == (1, 1)
    assert bars(config, said(peak_log_e_harm=-9.0, peak_log_e_noninferior=-9.0)) == (0, 0)
    assert bars(config, said()) == (0, 0), "no evidence is no harm and no safety"


def test_the_rows_of_a_metric_are_all_traffic_first_and_then_its_slices() -> None:
    found = evidence(said("b=1"), said("a=1"), said(metric="errors"), said(), said(kind=Kind.RATIO))

    assert [row.slice for row in rows(found, "quality")] == ["", "a=1", "b=1"]


def test_a_log_gets_one_line(config: Config) -> None:
    standings = {"web-8bit": Standing("running", "10 %", "", evidence(said())), "mobile-4bit": Standing()}

    assert plain(7, standings).split(" | ") == [
        "7 requests",
        "web-8bit: running, split 10 %, 40 users analysed",
        "mobile-4bit: draft, split 0 %, 0 users analysed",
    ]


@pytest.mark.parametrize("answer", [good, bad])
def test_what_the_admin_api_says_is_read_without_loss(life: Life, answer) -> None:
    live_through(life, answer)
    look = life.store.latest_look("support", 1)
    assert look is not None
    overview = views.status(life.store, life.config).data

    standings = parse_standings(msgspec.json.encode(overview))
    found = parse_evidence(msgspec.json.encode(look.evidence))

    assert found == look.evidence
    assert standings == {"support": Standing(overview[0]["phase"], overview[0]["split"], overview[0]["says"])}


def test_before_the_first_look_there_is_no_evidence_to_read() -> None:
    assert parse_evidence(b"null") is None
