"""GrowthBook's features <-> our experiments. Pure: a parsed SDK payload in, tables out, and the way back.

The form is that of the payload which GrowthBook serves to its SDKs (`/api/features/KEY`), or of its `features` alone:
https://docs.growthbook.io/lib/build-your-own, specification 0.7.1. An experiment there is a rule with `variations`.
Its first variation is the control, and so is our experiment's.

Who gets which variant is not carried over: GrowthBook hashes by FNV-1a (32 bits), Touchstone by keyed BLAKE2b. Each
import says so, with the chance that a unit changes sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.records import Experiment, Match
from experiments.config.shape import source
from experiments.interop.conversion import (
    Choices,
    Conversion,
    Table,
    name_problem,
    not_carried,
    record_of,
    source_text,
    stage_percent,
    whole_percent,
)
from experiments.lifecycle import basis_points

CARRIED = ("match", "control", "treatment", "ramp", "unit", "salt")
"""Keys of an experiment that a rule carries."""
_NAMES_OF = {False: "control", True: "treatment"}
_MISSING = msgspec.UNSET
_REFUSED = {
    "force": "forces a value, and an experiment here makes no exceptions",
    "namespace": "shares units out among experiments by GrowthBook's hash; here `treatments = [...]` does that",
    "filters": "shares units out among experiments by GrowthBook's hash; here `treatments = [...]` does that",
    "parentConditions": "depends on another feature, and an experiment here depends on none",
    "fallbackAttribute": "is a second unit, and an experiment here has one",
    "contextualBanditRef": "moves traffic by itself; here a share rises by a ramp, when the evidence allows it",
    "tracks": "is an answer for one user, not a rule: ask for the payload without remote evaluation",
}
_ABOVE_ZERO = {
    "bucketVersion": "counts restarts; here a changed experiment is a new epoch: take it away there first",
    "minBucketVersion": "leaves out who was in an earlier version; here the slice `exposed_before` tells them apart",
}
_TOP = {"features", "status", "dateUpdated", "savedGroups", "experiments", "contextualBandits"}


class _Rule(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A rule of a feature, with all keys of the specification."""

    id: Any = None
    key: str = ""
    variations: list[Any] = []
    weights: list[float] | None = None
    coverage: float = 1.0
    ranges: list[tuple[float, float]] | None = None
    condition: dict[str, Any] = {}
    hash_attribute: str = "id"
    hash_version: int = 1
    seed: str = ""
    meta: list[dict[str, Any]] = []
    name: str = ""
    phase: Any = None
    disable_sticky_bucketing: bool = False
    bucket_version: int = 0
    min_bucket_version: int = 0
    force: Any = _MISSING
    range: Any = None
    namespace: Any = None
    filters: Any = None
    parent_conditions: Any = None
    fallback_attribute: Any = None
    contextual_bandit_ref: Any = None
    contextual_variations: Any = None
    tracks: Any = None


# --- from GrowthBook --------------------------------------------------------------------------------------------------


def read(document: Any, choices: Choices) -> Conversion:
    """Turn the experiments of a payload into tables of a configuration.

    Args:
        document: The parsed JSON: a payload, or its `features` alone.
        choices: Where the backends are, and where a request names the attributes that are hashed.
    """
    reading = _Reading(choices)
    payload = isinstance(document, dict) and isinstance(document.get("features"), dict)
    if isinstance(document, dict) and "encryptedFeatures" in document:
        reading.refuse(("encryptedFeatures",), "is encrypted: decrypt it first, or serve the payload in plain")
    elif payload:
        reading.payload(document)
    else:
        reading.features((), document)
    return reading.result()


