"""How many units of each variant gave feedback at all, and whether that differs. Pure.

Users of a better variant may vote more, or less: if the shares differ, the votes are of two different groups. That is
a caution and no evidence, so a test at one look is good enough, at a level that keeps it quiet through many looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from analysis.result import NotEstimable
from analysis.stratified import Stratum, cochran_mantel_haenszel
from experiments.evaluation.ledger import Ledger, Strata
from experiments.evidence import Response
from experiments.model import CONTROL, TREATMENT

LEVEL = 0.001
"""Of the test at one look."""


def responses(ledger: Ledger) -> Iterator[Response]:
    """Yield the response rate of control and of the treatment, for every feedback metric."""
    for metric in ledger.feedback_metrics:
        strata = list(_strata(ledger.exposures, ledger.answered.get(metric, {})))
        for variant, counts in (
            (CONTROL, [(s.n_control, s.x_control) for s in strata]),
            (TREATMENT, [(s.n_treatment, s.x_treatment) for s in strata]),
        ):
            yield Response(
                metric=metric,
                variant=variant,
                units=sum(units for units, _ in counts),
                answered=sum(answered for _, answered in counts),
            )


def unequal(ledger: Ledger) -> Iterator[str]:
    """Yield the feedback metrics whose response rates differ beyond chance, within the stages of the ramp."""
    for metric in ledger.feedback_metrics:
        strata = list(_strata(ledger.exposures, ledger.answered.get(metric, {})))
        if not any(s.x_control or s.x_treatment for s in strata):
            continue
        found = cochran_mantel_haenszel(strata)
        if not isinstance(found, NotEstimable) and found.p_value < LEVEL:
            yield metric


def _strata(exposures: Strata, answered: Strata) -> Iterable[Stratum]:
    """Return the strata in which both variants had a chance: only there the two are comparable."""
    for key, (control, treatment) in sorted(exposures.items()):
        if 0 < key[1] < 10_000:
            by_control, by_treatment = answered.get(key, (0, 0))
            yield Stratum(by_treatment, treatment, by_control, control)
