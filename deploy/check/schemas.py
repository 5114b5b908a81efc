"""Kubernetes' schemas, cut down to the kinds that are used here: `tests/deploy/schemas/kubernetes-1.37.json`.

The package kubernetes-validate ships those of all kinds and of many versions, 108 MB; `make deploy-check` holds the
cut-down ones against it. Run by its environment: `.venv/deploy/bin/python -m deploy.check.schemas > FILE`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

VERSION = "1.37"
KINDS = {
    "v1 Namespace": "io.k8s.api.core.v1.Namespace",
    "v1 ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "v1 Secret": "io.k8s.api.core.v1.Secret",
    "v1 Service": "io.k8s.api.core.v1.Service",
    "apps/v1 Deployment": "io.k8s.api.apps.v1.Deployment",
    "policy/v1 PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "autoscaling/v2 HorizontalPodAutoscaler": "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "networking.k8s.io/v1 NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
}


def cut_down() -> str:
    """Return the schemas as one line of JSON; without descriptions, strict: unknown keys are errors."""
    folder = f"kubernetes-json-schema/v{VERSION}.0-local-strict/_definitions.json"
    [file] = [file for file in metadata.files("kubernetes-validate") or () if str(file).endswith(folder)]
    everything = json.loads(Path(str(file.locate())).read_text())["$defs"]
    needed: set[str] = set()
    waiting = list(KINDS.values())
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += _references(everything[name])
    definitions = {name: _shortened(everything[name]) for name in sorted(needed)}
    return json.dumps({"kinds": KINDS, "definitions": definitions}, separators=(",", ":")) + "\n"


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _references(inner)


def _shortened(node: Any, *, names: bool = False) -> Any:
    """Leave out what is said to people. `names`: the keys of this node are names of properties, whatever they are."""
    if isinstance(node, list):
        return [_shortened(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    kept = {key: inner for key, inner in node.items() if names or not (key == "description" or key.startswith("x-"))}
    if not names and isinstance(kept.get("$ref"), str):
        kept["$ref"] = "#/definitions/" + kept["$ref"].rpartition("/")[2]
    return {key: _shortened(inner, names=key == "properties" and not names) for key, inner in kept.items()}


if __name__ == "__main__":
    sys.stdout.write(cut_down())
