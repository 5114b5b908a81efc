"""Training and exporting. Most of it needs `pip install '.[train]'`; where that is not installed it is skipped."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.support_model.catalog import KINDS, read_checksums
from examples.support_model.data import GOLDEN
from examples.support_model.export import gguf_name
from examples.support_model.measure import answers
from examples.support_model.serve import running
from examples.support_model.train import Recipe
from experiments.golden.sets import load_golden

ROOT = Path(__file__).parents[2]


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"examples.support_model.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["train", "export"])
def test_missing_packages_are_one_line_that_names_the_command(module: str) -> None:
    code = (
        "import runpy, sys; sys.modules.update(torch=None, safetensors=None, gguf=None);"
        f"runpy.run_module('examples.support_model.{module}', run_name='__main__')"
    )
    arguments = ["--out", os.devnull, *(["model"] if module == "export" else [])]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("is not installed. Run: pip install '.[train]'")


def test_the_learning_rate_rises_then_falls_to_a_twentieth() -> None:
    recipe = Recipe(steps=1000)
    rates = [recipe.rate(step) for step in range(recipe.steps + 1)]
    assert rates[0] == 0
    assert max(rates) == rates[50] == pytest.approx(recipe.peak_rate, rel=0.01)
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert rates[-1] == pytest.approx(recipe.peak_rate / 20)


def test_no_steps_are_refused() -> None:
    done = run("train", "--steps", "0", "--out", os.devnull)
    assert done.returncode == 2
    assert "--steps is 0; it must be at least 1" in done.stderr


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("lm_head.weight", "output.weight"),
        ("model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight"),
        ("model.layers.12.post_attention_layernorm.weight", "blk.12.ffn_norm.weight"),
    ],
)
def test_tensors_get_the_names_that_llama_cpp_looks_for(name: str, wanted: str) -> None:
    assert gguf_name(name) == wanted


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train twice, side by side."""
    for package in ("torch", "transformers", "tokenizers", "safetensors", "gguf"):
        pytest.importorskip(package, reason="training needs: pip install '.[train]'")
    folder = tmp_path_factory.mktemp("trained")
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda name: run("train", "--steps", "30", "--out", str(folder / name)), ("one", "two")):
            assert done.returncode == 0, done.stderr
    return folder


def test_the_same_steps_give_the_same_weights(trained: Path) -> None:
    one, two = ((trained / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert hashlib.sha256(one).hexdigest() == hashlib.sha256(two).hexdigest()


async def test_an_exported_model_is_served(trained: Path) -> None:
    done = run("export", str(trained / "one"), "--out", str(trained / "models"))
    assert done.returncode == 0, done.stderr
    assert len(read_checksums(trained / "models")) == len(KINDS)
    golden = load_golden(GOLDEN).items[:3]
    for kind in KINDS:
        with running(kind, folder=trained / "models") as url:
            assert len(await answers(url, golden)) == 3


def test_a_folder_without_a_model_is_named(trained: Path) -> None:
    done = run("export", str(trained / "nothing"), "--out", str(trained / "models"))
    assert done.returncode == 2
    assert "nothing is no trained model" in done.stderr
