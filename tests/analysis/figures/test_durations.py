"""Two curves of durations, with their quantiles marked."""

from analysis.figures import DurationCurve, Durations, Theme

CONTROL = DurationCurve("original", "control", (90.0, 400.0), (0.5, 1.0), ((0.5, 90.0), (0.95, 400.0)), 200)
TREATMENT = DurationCurve("int4", "treatment", (50.0, 1_200.0), (0.9, 1.0), ((0.5, 50.0), (0.95, 1_200.0)), 180)
FIGURE = Durations("latency", "ms", (CONTROL, TREATMENT), 1.0)


def test_variants_differ_by_colour_dash_and_symbol() -> None:
    control, marks, treatment, other_marks = FIGURE.figure(Theme.LIGHT).data

    assert (control["line"]["dash"], treatment["line"]["dash"]) == ("dash", "solid")
    assert control["line"]["color"] != treatment["line"]["color"]
    assert (marks["marker"]["symbol"], other_marks["marker"]["symbol"]) == ("square", "circle")


def test_shares_are_percent_and_values_are_on_a_logarithmic_axis_with_round_ticks() -> None:
    figure = FIGURE.figure(Theme.LIGHT)

    assert figure.data[2]["y"] == [90.0, 100.0]
    assert figure.layout["xaxis"]["type"] == "log"
    assert {"50", "100", "1,000"} <= set(figure.layout["xaxis"]["ticktext"])
    assert "int4: 95 % of the answers at or below 1,200 ms" in figure.data[3]["hovertext"]


def test_it_is_told_in_words_with_its_error_and_in_rows() -> None:
    assert FIGURE.alt_text() == (
        "Distribution of latency: original 50 % at or below 90 ms, 95 % at or below 400 ms; "
        "int4 50 % at or below 50 ms, 95 % at or below 1,200 ms. Each value is within 1 %."
    )
    assert FIGURE.table().rows[3] == ("int4", "95 %", "1,200 ms", 180)
