"""Figures become pieces of pages that load nothing and hold nothing but what was said."""

import json
import re
import subprocess
import sys

import plotly.graph_objects as go
import pytest

from analysis.figures import (
    DailyQuality,
    Day,
    Drawn,
    DurationCurve,
    Durations,
    EvidenceOverTime,
    EvidencePoint,
    Forest,
    ForestRow,
    IntervalOverTime,
    IntervalPoint,
    Limit,
    Mark,
    RampOverTime,
    RampStep,
    Theme,
    both_themes,
    fragment,
)

HOSTILE = '<a href="http://elsewhere.example">x</a></script><script>alert(1)</script>%{y}'
MARKS = (Mark(100.0, "started", HOSTILE), Mark(200.0, "promoted"))
CURVE = DurationCurve(HOSTILE, "control", (10.0, 20.0), (0.5, 1.0), ((0.5, 10.0),), 2)
ALL: dict[str, Drawn] = {
    "evidence": EvidenceOverTime(HOSTILE, (EvidencePoint(100.0, 1, 9, 0.5, 1.5),), 4.4, 3.7, MARKS),
    "interval": IntervalOverTime(
        HOSTILE,
        "points",
        (IntervalPoint(100.0, 1, 9, -1.0, -3.0, 1.0),),
        (Limit(-2.0, HOSTILE, "margin"),),
        marks=MARKS,
    ),
    "forest": Forest((ForestRow(HOSTILE, "harmed", HOSTILE, -9.0, -12.0, None, -2.0, -1.0, 9),), "points"),
    "ramp": RampOverTime((RampStep(100.0, 5.0), RampStep(200.0, 100.0)), 300.0, MARKS),
    "durations": Durations("latency", "ms", (CURVE,), 1.0),
    "daily": DailyQuality(HOSTILE, {"control": HOSTILE}, (Day("2026-11-25", "control", 81.2, 9),)),
}
EMPTY: list[Drawn] = [
    EvidenceOverTime("quality", (), None, None),
    IntervalOverTime("quality", "points", ()),
    Forest((), "points"),
    RampOverTime((), 0.0),
    Durations("latency", "ms", (), 1.0),
    DailyQuality("quality", {}, ()),
]


@pytest.mark.parametrize("theme", list(Theme))
@pytest.mark.parametrize("drawn", [*ALL.values(), *EMPTY])
def test_every_figure_is_what_plotly_understands(drawn: Drawn, theme: Theme) -> None:
    figure = drawn.figure(theme)

    go.Figure(list(figure.data), figure.layout)  # refuses a key or a value that it does not know
    assert figure.layout["xaxis"]["title"]["text"]
    assert len(drawn.table().columns) == len(next(iter(drawn.table().rows), drawn.table().columns))
    assert drawn.alt_text().endswith(".")


@pytest.mark.parametrize("drawn", EMPTY)
def test_a_figure_of_nothing_says_so(drawn: Drawn) -> None:
    assert re.search("nothing has been measured yet|it has not begun", drawn.alt_text())
    assert drawn.table().rows == ()


@pytest.mark.parametrize("drawn", ALL.values())
def test_what_users_send_is_never_markup_nor_a_template(drawn: Drawn) -> None:
    figure = drawn.figure(Theme.LIGHT)
    texts = json.dumps(figure.payload())

    assert "<a href" not in texts
    assert "<script" not in texts
    assert "hovertemplate" not in texts
    assert "texttemplate" not in texts


@pytest.mark.parametrize(("name", "drawn"), ALL.items())
def test_a_fragment_loads_nothing_and_is_the_same_every_time(name: str, drawn: Drawn) -> None:
    html = fragment(drawn.figure(Theme.DARK), name)

    assert html == fragment(drawn.figure(Theme.DARK), name)
    assert f'id="figure-{name}"' in html
    assert not re.search(r"<(script|link|img|iframe)[^>]*\b(src|href)=", html)
    assert "cdn" not in html
    assert html.count("</script>") == html.count("<script")
    assert '"displaylogo": false' in html
    assert '"displayModeBar": false' in html
    assert re.findall(r"https?://[a-z.]+", html) in ([], re.findall("http://elsewhere.example", html))


def test_a_name_that_could_break_out_of_its_attribute_is_refused() -> None:
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        fragment(ALL["ramp"].figure(Theme.LIGHT), 'x" onload="y')


def test_both_themes_have_the_same_data_in_other_colours() -> None:
    both = both_themes(ALL["ramp"])

    assert both["light"]["data"][0]["y"] == both["dark"]["data"][0]["y"]
    assert both["light"]["layout"]["paper_bgcolor"] != both["dark"]["layout"]["paper_bgcolor"]


def test_a_page_that_sends_figures_as_data_does_not_import_plotly() -> None:
    asked = "import sys, analysis.figures; print('plotly' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "False"


def test_decisions_are_lettered_in_order_and_explained_in_words() -> None:
    figure = ALL["ramp"].figure(Theme.LIGHT)
    (marks,) = [trace for trace in figure.data if trace["name"] == "decision"]

    assert marks["text"] == ["A", "B"]
    assert marks["x"] == [100_000, 200_000]
    assert (
        ALL["ramp"]
        .alt_text()
        .endswith("Decisions: A, 1970-01-01 00:01 UTC, started; B, 1970-01-01 00:03 UTC, promoted.")
    )
