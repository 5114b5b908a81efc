"""The compose file: whole by the specification's schema, confined, and in agreement with what its services run."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from tests_deploy import DEPLOY, SCHEMAS, installed, said

from deploy.check.containerfile import read_stages
from experiments.config import load
from router.admin.auth import OPEN_PATH
from router.app import _OWN
from router.commandline.app import PANELS

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CONFIG = load(DEPLOY / "compose" / "config.toml")
OURS = ("proxy", "control")
BALANCER = (DEPLOY / "compose" / "haproxy.cfg").read_text()


def _faults(compose: dict[str, Any]) -> list[str]:
    schema = json.loads((SCHEMAS / "compose-spec.json").read_text())
    return [error.message for error in Draft202012Validator(schema).iter_errors(compose)]


def test_it_is_whole_by_the_schema_of_the_compose_specification() -> None:
    assert _faults(COMPOSE) == []
    assert _faults({**COMPOSE, "services": {"proxy": {"imagee": "x"}}}) != []


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined_and_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] not in ("root", "0")
    assert "privileged" not in service
    assert "healthcheck" in service or name == "proxy"  # a proxy is asked by the image's own


def test_our_services_run_commands_that_there_are_as_the_user_of_the_image() -> None:
    commands = {name for panel in PANELS.values() for name, _ in panel}
    user = read_stages(DEPLOY / "Containerfile")[-1].last("USER")
    for name in OURS:
        assert SERVICES[name]["command"][0] in commands
        assert SERVICES[name]["command"][1:] == ["--config", "/etc/touchstone/config.toml"]
        assert SERVICES[name]["user"] == user


def test_every_file_secret_volume_and_network_that_a_service_names_is_declared() -> None:
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
        assert {config["source"] for config in service.get("configs", [])} <= set(COMPOSE["configs"])
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"])
    assert all((DEPLOY / config["file"]).is_file() for config in COMPOSE["configs"].values())


def test_secrets_come_from_files_and_no_variable_holds_one() -> None:
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or str(value).startswith("/run/secrets/")
    assert "@" not in CONFIG.router.database
    tokens = CONFIG.router.admin_tokens
    assert tokens is not None
    assert str(tokens) == f"/run/secrets/{tokens.name}"
    assert tokens.name in SERVICES["control"]["secrets"]
    assert tokens.name not in SERVICES["proxy"]["secrets"]


def test_a_container_is_given_longer_to_stop_than_its_answers_in_flight() -> None:
    for name in (*OURS, "balancer"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > CONFIG.router.shutdown_grace_s
    assert f"hard-stop-after {int(CONFIG.router.shutdown_grace_s) + 15}s" in BALANCER


def test_the_database_is_reached_by_our_services_alone_and_nothing_is_published_beyond_this_machine() -> None:
    assert SERVICES["postgres"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"]
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_balancer_asks_for_health_and_sends_to_where_proxies_and_controllers_listen() -> None:
    assert f"httpchk GET {_OWN}healthz" in BALANCER
    assert f"httpchk GET {OPEN_PATH}" in BALANCER
    assert f"proxy:{CONFIG.router.listen.rpartition(':')[2]} check" in BALANCER
    assert f"control:{CONFIG.router.admin.rpartition(':')[2]} check" in BALANCER
    assert OPEN_PATH in SERVICES["control"]["healthcheck"]["test"][-1]


def test_haproxy_accepts_the_balancers_configuration() -> None:
    assert "valid" in said(installed("haproxy"), "-c", "-f", str(DEPLOY / "compose" / "haproxy.cfg"))
