"""The notebooks are clean, hold no logic, say what is simulated, and run on a real run (`make notebooks`)."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ALLOWED = {"analysis", "experiments", "json", "numpy", "os", "pandas", "scipy"}
MOST_LINES = 5
"""Of a function in a notebook: what is longer belongs into a package, where it is tested."""
RUN_ON_A_STORE = [path for path in NOTEBOOKS if not path.name.startswith("03")]
FACTS = {
    "01": (
        "The same counts as Touchstone's: True",
        "Evidence of no loss, the same to the last bit: True",
        "Evidence of harm, the same to the last bit:    True",
        "looks agree bit by bit, decisions included: True",
    ),
    "02": (
        "False promotions within their level: True",
        "False rollbacks within their level:  True",
        "within 10 %: True",
    ),
    "03": ("e-process (Touchstone)", "promise kept", "promise BROKEN", "'e-process: highest value of the path': True"),
    "04": ("The same status as stored: True",),
    "05": ("Answers that it could not read:", "(exploratory)"),
    "06": ("looks agree bit by bit: True",),
}
"""Notebook -> what it must have printed when it is executed."""


def _read(path: Path) -> dict[str, Any]:
    # As plain JSON: the suite runs without the extra, too.
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _cells(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in _read(path)["cells"] if cell["cell_type"] == kind]


def _nodes(path: Path) -> Iterator[ast.AST]:
    for source in _cells(path, "code"):
        yield from ast.walk(ast.parse(source))


def _figures(path: Path) -> list[ast.Call]:
    calls = [node for node in _nodes(path) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in {"shown", "titled"}]


def test_there_are_six_numbered_from_one() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_an_execution_is_kept(path: Path) -> None:
    found = _read(path)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}

    # No version and no kernel of somebody's machine.
    assert found["metadata"] == {"kernelspec": kernel, "language_info": {"name": "python"}}
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    for cell in found["cells"]:
        assert not cell["metadata"]
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_a_valid_notebook(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="pip install 'touchstone-router[notebooks]'")

    nbformat.validate(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_our_packages_and_few_others(path: Path) -> None:
    nodes = list(_nodes(path))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}

    assert {name.partition(".")[0] for name in names} <= ALLOWED
    assert not any(part.startswith("_") for name in names for part in name.split("."))
    assert "analysis" in {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_logic_of_its_own(path: Path) -> None:
    for node in _nodes(path):
        assert not isinstance(node, ast.While | ast.Try)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= MOST_LINES, node.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_says_what_it_rests_on(path: Path) -> None:
    figures = _figures(path)

    assert figures
    for call in figures:
        assert len(call.args) == 3, ast.unparse(call)
        words = ast.unparse(call.args[2])
        assert any(word in words for word in ("RUN", "real run", "simulated", "computed")), words


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_simulated_is_said_to_be(path: Path) -> None:
    said = ""
    for cell in _read(path)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            said = source
        elif "default_rng(" in source:
            # The text before it and the cell itself are what a reader has in view.
            assert "simulated" in (said + source).lower(), source


@pytest.mark.parametrize("path", RUN_ON_A_STORE, ids=lambda path: path.stem)
def test_a_reader_is_told_first_what_is_real_and_where_the_data_come_from(path: Path) -> None:
    first = _cells(path, "markdown")[0]

    assert "**What is real here, and what is simulated.**" in first
    assert "make demo" in first
    assert "TOUCHSTONE_STORE" in first


# --- executed: `make notebooks` ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def store() -> str:
    """Return what the notebooks are to read: what the environment names, or a real run of the demo."""
    given = os.environ.get("TOUCHSTONE_STORE")
    if given is not None:
        return str(Path(given).resolve()) if "://" not in given else given
    config = ROOT / "config.toml"
    if not _has_run(config):
        subprocess.run([sys.executable, "-m", "examples.support_model.demo"], cwd=ROOT, check=False)
        assert _has_run(config), "the demo left no store: see demo-run/touchstone.log"
    return str(config)


def _has_run(config: Path) -> bool:
    """Whether both experiments of the demo have ended, in a store of this version."""
    from experiments import open_store  # noqa: PLC0415  # statistics: only who executes needs them
    from experiments.workbench import WorkbenchError  # noqa: PLC0415

    try:
        with open_store(config) as opened:
            rows = list(opened.experiments())
    except WorkbenchError:
        return False
    return {row["name"] for row in rows} >= {"web-8bit", "mobile-4bit"} and all(row["pairs"] for row in rows)


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")  # those of the kernel's own libraries
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_its_facts_hold(path: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="pip install 'touchstone-router[notebooks]'")
    from nbclient import NotebookClient  # noqa: PLC0415  # an extra

    monkeypatch.setenv("TOUCHSTONE_STORE", store)
    found = nbformat.read(path, as_version=4)

    NotebookClient(found, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()

    outputs = [output for cell in found.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.get("text", "") for output in outputs)
    for fact in FACTS[path.name[:2]]:
        assert fact in printed
    assert "within 10 %: False" not in printed
    drawn = sum("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)
    assert drawn == len(_figures(path))
