"""The figures of an experiment: the most telling first, each with a name and a title of its own."""

from collections.abc import Iterator

import pytest
from tests_history import Life, bad, live_through, living

from experiments.showing.figures import Section, ShownFigure, figures
from experiments.showing.reader import Showing
from experiments.showing.standing import Standing


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        live_through(life, bad)
        yield life


def drawn(life: Life, most_over_time: int = 12) -> list[ShownFigure]:
    showing = Showing(life.store, life.config)
    standing = showing.standing("support")
    return figures(standing, showing.series("support", 1), [], most_over_time=most_over_time)


def test_each_figure_has_a_name_and_a_title_of_its_own(life: Life) -> None:
    found = drawn(life)

    assert len({figure.id for figure in found}) == len(found)
    assert len({figure.title for figure in found}) == len(found), "pairs and live users both tell of errors"


def test_a_section_of_which_there_are_data_has_figures_and_of_days_there_are_none_yet(life: Life) -> None:
    assert {figure.section for figure in drawn(life)} == {*Section} - {Section.DAILY}


def test_only_so_many_are_over_time_and_the_harmed_metric_is_the_first(life: Life) -> None:
    titles = [figure.title for figure in drawn(life, 2) if figure.section is Section.OVER_TIME]

    assert len(titles) == 2
    assert titles[0] == "agreement, all traffic"


def test_an_experiment_that_has_not_begun_has_no_figure(life: Life) -> None:
    experiment = Showing(life.store, life.config).standing("support").experiment
    fresh = Standing(experiment=experiment, state=None, epoch=None, look=None, transitions=(), golden=None, gate=None)

    assert figures(fresh, [], [], most_over_time=12) == []
