"""What the treatment saves a day and a month: money, machine time, energy, carbon; or why that cannot be told. Pure.

The figure is for all of the experiment's traffic, at the rate seen so far: the relative change of the typical unit,
with its interval (asymptotic, 95 %, valid at every look), times control's mean per answer, times the live requests of a
day. A bill adds up means, though. So the means of the pairs are held against it; where they say otherwise, they are
what is shown, without an interval.
"""

from __future__ import annotations

import msgspec

from experiments.evidence import Evidence, MetricEvidence
from experiments.model import TREATMENT, Phase
from experiments.showing.numbers import amount, span
from experiments.showing.standing import Standing

UNITS = {"cost": "USD", "gpu_hours": "GPU-hours", "energy": "kWh", "carbon": "g CO2e"}
TITLES = {"cost": "Money", "gpu_hours": "Machine time", "energy": "Energy", "carbon": "Carbon"}
DAYS_A_MONTH = 365.25 / 12
_AGREEMENT = 0.15
"""Means may say so much more or less, as a share of the change, until they count as saying something else."""
_MS_PER_HOUR = 3_600_000.0


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """What is saved a day if the treatment serves all of the experiment's traffic; negative if it costs more."""

    metric: str
    title: str = ""
    """What it is called on a page."""
    unit: str
    per_day: float | None = None
    lower: float | None = None
    """None with `upper`: no interval can be given."""
    upper: float | None = None
    per_month: float | None = None
    """Of 30.4 days, at the rate seen so far; likewise with its interval."""
    month_lower: float | None = None
    month_upper: float | None = None
    so_far: float | None = None
    """By the answers that the treatment has given users in this epoch; None if they have not been added up."""
    text: str
    """In words."""
    monthly: str = ""
    """The projection in words."""
    basis: str = ""
    """What it rests on."""
    why_not: str = ""
    """Why there is no figure."""


def savings(standing: Standing) -> list[Saving]:
    """Return what is known of money and carbon, one each."""
    return [saving(standing, metric) for metric in ("cost", "carbon")]


def saving(standing: Standing, metric: str) -> Saving:
    """Return what is known of one of `UNITS`.

    The projection takes the traffic as it was seen: its interval is that of what one request saves, and nothing else.
    """
    evidence, days = standing.evidence, standing.days_run
    row = _row(standing, metric)
    missing = _missing(evidence, row, days, metric)
    if missing or evidence is None or row is None or not days:
        return Saving(
            metric=metric, title=TITLES[metric], unit=UNITS[metric], text=f"cannot tell: {missing}", why_not=missing
        )
    repeated = _repeated_share(standing)
    requests = evidence.exchanges * (1 - repeated) / days
    each, *ends_each = _per_request(row, row.control_mean or 0.0, row.treatment_mean or 0.0)
    day, month = (_scaled((each, *ends_each), requests * count) for count in (1.0, DAYS_A_MONTH))
    answers, real = _answers_of_treatment(standing), standing.phase is Phase.PROMOTED
    return Saving(
        metric=metric,
        title=TITLES[metric],
        unit=UNITS[metric],
        per_day=day[0],
        lower=day[1],
        upper=day[2],
        per_month=month[0],
        month_lower=month[1],
        month_upper=month[2],
        so_far=answers * each if answers is not None else None,
        text=_text(day, f"{UNITS[metric]} a day", real=real),
        monthly=_text(month, f"{UNITS[metric]} a month", real=real),
        basis=(
            f"{amount(requests)} requests a day{_of_which(repeated)}, {_seen(days)}; {_source(standing, metric)}; "
            "without what mirrored requests cost meanwhile"
        ),
    )


def _row(standing: Standing, metric: str) -> MetricEvidence | None:
    """Return the evidence of a metric, with the means of both variants in its unit here."""
    evidence = standing.evidence
    row = evidence.of("latency" if metric == "gpu_hours" else metric) if evidence is not None else None
    if row is None or metric not in {"gpu_hours", "energy"}:
        return row
    if metric == "energy":
        return _in_other_units(row, 1e-3, 1e-3)
    if standing.concurrencies is None:
        return None
    return _in_other_units(row, *(1 / _MS_PER_HOUR / shared for shared in standing.concurrencies))


