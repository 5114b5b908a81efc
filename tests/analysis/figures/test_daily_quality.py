"""Quality day by day, a line for each variant."""

from analysis.figures import DailyQuality, Day, Theme

DAYS = (
    Day("2026-11-24", "control", 88.0, 300),
    Day("2026-11-24", "treatment", 87.0, 300),
    Day("2026-11-25", "control", None, 0),
    Day("2026-11-25", "treatment", 86.5, 10),
)
FIGURE = DailyQuality("quality, all traffic", {"control": "original", "treatment": "int4"}, DAYS)


def test_a_day_without_a_figure_is_a_gap_not_a_zero() -> None:
    control, treatment = FIGURE.figure(Theme.LIGHT).data

    assert (control["y"], control["connectgaps"]) == ([88.0, None], False)
    assert (treatment["x"], treatment["y"]) == (["2026-11-24", "2026-11-25"], [87.0, 86.5])
    assert "original, 2026-11-25: unknown of 0 pairs" in control["hovertext"]


def test_variants_differ_by_dash_and_symbol() -> None:
    control, treatment = FIGURE.figure(Theme.DARK).data

    assert (control["line"]["dash"], treatment["line"]["dash"]) == ("dash", "solid")
    assert (control["marker"]["symbol"], treatment["marker"]["symbol"]) == ("square", "circle")


def test_it_is_told_in_words_and_rows() -> None:
    assert FIGURE.alt_text() == (
        "quality, all traffic day by day: original unknown on 2026-11-25, int4 86.5 % on 2026-11-25."
    )
    assert FIGURE.table().rows[1] == ("2026-11-24", "int4", "87.0 %", 300)
