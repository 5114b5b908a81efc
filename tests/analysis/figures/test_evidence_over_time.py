"""Evidence is drawn on a logarithmic axis against the thresholds that it must reach."""

import math

import pytest

from analysis.figures import EvidenceOverTime, EvidencePoint, Mark, Theme

POINTS = (EvidencePoint(100.0, 1, 40, math.log(0.1), None), EvidencePoint(200.0, 2, 80, -900.0, math.log(100)))
FIGURE = EvidenceOverTime("quality, all traffic", POINTS, math.log(80), math.log(40), (Mark(150.0, "paused"),))


def test_e_values_and_thresholds_share_one_axis() -> None:
    figure = FIGURE.figure(Theme.LIGHT)
    harm, safe, _ = figure.data
    lines = sorted(shape["y0"] for shape in figure.layout["shapes"] if shape.get("yref") == "y")

    assert harm["y"] == [pytest.approx(-1), pytest.approx(-900 / math.log(10))]
    assert safe["y"] == [None, pytest.approx(2)]
    assert lines == [pytest.approx(value) for value in (0, math.log10(40), math.log10(80))]
    assert (harm["line"]["dash"], safe["line"]["dash"]) == ("dash", "solid")


def test_the_axis_ends_above_everything_and_does_not_follow_vanishing_evidence() -> None:
    low, high = FIGURE.figure(Theme.LIGHT).layout["yaxis"]["range"]

    assert low == -2
    assert high > math.log10(100)


def test_thresholds_are_named_on_their_lines_the_lower_one_below() -> None:
    upper, lower = FIGURE.figure(Theme.LIGHT).layout["annotations"]

    assert (upper["text"], upper["yanchor"]) == ("harm is proven from 80 times", "bottom")
    assert (lower["text"], lower["yanchor"]) == ("no harm is proven from 40 times", "top")


def test_a_metric_without_a_margin_has_one_curve_and_one_line() -> None:
    watched = EvidenceOverTime("errors", (EvidencePoint(1.0, 1, 9, 0.0, None),), 3.0, None)
    figure = watched.figure(Theme.LIGHT)

    assert [trace["name"] for trace in figure.data] == ["evidence for harm"]
    assert len(figure.layout["annotations"]) == 1


def test_it_is_told_in_words_and_rows() -> None:
    assert FIGURE.alt_text().startswith(
        "Evidence over time of quality, all traffic, after 80 units: that for harm is less than 0.01 times, "
        "a proof from 80 times on; that for no harm is 100 times, a proof from 40 times on."
    )
    assert FIGURE.table().rows[0] == ("1970-01-01 00:01", 1, 40, "0.1 times", "-")
