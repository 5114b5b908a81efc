"""An experiment's page: its figures are safe inside of a page, bounded in number, and the most telling come first."""

import json
from collections.abc import Iterator

import pytest
from tests_history import Life, bad, live_through, living

from analysis.figures import RampOverTime, RampStep
from experiments.showing.figures import Section, ShownFigure
from experiments.showing.reader import Showing
from router.dashboard.experiment import experiment_page, show


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        live_through(life, bad)
        yield life


def test_a_figure_is_json_that_no_text_can_break_out_of() -> None:
    from analysis.figures import Mark  # noqa: PLC0415

    drawn = RampOverTime((RampStep(0.0, 10.0),), 60.0, (Mark(1.0, "</script><script>alert(1)</script>"),))

    shown = show(ShownFigure("ramp", Section.RAMP, "Split", drawn))

    assert "<" not in shown.spec
    assert set(json.loads(shown.spec)) == {"light", "dark"}
    assert shown.alt
    assert shown.rows


def test_the_harmed_metric_is_the_first_figure_and_there_are_only_so_many(life: Life) -> None:
    page = experiment_page(Showing(life.store, life.config), "support")

    assert page["figures"]["over_time"][0].label == "agreement, all traffic"
    assert len(page["figures"]["over_time"]) <= 12
    assert [shown.id for shown in page["figures"]["metrics"]] == ["forest-quality", "forest-ratios"]


def test_every_figure_has_a_name_of_its_own(life: Life) -> None:
    page = experiment_page(Showing(life.store, life.config), "support")
    shown = [figure for section in page["figures"].values() for figure in section]

    assert len({figure.id for figure in shown}) == len(shown)
