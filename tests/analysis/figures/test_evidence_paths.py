"""Many experiments at once: those that crossed stand out, whatever they did later."""

import math

import numpy as np
import plotly.graph_objects as go
import pytest

from analysis.figures import Theme
from analysis.figures.evidence_paths import EvidencePaths

LOG_E = np.log([[1.0, 2.0, 0.5], [1.0, 30.0, 0.1]])
FIGURE = EvidencePaths.of("e-value", [100, 200, 300], LOG_E, math.log(20), "alarm at 20")


@pytest.mark.parametrize("theme", list(Theme))
def test_plotly_understands_it(theme: Theme) -> None:
    figure = FIGURE.figure(theme)

    go.Figure(list(figure.data), figure.layout)
    assert figure.layout["xaxis"]["range"] == [0, 300]


def test_a_path_that_crossed_once_has_crossed_though_it_came_back() -> None:
    never, crossed, marks = FIGURE.figure(Theme.LIGHT).data

    assert (never["name"], crossed["name"]) == ("never crossed (1)", "crossed (1)")
    assert never["line"]["color"] != crossed["line"]["color"]
    assert marks["x"] == [200]
    assert marks["y"] == pytest.approx([math.log10(30)])
    assert crossed["x"][-1] is None  # paths do not run into each other


def test_it_is_told_in_words_and_rows() -> None:
    assert FIGURE.alt_text() == (
        "e-value of 2 experiments over 3 looks up to 300 units: 1 of them crossed at some look (alarm at 20)."
    )
    assert FIGURE.table().rows == ((1, "never", "2", "0.5"), (2, "200", "30", "0.1"))


def test_nothing_is_nothing_and_a_path_of_another_length_is_refused() -> None:
    empty = EvidencePaths("e-value", (), (), 3.0, "alarm")

    assert empty.alt_text().endswith("nothing has been measured yet.")
    assert empty.figure(Theme.LIGHT).data == ()
    assert empty.table().rows == ()
    with pytest.raises(ValueError, match=r"len\(path\) == 1, must be 2"):
        EvidencePaths("e-value", (1, 2), ((0.0,),), 3.0, "alarm")
