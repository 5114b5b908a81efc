"""Maps the methods of planning, multiplicity, group-sequential tests and display to the product's public functions.

`METHODS[name](inputs) -> outputs`, both with the keys of `reference_cases.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.bayes import beta_binomial_posterior, paired_posterior
from analysis.decision_time import OracleTime, oracle_time
from analysis.group_sequential import (
    Boundaries,
    lan_demets,
    obrien_fleming,
    obrien_fleming_constant,
    operating_characteristics,
    pocock,
    pocock_constant,
    pocock_spending,
    power_spending,
)
from analysis.multiplicity import benjamini_hochberg, e_bh, e_bonferroni, holm, log_average_e
from analysis.power import (
    SampleSize,
    paired_harm_sample_size,
    paired_noninferiority_sample_size,
    unpaired_noninferiority_sample_size,
)
from analysis.slices import Shrinkage, shrink

Case = dict[str, Any]


def _logs(e_values: list[float]) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(e_values, dtype=np.float64))


def _average(x: Case) -> Case:
    average = float(np.exp(log_average_e(_logs(x["e"]), x["weights"])))
    alarms = e_bonferroni(_logs(x["e"]), 0.05, x["weights"]).rejected
    return {"avg": average, "reject_at_alpha_05": average >= 1 / 0.05, "bonferroni_reject_index": list(alarms)}


def _obrien_fleming(x: Case) -> Case:
    plan = obrien_fleming(x["K"], x["alpha"])
    return {"c": obrien_fleming_constant(x["K"], x["alpha"]), "bounds": list(plan.upper)}


def _constants(x: Case) -> Case:
    return {
        "pocock": [pocock_constant(looks, x["alpha"]) for looks in x["K"]],
        "obf": [obrien_fleming_constant(looks, x["alpha"]) for looks in x["K"]],
    }


def _bounds(plan: Boundaries) -> Case:
    return {"bounds": list(plan.upper), "spent": list(plan.spent)}


def _costs(x: Case) -> Case:
    found = {}
    for name, plan in (("pocock", pocock), ("obf", obrien_fleming)):
        costs = operating_characteristics(plan(x["K"], x["alpha_two_sided"]), x["power"])
        found[name] = {"R": costs.inflation, "ASN_H1": costs.average_alternative, "ASN_H0": costs.average_null}
    return found


def _benjamini_hochberg(x: Case) -> Case:
    found = benjamini_hochberg(x["p"], x["q"])
    return {"n_rejected": len(found.rejected), "adjusted": list(found.adjusted_p)}


def _better(x: Case) -> Case:
    found = beta_binomial_posterior(tuple(x["control"]), tuple(x["treatment"]), prior=tuple(x["prior"]))
    return {"p_treatment_better": found.probability}


def _paired(x: Case) -> Case:
    found = paired_posterior(x["losses"], x["ties"], x["wins"], x["margin"], tuple(x["prior"]))
    return {"p": found.probability}


def _shrink(x: Case) -> Case:
    found = shrink(x["y"], x["se"])
    assert isinstance(found, Shrinkage)
    return {
        "Q": found.heterogeneity,
        "tau2": found.variance_between,
        "mu": found.mean,
        "se": found.standard_error,
        "shrunk": list(found.shrunk),
    }


def _pairs(found: object) -> Case:
    assert isinstance(found, SampleSize)
    return {"n_pairs": found.exact}


def _per_arm(x: Case) -> Case:
    found = unpaired_noninferiority_sample_size(
        x["p_t"], x["p_c"], x["margin"], x["alpha_one_sided"], x["power"], x["ratio"]
    )
    assert isinstance(found, SampleSize)
    return {"n_per_arm": found.exact}


def _harm(x: Case) -> Case:
    # The formula is that of the side on which the truth is.
    more, fewer = max(x["p_loss"], x["p_win"]), min(x["p_loss"], x["p_win"])
    return _pairs(paired_harm_sample_size(more, fewer, x["alpha_one_sided"], x["power"]))


def _time(x: Case) -> Case:
    found = oracle_time(x["p_loss"], x["p_win"], x["alpha"])
    assert isinstance(found, OracleTime)
    return {"kl_per_discordant": found.growth_per_discordant, "oracle_pairs": found.units}


METHODS: dict[str, Callable[[Case], Case]] = {
    "combine_evalues_average": _average,
    "e_bh": lambda x: {"rejected": list(e_bh(_logs(x["e"]), x["alpha"]).rejected)},
    "holm": lambda x: {"adjusted": list(holm(x["p"], x["alpha"]).adjusted_p)},
    "benjamini_hochberg": _benjamini_hochberg,
    "pocock_constant_two_sided": lambda x: {"c": pocock_constant(x["K"], x["alpha"])},
    "obrien_fleming_constant_two_sided": _obrien_fleming,
    "pocock_obf_constants_two_sided": _constants,
    "lan_demets_obf_spending": lambda x: _bounds(lan_demets(x["info_fractions"], x["alpha_one_sided"])),
    "lan_demets_pocock_spending": lambda x: _bounds(
        lan_demets(x["info_fractions"], x["alpha_two_sided"], 2, pocock_spending)
    ),
    "power_family_spending": lambda x: _bounds(
        lan_demets(x["info_fractions"], x["alpha"], x["sides"], power_spending(x["exponent"]))
    ),
    "gst_inflation_and_asn": _costs,
    "beta_binomial_prob_better": _better,
    "dirichlet_paired_prob_noninferior": _paired,
    "dersimonian_laird_shrinkage": _shrink,
    "sample_size_paired_NI_tango": lambda x: _pairs(
        paired_noninferiority_sample_size(x["p_loss"], x["p_win"], x["margin"], x["alpha_one_sided"], x["power"])
    ),
    "sample_size_mcnemar_one_sided": _harm,
    "sample_size_two_proportion_NI_FM": _per_arm,
    "expected_time_to_decision_eprocess": _time,
}
