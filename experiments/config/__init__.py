"""The configuration: `load(path)` returns frozen records, or raises with every error of the file at once."""

from experiments.config.load import config_hash, load
from experiments.config.problems import ConfigError, Problem
from experiments.config.records import (
    Backend,
    Config,
    Experiment,
    Goal,
    Guardrail,
    Match,
    Monitor,
    Policy,
    Price,
    RouterSettings,
    Slice,
    Source,
)

__all__ = [
    "Backend",
    "Config",
    "ConfigError",
    "Experiment",
    "Goal",
    "Guardrail",
    "Match",
    "Monitor",
    "Policy",
    "Price",
    "Problem",
    "RouterSettings",
    "Slice",
    "Source",
    "config_hash",
    "load",
]