class _Reading:
    """One payload being read."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._backends: Table = {}
        self._experiments: Table = {}
        self._refused: list[Finding] = []
        self._noted: list[Finding] = []

    def refuse(self, at: Location, rule: str) -> None:
        self._refused.append(Finding(at, rule))

    def result(self) -> Conversion:
        if not self._experiments and not self._refused:
            self.refuse(("features",), "has no experiment: no rule has variations")
        tables = {"backends": self._backends, "experiments": self._experiments}
        return Conversion(tables, self._refused, self._noted)

    def payload(self, document: Mapping[str, Any]) -> None:
        for key in sorted(document.keys() - _TOP):
            self.refuse((key,), "is no key of a payload that is known here")
        if document.get("experiments"):
            self._noted.append(Finding(("experiments",), "are on web pages, not on requests: left out"))
        self.features(("features",), document["features"])

    def features(self, at: Location, features: Any) -> None:
        if not isinstance(features, dict):
            self.refuse(at, "must be a table of features")
            return
        for name, feature in features.items():
            if not self._choices.only or name in self._choices.only:
                self._feature((*at, name), name, feature)

    def _feature(self, at: Location, name: str, feature: Any) -> None:
        rules = feature.get("rules", []) if isinstance(feature, dict) else None
        if not isinstance(rules, list):
            self.refuse(at, "must be a feature: a table with `defaultValue` and a list `rules`")
            return
        experiments = [i for i, rule in enumerate(rules) if isinstance(rule, dict) and rule.get("variations")]
        if not experiments:
            self._noted.append(Finding(at, "has no experiment: left out"))
            return
        for index in range(len(rules)):
            if index != experiments[0]:
                rule = "stands beside the experiment and changes who is in it: an experiment here has one rule"
                self.refuse((*at, "rules", index), rule)
        self._experiment(at, name, feature, experiments[0])

    def _experiment(self, at: Location, name: str, feature: Table, index: int) -> None:
        here = (*at, "rules", index)
        rule = record_of(feature["rules"][index], _Rule, here)
        if isinstance(rule, Finding):
            self._refused.append(rule)
            return
        refused = [*_unmatched(here, feature["rules"][index]), *_shape(here, rule)]
        if feature.get("defaultValue") != rule.variations[0]:
            says = "must be the first variation: whoever is not in the experiment is served by control"
            refused.append(Finding((*at, "defaultValue"), says))
        key = rule.key or name
        if problem := name_problem((*here, "key") if rule.key else at, key):
            refused.append(problem)
        if key in self._experiments:
            refused.append(Finding((*here, "key"), "is the key of another experiment, too"))
        before = len(self._refused)
        self._refused += refused
        table: Table = {
            "match": self._match(here, rule.condition),
            "control": self._backend(here, rule.variations, 0),
            "treatment": self._backend(here, rule.variations, 1),
            "unit": self._unit(here, rule.hash_attribute),
        }
        # Everything that has no match is told at once.
        if len(self._refused) == before:
            self._take(here, key, rule, table)

    def _take(self, here: Location, key: str, rule: _Rule, table: Table) -> None:
        share = _treated(rule)
        table["split_percent"] = whole_percent(share)
        if rule.seed and rule.seed != key:
            table["salt"] = rule.seed
        self._experiments[key] = table
        self._noted += _remarks(here, rule, share)

    def _backend(self, here: Location, variations: list[Any], index: int) -> str:
        if index >= len(variations):
            return ""  # how many there are is refused already
        at, value = (*here, "variations", index), variations[index]
        name = _NAMES_OF[value] if isinstance(value, bool) else value
        if not isinstance(name, str):
            self.refuse(at, "must be the name of a backend, or false and true for control and treatment")
            return ""
        if problem := name_problem(at, name):
            self._refused.append(problem)
        elif name not in self._choices.backends:
            self.refuse(at, f"is a backend whose address is not known: --backend {name}=URL")
        else:
            self._backends[name] = {"url": self._choices.backends[name]}
        return name

    def _unit(self, here: Location, attribute: str) -> str:
        found = self._choices.units.get(attribute, attribute)
        if source(found) is None or found == "request":
            at = (*here, "hashAttribute")
            rule = "is an attribute of your app: say where a request names it: --unit"
            self.refuse(at, f"{rule} {attribute}=header:x-user-id")
        return found

    def _match(self, here: Location, condition: Mapping[str, Any]) -> Table:
        found: Table = {"path": self._choices.path}
        for attribute, wanted in condition.items():
            at = (*here, "condition", attribute)
            kind, _, header = attribute.partition(":")
            if not isinstance(wanted, str):
                self.refuse(at, "must be a text that the attribute equals: operators have no match here")
            elif attribute in {"path", "model"}:
                found[attribute] = wanted
            elif kind == "header" and header:
                found.setdefault("headers", {})[header] = wanted
            else:
                self.refuse(at, 'is nothing that a request is known by here: "path", "model" or "header:NAME"')
        return found


def _unmatched(here: Location, rule: Mapping[str, Any]) -> Iterator[Finding]:
    for key, why in _REFUSED.items():
        if key in rule and (rule[key] or key == "force"):
            yield Finding((*here, key), why)
    for key, why in _ABOVE_ZERO.items():
        if rule.get(key, 0) > 0:
            yield Finding((*here, key), why)


def _shape(here: Location, rule: _Rule) -> Iterator[Finding]:
    """Yield what is wrong with the numbers of a rule; GrowthBook's SDKs mend some of it in silence, and we do not."""
    if len(rule.variations) != 2:
        says = f"has {len(rule.variations)}, and an experiment here compares one treatment with a control"
        yield Finding((*here, "variations"), says)
    if rule.hash_version not in {1, 2}:
        yield Finding((*here, "hashVersion"), "must be 1 or 2")
    if not 0 <= rule.coverage <= 1:
        yield Finding((*here, "coverage"), "must be between 0 and 1")
    if any(part.get("passthrough") for part in rule.meta):
        yield Finding((*here, "meta"), "passes users on to another rule, and an experiment here has one rule")
    if rule.ranges is not None:
        yield from _ranges((*here, "ranges"), rule.ranges)
    elif rule.weights is not None:
        sound = len(rule.weights) == 2 and all(0 <= weight <= 1 for weight in rule.weights)
        if not sound or not 0.99 <= sum(rule.weights) <= 1.01:  # beyond these GrowthBook takes equal weights instead
            yield Finding((*here, "weights"), "must be two numbers between 0 and 1 whose sum is 1")


