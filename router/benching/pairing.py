"""Which pair is benchmarked, on what: from an experiment of the configuration, or from two URLs and a golden set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.config.records import Config, Experiment
from experiments.config.serving import Backend
from experiments.golden.items import GoldenItem
from experiments.golden.sets import load_golden
from experiments.model import CONTROL, TREATMENT
from router.benching.asking import Asking
from router.golden.client import Target
from router.golden.runs import NoGoldenSetError, label_from
from router.processes.secrets import resolve


class BenchError(Exception):
    """What keeps a benchmark from being made at all: one clear line."""


class Pairing(NamedTuple):
    """Two backends and the items that both are asked."""

    backends: dict[str, Backend]
    """Variant -> backend."""
    targets: dict[str, Target]
    items: tuple[GoldenItem, ...]
    model: str | None = None
    """Goes into requests that name none."""
    label_from: str | None = None
    """Where a label stands, for items that do not say."""

    @property
    def urls(self) -> dict[str, tuple[str, ...]]:
        """Variant -> its endpoints."""
        return {variant: backend.urls for variant, backend in self.backends.items()}

    @property
    def writes(self) -> bool:
        """Whether the answers are texts that a model writes, which it may draw by chance; an embedding is computed."""
        chats = {"openai", "ollama"}
        return self.backends[CONTROL].protocol in chats and any("input" not in item.request for item in self.items)


def from_experiment(config: Config, experiment: Experiment, golden: Path | None = None) -> Pairing:
    """Return the pair of an experiment, with its golden set unless another one is given.

    Raises:
        NoGoldenSetError: There is nothing to send.
        experiments.golden.sets.GoldenError: The set cannot be read.
        router.processes.secrets.SecretError: A backend's key cannot be had.
        router.upstream.upstream.CertificateError: The certificates to trust cannot be used.
    """
    path = golden or experiment.golden
    if path is None:
        raise NoGoldenSetError(f'experiment {experiment.name} names no golden set: add `golden = "FILE"`, or --golden')
    backends = {
        CONTROL: config.backends[experiment.control],
        TREATMENT: config.backends[experiment.treatment],
    }
    keys = {v: None if b.api_key is None else resolve(b.api_key, config.path.parent) for v, b in backends.items()}
    targets = {v: Target(backend, experiment.match.path, keys[v]) for v, backend in backends.items()}
    items = _read(path, backends[CONTROL].protocol)
    return Pairing(backends, targets, items, experiment.match.model, label_from(experiment))


def from_urls(control: str, treatment: str, golden: Path, protocol: str = "openai", path: str | None = None) -> Pairing:
    """Return the pair behind two URLs.

    Args:
        control: Base URL of the original.
        treatment: Base URL of the cheaper model.
        golden: The golden set.
        protocol: What the bodies look like.
        path: Where items are posted; None to tell it from the items.

    Raises:
        BenchError: A URL is none, or the path cannot be told.
        experiments.golden.sets.GoldenError: The set cannot be read.
    """
    known: Any = protocol
    items = _read(golden, protocol)
    backends = {}
    for variant, url in ((CONTROL, control), (TREATMENT, treatment)):
        if not url.startswith(("http://", "https://")):
            raise BenchError(f"--{variant} {url!r} is no URL: must begin with http:// or https://")
        backends[variant] = Backend(name=variant, urls=(url.rstrip("/"),), protocol=known)
    where = path or path_of(items, protocol)
    return Pairing(backends, {variant: Target(backend, where) for variant, backend in backends.items()}, items)


def path_of(items: Sequence[GoldenItem], protocol: str) -> str:
    """Return where requests of this shape are posted.

    Raises:
        BenchError: The protocol has no such path, or the items are of several shapes.
    """
    shapes = {shape for item in items for shape in ("messages", "prompt", "input") if shape in item.request}
    paths = {_PATHS.get((protocol, shape)) for shape in shapes}
    if len(paths) != 1 or (path := paths.pop()) is None:
        found = " and ".join(sorted(shapes)) or "neither messages, prompt nor input"
        raise BenchError(f"cannot tell where {protocol} requests with {found} are posted: give --path")
    return path


def chosen(pairing: Pairing, most: int | None, seed: int) -> Pairing:
    """Keep so many items, drawn: the first ones of a set are often alike."""
    if most is None or most >= len(pairing.items):
        return pairing
    drawn = random.Random(seed).sample(pairing.items, most)  # noqa: S311  # a sample, no secret
    return pairing._replace(items=tuple(drawn))


def prototype_items(path: Path, protocol: str) -> tuple[GoldenItem, ...]:
    """Read the prototypes of embeddings: a golden set of which each item expects a label.

    Raises:
        BenchError: An item expects no label.
        experiments.golden.sets.GoldenError: The set cannot be read.
    """
    items = _read(path, protocol)
    for item in items:
        if item.expected.label is None:
            raise BenchError(f"{path}: prototype {item.id} has no expected.label")
    return items


def asking_of(config: Config | None) -> Asking:
    """Return how long to wait: as the router would, with this configuration."""
    if config is None:
        return Asking()
    settings = config.router
    return Asking(
        connect_timeout_s=settings.connect_timeout_s,
        # An answer in one piece has its first byte when it is done.
        total_timeout_s=min(settings.total_timeout_s, 2 * settings.first_byte_timeout_s),
    )


_PATHS = {
    ("openai", "messages"): "/v1/chat/completions",
    ("openai", "prompt"): "/v1/completions",
    ("openai", "input"): "/v1/embeddings",
    ("ollama", "messages"): "/api/chat",
    ("ollama", "prompt"): "/api/generate",
    ("ollama", "input"): "/api/embed",
}
"""(Protocol, the key that holds what is asked) -> path."""


def _read(path: Path, protocol: str) -> tuple[GoldenItem, ...]:
    items = load_golden(path, protocol).items
    if not items:
        raise NoGoldenSetError(f"{path} has no items")
    return items
