"""All scenarios of the study."""

from __future__ import annotations

from analysis.calibrate.scenarios.clustered import CLUSTERED
from analysis.calibrate.scenarios.late_harm import LATE_HARM
from analysis.calibrate.scenarios.latency import LATENCY
from analysis.calibrate.scenarios.paired_errors import AT_THE_MARGIN, SAME_MODEL, TOLERANCE
from analysis.calibrate.scenarios.paired_power import HARM, HARM_N80, NONINFERIORITY, STRICT_HARM
from analysis.calibrate.scenarios.planned import PLANNED
from analysis.calibrate.scenarios.quantile import QUANTILES
from analysis.calibrate.scenarios.ramped import RAMP
from analysis.calibrate.scenarios.sliced import NO_HARM, ONE_HARMED
from analysis.calibrate.scenarios.split import SPLIT
from analysis.calibrate.scenarios.unpaired import COMMON, DOUBLED, FIVEFOLD, RARE
from analysis.calibrate.study import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    SAME_MODEL,
    TOLERANCE,
    AT_THE_MARGIN,
    RARE,
    COMMON,
    RAMP,
    NO_HARM,
    CLUSTERED,
    LATENCY,
    QUANTILES,
    SPLIT,
    HARM,
    STRICT_HARM,
    NONINFERIORITY,
    HARM_N80,
    DOUBLED,
    FIVEFOLD,
    ONE_HARMED,
    LATE_HARM,
    PLANNED,
)
"""Numbered from 1 to 20."""
