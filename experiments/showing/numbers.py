"""Numbers for people: rounded, and never without their unit. Pure."""

from __future__ import annotations

from experiments.config.records import Experiment
from experiments.evidence import Kind, MetricEvidence
from experiments.scoring.operational import UNITS

_CHANGES = {
    "cost": ("{} cheaper", "{} dearer"),
    "latency": ("{} faster", "{} slower"),
    "ttft": ("first word {} sooner", "first word {} later"),
    "inter_token": ("words follow {} faster", "words follow {} slower"),
    "tokens_per_second": ("{} fewer tokens per second", "{} more tokens per second"),
    "energy": ("{} less energy", "{} more energy"),
    "carbon": ("{} less CO2e", "{} more CO2e"),
}


def rounded(number: float) -> str:
    """Write the size of a number as one would say it: with two digits, or all those before the point.

    >>> rounded(9.06), rounded(31.4), rounded(2.0), rounded(0.0423), rounded(0)
    ('9.1', '31', '2', '0.042', '0')
    """
    size = abs(number)
    if size >= 10:
        return f"{size:,.0f}"
    return f"{size:.1f}".removesuffix(".0") if size >= 1 else f"{size:.2g}"


def amount(number: float) -> str:
    """Write the size of an amount with three digits, whatever its size.

    >>> amount(0.7312), amount(12.345), amount(4321.0), amount(0.0)
    ('0.731', '12.3', '4,321', '0')
    """
    size = abs(number)
    return f"{size:,.0f}" if size >= 1000 else f"{size:.3g}"


def points(share: float) -> str:
    """Write the size of a difference of shares in percentage points.

    >>> points(-0.09), points(0.01), points(0.0213)
    ('9 points', '1 point', '2.1 points')
    """
    said = rounded(100 * share)
    return f"{said} point" if said == "1" else f"{said} points"


def limit(share: float) -> str:
    """Write a configured limit exactly: it is what was promised.

    >>> limit(0.025), limit(0.01)
    ('2.5 points', '1 point')
    """
    said = f"{100 * share:.6g}"
    return f"{said} point" if said == "1" else f"{said} points"


def change(metric: str, share: float) -> str:
    """Say a relative change of an operational metric.

    >>> change("cost", -0.314), change("latency", 0.05), change("cost", 0.0)
    ('31 % cheaper', '5 % slower', 'no change of cost')
    """
    size = rounded(100 * share)
    if size == "0":
        return f"no change of {metric}"
    lower, higher = _CHANGES.get(metric, (f"{metric} {{}} lower", f"{metric} {{}} higher"))
    return (lower if share < 0 else higher).format(f"{size} %")


def level(alpha: float) -> str:
    """Say how sure a claim with this chance of error is.

    >>> level(0.025), level(0.05)
    ('97.5 %', '95 %')
    """
    return f"{100 * (1 - alpha):.4g} %"


def span(days: float) -> str:
    """Say a length of time in the unit that one would use.

    >>> span(0.0001), span(0.02), span(0.5), span(3.2), span(41.0), span(1e5)
    ('less than a minute', '29 minutes', '12 hours', '3.2 days', '41 days', 'more than ten years')
    """
    minutes = days * 24 * 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 90:
        return _counted(round(minutes), "minute")
    if days < 2:
        return _counted(round(days * 24), "hour")
    if days > 3650:
        return "more than ten years"
    return f"{days:.1f}".removesuffix(".0") + " days" if days < 10 else f"{days:.0f} days"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def unit_word(experiment: Experiment) -> str:
    """Name what is randomised, in the plural: what the counts count."""
    source = experiment.unit
    if source.kind == "request":
        return "requests"
    for part, word in (("user", "users"), ("conversation", "conversations"), ("session", "sessions")):
        if part in source.name.lower():
            return word
    return "units"


def difference(row: MetricEvidence) -> str:
    """Write an estimate with its direction, in the metric's own unit.

    `+` and `-` stand for treatment minus control, whichever of the two is better.
    """
    return "-" if row.estimate is None else f"{signed(row, row.estimate)} {unit_of(row)}"


def signed(row: MetricEvidence, share: float) -> str:
    """Write a share of the metric's unit with its sign, in points or percent, without the unit."""
    value = 100 * share
    sign = "+" if value > 0 else "-" if value < 0 else ""
    return f"{sign}{rounded(value)}" if row.kind is Kind.RATIO else f"{value:+.1f}"


def unit_of(row: MetricEvidence) -> str:
    """Return `%` for a relative change, else `points`."""
    return "%" if row.kind is Kind.RATIO else "points"


def interval(row: MetricEvidence) -> str:
    """Write the interval that is valid at every look; an unbounded side is said to be so."""
    found = row.interval
    if found is None:
        return "-"
    ends = ["unbounded" if end is None else signed(row, end) for end in (found.lower, found.upper)]
    return f"{ends[0]} to {ends[1]} {unit_of(row)}"


def level_of(row: MetricEvidence, value: float | None) -> str:
    """Write a variant's own level: a share in percent, or an operational figure in its unit."""
    if value is None:
        return "-"
    if row.kind is Kind.RATIO:
        return f"{value:,.3g} {UNITS.get(row.metric, '')}".rstrip()
    return f"{100 * value:.1f} %"
