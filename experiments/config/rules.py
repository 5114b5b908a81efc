"""Rules between the records of a configuration. Pure: records in, findings out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.problems import nearest
from experiments.config.records import Backend, Config, Experiment, Guardrail, Match, Monitor

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_NAME_RULE = "a name is up to 64 of a-z, 0-9, _ . -, and begins with a letter or digit"
_KNOWN_SCORERS = "exact, label, agreement"


def check(config: Config) -> Iterator[Finding]:
    """Yield everything that is wrong between the records."""
    yield from _router(config)
    for name, backend in config.backends.items():
        yield from _backend(("backends", name), backend)
    for name, experiment in config.experiments.items():
        yield from _experiment(("experiments", name), experiment, config)
    yield from _ambiguous(list(config.experiments.values()))


def _router(config: Config) -> Iterator[Finding]:
    settings = config.router
    for key in ("listen", "admin"):
        if not _is_address(getattr(settings, key)):
            yield Finding(("router", key), 'must be "host:port" with a port from 0 to 65535')
    if settings.listen == settings.admin and not settings.listen.endswith(":0"):
        yield Finding(("router", "admin"), "must differ from router.listen")
    if not settings.database.startswith(("sqlite:///", "postgresql+psycopg://")):
        yield Finding(("router", "database"), 'must begin with "sqlite:///" or "postgresql://"')
    default = settings.default_backend
    if default is not None and default not in config.backends:
        yield Finding(("router", "default_backend"), "is no backend", nearest(default, config.backends))
    if not config.experiments and default is None:
        yield Finding(("experiments",), "there is nothing to do: no experiment, and no router.default_backend")


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdigit() and int(port) <= 65_535


def _backend(at: Location, backend: Backend) -> Iterator[Finding]:
    if not _NAME.fullmatch(backend.name):
        yield Finding(at, _NAME_RULE)
    for index, url in enumerate(backend.urls):
        key = (*at, "urls", index) if len(backend.urls) > 1 else (*at, "url")
        if not _is_base_url(url):
            yield Finding(key, "must be http:// or https:// with a host, and without user, query or fragment")


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        return False
    bare = not (parts.query or parts.fragment or parts.username or parts.password)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare and port_is_sound


def _experiment(at: Location, experiment: Experiment, config: Config) -> Iterator[Finding]:
    if not _NAME.fullmatch(experiment.name):
        yield Finding(at, _NAME_RULE)
    yield from _variants(at, experiment, config)
    yield from _split(at, experiment)
    yield from _metrics(at, experiment, config)
    yield from _policy(at, experiment)
    if not experiment.match.path.startswith("/"):
        yield Finding((*at, "match", "path"), 'must begin with "/"')
    attributes = [slice_.attribute for slice_ in experiment.slices]
    for index, attribute in enumerate(attributes):
        if attribute in attributes[:index]:
            yield Finding((*at, "slices", index), f"the attribute {attribute!r} is there twice")


def _variants(at: Location, experiment: Experiment, config: Config) -> Iterator[Finding]:
    for side in ("control", "treatment"):
        name = getattr(experiment, side)
        if name not in config.backends:
            yield Finding((*at, side), "is no backend", nearest(name, config.backends))
    if experiment.control == experiment.treatment:
        yield Finding((*at, "treatment"), "must differ from the control")
    found = [config.backends.get(name) for name in (experiment.control, experiment.treatment)]
    protocols = {backend.protocol for backend in found if backend is not None}
    if len(protocols) > 1:
        yield Finding((*at, "treatment"), "must speak the same protocol as the control")


def _split(at: Location, experiment: Experiment) -> Iterator[Finding]:
    if any(low >= high for low, high in itertools.pairwise(experiment.ramp)):
        yield Finding((*at, "ramp"), "must rise from stage to stage")
    given = experiment.split_percent
    if "split_percent" in experiment.model_fields_set and given not in experiment.ramp:
        yield Finding((*at, "split_percent"), "the ramp decides: remove this, or make it one of the ramp's stages")


def _metrics(at: Location, experiment: Experiment, config: Config) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for group, name in _metric_names(experiment):
        if name in seen:
            yield Finding((*at, group, name), f"there is a metric of this name under {seen[name]} already")
        seen[name] = group
    for guardrail in experiment.guardrails:
        yield from _guardrail((*at, "guardrails", guardrail.name), guardrail)
        yield from _scorer((*at, "guardrails", guardrail.name), guardrail, experiment)
    for monitor in experiment.monitors:
        if monitor.scorer is None and not monitor.feedback:
            yield Finding((*at, "monitors", monitor.name), f"needs a scorer ({_KNOWN_SCORERS}) or feedback = true")
        yield from _scorer((*at, "monitors", monitor.name), monitor, experiment)
    yield from _cost(at, experiment, config)


def _metric_names(experiment: Experiment) -> Iterator[tuple[str, str]]:
    yield from (("guardrails", metric.name) for metric in experiment.guardrails)
    yield from (("goals", metric.name) for metric in experiment.goals)
    yield from (("monitors", metric.name) for metric in experiment.monitors)


def _guardrail(at: Location, guardrail: Guardrail) -> Iterator[Finding]:
    event = guardrail.feedback or guardrail.name == "errors"
    if guardrail.scorer is None and not event:
        yield Finding(at, f"needs a scorer ({_KNOWN_SCORERS}) or feedback = true")
    if guardrail.scorer is not None and guardrail.margin is None:
        yield Finding((*at, "margin"), "is missing: the loss that you agree to accept, 0.02 is 2 points")
    if guardrail.feedback and guardrail.max_relative is None:
        yield Finding((*at, "max_relative"), "is missing: the highest accepted ratio of bad feedback, for example 1.2")
    if not event and guardrail.max_relative is not None:
        yield Finding((*at, "max_relative"), "is for errors and feedback only; a scorer takes a margin")
    if guardrail.feedback and guardrail.margin is not None:
        yield Finding((*at, "margin"), "feedback is not paired: it takes max_relative, not a margin")
    yield from _margins(at, guardrail)


def _margins(at: Location, guardrail: Guardrail) -> Iterator[Finding]:
    margin = guardrail.margin
    for key in ("tolerance", "slice_margin"):
        if getattr(guardrail, key) is not None and margin is None:
            yield Finding((*at, key), "needs a margin beside it")
    if margin is None:
        return
    if guardrail.tolerance is not None and guardrail.tolerance > margin:
        yield Finding((*at, "tolerance"), f"must not be above the margin ({margin:g})")
    if guardrail.slice_margin is not None and guardrail.slice_margin < margin:
        yield Finding((*at, "slice_margin"), f"must not be below the margin ({margin:g})")


def _scorer(at: Location, metric: Guardrail | Monitor, experiment: Experiment) -> Iterator[Finding]:
    if metric.scorer is not None and metric.feedback:
        yield Finding((*at, "feedback"), "a metric has a scorer or feedback, not both")
    if metric.scorer in {"exact", "label"} and experiment.golden is None:
        yield Finding((*at, "scorer"), "needs references: name a golden set under the experiment's `golden`")
    if metric.scorer == "label" and not _is_extractor(metric.label):
        yield Finding((*at, "label"), 'must be "json:path.to.field", or "regex:..." with exactly one group')
    if metric.scorer != "label" and metric.label is not None:
        yield Finding((*at, "label"), 'is for scorer = "label" only')


def _is_extractor(text: str | None) -> bool:
    kind, _, pattern = (text or "").partition(":")
    if kind == "json":
        return bool(pattern)
    try:
        return kind == "regex" and re.compile(pattern).groups == 1
    except re.error:
        return False


def _cost(at: Location, experiment: Experiment, config: Config) -> Iterator[Finding]:
    if all(goal.name != "cost" for goal in experiment.goals):
        return
    for name in (experiment.control, experiment.treatment):
        if name in config.backends and config.backends[name].price is None:
            yield Finding((*at, "goals", "cost"), f"needs a price on the backend {name!r}")


def _policy(at: Location, experiment: Experiment) -> Iterator[Finding]:
    policy = experiment.policy
    if policy.min_days > policy.max_days:
        yield Finding((*at, "policy", "min_days"), f"must not be above max_days ({policy.max_days:g})")
    attributes = [slice_.attribute for slice_ in experiment.slices]
    for attribute in policy.protected_slices:
        if attribute not in attributes:
            rule = f"{attribute!r} is no slice of this experiment; its slices: {', '.join(attributes) or 'none'}"
            yield Finding((*at, "policy", "protected_slices"), rule, nearest(attribute, attributes))


def _ambiguous(experiments: Sequence[Experiment]) -> Iterator[Finding]:
    for one, other in itertools.combinations(experiments, 2):
        if _overlap(one.match, other.match):
            rule = f"matches requests that {one.name!r} matches too: tell them apart by path, model or a header"
            yield Finding(("experiments", other.name, "match"), rule)


def _overlap(one: Match, other: Match) -> bool:
    """Whether some request may belong to both."""
    if one.path != other.path:
        return False
    if one.model is not None and other.model is not None and one.model != other.model:
        return False
    shared = one.headers.keys() & other.headers.keys()
    return all(one.headers[name] == other.headers[name] for name in shared)