def _in_other_units(row: MetricEvidence, control: float, treatment: float) -> MetricEvidence:
    """Multiply the means of both variants; where the factors differ, the ratio and its interval move with them."""
    factor, found = treatment / control, row.interval
    ends = [None if end is None else (1 + end) * factor - 1 for end in ((found.lower, found.upper) if found else ())]
    return msgspec.structs.replace(
        row,
        control_mean=None if row.control_mean is None else row.control_mean * control,
        treatment_mean=None if row.treatment_mean is None else row.treatment_mean * treatment,
        estimate=None if row.estimate is None else (1 + row.estimate) * factor - 1,
        interval=msgspec.structs.replace(found, lower=ends[0], upper=ends[1]) if found is not None else None,
    )


def _repeated_share(standing: Standing) -> float:
    """Return the share of answers from the cache: they cost neither variant anything."""
    variants = standing.account.variants if standing.account is not None else []
    answers = sum(variant.answers for variant in variants)
    return sum(variant.repeated for variant in variants) / answers if answers else 0.0


def _answers_of_treatment(standing: Standing) -> int | None:
    variants = standing.account.variants if standing.account is not None else []
    return next((v.answers - v.repeated for v in variants if v.variant == TREATMENT), None)


def _scaled(each: tuple[float | None, ...], count: float) -> tuple[float, float | None, float | None]:
    by_means, lower, upper = (None if figure is None else figure * count for figure in each)
    return by_means or 0.0, lower, upper


def _of_which(repeated: float) -> str:
    return f" (without the {100 * repeated:.0f} % that the cache repeats)" if repeated else ""


def _missing(evidence: Evidence | None, row: MetricEvidence | None, days: float | None, metric: str) -> str:
    if evidence is None or not evidence.exchanges or not days:
        return "no request has come in yet"
    if row is None:
        return _unknown(metric)
    if not row.pairs or row.control_mean is None or row.treatment_mean is None:
        return f"no pair with a known {metric} yet"
    return ""


def _unknown(metric: str) -> str:
    if metric == "cost":
        return "no pair has a known cost; both backends need a price, and their answers the number of tokens"
    if metric == "gpu_hours":
        return "no pair has a known machine time; both backends need price.gpu_hour or power, with their concurrency"
    if metric == "energy":
        return "no pair has a known energy; both backends need their power"
    return "no pair has a known carbon figure; both backends need their power and the grid's intensity"


def _per_request(row: MetricEvidence, control: float, treatment: float) -> tuple[float, float | None, float | None]:
    """Return what one request saves, with its interval if there is one and the means agree with it."""
    by_means, found = control - treatment, row.interval
    if row.estimate is None or found is None or found.lower is None or found.upper is None or control <= 0:
        return by_means, None, None
    apart = abs(row.estimate - (treatment / control - 1))
    if apart > max((found.upper - found.lower) / 2, _AGREEMENT * abs(row.estimate)):
        return by_means, None, None
    return -control * row.estimate, -control * found.upper, -control * found.lower


def _source(standing: Standing, metric: str) -> str:
    if metric == "cost":
        return "by the configured prices"
    if metric == "gpu_hours":
        return "by the time that answers took, shared by the configured concurrency"
    uncertain = standing.power_uncertainty_percent
    within = "" if uncertain is None else f", uncertain by {uncertain:g} %"
    return f"estimated from the configured power, not measured{within}"


def _seen(days: float) -> str:
    return f"as seen in {span(days)}" if days >= 1 else f"extrapolated from {span(days)}"


def _text(saved: tuple[float, float | None, float | None], unit: str, *, real: bool) -> str:
    """Say what is saved, if the treatment serves all (`real`), or what would be."""
    value, lower, upper = saved
    said = f"{amount(value)} {unit}"
    if value >= 0:
        said = f"saves {said}" if real else f"would save {said}"
    else:
        said = f"costs {said} more" if real else f"would cost {said} more"
    if lower is None or upper is None:
        return f"{said}, as far as is seen; how sure that is cannot be told yet"
    if lower <= 0 <= upper:
        return f"cannot tell whether it saves: between {_signed(lower)} and {_signed(upper)} {unit}"
    low, high = sorted((abs(lower), abs(upper)))
    return f"{said} ({amount(low)} to {amount(high)}, 95 %, asymptotic)"


def _signed(value: float) -> str:
    return ("-" if value < 0 else "+" if value > 0 else "") + amount(value)
