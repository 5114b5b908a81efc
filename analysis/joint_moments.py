"""Sums of two numbers per unit, from which ratio metrics, cluster-robust rates and CUPED are computed."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from analysis.checks import check_count, check_finite, check_values

_ROUNDING = 1e-14
"""Share of the spread that is rounding, not variation."""


@dataclass(frozen=True, slots=True)
class JointMoments:
    """Means, squared deviations and co-deviations of two numbers y and x per unit; mergeable up to rounding."""

    n: int = 0
    """Independent units."""
    mean_y: float = 0.0
    mean_x: float = 0.0
    m2_y: float = 0.0
    """Sum of squared deviations of y."""
    m2_x: float = 0.0
    cross: float = 0.0
    """Sum of products of the deviations."""

    @classmethod
    def of(cls, y: ArrayLike, x: ArrayLike) -> JointMoments:
        """Summarise two arrays of shape (units,).

        Raises:
            ValueError: They differ in length, or a value is not finite.

        >>> JointMoments.of([1, 3], [2, 6])
        JointMoments(n=2, mean_y=2.0, mean_x=4.0, m2_y=2.0, m2_x=8.0, cross=4.0)
        """
        first, second = check_values(y, "y"), check_values(x, "x")
        if first.size != second.size:
            raise ValueError(f"len(x) == {second.size}, must be len(y) == {first.size}")
        if first.size == 0:
            return cls()
        dy, dx = first - first.mean(), second - second.mean()
        means = float(first.mean()), float(second.mean())
        return cls(int(first.size), *means, float((dy**2).sum()), float((dx**2).sum()), float((dy * dx).sum()))

    @classmethod
    def of_sums(cls, n: int, sums: tuple[float, float], squares: tuple[float, float], products: float) -> JointMoments:
        """Take the sums of (y, x), of their squares and of their products.

        Raises:
            ValueError: `n` is negative, or a sum is not finite.

        >>> JointMoments.of_sums(2, (4, 8), (10, 40), 20)
        JointMoments(n=2, mean_y=2.0, mean_x=4.0, m2_y=2.0, m2_x=8.0, cross=4.0)
        """
        if check_count(n, "n") == 0:
            return cls()
        for sum_of, value in zip(("sums[0]", "sums[1]", "squares[0]", "squares[1]"), (*sums, *squares), strict=True):
            check_finite(value, sum_of)
        (sum_y, sum_x), (squares_y, squares_x) = sums, squares
        m2_y, m2_x = max(0.0, squares_y - sum_y**2 / n), max(0.0, squares_x - sum_x**2 / n)
        return cls(n, sum_y / n, sum_x / n, m2_y, m2_x, check_finite(products, "products") - sum_y * sum_x / n)

    def merge(self, other: JointMoments) -> JointMoments:
        """Add another shard (Chan et al. 1979)."""
        n = self.n + other.n
        if n == 0:
            return JointMoments()
        dy, dx, weight = other.mean_y - self.mean_y, other.mean_x - self.mean_x, self.n * other.n / n
        return JointMoments(
            n,
            self.mean_y + dy * other.n / n,
            self.mean_x + dx * other.n / n,
            self.m2_y + other.m2_y + dy * dy * weight,
            self.m2_x + other.m2_x + dx * dx * weight,
            self.cross + other.cross + dy * dx * weight,
        )

    def residual_variance(self, slope: float) -> float:
        """Return the sample variance of y - slope * x, for two units or more; 0 where it is rounding."""
        left = self.m2_y - 2 * slope * self.cross + slope * slope * self.m2_x
        noise = _ROUNDING * (self.m2_y + slope * slope * self.m2_x)
        noise += self.n * (_ROUNDING * max(abs(self.mean_y), abs(slope * self.mean_x))) ** 2
        return left / (self.n - 1) if left > noise else 0.0

    @property
    def noise_x(self) -> float:
        """Return the sum of squared deviations of x that rounding alone can make."""
        return self.n * (_ROUNDING * self.mean_x) ** 2
