"""Make, serve and benchmark GGUF pairs on this machine, with the two small support models.

    pip install 'touchstone-router[llama-cpp]'
    python -m examples.llama_cpp            # quantize, serve, one table for each pair
    python -m examples.llama_cpp --serve    # only serve the larger model's three copies, for config.toml

Runs on a CPU, about two minutes, everything local. Exit code 2 and what to do: something is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.children import ROOT, Children, ExampleError, wait_for_free
from examples.llama_cpp.quantize import needed, quantize
from examples.support_model.catalog import MODELS as SMALL
from examples.support_model.catalog import checked_path
from examples.support_model.data import GOLDEN
from examples.support_model.errors import SupportModelError
from experiments.benching.benchmark import Benchmark
from experiments.model import CONTROL, TREATMENT
from router.benching.asking import Asking
from router.benching.pairing import chosen, from_urls
from router.benching.run import run_pair
from router.benching.showing import shown

RUN = ROOT / "examples-run" / "llama-cpp"
LARGER = Path(__file__).with_name("models") / "support-larger-f32.gguf"
PORTS = {"f32": 9301, "q8_0": 9302, "q4_0": 9303}
"""Those of config.toml."""
BODY = {"temperature": 0, "max_tokens": 40, "cache_prompt": False}
"""A kept prompt would make the second of two equal requests faster."""
_READY_S = 60.0


def originals() -> dict[str, Path]:
    """Return the F32 files by name, the smaller one first, after a look at their checksums.

    Raises:
        ExampleError: A file is missing or is another one.
    """
    try:
        small = checked_path("f32", SMALL)
        digest = hashlib.sha256(LARGER.read_bytes()).hexdigest()
        wanted = (LARGER.parent / "SHA256SUMS").read_text().split()[0]
    except (SupportModelError, OSError) as error:
        raise ExampleError(str(error)) from error
    if digest != wanted:
        raise ExampleError(f"checksum mismatch: {LARGER} has SHA-256 {digest}, SHA256SUMS says {wanted}")
    return {"support": small, "support-larger": LARGER}


def copies(name: str, original: Path, folder: Path) -> dict[str, Path]:
    """Quantize a model; returns kind -> file, the original among them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {kind: quantize(original, folder / f"{name}-{kind}.gguf", kind) for kind in ("q8_0", "q4_0")}
    return {"f32": original, **made}


def serve(children: Children, name: str, files: dict[str, Path]) -> dict[str, str]:
    """Start a server for each file; returns kind -> base URL, when all answer."""
    wait_for_free([PORTS[kind] for kind in files])
    for kind, path in files.items():
        command = [sys.executable, "-m", "examples.llama_cpp.serve", str(path), "--port", str(PORTS[kind])]
        children.start(f"{name}-{kind}", command)
    urls = {kind: f"http://127.0.0.1:{PORTS[kind]}" for kind in files}
    children.wait_for([f"{url}/health" for url in urls.values()], _READY_S)
    return urls


async def bench(urls: dict[str, str], files: dict[str, Path], kind: str, items: int) -> Benchmark:
    """Benchmark one copy against the original."""
    pairing = chosen(from_urls(urls["f32"], urls[kind], GOLDEN), items, seed=1)
    model_files = {CONTROL: files["f32"], TREATMENT: files[kind]}
    return await run_pair(pairing, Asking(warmup=20, fields=BODY), model_files=model_files, cluster_tag="template")


def run(models: Sequence[str], items: int, out: Console) -> None:
    """Benchmark every pair of every model, one table each."""
    known = originals()
    for name in models:
        files = copies(name, known[name], RUN)
        with Children(RUN) as children:
            urls = serve(children, name, files)
            for kind in ("q8_0", "q4_0"):
                out.print(f"\n{name}: F32 against {kind.upper()}, on {items:,} golden items", style="bold")
                for part in shown(asyncio.run(bench(urls, files, kind, items))).parts:
                    out.print(part, soft_wrap=isinstance(part, str))


def serve_until_told(out: Console) -> None:
    """Serve what config.toml names, until SIGINT or SIGTERM."""
    files = copies("support-larger", originals()["support-larger"], RUN)
    with Children(RUN) as children:
        urls = serve(children, "support-larger", files)
        for kind, url in urls.items():
            out.print(f"{kind}: {url}")
        out.print("Now, in another terminal: touchstone serve --config examples/llama_cpp/config.toml. Ctrl-C ends.")
        for number in (signal.SIGTERM, signal.SIGINT):  # a shell starts what is in the background deaf to SIGINT
            signal.signal(number, signal.default_int_handler)
        try:
            signal.pause()
        except KeyboardInterrupt:
            out.print("ended")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000, help="golden items for each pair, of 3,000 (default: 1000)")
    parser.add_argument("--model", choices=("support", "support-larger"), help="only this one")
    parser.add_argument("--serve", action="store_true", help="only serve, on the ports of config.toml")
    options = parser.parse_args()
    if options.items < 1:
        parser.error(f"--items is {options.items}; it must be at least 1")
    out = Console(highlight=False)
    try:
        needed("xllamacpp")
        if options.serve:
            serve_until_told(out)
        else:
            run([options.model] if options.model else ["support", "support-larger"], options.items, out)
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
