"""An interval over time is drawn with the lines that it is held against."""

from analysis.figures import IntervalOverTime, IntervalPoint, Limit, Theme

POINTS = (
    IntervalPoint(100.0, 1, 10, -5.0, None, 60.0),
    IntervalPoint(200.0, 2, 90, -1.0, -3.0, 1.0),
)
LIMITS = (Limit(-2.0, "margin, to be ruled out", "margin"), Limit(-1.0, "tolerance", "tolerance"))
FIGURE = IntervalOverTime("quality, Hindi", "points", POINTS, LIMITS)


def test_no_difference_margin_and_tolerance_are_lines() -> None:
    layout = FIGURE.figure(Theme.LIGHT).layout
    lines = {shape["y0"]: shape["line"]["dash"] for shape in layout["shapes"]}

    assert lines == {0.0: "solid", -2.0: "dash", -1.0: "dot"}
    assert [text["text"] for text in layout["annotations"]] == [
        "margin, to be ruled out: -2 points",
        "tolerance: -1 points",
    ]


def test_an_unbounded_interval_is_no_band_but_its_estimate_is_drawn() -> None:
    lower, upper, estimate = FIGURE.figure(Theme.LIGHT).data

    assert (lower["y"], upper["y"], upper["fill"]) == ([-3.0], [1.0], "tonexty")
    assert estimate["y"] == [-5.0, -1.0]
    assert "between unbounded and +60.0 points" in estimate["hovertext"][0]


def test_the_axis_shows_the_newest_interval_not_the_widest() -> None:
    low, high = FIGURE.figure(Theme.LIGHT).layout["yaxis"]["range"]

    assert low < -3 < 1 < high < 10


def test_it_is_told_in_words_and_rows() -> None:
    assert FIGURE.alt_text() == (
        "Difference over time of quality, Hindi, after 90 units: -1.0 points, between -3.0 and +1.0 "
        "(95 %, valid at every look). Margin, to be ruled out: -2 points. Tolerance: -1 points."
    )
    assert FIGURE.table().rows[0] == ("1970-01-01 00:01", 1, 10, "-5.0", "unbounded", "+60.0")
