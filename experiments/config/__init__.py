"""The configuration: `load(path)` returns frozen records, or raises with every error of the file at once."""

from experiments.config.load import config_hash, load
from experiments.config.problems import ConfigError, Problem
from experiments.config.records import (
    Config,
    Experiment,
    Goal,
    Guardrail,
    Match,
    Monitor,
    Policy,
    Slice,
    Source,
)
from experiments.config.serving import Backend, Price, RouterSettings

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
