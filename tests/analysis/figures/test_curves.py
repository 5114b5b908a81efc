"""Named curves over one axis, with lines to hold them against."""

import plotly.graph_objects as go
import pytest

from analysis.figures import Theme
from analysis.figures.curves import MOST, Curve, Curves, Guide

FIGURE = Curves(
    (Curve.of("one look", [100, 1_000], [0.2, 0.9]), Curve.of("any <b>look</b>", [100, 1_000], [float("nan"), 0.7])),
    "pairs",
    "power",
    (Guide(0.8, "wanted"), Guide(500, "planned", "y"), Guide(600, "available", "y")),
    x_scale="log",
)


@pytest.mark.parametrize("theme", list(Theme))
def test_plotly_understands_it(theme: Theme) -> None:
    figure = FIGURE.figure(theme)

    go.Figure(list(figure.data), figure.layout)
    assert len(figure.layout["shapes"]) == len(figure.layout["annotations"]) == 3


def test_curves_differ_by_colour_and_by_dash_and_a_gap_is_no_zero() -> None:
    one, other = FIGURE.figure(Theme.LIGHT).data

    assert one["line"]["color"] != other["line"]["color"]
    assert one["line"]["dash"] != other["line"]["dash"]
    assert other["y"] == [None, 0.7]
    assert other["name"] == "any &lt;b&gt;look&lt;/b&gt;"


def test_a_text_stands_where_its_line_is_and_apart_from_the_one_before() -> None:
    _, planned, available = FIGURE.figure(Theme.LIGHT).layout["annotations"]

    assert planned["x"] == pytest.approx(2.69897)  # on a logarithmic axis Plotly wants the exponent
    assert planned["y"] > available["y"]


def test_a_wide_logarithmic_axis_has_no_more_ticks_than_can_be_read() -> None:
    wide = Curves((Curve.of("e-value", [1, 2], [0.1, 1e12]),), "users", "e-value", y_scale="log").figure(Theme.LIGHT)

    assert len(wide.layout["yaxis"]["tickvals"]) <= 9
    assert wide.layout["yaxis"]["ticktext"][-1] == "10^11"


def test_it_is_told_in_words_and_rows() -> None:
    assert FIGURE.alt_text() == (
        "power over pairs: one look from 0.2 at 100 to 0.9 at 1,000; any <b>look</b> from 0.7 at 1,000 to 0.7 at "
        "1,000. Line at 0.8: wanted. Line at 500: planned. Line at 600: available."
    )
    assert FIGURE.table().rows[2] == ("any <b>look</b>", 100.0, None)
    assert Curves((), "pairs", "power").alt_text().endswith("nothing has been measured yet.")


def test_curves_without_a_colour_of_their_own_or_with_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"len\(curves\) == 6, must be <= 5"):
        Curves((FIGURE.curves[0],) * (MOST + 1), "pairs", "power")
    with pytest.raises(ValueError, match=r"len\(x\) == 2, must be 1, as of y, in 'power'"):
        Curves((Curve.of("power", [1, 2], [0.5]),), "pairs", "power")
