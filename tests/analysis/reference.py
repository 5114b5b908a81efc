"""Maps every method of `reference_cases.json` to the product's public function.

`METHODS[name](inputs) -> outputs`, both with the keys of the file. The adapters lie beside this file by area:
`reference_anytime`, `reference_fixed` and `reference_planning`; here are those that need no more than a line or two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# This file is loaded by its path, also from outside the repository's tests.
sys.path.insert(0, str(Path(__file__).parent))

import reference_anytime
import reference_fixed
import reference_planning

from analysis.eprocess import DifferenceCounts, log_e_betting
from analysis.event_coin import EventCoin, log_e_event
from analysis.paired import cluster_mcnemar, mcnemar, newcombe_paired, tango_interval, tango_noninferiority
from analysis.result import Estimate
from analysis.sequential import halfwidth, halfwidth_one_sided, tuning
from analysis.srm import StageCounts, srm_chi2, srm_log_bayes_factor
from analysis.two_sample import newcombe_interval

Case = dict[str, Any]


def _interval(found: object) -> Case:
    assert isinstance(found, Estimate)
    return {"estimate": found.value, "lower": found.lower, "upper": found.upper}


def _mcnemar(x: Case) -> Case:
    found = mcnemar(wins=x["n12"], losses=x["n21"])
    return {
        "z": found.z,
        "p_asymptotic": found.p_asymptotic,
        "p_continuity": found.p_continuity,
        "p_exact_conditional": found.p_exact,
        "p_midp": found.p_mid,
    }


def _tango_test(x: Case) -> Case:
    found = tango_noninferiority(x["wins"], x["losses"], x["n"], x["margin"])
    interval = _interval(tango_interval(x["wins"], x["losses"], x["n"], level=0.9))
    return {
        "estimate": interval["estimate"],
        "z": found.statistic,
        "p_one_sided": found.p_value,
        "lower_90ci": interval["lower"],
    }


def _cluster(x: Case) -> Case:
    losses, wins = zip(*x["clusters_losses_wins"], strict=True)
    found = cluster_mcnemar(losses, wins)
    naive = -mcnemar(wins=sum(wins), losses=sum(losses)).z
    return {"z": found.statistic, "p_two_sided": found.p_value, "naive_z": naive}


def _betting(x: Case) -> Case:
    side = "harm" if x["side"] == "harm" else "noninferiority"
    state = DifferenceCounts.from_ltw(x["losses"], x["ties"], x["wins"])
    log_e = log_e_betting(state, x["null_mean"], side, np.array(x["lambdas"]))
    return {"log_e": log_e, "e": float(np.exp(log_e))}


def _event_coin(x: Case) -> Case:
    state = EventCoin.of((p, arm) for arm, p in x["events_arm_and_assignment_prob"])
    return {"log_e": log_e_event(state, x["rr0"], np.array(x["rr_grid"]))}


def _halfwidths(x: Case) -> Case:
    sd, n, n_star, alpha = x["sd"], x["n"], x["n_star"], x["alpha"]
    return {
        "rho_two": tuning(n_star, alpha),
        "half_two": halfwidth(sd, n, n_star, alpha),
        "rho_one": tuning(n_star, 2 * alpha),
        "half_one": halfwidth_one_sided(sd, n, n_star, alpha),
    }


def _srm_chi2(x: Case) -> Case:
    found = srm_chi2(x["counts"], x["ratio"])
    return {"chi2": found.statistic, "p": found.p_value, "srm": found.p_value < 0.001}


def _srm(x: Case) -> Case:
    log_bf = srm_log_bayes_factor([StageCounts(tuple(x["counts"]), tuple(x["theta0"]))], x["concentration"])
    return {"log_bayes_factor": log_bf, "p_at_this_look": min(1.0, float(np.exp(-log_bf)))}


def _srm_stages(x: Case) -> Case:
    stages = [StageCounts(tuple(s["counts"]), tuple(s["theta0"])) for s in x["stages"]]
    return {"log_bf_total": srm_log_bayes_factor(stages, x["concentration"])}


METHODS: dict[str, Callable[[Case], Case]] = {
    **reference_anytime.METHODS,
    **reference_fixed.METHODS,
    **reference_planning.METHODS,
    "mcnemar": _mcnemar,
    "tango_score_ci_paired_difference": lambda x: _interval(
        tango_interval(x["n12"], x["n21"], x["n"], x["conf_level"])
    ),
    "tango_noninferiority_test": _tango_test,
    "newcombe_square_and_add_paired": lambda x: _interval(
        newcombe_paired(x["n11"], x["n12"], x["n21"], x["n22"], x["conf_level"])
    ),
    "cluster_robust_mcnemar": _cluster,
    "mixture_betting_eprocess_trinomial": _betting,
    "event_coin_eprocess": _event_coin,
    "newcombe_hybrid_score_diff": lambda x: _interval(
        newcombe_interval(x["x1"], x["n1"], x["x2"], x["n2"], x["conf_level"])
    ),
    "asymptotic_cs_halfwidth": _halfwidths,
    "srm_chi2": _srm_chi2,
    "srm_sequential_dirichlet": _srm,
    "srm_sequential_across_ramp_stages": _srm_stages,
}
