"""The container file: what an image of it may do, and that its parts are those of the repository. No engine runs here;
`make deploy-check` runs its steps and what they made (`deploy.check`)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests_deploy import DEPLOY, ROOT, said, tool

from deploy.check.__main__ import writable
from deploy.check.containerfile import ContainerfileError, read_copy, read_stages
from experiments.config import load
from router.app import _OWN

FILE = DEPLOY / "Containerfile"
STAGES = read_stages(FILE)
FINAL = STAGES[-1]
RUN = [value for stage in STAGES for word, value in stage.instructions if word == "RUN"]


def test_the_linter_has_nothing_to_say() -> None:
    assert said(tool("hadolint"), "--failure-threshold", "style", "deploy/Containerfile") == ""


def test_it_runs_as_a_user_with_a_number_of_its_own_and_is_told_to_stop_by_sigterm() -> None:
    assert FINAL.last("USER") == "10001:10001"
    assert FINAL.last("STOPSIGNAL") == "SIGTERM"
    assert FINAL.last("VOLUME") == '["/var/lib/touchstone"]'


def test_it_starts_the_program_itself_without_a_shell_in_between() -> None:
    assert FINAL.command() == ["touchstone", "serve", "--config", "/etc/touchstone/config.toml"]


def test_the_health_check_asks_the_path_and_the_port_of_a_proxy() -> None:
    [url] = re.findall(r"http://[^']+", " ".join(FINAL.health_check()))
    port = load(DEPLOY / "compose" / "config.toml").router.listen.rpartition(":")[2]
    assert url == f"http://127.0.0.1:{port}{_OWN}healthz"
    assert port in FINAL.last("EXPOSE").split()


def test_everything_that_is_installed_is_held_to_a_hash_or_was_built_from_this_repository() -> None:
    installs = [part for line in RUN for part in line.split("&&") if " install " in part and " pip " in part]
    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)
    for name in ("runtime", "build"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        pins = re.split(r"\n(?=\S)", text.strip())
        assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)


def test_the_pinned_libraries_are_all_that_the_program_names_with_postgresql_and_traces() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *extras["postgres"], *extras["otel"]]
    assert {_name(line) for line in wanted} <= _pinned("runtime")
    assert {_name(line) for line in project["build-system"]["requires"]} <= _pinned("build")


def test_the_image_has_the_versions_that_the_tests_run_on() -> None:
    tested = _pinned("dev")
    shared = {(name, version) for name, version in _lines("runtime") if name in tested}
    assert len(shared) > 50
    assert shared <= set(_lines("dev"))


def test_what_is_copied_is_in_the_repository_and_in_the_build_context() -> None:
    copies = [read_copy(value) for stage in STAGES for word, value in stage.instructions if word == "COPY"]
    from_context = {source.rstrip("/") for copy in copies if copy.stage is None for source in copy.sources}
    ignoring = (ROOT / ".dockerignore").read_text().splitlines()
    assert all((ROOT / source).exists() for source in from_context)
    assert {line[1:] for line in ignoring if line.startswith("!")} == from_context
    assert "*" in ignoring
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= from_context
    assert {copy.stage for copy in copies if copy.stage} <= {stage.name for stage in STAGES}


def test_lines_that_are_continued_and_comments_between_them_are_one_instruction(tmp_path: Path) -> None:
    file = tmp_path / "Containerfile"
    file.write_text("ARG A=1\nFROM x AS build\nRUN one \\\n# a comment\n    two\n\nFROM y\nENV A=1 \\\n  B='2 3'\n")
    build, last = read_stages(file)
    assert (build.name, build.instructions) == ("build", (("RUN", "one two"),))
    assert last.environment() == {"A": "1", "B": "2 3"}


@pytest.mark.parametrize("text", ["", "RUN true\nFROM x\n", "FROM x AS a\nFROM y AS a\n"])
def test_a_file_without_stages_that_can_be_told_apart_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "Containerfile").write_text(text)
    with pytest.raises(ContainerfileError):
        read_stages(tmp_path / "Containerfile")


@pytest.mark.parametrize("value", ["--chown=1:1 a b", "a"])
def test_a_copy_that_the_check_would_carry_out_otherwise_than_an_engine_is_refused(value: str) -> None:
    with pytest.raises(ContainerfileError, match="not understood"):
        read_copy(value)


def test_a_file_that_others_than_root_can_write_to_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "program"
    folder.mkdir(mode=0o755)
    (folder / "open").touch()
    (folder / "open").chmod(0o666)
    (folder / "link").symlink_to("/nowhere")
    assert folder / "open" in writable(folder)
    assert folder / "link" not in writable(folder)


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _lines(name: str) -> list[tuple[str, str]]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE)


def _pinned(name: str) -> set[str]:
    return {name for name, _ in _lines(name)}
