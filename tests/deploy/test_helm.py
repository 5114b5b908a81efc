"""The chart: rendered and linted by Helm itself, and the same in its pods as the manifests of deploy/kubernetes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft7Validator
from tests_deploy import DEPLOY, containers, documents, faults, manifests, pods, said, tool

from experiments.config import load

CHART = DEPLOY / "helm" / "touchstone"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def _rendered(*options: str) -> list[dict[str, Any]]:
    return documents(said(tool("helm"), "template", "touchstone", str(CHART), "--namespace", "touchstone", *options))


def test_every_value_has_a_rule_and_the_defaults_keep_them() -> None:
    assert list(Draft7Validator(SCHEMA).iter_errors(VALUES)) == []
    assert set(VALUES) == set(SCHEMA["properties"]) - {"global"}


@pytest.mark.parametrize(
    "wrong", [{"proxies": {}}, {"shutdownGraceSeconds": "20"}, {"image": {"repository": "x", "digest": "latest"}}]
)
def test_a_value_that_there_is_not_or_that_is_of_the_wrong_kind_is_refused(wrong: dict[str, Any]) -> None:
    assert list(Draft7Validator(SCHEMA).iter_errors(VALUES | wrong)) != []


def test_the_configuration_of_the_defaults_is_one_that_the_program_takes(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(VALUES["config"])
    settings = load(tmp_path / "config.toml").router
    assert settings.shutdown_grace_s == VALUES["shutdownGraceSeconds"]
    assert settings.journal_limit_bytes < int(VALUES["proxy"]["journalSize"].removesuffix("Gi")) * 2**30


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


def test_helm_lints_it_without_a_warning() -> None:
    assert "WARNING" not in said(tool("helm"), "lint", "--strict", str(CHART))


def test_what_it_renders_is_whole_by_the_schema_of_kubernetes() -> None:
    assert [fault for manifest in _rendered() for fault in faults(manifest)] == []


def test_with_every_switch_the_other_way_it_is_whole_as_well() -> None:
    digest = "sha256:" + "0" * 64
    made = _rendered(
        *("--set", "proxy.autoscaling.enabled=false", "--set", "networkPolicy.enabled=false"),
        *("--set", f"image.digest={digest}", "--set", "imagePullSecrets[0].name=pull"),
        *("--set", "nodeSelector.pool=cpu", "--set", "podAnnotations.note=a", "--set", "shutdownGraceSeconds=60"),
        *("--set", "tolerations[0].key=x", "--set", "proxy.service.annotations.a=b"),
    )
    assert [fault for manifest in made for fault in faults(manifest)] == []
    assert {m["kind"] for m in made} == {"ConfigMap", "Service", "Deployment", "PodDisruptionBudget"}
    for pod in pods(made).values():
        assert {c["image"] for c in containers(pod)} == {f"registry.example.com/touchstone@{digest}"}
    assert pods(made)["proxy"]["terminationGracePeriodSeconds"] == 85


def test_its_pods_are_those_of_the_manifests() -> None:
    here, there = pods(_rendered()), pods(manifests())
    for component in ("proxy", "control"):
        assert _comparable(here[component]) == _comparable(there[component])


def test_helm_refuses_a_value_that_is_misspelt() -> None:
    said_ = said(tool("helm"), "template", "touchstone", str(CHART), "--set", "proxy.replica=3", status=1)
    assert "replica" in said_


def test_another_configuration_makes_other_pods() -> None:
    def checksums(*options: str) -> set[str]:
        found = [m for m in _rendered(*options) if m["kind"] == "Deployment"]
        return {m["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for m in found}

    assert len(checksums()) == 1
    assert checksums() != checksums("--set-string", "config=[router]")


def _comparable(pod: dict[str, Any]) -> dict[str, Any]:
    """Leave out what names the release: images and the labels that pods are spread by."""
    for container in containers(pod):
        container.pop("image")
        container.pop("imagePullPolicy", None)
    for spread in pod["topologySpreadConstraints"]:
        spread.pop("labelSelector")
    return pod
