"""The manifests: whole by Kubernetes' own schemas, confined, and in agreement with the program that they run."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from tests_deploy import DEPLOY, ROOT, SCHEMAS, containers, documents, faults, manifests, pods, said, tool

from experiments.config import load
from router.admin.auth import OPEN_PATH
from router.app import _OWN
from router.commandline.app import PANELS

COMMANDS = {name for panel in PANELS.values() for name, _ in panel}
CONFIG = DEPLOY / "kubernetes" / "config.toml"
PODS = pods(manifests())
ALL = [(name, container) for name, pod in PODS.items() for container in containers(pod)]


def _of(kind: str, name: str) -> dict[str, Any]:
    [found] = [m for m in manifests() if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize("manifest", manifests(), ids=lambda m: f"{m['kind']}-{m['metadata']['name']}")
def test_a_manifest_is_whole_by_the_schema_of_kubernetes(manifest: dict[str, Any]) -> None:
    assert faults(manifest) == []


def test_the_schema_knows_a_key_that_is_misspelt_and_one_of_the_wrong_type() -> None:
    broken = copy.deepcopy(_of("Deployment", "touchstone-proxy"))
    broken["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 45
    broken["spec"]["minReadySeconds"] = "5"
    assert len(faults(broken)) == 2


def test_the_example_of_the_secret_has_every_file_that_the_pods_and_the_configuration_name() -> None:
    [secret] = documents((DEPLOY / "kubernetes" / "secret.example.yaml").read_text())
    assert faults(secret) == []
    volumes = [volume["secret"] for pod in PODS.values() for volume in pod["volumes"] if "secret" in volume]
    assert {volume["secretName"] for volume in volumes} == {secret["metadata"]["name"]}
    named = {item["key"] for volume in volumes for item in volume.get("items", [])}
    tokens = load(CONFIG).router.admin_tokens
    assert tokens is not None
    assert named | {tokens.name} == set(secret["stringData"])


@pytest.mark.parametrize(("pod", "container"), ALL, ids=lambda v: v if isinstance(v, str) else v["name"])
def test_a_container_runs_a_command_that_there_is_and_can_write_to_its_volumes_only(
    pod: str, container: dict[str, Any]
) -> None:
    assert container["args"][0] in COMMANDS
    assert container["args"][1:3] == ["--config", "/etc/touchstone/config.toml"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    of_pod = PODS[pod]["securityContext"]
    assert (of_pod["runAsNonRoot"], of_pod["runAsUser"], of_pod["fsGroup"]) == (True, 10001, 10001)
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not PODS[pod]["automountServiceAccountToken"]
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/touchstone", "/tmp"}
    assert container["resources"]["limits"]["memory"]


def test_the_namespace_has_kubernetes_refuse_whatever_is_less_confined() -> None:
    labels = _of("Namespace", "touchstone")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_services_do_not_set_variables_that_the_program_would_read_as_its_settings() -> None:
    assert not any(pod["enableServiceLinks"] for pod in PODS.values())


@pytest.mark.parametrize(("component", "path"), [("proxy", f"{_OWN}healthz"), ("control", OPEN_PATH)])
def test_probes_ask_the_path_that_answers_without_a_token_and_without_the_store(component: str, path: str) -> None:
    [container] = PODS[component]["containers"]
    [port] = container["ports"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    address = load(CONFIG).router.listen if component == "proxy" else load(CONFIG).router.admin
    assert address == f"0.0.0.0:{port['containerPort']}"


def test_a_pod_that_is_ended_has_time_for_answers_in_flight_and_the_recorder_ends_after_the_proxy() -> None:
    pod, settings = PODS["proxy"], load(CONFIG).router
    [proxy], [record] = pod["containers"], pod["initContainers"]
    assert record["restartPolicy"] == "Always"  # what makes it a sidecar, which ends last
    sleeps_s = proxy["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= sleeps_s + settings.shutdown_grace_s + 15
    assert PODS["control"]["terminationGracePeriodSeconds"] >= 30


def test_the_journal_sheds_before_kubernetes_would_end_the_pod_for_its_size() -> None:
    [data] = [volume for volume in PODS["proxy"]["volumes"] if volume["name"] == "data"]
    size = data["emptyDir"]["sizeLimit"]
    assert load(CONFIG).router.journal_limit_bytes < int(size.removesuffix("Gi")) * 2**30
    assert PODS["proxy"]["containers"][0]["resources"]["requests"]["ephemeral-storage"] == size


@pytest.mark.parametrize("component", ["proxy", "control"])
def test_service_budget_and_network_policy_mean_the_pods_of_their_component(component: str) -> None:
    name = f"touchstone-{component}"
    labels = _of("Deployment", name)["spec"]["template"]["metadata"]["labels"]
    [port] = PODS[component]["containers"][0]["ports"]
    service, policy = _of("Service", name)["spec"], _of("NetworkPolicy", name)["spec"]
    assert service["selector"] == policy["podSelector"]["matchLabels"] == labels
    assert service["ports"][0]["targetPort"] == port["name"]
    pod = PODS[component]
    listening = [
        port["containerPort"] for container in pod.get("initContainers", []) for port in container.get("ports", [])
    ]
    assert [p["port"] for rule in policy["ingress"] for p in rule["ports"]] == [port["containerPort"], *listening]
    assert _of("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"] == labels


def test_proxies_do_not_know_the_tokens_of_the_admin_port() -> None:
    [secrets] = [volume["secret"] for volume in PODS["proxy"]["volumes"] if "secret" in volume]
    assert [item["key"] for item in secrets["items"]] == ["pg_service.conf"]


def test_kustomize_makes_of_it_what_every_schema_accepts_with_the_configuration_under_a_name_of_its_content() -> None:
    made = documents(said(tool("kubectl"), "kustomize", "deploy/kubernetes"))
    assert [fault for manifest in made for fault in faults(manifest)] == []
    [config] = [m for m in made if m["kind"] == "ConfigMap"]
    assert config["data"] == {"config.toml": CONFIG.read_text()}
    assert config["metadata"]["name"] != "touchstone-config"
    for pod in pods(made).values():
        assert config["metadata"]["name"] in {v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v}
        assert {c["image"] for c in containers(pod)} == {"registry.example.com/touchstone:0.1.0"}
    assert {m["metadata"].get("namespace") for m in made if m["kind"] != "Namespace"} == {"touchstone"}


def test_the_oldest_kubernetes_that_the_page_names_takes_it(tmp_path: Path) -> None:
    [oldest] = re.findall(r"Kubernetes (1\.\d+) or newer", (ROOT / "docs" / "how-to" / "deploy.md").read_text())
    made = tmp_path / "made.yaml"
    made.write_text(said(tool("kubectl"), "kustomize", "deploy/kubernetes"))
    assert " passed " in said(tool("kubernetes-validate"), "--strict", "--kubernetes-version", oldest, str(made))


def test_the_schemas_here_are_those_of_kubernetes_cut_down() -> None:
    tool("kubernetes-validate")
    assert (
        said(tool("python"), "-m", "deploy.check.schemas", cwd=ROOT) == (SCHEMAS / "kubernetes-1.37.json").read_text()
    )
