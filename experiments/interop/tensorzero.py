"""TensorZero's functions <-> our experiments. Pure: a parsed `tensorzero.toml` in, tables out, and the way back.

The form is that of TensorZero 2026.6.0, its last version: a function with two candidate variants, each a model behind
an OpenAI-compatible address, in fixed shares (`static`, and the older `static_weights`, `uniform` and `weight`).
Weights are normalised there, so that 9 and 1 are 0.9 and 0.1.

TensorZero also writes the request (prompts, parameters, schemas, tools); the router here passes it on as it is. A
variant that changes the request is therefore refused, and so is an experiment that moves its own traffic (`adaptive`,
`track_and_stop`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.metric_rules import NAME
from experiments.interop.conversion import Choices, Conversion, Table, name_problem, record_of, whole_percent

MODEL_PREFIX = "tensorzero::function_name::"
"""What clients of TensorZero's OpenAI-compatible endpoint ask for as `model`, before the function's name."""
EPISODE = "body:tensorzero::episode_id"
"""Where they name the episode, which TensorZero keeps to one variant."""
_OPENAI_LIKE = {"openai", "vllm", "sglang", "tgi"}
_OPENAI_URL = "https://api.openai.com/v1/"
_SHORT = "openai::"
_TYPES = {"static", "static_weights", "uniform"}
_ADAPTIVE = {"adaptive", "track_and_stop"}
_BESIDE = {
    "fallback_variants": "is a third backend; here a failed treatment falls back to control",
    "namespaces": "are experiments of their own: write one for each, told apart by a header",
}
_GATEWAY = {
    "gateway", "clickhouse", "postgres", "rate_limiting", "object_storage", "provider_types", "optimizers", "autopilot",
    "embedding_models", "tools",
}  # fmt: skip
_READ = {"models", "functions", "metrics", "evaluations"}


class _Function(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    variants: dict[str, Any] = {}
    experimentation: dict[str, Any] | None = None
    description: str = ""


class _Variant(msgspec.Struct, forbid_unknown_fields=True):
    type: str = "chat_completion"
    model: str = ""
    weight: float | None = None


class _Model(msgspec.Struct, forbid_unknown_fields=True):
    routing: list[str]
    providers: dict[str, dict[str, Any]]


class _Metric(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    optimize: str = "max"
    level: str = "inference"
    description: str = ""


class _Arm(NamedTuple):
    """One of the two variants of a function."""

    backend: str
    url: str


def read(document: Mapping[str, Any], choices: Choices) -> Conversion:
    """Turn the experiments of a TensorZero configuration into tables of ours.

    Args:
        document: The parsed TOML.
        choices: Which variant of each function is the control, where none is called so.
    """
    reading = _Reading(document, choices)
    for key in sorted(document.keys() - _READ - _GATEWAY):
        reading.refuse((key,), "is no table that is known here")
    for name, function in _tables(document, "functions"):
        if not choices.only or name in choices.only:
            reading.function(("functions", name), name, function)
    for name, metric in _tables(document, "metrics"):
        reading.metric(("metrics", name), name, metric)
    return reading.result()


class _Reading:
    """One configuration being read."""

    def __init__(self, document: Mapping[str, Any], choices: Choices) -> None:
        self._models = dict(_tables(document, "models"))
        self._choices = choices
        self._backends: Table = {}
        self._experiments: Table = {}
        self._refused: list[Finding] = []
        self._noted = [Finding((key,), "is of the gateway: left out") for key in sorted(document.keys() & _GATEWAY)] + [
            Finding(("evaluations", name), "is a run over a dataset: `touchstone golden` does that; left out")
            for name, _ in _tables(document, "evaluations")
        ]

    def refuse(self, at: Location, rule: str) -> None:
        self._refused.append(Finding(at, rule))

    def result(self) -> Conversion:
        if not self._experiments and not self._refused:
            self.refuse(("functions",), "has no experiment: no function has two variants that share its traffic")
        tables = {"backends": self._backends, "experiments": self._experiments}
        return Conversion(tables, self._refused, self._noted)

    def function(self, at: Location, name: str, table: Any) -> None:
        function = record_of(table, _Function, at)
        if isinstance(function, Finding):
            rule = "prepares requests, and the router passes them on as they are"
            self._refused.append(function._replace(rule=rule) if "no key" in function.rule else function)
            return
        if function.type != "chat":
            self.refuse((*at, "type"), 'must be "chat": the gateway checks and writes other answers by itself')
            return
        shares = self._shares(at, function)
        if shares is None:
            return
        if len(shares) != 2:
            if len(shares) < 2:
                self._noted.append(Finding(at, "has no experiment: one variant has all of its traffic; left out"))
            else:
                self.refuse(at, f"shares its traffic among {len(shares)} variants; here one treatment is compared")
            return
        self._experiment(at, name, function, shares)

    def _shares(self, at: Location, function: _Function) -> dict[str, float] | None:
        """Return variant -> share of those that have one; None if that is refused."""
        found = _weights(at, function)
        if isinstance(found, Finding):
            self._refused.append(found)
            return None
        total = math.fsum(found.values())
        if len(found) > 1 and total == 0:
            self.refuse(at, "gives no variant a weight above 0")
            return None
        return {name: weight / total for name, weight in found.items()} if total > 0 else {}

    def _experiment(self, at: Location, name: str, function: _Function, shares: Mapping[str, float]) -> None:
        if problem := name_problem(at, name):
            self._refused.append(problem)
            return
        control = self._choices.controls.get(name, "control" if "control" in shares else "")
        if control not in shares:
            names = " or ".join(shares)
            self.refuse((*at, "variants"), f"which is the control? --control {name}=VARIANT, with {names}")
            return
        treatment = next(variant for variant in shares if variant != control)
        arms = [self._arm((*at, "variants", variant), variant, function) for variant in (control, treatment)]
        if not all(arms):
            return
        served = [arm for arm in arms if arm is not None]
        if served[0].url == served[1].url:
            says = "are one server: the router passes requests on as they are, so it would be compared with itself"
            self.refuse((*at, "variants"), says)
            return
        self._take(at, name, served, shares[treatment])

    def _take(self, at: Location, name: str, arms: list[_Arm], share: float) -> None:
        self._backends |= {arm.backend: {"url": arm.url} for arm in arms}
        self._experiments[name] = {
            "match": {"path": self._choices.path, "model": f"{MODEL_PREFIX}{name}"},
            "control": arms[0].backend,
            "treatment": arms[1].backend,
            "split_percent": whole_percent(share),
            "unit": self._choices.units.get("episode", EPISODE),
            "fallback": "both",
        }
        moved = 2 * share * (1 - share)
        self._noted += [
            Finding(
                (*at, "variants"),
                f"TensorZero draws each episode at random and Touchstone hashes it: units are drawn anew, "
                f"and one changes sides with probability {moved:.2f}",
            ),
            Finding(at, "the backends are asked for the `model` that the client names, not for `model_name`"),
        ]

    def _arm(self, at: Location, name: str, function: _Function) -> _Arm | None:
        """Return a variant's backend, or nothing and why."""
        variant = record_of(function.variants[name], _Variant, at)
        if isinstance(variant, Finding):
            rule = "changes the request, and the router passes it on as it is"
            self._refused.append(variant._replace(rule=rule) if "no key" in variant.rule else variant)
            return None
        if variant.type != "chat_completion":
            self.refuse((*at, "type"), 'must be "chat_completion": others ask several models for one answer')
            return None
        url = _address((*at, "model"), variant.model, self._models)
        if isinstance(url, Finding):
            self._refused.append(url)
            return None
        backend = variant.model if variant.model in self._models else name
        if problem := name_problem((*at, "model") if backend == variant.model else at, backend):
            self._refused.append(problem)
            return None
        return _Arm(backend, url)

    def metric(self, at: Location, name: str, table: Any) -> None:
        """A metric of TensorZero belongs to no function; here it is shown in each experiment, and decides nothing."""
        metric = record_of(table, _Metric, at)
        if isinstance(metric, Finding):
            self._refused.append(metric)
        elif not NAME.fullmatch(name) or name == "errors":
            self._noted.append(Finding(at, "has a name that no metric here may have: left out"))
        elif metric.type != "boolean" or metric.optimize != "max":
            says = "is left out: feedback here is good (true) or bad (false), and only true may be the good one"
            self._noted.append(Finding(at, says))
        else:
            for experiment in self._experiments.values():
                experiment.setdefault("monitors", {})[name] = {"feedback": True}
            says = "is shown and decides nothing: which loss you accept is for you to say, as a guardrail"
            self._noted.append(Finding(at, says))


