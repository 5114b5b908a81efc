"""Our experiments -> TensorZero's functions. Pure: records in, a document for a `tensorzero.toml` out."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.records import Backend, Config, Experiment
from experiments.interop.conversion import (
    CHAT_PATH,
    Conversion,
    Table,
    not_carried,
    source_text,
    stage_percent,
)
from experiments.interop.tensorzero import EPISODE, MODEL_PREFIX
from experiments.lifecycle import basis_points

CARRIED = ("match", "control", "treatment", "ramp", "unit", "fallback", "monitors")
"""Keys of an experiment that a function carries, where they have the values that TensorZero knows."""
_METRIC = {"type": "boolean", "optimize": "max", "level": "inference"}
_SCORED = "is scored here, and there by nothing: left out"


def write(config: Config, names: tuple[str, ...], stage: int | None = None) -> Conversion:
    """Turn experiments into functions, with a model for each backend.

    Args:
        config: Where the experiments and their backends are.
        names: Which experiments.
        stage: Which stage of the ramps, from 0; needed where a ramp has several.
    """
    refused: list[Finding] = []
    noted: list[Finding] = []
    document: Table = {"models": {}, "functions": {}, "metrics": {}}
    for name in names:
        experiment, at = config.experiments[name], ("experiments", name)
        backends = [config.backends[experiment.control], config.backends[experiment.treatment]]
        found = [*_unwritable(at, experiment, stage), *(f for backend in backends for f in _unreachable(backend))]
        refused += [finding for finding in found if finding not in refused]
        if found:
            continue
        document["models"] |= {backend.name: _model(backend, experiment) for backend in backends}
        document["functions"][name] = _function(experiment, stage)
        document["metrics"] |= dict.fromkeys(_feedback_of(experiment), _METRIC)
        noted += _left_out(at, experiment)
    return Conversion({key: table for key, table in document.items() if table}, refused, noted)


def _unwritable(at: Location, experiment: Experiment, stage: int | None) -> Iterator[Finding]:
    if experiment.cohort is not None:
        yield Finding((*at, "treatments"), "has several treatments with a control group each, and a function has not")
    if stage_percent(experiment, stage) is None:
        stages = len(experiment.ramp)
        yield Finding((*at, "ramp"), f"has {stages} stages, and a function has fixed shares: --stage 0 to {stages - 1}")
    if experiment.match.path != CHAT_PATH:
        yield Finding((*at, "match", "path"), f'must be "{CHAT_PATH}": functions there are of chats')
    for header in experiment.match.headers:
        yield Finding((*at, "match", "headers", header), "tells requests apart, and a function there takes all of its")


def _unreachable(backend: Backend) -> Iterator[Finding]:
    at = ("backends", backend.name)
    if backend.protocol != "openai":
        yield Finding((*at, "protocol"), 'must be "openai": functions there are of chats')
    if len(backend.urls) > 1:
        yield Finding((*at, "urls"), "has several equal servers; providers there are tried in turn, not shared out")


def _model(backend: Backend, experiment: Experiment) -> Table:
    provider = {
        "type": "openai",
        "api_base": f"{backend.urls[0].rstrip('/')}/v1/",
        "model_name": experiment.match.model or backend.name,
        "api_key_location": "none",
    }
    return {"routing": ["server"], "providers": {"server": provider}}


def _function(experiment: Experiment, stage: int | None) -> Table:
    treated = basis_points(stage_percent(experiment, stage) or 0.0)
    variants = {"control": experiment.control, "treatment": experiment.treatment}
    # Weights are relative there: whole basis points stay exact.
    weights = {"control": float(10_000 - treated), "treatment": float(treated)}
    return {
        "type": "chat",
        "variants": {name: {"type": "chat_completion", "model": model} for name, model in variants.items()},
        "experimentation": {"type": "static", "candidate_variants": weights},
    }


def _feedback_of(experiment: Experiment) -> list[str]:
    monitors = [monitor.name for monitor in experiment.monitors if monitor.feedback]
    return monitors + [guardrail.name for guardrail in experiment.guardrails if guardrail.feedback]


def _left_out(at: Location, experiment: Experiment) -> Iterator[Finding]:
    yield Finding((*at, "unit"), "is hashed here, and there each episode is drawn: units are drawn anew")
    if source_text(experiment.unit) != EPISODE:
        yield Finding((*at, "unit"), "is the episode there: send one for each unit as `tensorzero::episode_id`")
    if experiment.match.model != f"{MODEL_PREFIX}{experiment.name}":
        yield Finding((*at, "match", "model"), f'is "{MODEL_PREFIX}{experiment.name}" there: clients ask for that')
    if experiment.fallback != "both":
        yield Finding((*at, "fallback"), 'is "both" there: a failed control is answered by the treatment, too')
    for monitor in experiment.monitors:
        if not monitor.feedback:
            yield Finding((*at, "monitors", monitor.name), _SCORED)
    for guardrail in experiment.guardrails:
        says = "becomes a metric, without the loss that is accepted" if guardrail.feedback else _SCORED
        yield Finding((*at, "guardrails", guardrail.name), says)
    for key in not_carried(experiment, (*CARRIED, "guardrails")):
        yield Finding((*at, key), "has no match in a function there: left out")
