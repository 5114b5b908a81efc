"""A figure for a notebook: a finding above it, where it is from below that, nothing over anything else."""

import plotly.graph_objects as go

from analysis.figures import Forest, ForestRow, RampOverTime, RampStep, Theme
from analysis.figures.shown import shown, titled

RAMP = RampOverTime((RampStep(0.0, 5.0), RampStep(60.0, 50.0)), 120.0)


def test_it_says_what_was_found_and_what_that_rests_on() -> None:
    figure = shown(RAMP, "It <i>grew</i>", "simulated: one ramp", Theme.DARK)

    assert figure.layout.title.text == "It &lt;i&gt;grew&lt;/i&gt;"
    assert figure.layout.title.subtitle.text == "simulated: one ramp"
    assert figure.layout.meta["alt"] == RAMP.alt_text()


def test_the_drawing_keeps_its_size_and_the_legend_is_below_it() -> None:
    plain = RAMP.figure(Theme.LIGHT).layout
    figure = shown(RAMP, "It grew", "simulated")

    def inner(layout: go.Layout) -> int:
        return int(layout["height"] - layout["margin"]["t"] - layout["margin"]["b"])

    assert inner(figure.layout) == inner(plain)
    assert figure.layout.legend.y < 0
    assert figure.layout.margin.t > plain["margin"]["t"]


def test_a_title_of_two_lines_moves_the_legend_further_down() -> None:
    row = ForestRow("quality", "not worse", "not worse", -0.5, -1.5, 0.5, -2.0, -1.0, 900)
    forest = shown(Forest((row,), "points"), "No loss")
    below_px = -forest.layout.legend.y * (forest.layout.height - forest.layout.margin.t - forest.layout.margin.b)

    assert below_px > 80  # ticks and a title of two lines


def test_no_tool_sends_the_data_elsewhere() -> None:
    drawn = RAMP.figure(Theme.LIGHT)
    figure = titled(go.Figure(list(drawn.data), drawn.layout), "It grew")

    assert "sendcharttocloud" in figure.layout.modebar.remove
