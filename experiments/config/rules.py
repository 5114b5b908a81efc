"""Rules between the records of a configuration: records in, findings out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from experiments.config.guard_rules import check_guards
from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.metric_rules import NAME, NAME_RULE, check_metrics
from experiments.config.monitoring_rules import check_monitoring
from experiments.config.price_rules import check_costs, check_prices
from experiments.config.problems import nearest
from experiments.config.records import Backend, Config, Experiment, Match, RouterSettings
from experiments.config.serving_rules import check_serving
from experiments.config.shape import NO_FILES
from experiments.config.spot_rules import check_spot

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
_HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_LONGEST_NAME = 64
_DATABASES = ("sqlite:///", "postgresql+psycopg://")


def check(config: Config) -> Iterator[Finding]:
    """Yield everything that is wrong between the records, at their locations but in the words of the file."""
    in_file = {name: _called_as_in_file(experiment) for name, experiment in config.experiments.items()}
    config = config.model_copy(update={"experiments": in_file})
    yield from _router(config)
    for name, backend in config.backends.items():
        yield from _backend(("backends", name), backend)
        yield from check_costs(("backends", name), backend)
        yield from check_spot(("backends", name), backend)
    for name, experiment in config.experiments.items():
        yield from _experiment(("experiments", name), experiment, config)
    yield from _ambiguous(list(config.experiments.values()))
    yield from check_serving(config)
    yield from check_monitoring(config.router.monitoring)


def _called_as_in_file(experiment: Experiment) -> Experiment:
    """Several treatments stand in one table, and messages should name that."""
    return experiment.model_copy(update={"name": experiment.cohort.group}) if experiment.cohort else experiment


def _router(config: Config) -> Iterator[Finding]:
    yield from _addresses(config.router)
    yield from _database(config.router.database)
    default = config.router.default_backend
    if default is not None and default not in config.backends:
        because = (("backends", default),)
        yield Finding(("router", "default_backend"), "is no backend", nearest(default, config.backends), because)
    if not config.experiments and default is None:
        rule = "there is nothing to do: no experiment, and no router.default_backend"
        yield Finding(("experiments",), rule, because=(("experiments",), ("router", "default_backend")))


def _addresses(settings: RouterSettings) -> Iterator[Finding]:
    for key in ("listen", "admin"):
        if not _is_address(getattr(settings, key)):
            yield Finding(("router", key), 'must be "host:port" with a port from 0 to 65535')
    if settings.listen == settings.admin and int(settings.listen.rpartition(":")[2] or 0) != 0:
        key, other = ("admin", "listen") if "admin" in settings.model_fields_set else ("listen", "admin")
        yield Finding(("router", key), f"must differ from router.{other}", because=(("router", other),))


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    return found is not None and int(found[1]) <= 65_535


def _database(url: str) -> Iterator[Finding]:
    at = ("router", "database")
    if url in NO_FILES:
        yield Finding(at, 'must name a file, for example "sqlite:///touchstone.db"')
    elif not url.startswith(_DATABASES):
        yield Finding(at, 'must begin with "sqlite:///" or "postgresql://"')


def _backend(at: Location, backend: Backend) -> Iterator[Finding]:
    if not NAME.fullmatch(backend.name):
        yield Finding(at, NAME_RULE)
    for index, url in enumerate(backend.urls):
        if not _is_base_url(url):
            rule = "must be http:// or https:// with a host, and without user, query or fragment"
            yield Finding((*at, "urls", index), rule, because=((*at, "urls"),))


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        return False
    bare = url.isprintable() and not re.search(r"[\s?#\\]", url) and "@" not in parts.netloc
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare and port_is_sound


def _experiment(at: Location, experiment: Experiment, config: Config) -> Iterator[Finding]:
    yield from _names(at, experiment.name)
    yield from _match((*at, "match"), experiment.match)
    yield from _variants(at, experiment, config)
    yield from _split(at, experiment)
    yield from _slices(at, experiment)
    yield from _mirrored_more(at, experiment)
    yield from check_metrics(at, experiment, config.backends)
    yield from check_prices(at, experiment, config.backends)
    yield from check_guards(at, experiment)
    yield from _days((*at, "policy"), experiment)


def _names(at: Location, in_file: str) -> Iterator[Finding]:
    """Check the name of the table, and the longer one of an experiment that is one of several in it."""
    name = str(at[-1])
    if not NAME.fullmatch(in_file):
        yield Finding(at, NAME_RULE)
    elif len(name) > _LONGEST_NAME:
        yield Finding((*at, "treatment"), f'makes the name "{name}", and {NAME_RULE}')


def _match(at: Location, match: Match) -> Iterator[Finding]:
    if not match.path.startswith("/"):
        yield Finding((*at, "path"), 'must begin with "/"')
    lowered = [name.lower() for name in match.headers]
    for name in match.headers:
        if not _HEADER.fullmatch(name):
            yield Finding((*at, "headers", name), "is no name of a header")
        if lowered.count(name.lower()) > 1:
            yield Finding((*at, "headers", name), "is there twice: capitals make no difference in a header's name")


def _variants(at: Location, experiment: Experiment, config: Config) -> Iterator[Finding]:
    for side in ("control", "treatment"):
        name = getattr(experiment, side)
        if name not in config.backends:
            because = (("backends", name),)
            yield Finding((*at, side), "is no backend", nearest(name, config.backends), because)
    if experiment.control == experiment.treatment:
        yield Finding((*at, "treatment"), "must differ from the control", because=((*at, "control"),))
    found = [config.backends[name] for name in (experiment.control, experiment.treatment) if name in config.backends]
    if len({backend.protocol for backend in found}) > 1:
        protocols = tuple(("backends", backend.name, "protocol") for backend in found)
        yield Finding((*at, "treatment"), "must speak the same protocol as the control", because=protocols)


def _split(at: Location, experiment: Experiment) -> Iterator[Finding]:
    because = ((*at, "ramp"),)
    if any(low >= high for low, high in itertools.pairwise(experiment.ramp)):
        yield Finding((*at, "ramp"), "must rise from stage to stage", because=because)
    if "split_percent" in experiment.model_fields_set and experiment.split_percent not in experiment.ramp:
        rule = "the ramp decides: remove split_percent, or put it into the ramp"
        yield Finding((*at, "split_percent"), rule, because=because)


def _slices(at: Location, experiment: Experiment) -> Iterator[Finding]:
    attributes = [slice_.attribute for slice_ in experiment.slices]
    for index, attribute in enumerate(attributes):
        if attribute in attributes[:index]:
            rule = f'there is a slice attribute "{attribute}" already'
            yield Finding((*at, "slices", index), rule, because=((*at, "slices"),))
        if experiment.capture == "none" and experiment.slices[index].source.kind == "prompt":
            rule = 'needs the prompt, and capture = "none" keeps none'
            yield Finding((*at, "slices", index), rule, because=((*at, "slices"), (*at, "capture")))
    for index, attribute in enumerate(experiment.policy.protected_slices):
        if attribute not in attributes:
            rule = f"is no slice of this experiment; its slices: {', '.join(attributes) or 'none'}"
            protected = (*at, "policy", "protected_slices")
            because = ((*at, "slices"), protected)
            yield Finding((*protected, index), rule, nearest(attribute, attributes), because)


def _mirrored_more(at: Location, experiment: Experiment) -> Iterator[Finding]:
    attributes = [slice_.attribute for slice_ in experiment.slices]
    for entry, percent in experiment.mirror_slices.items():
        where = (*at, "mirror_slices", entry)
        attribute, equals, value = entry.partition("=")
        if not equals or not value:
            yield Finding(where, 'must be "attribute=value"')
        elif attribute not in attributes:
            rule = f"is of no slice of this experiment; its slices: {', '.join(attributes) or 'none'}"
            near = nearest(attribute, attributes)
            yield Finding(where, rule, f"{near}={value}" if near else "", ((*at, "slices"),))
        elif percent <= experiment.mirror_percent:
            rule = f"must be above mirror_percent ({experiment.mirror_percent:g}): so much is mirrored in any case"
            yield Finding(where, rule, because=((*at, "mirror_percent"),))


def _days(at: Location, experiment: Experiment) -> Iterator[Finding]:
    policy, low, high = experiment.policy, (*at, "min_days"), (*at, "max_days")
    if policy.min_days <= policy.max_days:
        return
    if "min_days" in policy.model_fields_set:
        yield Finding(low, f"must not be above max_days ({policy.max_days:g})", because=(high,))
    else:
        yield Finding(high, f"must not be below min_days ({policy.min_days:g} unless given)", because=(low,))


def _ambiguous(experiments: Sequence[Experiment]) -> Iterator[Finding]:
    """Members of one group match the same requests on purpose: its first one speaks for it."""
    speaking = [experiment for experiment in experiments if experiment.cohort is None or experiment.cohort.index == 0]
    for one, other in itertools.combinations(speaking, 2):
        if _overlap(one.match, other.match):
            rule = f'matches requests that "{one.name}" matches too: tell them apart by path, model or a header'
            at = ("experiments", other.name, "match")
            yield Finding(at, rule, because=(("experiments", one.name, "match"), at))


def _overlap(one: Match, other: Match) -> bool:
    """Whether some request may belong to both."""
    if one.path != other.path:
        return False
    if one.model is not None and other.model is not None and one.model != other.model:
        return False
    shared = one.headers.keys() & other.headers.keys()
    return all(one.headers[name] == other.headers[name] for name in shared)