def _weights(at: Location, function: _Function) -> dict[str, float] | Finding:
    """Return what TensorZero would sample by: variant -> weight."""
    given = function.experimentation
    if given is None:
        return _own_weights(at, function)
    here = (*at, "experimentation")
    kind = given.get("type")
    if kind in _ADAPTIVE:
        return Finding((*here, "type"), "moves traffic by itself; here a share rises by a ramp, as evidence allows it")
    if kind not in _TYPES:
        return Finding((*here, "type"), 'must be "static", "static_weights" or "uniform"')
    for key, why in _BESIDE.items():
        if given.get(key):
            return Finding((*here, key), why)
    if unknown := sorted(given.keys() - {"type", "candidate_variants", *_BESIDE}):
        return Finding((*here, unknown[0]), "is no key that is known here")
    return _candidates((*here, "candidate_variants"), given.get("candidate_variants"), function)


def _candidates(at: Location, candidates: Any, function: _Function) -> dict[str, float] | Finding:
    if candidates is None:
        return dict.fromkeys(function.variants, 1.0)
    try:
        kind = dict[str, float] if isinstance(candidates, dict) else list[str]
        found: Any = msgspec.convert(candidates, kind)
    except msgspec.ValidationError:
        return Finding(at, "must be a list of variants, or a table of their weights")
    weights: dict[str, float] = found if isinstance(found, dict) else dict.fromkeys(found, 1.0)
    for name, weight in weights.items():
        if name not in function.variants:
            return Finding(at, f'names "{name}", and there is no such variant')
        if not (weight >= 0 and math.isfinite(weight)):
            return Finding((*at, name), "must be 0 or more")
    return weights


