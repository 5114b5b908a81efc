"""The forest plot: verdicts by colour and symbol, each row against its own margin and tolerance."""

from analysis.figures import Forest, ForestRow, Theme

ROWS = (
    ForestRow("quality, all traffic", "not worse", "not worse", -0.5, -1.5, 0.5, -2.0, -1.0, 900),
    ForestRow("quality, Hinglish", "harmed", "harmed", -9.0, -15.0, -4.0, -5.0, -2.5, 90),
    ForestRow("quality, Tamil", "cannot tell", "cannot tell", 1.0, None, 90.0, -5.0, -2.5, 3),
    ForestRow("length", "only watched", "only watched", 0.2, -1.0, 1.0, None, None, 900),
)
FIGURE = Forest(ROWS, "points")


def traces(forest: Forest = FIGURE) -> dict[str, dict[str, object]]:
    return {trace["name"]: trace for trace in forest.figure(Theme.LIGHT).data}


def test_each_verdict_has_its_own_symbol_and_colour() -> None:
    markers = [traces()[tone]["marker"] for tone in ("not worse", "harmed", "cannot tell", "only watched")]

    assert [marker["symbol"] for marker in markers] == ["circle", "x", "diamond-open", "square-open"]
    assert len({marker["color"] for marker in markers}) == 4


def test_margin_and_tolerance_are_strokes_in_the_rows_that_have_them() -> None:
    margin, tolerance = traces()["margin (a loss to be ruled out)"], traces()["tolerance (harm beyond it)"]

    assert margin["x"][::3] == [-2.0, -5.0, -5.0]
    assert tolerance["x"][::3] == [-1.0, -2.5, -2.5]
    assert margin["y"][:3] == [-0.36, 0.36, None]


def test_bars_reach_from_end_to_end_and_out_of_the_frame_where_unbounded() -> None:
    safe, unknown = traces()["not worse"]["error_x"], traces()["cannot tell"]["error_x"]
    low, high = FIGURE.figure(Theme.LIGHT).layout["xaxis"]["range"]

    assert (safe["arrayminus"], safe["array"]) == ([1.0], [1.0])
    assert 1.0 - unknown["arrayminus"][0] < low
    assert low >= -14.4
    assert high < 90


def test_an_interval_that_has_left_its_estimate_behind_makes_no_negative_bar() -> None:
    row = ROWS[0]._replace(lower=0.0, upper=1.0)

    assert traces(Forest((row,), "points"))["not worse"]["error_x"]["arrayminus"] == [0.0]


def test_rows_are_listed_from_above_and_the_axis_says_which_side_is_worse() -> None:
    layout = FIGURE.figure(Theme.LIGHT).layout

    assert layout["yaxis"]["ticktext"][0] == "quality, all traffic"
    assert layout["yaxis"]["range"] == [3.5, -0.5]
    assert layout["xaxis"]["title"]["text"] == "treatment minus control (points)<br>further left is worse"


def test_a_long_name_leaves_room_for_the_data_and_stands_whole_in_the_table() -> None:
    long = Forest((ROWS[0]._replace(label="quality, tenant=" + "x" * 200),), "points")

    assert len(long.figure(Theme.LIGHT).layout["yaxis"]["ticktext"][0]) <= 36
    assert long.table().rows[0][0] == "quality, tenant=" + "x" * 200


def test_it_is_told_in_words_and_rows() -> None:
    assert "quality, Hinglish harmed, -9.0 points" in FIGURE.alt_text()
    assert FIGURE.table().rows[2] == (
        "quality, Tamil", "cannot tell", "+1.0", "unbounded", "+90.0", "-5.0", "-2.5", 3
    )  # fmt: skip
