"""Maps the fixed-horizon methods and those on quantiles to the product's public functions.

`METHODS[name](inputs) -> outputs`, both with the keys of `reference_cases.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.comparison import Alternative, Comparison, Equivalence
from analysis.cuped import Cuped, cuped, cuped_variance_factor
from analysis.joint_moments import JointMoments
from analysis.paired_means import paired_equivalence, paired_noninferiority_mean, paired_t
from analysis.proportions import (
    equivalence_proportions,
    farrington_manning,
    mee_interval,
    miettinen_nurminen_interval,
)
from analysis.quantiles import order_statistic_ranks, quantile_equality_p, quantile_sequence_ranks
from analysis.ratios import ClusterRate, RatioComparison, cluster_rate, ratio_metric
from analysis.restricted_rates import restricted_rates
from analysis.result import Estimate, TestResult
from analysis.sequential import MeanState
from analysis.signed_rank import HodgesLehmann, hodges_lehmann, wilcoxon_signed_rank
from analysis.stratified import MantelHaenszel, Stratum, cochran_mantel_haenszel, mantel_haenszel_difference
from analysis.two_sample import welch, welch_relative

Case = dict[str, Any]


def _interval(found: object) -> Case:
    assert isinstance(found, Estimate)
    return {"estimate": found.value, "lower": found.lower, "upper": found.upper}


def _farrington_manning(x: Case) -> Case:
    sides: dict[str, Alternative] = {"p1-p2>null": "greater", "p1-p2<null": "less", "p1-p2!=null": "two-sided"}
    table = x["x1"], x["n1"], x["x2"], x["n2"], x["null_difference"]
    found = farrington_manning(*table, sides[x["alternative"]])
    assert isinstance(found, TestResult)
    q1, q2 = restricted_rates(*table)
    return {"p1_restricted": q1, "p2_restricted": q2, "z": found.statistic, "p_one_sided": found.p_value}


def _tost_proportions(x: Case) -> Case:
    found = equivalence_proportions(x["x1"], x["n1"], x["x2"], x["n2"], x["margin"])
    assert isinstance(found, Equivalence)
    return {"z_lower": found.statistic_low, "z_upper": found.statistic_high, "p_tost": found.p_value}


def _cmh(x: Case) -> Case:
    strata = [Stratum(*row) for row in zip(x["x1"], x["n1"], x["x2"], x["n2"], strict=True)]
    test, found = cochran_mantel_haenszel(strata), mantel_haenszel_difference(strata)
    assert isinstance(test, TestResult)
    assert isinstance(found, MantelHaenszel)
    return {"cmh_chi2": test.statistic, "p": test.p_value, "mh_risk_difference": found.difference.value}


def _simpson(x: Case) -> Case:
    found = mantel_haenszel_difference([Stratum(s["x_t"], s["n_t"], s["x_c"], s["n_c"]) for s in x["stages"]])
    assert isinstance(found, MantelHaenszel)
    return {
        "pooled_diff": found.pooled_difference,
        "stage_diffs": list(found.stratum_differences),
        "mh_weighted_diff": found.difference.value,
        "decision": "treatment worse" if found.difference.upper < 0 else "treatment NOT worse",
    }


def _differences(x: Case) -> np.ndarray:
    return np.array(x["x"], dtype=np.float64) - np.array(x["y"], dtype=np.float64)


def _paired_t(x: Case) -> Case:
    found = paired_t(MeanState.of(_differences(x)))
    assert isinstance(found, Comparison)
    return {
        "t": found.statistic,
        "df": found.degrees_of_freedom,
        "p_two_sided": found.p_value,
        "ci95": [found.lower, found.upper],
    }


def _wilcoxon(x: Case) -> Case:
    found = wilcoxon_signed_rank(_differences(x), alternative=x["alternative"])
    assert isinstance(found, TestResult)
    return {"V": found.statistic, "p": found.p_value}


def _hodges_lehmann(x: Case) -> Case:
    found = hodges_lehmann(_differences(x), x.get("conf_level", 0.95))
    assert isinstance(found, HodgesLehmann)
    return {
        "hl": found.value,
        "n_walsh": found.walsh_averages,
        "lower": found.lower,
        "upper": found.upper,
        "rank_1based": found.rank,
        "exact_level": found.achieved_level,
    }


def _tost_paired(x: Case) -> Case:
    found = paired_equivalence(MeanState.of(_differences(x)), x["low"], x["upp"])
    assert isinstance(found, Equivalence)
    return {"p": found.p_value, "p_lower": found.p_low, "p_upper": found.p_high}


def _paired_noninferiority(x: Case) -> Case:
    found = paired_noninferiority_mean(MeanState.of(x["d"]), x["margin_upper"], higher_is_better=False)
    assert isinstance(found, Comparison)
    return {
        "mean": found.value,
        "upper95_one_sided": found.upper,
        "noninferior": found.rejected,
        "p_NI": found.p_value,
    }


def _mean_state(x: Case) -> MeanState:
    mean = x["sum"] / x["n"]
    return MeanState(x["n"], mean, x["sum_squares"] - x["n"] * mean**2)


def _welch(x: Case) -> Case:
    found = welch(_mean_state(x["treatment"]), _mean_state(x["control"]), level=1 - x["alpha"])
    assert isinstance(found, Comparison)
    return {"diff": found.value, "ci": [found.lower, found.upper], "p": found.p_value}


def _welch_relative(x: Case) -> Case:
    found = welch_relative(_mean_state(x["treatment"]), _mean_state(x["control"]), level=1 - x["alpha"])
    assert isinstance(found, Comparison)
    return {
        "lift": found.value,
        "se": found.standard_error,
        "ci": [found.lower, found.upper],
        "p": found.p_value,
    }


def _moments(arm: Case, y: str, x: str) -> JointMoments:
    sums, squares = (arm[f"sum_{y}"], arm[f"sum_{x}"]), (arm[f"ss_{y}"], arm[f"ss_{x}"])
    return JointMoments.of_sums(arm["n"], sums, squares, arm[f"sp_{y}_{x}"])


def _cuped(x: Case) -> Case:
    # The file's theta is the slope within arms; its difference, from tea-tasting and gbstats, uses that of the whole
    # sample.
    arms = _moments(x["treatment"], "y", "pre"), _moments(x["control"], "y", "pre")
    within, whole = cuped(*arms), cuped(*arms, slope="whole_sample")
    assert isinstance(within, Cuped)
    assert isinstance(whole, Cuped)
    return {
        "theta": within.theta,
        "diff": whole.adjusted.value,
        "ci": [whole.adjusted.lower, whole.adjusted.upper],
        "p": whole.adjusted.p_value,
        "unadjusted_diff": whole.unadjusted.value,
        "unadjusted_ci": [whole.unadjusted.lower, whole.unadjusted.upper],
    }


def _ratio(x: Case) -> Case:
    names = x["numerator"], x["denominator"]
    found = ratio_metric(_moments(x["treatment"], *names), _moments(x["control"], *names))
    assert isinstance(found, RatioComparison)
    return {
        "r_control": found.control,
        "r_treatment": found.treatment,
        "diff": found.difference.value,
        "ci": [found.difference.lower, found.difference.upper],
        "p": found.difference.p_value,
    }


def _cuped_factor(x: Case) -> Case:
    factor = cuped_variance_factor(x["rho"])
    return {"variance_factor": factor, "sample_size_factor": factor}


def _cluster_rate(x: Case) -> Case:
    found = cluster_rate(x["successes_per_user"], x["requests_per_user"])
    assert isinstance(found, ClusterRate)
    return {"rate": found.value, "var_cluster": found.variance, "var_naive": found.variance_naive}


def _sequence_ranks(x: Case) -> Case:
    found = quantile_sequence_ranks(x["n"], x["p"], x["alpha"], x["t_opt"])
    return {"lower_rank_1based": found.lower, "upper_rank_1based": found.upper}


def _values(given: str | list[float]) -> list[float]:
    """Return "1..1000" as all whole numbers from the first to the last; a list as it is."""
    if not isinstance(given, str):
        return given
    first, last = given.split("..")
    return [float(value) for value in range(int(first), int(last) + 1)]


def _equality(x: Case) -> Case:
    found = quantile_equality_p(_values(x["a"]), _values(x["b"]), x["quantile"], x["t_opt"], x["alpha_opt"])
    return {"p": found.p_value}


def _order_statistics(x: Case) -> Case:
    found = order_statistic_ranks(x["n"], x["p"], x["conf_level"])
    return {"lower_rank": found.lower, "upper_rank": found.upper, "exact_coverage": found.coverage}


METHODS: dict[str, Callable[[Case], Case]] = {
    "farrington_manning_noninferiority": _farrington_manning,
    "miettinen_nurminen_ci": lambda x: _interval(
        miettinen_nurminen_interval(x["x1"], x["n1"], x["x2"], x["n2"], x["conf_level"])
    ),
    "mee_score_ci": lambda x: _interval(mee_interval(x["x1"], x["n1"], x["x2"], x["n2"], x["conf_level"])),
    "tost_two_proportions_FM": _tost_proportions,
    "stratified_CMH": _cmh,
    "simpson_ramp": _simpson,
    "paired_t": _paired_t,
    "wilcoxon_signed_rank_exact": _wilcoxon,
    "hodges_lehmann_paired": _hodges_lehmann,
    "hodges_lehmann_ci_exact": _hodges_lehmann,
    "tost_paired_t": _tost_paired,
    "paired_noninferiority_mean": _paired_noninferiority,
    "welch_absolute": _welch,
    "welch_relative_delta_method": _welch_relative,
    "cuped_diff_in_means": _cuped,
    "ratio_metric_delta_method": _ratio,
    "cuped_variance_reduction": _cuped_factor,
    "cluster_robust_rate_variance": _cluster_rate,
    "quantile_confidence_sequence_ranks": _sequence_ranks,
    "quantile_ab_sequential_pvalue": _equality,
    "quantile_ci_order_statistics": _order_statistics,
}