def _own_weights(at: Location, function: _Function) -> dict[str, float] | Finding:
    """Weights that stand in the variants, the older way; where there are none, all are equal."""
    found: dict[str, float | None] = {}
    for name, table in function.variants.items():
        weight = table.get("weight") if isinstance(table, dict) else None
        if isinstance(weight, bool) or not isinstance(weight, (int, float, type(None))):
            return Finding((*at, "variants", name, "weight"), "must be a number")
        if weight is not None and not (weight >= 0 and math.isfinite(weight)):
            return Finding((*at, "variants", name, "weight"), "must be 0 or more")
        found[name] = weight
    given = {name: float(weight) for name, weight in found.items() if weight is not None}
    if not given:
        return dict.fromkeys(found, 1.0)
    if len(given) < len(found):
        without = next(name for name, weight in found.items() if weight is None)
        return Finding(
            (*at, "variants", without), "has no weight, and others have: it is for fallbacks, a third backend"
        )
    # Of weight 0 is what is asked for by its name only.
    return {name: weight for name, weight in given.items() if weight > 0}


def _address(at: Location, model: str, models: Mapping[str, Any]) -> str | Finding:
    """Return the base URL of a model's only provider, without the `/v1/` that TensorZero's has."""
    if model not in models:
        if model.startswith(_SHORT):
            return _base(_OPENAI_URL)
        return Finding(at, "is no OpenAI-compatible model of this file")
    here = ("models", model)
    found = record_of(models[model], _Model, here)
    if isinstance(found, Finding):
        return found
    if len(found.routing) != 1:
        return Finding(
            (*here, "routing"), "must name one provider: several are tried in turn, and a backend here is one"
        )
    name = found.routing[0]
    provider = found.providers.get(name, {})
    at = (*here, "providers", name)
    if provider.get("type") not in _OPENAI_LIKE:
        return Finding((*at, "type"), f"must have an OpenAI-compatible address: {', '.join(sorted(_OPENAI_LIKE))}")
    url = provider.get("api_base", _OPENAI_URL if provider["type"] == "openai" else None)
    return _base(url) if isinstance(url, str) else Finding((*at, "api_base"), "is missing: a URL")


def _base(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1")


def _tables(document: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    found = document.get(key)
    return iter(found.items() if isinstance(found, dict) else ())
