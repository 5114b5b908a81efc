"""The configuration: `load(path)` returns frozen records, or raises with every error of the file at once."""

from experiments.config.load import config_hash, load
from experiments.config.problems import ConfigError, Problem
from experiments.config.records import Backend, Config, Experiment, RouterSettings

__all__ = ["Backend", "Config", "ConfigError", "Experiment", "Problem", "RouterSettings", "config_hash", "load"]
