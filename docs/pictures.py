"""Draws the pictures of docs/statistics.md from the product's own functions, with a fixed seed: `make docs`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.confidence import confidence_sequences
from analysis.eprocess import DifferenceCounts, log_e_ltw
from analysis.result import Estimate
from analysis.simulate import simulate_pairs

IMAGES = Path(__file__).parent / "images"
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 800, 320, 64, 40, 205, 44
_SEED = 4
_BLUE, _RED, _GREY = "#0b5cad", "#c0392b", "#666666"
Floats = NDArray[np.float64]


class Plot:
    """A line plot with linear axes, as SVG text."""

    def __init__(self, title: str, x_label: str, x_most: float, y: tuple[float, float]) -> None:
        self._x_most, self._y = x_most, y
        self._parts = [
            f'<text x="{_LEFT}" y="22" font-weight="600">{title}</text>',
            f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{x_label}</text>',
        ]
        for share in (0, 0.25, 0.5, 0.75, 1):
            x, label = self._px(share * x_most), f"{share * x_most:,.0f}"
            self._parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 26}" text-anchor="middle">{label}</text>')

    def _px(self, x: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * x / self._x_most

    def _py(self, y: float) -> float:
        low, high = self._y
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - min(max(y, low), high)) / (high - low)

    def tick(self, y: float, label: str) -> None:
        """Label a height on the left."""
        self._parts.append(f'<text x="{_LEFT - 8}" y="{self._py(y) + 4:.1f}" text-anchor="end">{label}</text>')

    def level(self, y: float, label: str, colour: str = _GREY) -> None:
        """Draw a dashed horizontal line, named on the right."""
        py, end = self._py(y), _WIDTH - _RIGHT
        self._parts.append(f'<path d="M{_LEFT} {py:.1f}H{end}" stroke="{colour}" stroke-dasharray="5 4" fill="none"/>')
        self._parts.append(f'<text x="{end + 6}" y="{py + 4:.1f}" fill="{colour}">{label}</text>')

    def name(self, y: float, label: str, colour: str) -> None:
        """Name the curve that ends at a height, on the right."""
        self._parts.append(f'<text x="{_WIDTH - _RIGHT + 6}" y="{self._py(y) + 4:.1f}" fill="{colour}">{label}</text>')

    def line(self, x: Floats, y: Floats, colour: str) -> None:
        """Draw a curve."""
        points = " ".join(f"{self._px(a):.1f},{self._py(b):.1f}" for a, b in zip(x, y, strict=True))
        self._parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')

    def band(self, x: Floats, low: Floats, high: Floats, colour: str) -> None:
        """Fill between two curves."""
        there = [f"{self._px(a):.1f},{self._py(b):.1f}" for a, b in zip(x, high, strict=True)]
        back = [f"{self._px(a):.1f},{self._py(b):.1f}" for a, b in zip(x, low, strict=True)][::-1]
        self._parts.append(f'<polygon points="{" ".join([*there, *back])}" fill="{colour}" opacity="0.18"/>')

    def svg(self) -> str:
        """Return the picture."""
        frame = f'<path d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" stroke="#333" fill="none"/>'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
            'font-family="system-ui, sans-serif" font-size="12" role="img">\n'
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n{frame}\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )


def peeking() -> str:
    """Return one comparison of a model with itself, chosen because the naive test errs on it."""
    generator = np.random.default_rng(_SEED)
    looks = simulate_pairs(generator, 200, looks=200, pairs_per_look=100, loss=0.03, win=0.03)
    n = np.arange(1, 201) * 100.0
    z = (looks.losses - looks.wins) / np.sqrt(np.maximum(1, looks.losses + looks.wins))
    naive = norm.sf(z)
    chosen = int(np.argmax((naive < 0.02).any(axis=1)))
    log_e = log_e_ltw(looks.losses[chosen], looks.ties[chosen], looks.wins[chosen], 0.0, "harm")
    ours = np.minimum.accumulate(np.minimum(1.0, np.exp(-log_e)))
    plot = Plot("A model against itself, looked at 200 times (simulated)", "pairs", 20_000, (-2.6, 0.05))
    for value in (1.0, 0.1, 0.01):
        plot.tick(math.log10(value), f"{value:g}")
    plot.line(n, np.log10(naive[chosen]), _RED)
    plot.line(n, np.log10(ours), _BLUE)
    plot.level(math.log10(0.05), "p = 0.05")
    plot.name(math.log10(float(naive[chosen, -1])), "fixed-sample p-value", _RED)
    plot.name(math.log10(float(ours[-1])), "anytime-valid p-value", _BLUE)
    return plot.svg()


def thresholds() -> str:
    """Return the confidence sequence of a treatment without any loss, with the two thresholds of a decision."""
    looks = simulate_pairs(np.random.default_rng(_SEED), 1, looks=100, pairs_per_look=50, loss=0.03, win=0.03)
    counts = np.stack([looks.losses[0], looks.ties[0], looks.wins[0]], axis=1)
    states = [DifferenceCounts.from_ltw(*map(int, row)) for row in counts]
    found = [e for e in confidence_sequences(states, 0.05) if isinstance(e, Estimate)]
    n = np.array([e.n for e in found], dtype=np.float64)
    low = np.maximum.accumulate(np.array([e.lower for e in found]))
    high = np.minimum.accumulate(np.array([e.upper for e in found]))
    plot = Plot(
        "Difference of right answers, in points: what no look has ruled out (simulated)", "pairs", 5_000, (-0.06, 0.06)
    )
    for value in (-0.06, -0.03, 0.0, 0.03, 0.06):
        plot.tick(value, f"{value * 100:+.0f}" if value else "0")
    plot.band(n, low, high, _BLUE)
    plot.line(n, np.array([e.value for e in found]), _BLUE)
    plot.level(0.0, "no difference")
    plot.level(-0.01, "tolerance: below it, roll back", _RED)
    plot.level(-0.02, "margin: above it, promote", "#1b7f3b")
    return plot.svg()


def main() -> None:
    """Write the pictures."""
    for name, draw in (("peeking", peeking), ("thresholds", thresholds)):
        (IMAGES / f"{name}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
