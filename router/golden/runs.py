"""A golden run from a configuration: reads the set, sends it, judges the answers. For the command and the controller.

It loads statistics, so the serving process must not import it.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from experiments.config.records import Config, Experiment, Guardrail, Monitor
from experiments.golden.runs import ItemResult, judge_all, plan
from experiments.golden.sets import GoldenSet, load_golden
from experiments.golden.verdict import GatePolicy, GateVerdict, verdict
from experiments.model import CONTROL, TREATMENT
from router.golden.client import Answers, GoldenClient, GoldenLimits, Progress, Target
from router.processes.secrets import resolve


class GoldenRun(NamedTuple):
    """What a run brought."""

    verdict: GateVerdict
    results: list[ItemResult]
    """In the order of the set."""
    answers: Answers
    """Prompts' answers: for the person who asked, never for a log."""


class NoGoldenSetError(Exception):
    """The experiment names no golden set, or one without items."""


async def run_golden(
    config: Config,
    experiment: Experiment,
    *,
    policy: GatePolicy | None = None,
    run_number: int | None = None,
    seed: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> GoldenRun:
    """Send an experiment's golden set to both its variants, past the proxy.

    Args:
        config: Where the backends are.
        experiment: Whose set.
        policy: When to fail and when to pass.
        run_number: See `experiments.golden.verdict.verdict`.
        seed: Makes the order of the requests repeatable.
        progress: Called after each item with how many are done, and of how many.

    Raises:
        NoGoldenSetError: There is nothing to send.
        experiments.golden.sets.GoldenError: The set cannot be read.
        ValueError: Nothing says where items are posted.
        router.processes.secrets.SecretError: A backend's key cannot be had.
        router.upstream.upstream.CertificateError: The certificates to trust cannot be used.
    """
    golden = _golden(config, experiment)
    targets = {
        CONTROL: _target(config, experiment, experiment.control),
        TREATMENT: _target(config, experiment, experiment.treatment),
    }
    limits = GoldenLimits(
        connect_timeout_s=config.router.connect_timeout_s,
        # An answer in one piece has its first byte when it is done.
        total_timeout_s=min(config.router.total_timeout_s, 2 * config.router.first_byte_timeout_s),
    )
    planned = plan(golden.items, random.Random(seed), experiment.match.model)  # noqa: S311  # an order, no secret
    answers = await GoldenClient(targets, limits).run(planned, progress)
    results = judge_all(golden.items, answers, label_from(experiment))
    return GoldenRun(verdict(results, policy, run_number), results, answers)


def label_from(experiment: Experiment) -> str | None:
    """Return where the experiment's first label metric finds its label; None if it has none."""
    metrics: list[Guardrail | Monitor] = [*experiment.guardrails, *experiment.monitors]
    return next((metric.label for metric in metrics if metric.label), None)


def _golden(config: Config, experiment: Experiment) -> GoldenSet:
    if experiment.golden is None:
        raise NoGoldenSetError(f'experiment {experiment.name} names no golden set: add `golden = "FILE"`')
    golden = load_golden(experiment.golden, config.backends[experiment.control].protocol)
    if not golden:
        raise NoGoldenSetError(f"{experiment.golden} has no items")
    return golden


def _target(config: Config, experiment: Experiment, name: str) -> Target:
    backend = config.backends[name]
    key = None if backend.api_key is None else resolve(backend.api_key, config.path.parent)
    return Target(backend, experiment.match.path, key)
