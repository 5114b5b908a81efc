"""The documentation site: every page has its place, every link leads to a page, every configuration on it is accepted.

None of this needs the site's generator, which `make docs` runs strictly.
"""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from experiments.config import ConfigError, load
from router.commandline.app import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
HOW_TO = sorted((DOCS / "how-to").glob("*.md"))
BASE = DOCS / "how-to" / "first-experiment.md"
yaml = pytest.importorskip("yaml", reason="needs PyYAML, which the extra dev brings")


def _named(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def _module(name: str) -> ModuleType:
    """Load a module of the folder `docs`, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="settings", scope="module")
def _settings() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return settings


@pytest.fixture(name="pages", scope="module")
def _pages() -> ModuleType:
    return _module("site_pages")


def _leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from _leaves(part)


def test_every_page_has_its_place_once_and_every_place_its_page(settings: dict[str, Any], pages: ModuleType) -> None:
    placed = list(_leaves(settings["nav"]))

    assert sorted(placed) == sorted({*map(_named, PAGES), *pages.ELSEWHERE.values()})


def test_nothing_is_asked_of_another_server(settings: dict[str, Any]) -> None:
    plugins = [next(iter(found)) if isinstance(found, dict) else found for found in settings["plugins"]]

    assert settings["theme"]["font"] is False
    assert plugins == ["search", "mkdocstrings"]
    assert not {"extra_javascript", "extra_css", "repo_url", "edit_uri"} & set(settings)
    assert not re.search(r"https?://(?!127\.0\.0\.1)", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert [page.name for page in PAGES if "```mermaid" in page.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_the_links_of_a_page_lead_to_files_and_on_the_site_to_pages(page: Path, pages: ModuleType) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    turned = pages.relinked(text, f"docs/{_named(page)}", _named(page))
    there = {link for link in re.findall(r"\]\(([^)#\s]+)", turned) if "://" not in link}
    elsewhere = {(DOCS / found).resolve() for found in pages.ELSEWHERE.values()}

    assert [link for link in links if not (page.parent / link).exists()] == []
    targets = {(page.parent / link).resolve() for link in there}
    assert [target for target in targets if not target.is_file() and target not in elsewhere] == []
    assert all(target.is_relative_to(DOCS) for target in targets)


@pytest.mark.parametrize("name", ["site_pages", "site_docstrings"])
def test_the_examples_of_the_generators_parts_come_out_as_written(name: str) -> None:
    if name == "site_docstrings":
        pytest.importorskip("griffe", reason="needs griffe, of the extra docs")

    assert doctest.testmod(_module(name)).failed == 0


@pytest.mark.parametrize("page", sorted({*HOW_TO, *(DOCS / "api").glob("*.md")}), ids=_named)
def test_the_examples_of_a_page_come_out_as_written(page: Path) -> None:
    assert doctest.testfile(str(page), module_relative=False).failed == 0


def test_every_module_of_the_statistics_is_in_the_api_and_each_that_is_named_exists() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    named = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    ours = {f"analysis.{path.stem}" for path in (ROOT / "analysis").glob("[!_]*.py")}
    ours |= {f"analysis.figures.{path.stem}" for path in (ROOT / "analysis" / "figures").glob("[!_]*.py")}

    assert ours - set(named) == set()
    assert len(named) == len(set(named))
    assert [name for name in named if not (ROOT / f"{name.replace('.', '/')}.py").is_file()] == []


# --- the configurations on the pages ----------------------------------------------------------------------------------


def _blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each fenced block, without its indent."""
    language = ""
    lines: list[str] | None = None
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = re.fullmatch(r" *```(\S*)", line)
        if fence is None:
            if lines is not None:
                lines.append(line)
        elif lines is None:
            language, lines = fence[1], []
        else:
            yield language, textwrap.dedent("\n".join(lines))
            lines = None
    assert lines is None, f"a fence of {page} is not closed"


def _tables(page: Path) -> list[dict[str, Any]]:
    return [tomllib.loads(text) for language, text in _blocks(page) if language == "toml"]


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = _laid_over(below[key], above[key])
    return merged


def _toml(value: Any) -> str:
    """Write a value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("page", [page for page in HOW_TO if _tables(page)], ids=_named)
def test_the_configuration_of_a_task_is_accepted(page: Path, tmp_path: Path) -> None:
    (base,) = _tables(BASE)
    for table in [] if page == BASE else _tables(page):
        base = _laid_over(base, table)
    golden = tmp_path / "golden" / "support.jsonl"
    golden.parent.mkdir()
    golden.write_text(
        "\n".join(
            re.findall(r"^\{.*\}$", (DOCS / "how-to" / "golden-gate.md").read_text(encoding="utf-8"), re.MULTILINE)
        ),
        encoding="utf-8",
    )
    file = tmp_path / "config.toml"
    file.write_text("\n".join(f"{key} = {_toml(value)}" for key, value in base.items()), encoding="utf-8")
    environment = {"CHAT_URL": "json://localhost", "PAGER_URL": "https://localhost", "PAGER_SECRET": "s" * 32}

    config = load(file, environment | {"FEEDBACK_KEY": "k" * 32})

    assert list(config.experiments) == ["support"]


def test_a_key_that_is_none_would_be_noticed(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    (base,) = _tables(BASE)
    wrong = _laid_over(base, {"experiments": {"support": {"polcy": {}}}})
    file.write_text("\n".join(f"{key} = {_toml(value)}" for key, value in wrong.items()), encoding="utf-8")

    with pytest.raises(ConfigError, match="polcy"):
        load(file, {})


# --- the commands on the pages ----------------------------------------------------------------------------------------

_CALLS = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?(touchstone [^\n#|>]*)", re.MULTILINE)


def _calls(page: Path) -> Iterator[list[str]]:
    for language, text in _blocks(page):
        if language in {"", "console", "sh", "bash"}:
            yield from (shlex.split(found)[1:] for found in _CALLS.findall(text.replace("\\\n", " ")))


@pytest.mark.parametrize("page", [page for page in PAGES if next(_calls(page), None)], ids=_named)
def test_the_commands_of_a_page_exist_with_their_options(page: Path) -> None:
    for words in _calls(page):
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while hasattr(command, "commands"):
            assert rest, words
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert [word for word in rest if word.startswith("-") and word not in known] == [], words