def _ranges(at: Location, ranges: list[tuple[float, float]]) -> Iterator[Finding]:
    sound = len(ranges) == 2 and all(0 <= low <= high <= 1 for low, high in ranges)
    if not sound:
        yield Finding(at, "must be two ranges within 0 and 1")
    elif max(ranges[0][0], ranges[1][0]) < min(ranges[0][1], ranges[1][1]):
        yield Finding(at, "must not overlap")


def _treated(rule: _Rule) -> float:
    """Return the share of all units that gets the treatment; ranges count more than weights, as in GrowthBook."""
    if rule.ranges is not None:
        return rule.ranges[1][1] - rule.ranges[1][0]
    weights = rule.weights or [0.5, 0.5]
    return rule.coverage * weights[1]


def _covered(rule: _Rule) -> float:
    return sum(high - low for low, high in rule.ranges) if rule.ranges is not None else rule.coverage


def _remarks(here: Location, rule: _Rule, share: float) -> Iterator[Finding]:
    moved = 2 * share * (1 - share)
    yield Finding(
        (*here, "hashVersion"),
        "GrowthBook hashes by FNV-1a and Touchstone by BLAKE2b: units are drawn anew, "
        f"and one changes sides with probability {moved:.2f}",
    )
    if _covered(rule) < 0.9999:
        key = "coverage" if rule.ranges is None else "ranges"
        says = "leaves units out; they are served by control here too, and count as control"
        yield Finding((*here, key), says)
    if abs(share * 10_000 - round(share * 10_000)) > 1e-6:
        yield Finding(here, f"gives the treatment {share:.6f}, rounded here to {round(share * 10_000) / 10_000:.4f}")
    if rule.name:
        yield Finding((*here, "name"), "is left out: an experiment here has a `hypothesis`, a sentence")


# --- to GrowthBook ----------------------------------------------------------------------------------------------------


def write(experiments: Iterable[Experiment], stage: int | None = None) -> Conversion:
    """Turn experiments into a payload with a feature for each, whose values are the backends' names.

    Args:
        experiments: Of a configuration.
        stage: Which stage of the ramps, from 0; needed where a ramp has several.
    """
    refused: list[Finding] = []
    noted: list[Finding] = []
    features: Table = {}
    for experiment in experiments:
        at = ("experiments", experiment.name)
        found = list(_unwritable(at, experiment, stage))
        refused += found
        if not found:
            features[experiment.name] = _feature_of(experiment, stage)
            noted += _left_out(at, experiment)
    return Conversion({"features": features}, refused, noted)


def _unwritable(at: Location, experiment: Experiment, stage: int | None) -> Iterator[Finding]:
    if experiment.cohort is not None:
        yield Finding((*at, "treatments"), "has several treatments that share the units, and a rule there has none")
    if stage_percent(experiment, stage) is None:
        stages = len(experiment.ramp)
        yield Finding((*at, "ramp"), f"has {stages} stages, and a rule there has one: --stage 0 to {stages - 1}")
    if experiment.unit.kind == "request":
        yield Finding((*at, "unit"), "draws every request anew, and GrowthBook hashes an attribute of a user")
    for header in experiment.match.headers:
        if "." in header:
            yield Finding((*at, "match", "headers", header), "has a dot, which leads into a table in a condition there")


def _feature_of(experiment: Experiment, stage: int | None) -> Table:
    treated = basis_points(stage_percent(experiment, stage) or 0.0)
    rule: Table = {
        "key": experiment.name,
        "condition": _condition(experiment.match),
        "hashAttribute": source_text(experiment.unit),
        "hashVersion": 2,
        "coverage": 1,
        "weights": [(10_000 - treated) / 10_000, treated / 10_000],
        "variations": [experiment.control, experiment.treatment],
        "meta": [{"key": "control", "name": experiment.control}, {"key": "treatment", "name": experiment.treatment}],
    }
    if experiment.salt != experiment.name:
        rule["seed"] = experiment.salt
    return {"defaultValue": experiment.control, "rules": [rule]}


def _condition(match: Match) -> Table:
    found = {"path": match.path}
    if match.model is not None:
        found["model"] = match.model
    return found | {f"header:{name}": value for name, value in match.headers.items()}


def _left_out(at: Location, experiment: Experiment) -> Iterator[Finding]:
    yield Finding((*at, "salt"), "hashes by BLAKE2b here and by FNV-1a there: units are drawn anew")
    for key in not_carried(experiment, CARRIED):
        yield Finding((*at, key), "has no match in a rule there: left out")
