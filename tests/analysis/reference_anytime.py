"""Adapters from the reference cases of the anytime-valid engine to the product's public functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.aipw import AipwCounts, log_e_aipw
from analysis.coin import log_e_coin, log_e_coin_harm
from analysis.confidence import bernoulli_confidence_sequence
from analysis.e_detector import shiryaev_roberts
from analysis.result import Estimate
from analysis.sequential import Gates, MeanState, tuning
from analysis.two_arm_sequential import asymptotic_cs_relative, relative_lift

Case = dict[str, Any]


def _coin(x: Case) -> Case:
    given = (x["losses"], x["wins"], x["beta_a"], x["beta_b"], x["null_theta"])
    return {
        "log_e_two_sided": float(log_e_coin(*given)),
        "log_e_one_sided_truncated": float(log_e_coin_harm(*given)),
    }


def _ipw(x: Case) -> Case:
    arm, propensity, outcome = zip(*x["seq_arm_p_y"], strict=True)
    state = AipwCounts(fixed_centre=0.0).extend(propensity, arm, outcome)
    return {"log_e": log_e_aipw(state, x["null_mean"], "harm", np.array(x["c_grid"]))}


def _e_detector(x: Case) -> Case:
    return {"M": np.expm1(shiryaev_roberts(np.log(x["e_increments"]))).tolist()}


def _bernoulli(x: Case) -> Case:
    found = bernoulli_confidence_sequence(x["successes"], x["n"], x["alpha"], x["t_opt"])
    assert isinstance(found, Estimate)
    return {"lower": found.lower, "upper": found.upper}


def _relative(x: Case) -> Case:
    arms = [MeanState.from_sums(x[arm]["n"], x[arm]["sum"], x[arm]["sum_squares"]) for arm in ("control", "treatment")]
    found = asymptotic_cs_relative(*arms, x["alpha"], x["n_star"], Gates(units=2, control_z=0.0))
    assert isinstance(found, Estimate)
    lift, error = relative_lift(*arms)
    return {"lift": lift, "se": error, "rho": tuning(x["n_star"], x["alpha"]), "ci": [found.lower, found.upper]}


METHODS: dict[str, Callable[[Case], Case]] = {
    "coin_eprocess_discordant": _coin,
    "ipw_betting_eprocess_risk_difference": _ipw,
    "e_detector_shiryaev_roberts": _e_detector,
    "bernoulli_confidence_sequence": _bernoulli,
    "asymptotic_cs_two_sided_relative": _relative,
}
