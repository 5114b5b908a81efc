"""What the tests of deploy/ share: its files as data, the schemas, and the tools of `make deploy-check`."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft7Validator

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SCHEMAS = Path(__file__).parent / "deploy" / "schemas"
_TOOLS = ROOT / ".venv" / "deploy" / "bin"


def tool(name: str) -> str:
    """Return a tool of `make deploy-check`, or skip the test."""
    found = _TOOLS / name
    if not found.exists():
        pytest.skip(f"{name} comes with `make deploy-check`")
    return str(found)


def installed(name: str) -> str:
    """Return a program of this machine, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed on this machine")
    return found


def said(*command: str, status: int = 0, cwd: Path = ROOT) -> str:
    """Run a command, hold it to its exit status, and return all that it said."""
    alone = {**os.environ, "HOME": "/nonexistent"}  # no settings of whoever runs the tests
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=alone)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def documents(text: str) -> list[dict[str, Any]]:
    """Return the objects of a YAML file."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def manifests() -> list[dict[str, Any]]:
    """Return every object of deploy/kubernetes, as its files have it; a copy for each caller."""
    return copy.deepcopy(_manifests())


@cache
def _manifests() -> list[dict[str, Any]]:
    named = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    return [d for name in named for d in documents((DEPLOY / "kubernetes" / name).read_text())]


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return component -> what its pods are made by."""
    found = [one["spec"]["template"] for one in objects if one["kind"] == "Deployment"]
    return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["spec"] for pod in found}


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a pod's containers and sidecars."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def faults(manifest: dict[str, Any]) -> list[str]:
    """Return what Kubernetes' own schema says against an object; strict: keys that it does not know are faults."""
    return [f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in _validator(manifest).iter_errors(manifest)]


def _validator(manifest: dict[str, Any]) -> Draft7Validator:
    return _of_kind(f"{manifest['apiVersion']} {manifest['kind']}")


@cache
def _of_kind(kind: str) -> Draft7Validator:
    schemas = json.loads((SCHEMAS / "kubernetes-1.37.json").read_text())
    return Draft7Validator({"$ref": f"#/definitions/{schemas['kinds'][kind]}", "definitions": schemas["definitions"]})
