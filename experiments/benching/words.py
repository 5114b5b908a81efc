"""What a benchmark says, in one plain sentence. Pure."""

from __future__ import annotations

from analysis.multiplicity import holm
from analysis.result import Estimate, NotEstimable
from experiments.benching.accuracy import Accuracy, Contrast
from experiments.benching.benchmark import Benchmark
from experiments.model import CONTROL, TREATMENT

CANNOT_TELL = "cannot tell"
MOST_VALUES = 20
"""A tag with more values is not shown by value."""
_ALPHA = 0.05


def summary(found: Benchmark, margin: float | None = None) -> str:
    """Return the sentence below the table: how fast, and how good.

    Args:
        found: All figures.
        margin: A loss of this share of the items that would be accepted; None to name no such loss.
    """
    silent = [variant for variant in (CONTROL, TREATMENT) if not found.speeds[variant].answered]
    if silent:
        return f"Cannot tell: {' and '.join(silent)} answered no request."
    return f"The treatment {speed_words(found.times_faster)}; {accuracy_words(found, margin)}."


def speed_words(ratio: Estimate | NotEstimable) -> str:
    """Say how fast the treatment is.

    >>> speed_words(Estimate(2.1, 2.0, 2.2, 0.95, 48, ""))
    'is 2.10 times as fast as control (95 % CI 2.00 to 2.20)'
    >>> speed_words(Estimate(0.99, 0.97, 1.01, 0.95, 48, ""))
    'may be faster or slower: cannot tell (0.99 times as fast, 95 % CI 0.97 to 1.01)'
    """
    if isinstance(ratio, NotEstimable):
        return f"may be faster or slower: cannot tell ({ratio.reason})"
    interval = f"95 % CI {times(ratio.lower)} to {times(ratio.upper)}"
    if ratio.lower <= 1 <= ratio.upper:
        return f"may be faster or slower: cannot tell ({times(ratio.value)} times as fast, {interval})"
    if ratio.value > 1:
        return f"is {times(ratio.value)} times as fast as control ({interval})"
    slower = f"95 % CI {times(1 / ratio.upper)} to {times(1 / ratio.lower)}"
    return f"takes {times(1 / ratio.value)} times as long as control ({slower})"


def accuracy_words(found: Benchmark, margin: float | None = None) -> str:
    """Say how good the treatment is, and in which tags a loss is shown."""
    if found.accuracy is None:
        return f"accuracy: cannot tell ({found.not_judged_because})"
    overall = found.accuracy.overall
    said = f"accuracy {points(overall.difference)} points ({interval_words(overall)}): {verdict(overall, margin)}"
    tags = ", ".join(worse_in(found))
    if not tags:
        return said
    return f"{said}, shown for {tags}" if verdict(overall) == "worse" else f"{said}, but worse for {tags}"


def verdict(contrast: Contrast, margin: float | None = None) -> str:
    """Return "worse", "better", "not worse by more than ...", or "cannot tell"."""
    interval = contrast.interval
    if isinstance(interval, NotEstimable):
        return CANNOT_TELL
    # Where few items differ an interval may exclude 0 though the exact test does not.
    if interval.upper < 0 and contrast.p_value < _ALPHA:
        return "worse"
    if interval.lower > 0 and contrast.p_value < _ALPHA:
        return "better"
    if margin is not None and interval.lower > -margin:
        return f"not worse by {100 * margin:g} points or more"
    return (
        f"{CANNOT_TELL} which is better; a loss of more than {max(0.0, -100 * interval.lower):.1f} points is ruled out"
    )


def worse_in(found: Benchmark) -> list[str]:
    """Return the tags in which the treatment is worse; by Holm, one of all tags is named wrongly in 5 % of runs."""
    rows = {} if found.accuracy is None else named(found.accuracy)
    if not rows:
        return []
    adjusted = holm([contrast.p_value for contrast in rows.values()]).adjusted_p
    pairs = zip(rows.items(), adjusted, strict=True)
    return [name for (name, contrast), p in pairs if contrast.difference < 0 and p < _ALPHA]


def named(accuracy: Accuracy) -> dict[str, Contrast]:
    """Return name of a tag -> contrast; a tag of very many values (a template, an id) is no group to look at."""
    return {
        f"{tag}={value}" if value else tag: contrast
        for tag, values in accuracy.by_tag.items()
        if len(values) <= MOST_VALUES
        for value, contrast in values.items()
    }


def interval_words(contrast: Contrast) -> str:
    """Return the interval of the difference in points, or why there is none."""
    if isinstance(contrast.interval, NotEstimable):
        return contrast.interval.reason
    return f"95 % CI {points(contrast.interval.lower)} to {points(contrast.interval.upper)}"


def points(share: float) -> str:
    """Return a difference of shares in percentage points.

    >>> points(-0.1042), points(-0.0001)
    ('-10.4', '0.0')
    """
    text = f"{100 * share:+.1f}"
    return "0.0" if text in {"-0.0", "+0.0"} else text


def times(ratio: float) -> str:
    """Return a ratio with two decimals; from 10 on with one."""
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"
