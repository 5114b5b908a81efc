"""The documentation is executed, complete, and its links lead somewhere."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_come_out_as_written(page: Path) -> None:
    failed, _ = doctest.testfile(str(page), module_relative=False)

    assert failed == 0


def _modules() -> list[str]:
    found = []
    for package in ("analysis", "experiments", "router"):
        walked = pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
        found += [module.name for module in walked if not module.name.endswith(("__main__", ".env"))]
    return [name for name in found if ".versions" not in name]


@pytest.mark.parametrize("name", _modules())
def test_the_examples_of_a_docstring_come_out_as_written(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))

    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))

    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]

    assert missing == []


def test_the_page_of_statistics_names_every_module() -> None:
    text = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    modules = {path.stem for path in (ROOT / "analysis").iterdir() if path.suffix == ".py" or path.is_dir()}

    missing = {name for name in modules if f"`{name}`" not in text} - {"__init__", "__pycache__"}

    assert missing == set()


def test_the_map_of_the_architecture_names_every_module_of_the_router() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    modules = {path.stem for path in (ROOT / "router").iterdir() if path.suffix == ".py" or path.is_dir()}

    missing = {name for name in modules if not re.search(rf"\b{name}\b", text)} - {
        "__init__",
        "__main__",
        "__pycache__",
    }

    assert missing == set()
