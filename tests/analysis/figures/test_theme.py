"""Both themes are legible, whatever colours one sees."""

import dataclasses
import itertools

import pytest

from analysis.figures.theme import FONT_PX, SMALL_FONT_PX, Theme, palette, template


def _luminance(colour: str) -> float:
    """Relative luminance as the Web Content Accessibility Guidelines define it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", list(Theme))
def test_text_and_data_stand_out_from_the_surface(theme: Theme) -> None:
    colours = dataclasses.asdict(palette(theme))
    surface = colours["surface"]

    assert all(contrast(colours[name], surface) >= 4.5 for name in ("ink", "soft", "bad", "good"))
    assert all(contrast(colours[name], surface) >= 3 for name in ("control", "treatment", "better", "unknown"))


@pytest.mark.parametrize("theme", list(Theme))
def test_verdicts_differ_for_those_who_do_not_see_red_and_green(theme: Theme) -> None:
    """In blue and in the mean of red and green, which is about what a red-green blind eye tells apart."""
    colours = palette(theme)

    def seen(colour: str) -> tuple[float, float]:
        red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
        return (red + green) / 2, float(blue)

    for one, other in itertools.combinations((colours.bad, colours.good, colours.better), 2):
        assert sum(abs(a - b) for a, b in zip(seen(one), seen(other), strict=True)) > 40


def test_no_text_is_smaller_than_12_pixels() -> None:
    assert min(FONT_PX, SMALL_FONT_PX) >= 12


def test_the_page_has_the_title_and_axes_have_their_units() -> None:
    layout = template(Theme.LIGHT, height_px=300, x={"title": "time (UTC)"}, y={"title": "share (%)"})

    assert "title" not in layout
    assert "width" not in layout
    assert (layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]) == ("time (UTC)", "share (%)")
