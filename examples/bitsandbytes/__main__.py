"""A Transformers model against its bitsandbytes copies: quantize, serve, benchmark by golden set, print the tables.

    pip install 'touchstone-router[hf]'
    python -m examples.bitsandbytes

F32 is control; BF16, 8 bits (LLM.int8()) and 4 bits (NF4 with double quantization) are each compared with it by
`touchstone bench-pair`, on the support model's golden set. Exit code 2 and what to do if something is missing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from examples.bitsandbytes.environment import convert, python
from examples.children import ROOT, Children, ExampleError, fetch, wait_for_free

RUN = ROOT / "examples-run" / "bitsandbytes"
GOLDEN = ROOT / "examples" / "support_model" / "golden.jsonl"
PORTS = {"f32": 9741, "bf16": 9742, "int8": 9743, "nf4": 9744}
"""Variant -> port; the original first."""
_START_TIMEOUT_S = 300
"""A model of 7 billion weights takes minutes from a slow disk."""


def bench_command(treatment: str, golden: Path, items: int, max_tokens: int) -> list[str]:
    """Return the benchmark of one copy against the original.

    Args:
        treatment: Its variant.
        golden: The golden set.
        items: So many of it, drawn; 0 for all.
        max_tokens: Of each answer.
    """
    urls = {variant: f"http://127.0.0.1:{port}" for variant, port in PORTS.items()}
    command = [sys.executable, "-m", "router", "bench-pair", "--control", urls["f32"], "--treatment", urls[treatment]]
    command += ["--golden", str(golden), "--cluster", "template"]
    command += ["--body", json.dumps({"max_tokens": max_tokens, "temperature": 0})]
    return command + (["--items", str(items)] if items else [])


def sizes(models: Mapping[str, str]) -> str:
    """Return one line with the size of each model in memory.

    Args:
        models: Variant -> what its server answers under `/v1/models`.
    """
    found = {variant: json.loads(text)["data"][0]["meta"]["size_bytes"] for variant, text in models.items()}
    return "Weights in memory: " + ", ".join(f"{variant} {_size(size)}" for variant, size in found.items())


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e7 else f"{size / 1e3:.0f} kB"


def run(options: argparse.Namespace, out: Console) -> None:
    """Start the servers, benchmark each copy, print.

    Raises:
        ExampleError: Something is missing, did not start, or the benchmark failed.
    """
    interpreter = python()
    folder = options.model or RUN / "support-hf"
    if options.model is None:
        convert(interpreter, folder)
    with Children(RUN / "logs") as children:
        ports = {variant: port for variant, port in PORTS.items() if variant in {"f32", *options.variants}}
        start(children, interpreter, folder, options.threads, ports)
        models = {variant: fetch(f"http://127.0.0.1:{port}/v1/models") for variant, port in ports.items()}
        out.print(sizes(models))
        for treatment in list(ports)[1:]:
            out.rule(f"{treatment} against f32")
            benchmark(bench_command(treatment, options.golden, options.items, options.max_tokens), out)
            children.check()


def start(children: Children, interpreter: Path, folder: Path, threads: int, ports: Mapping[str, int] = PORTS) -> None:
    """Start a server for each variant and wait until all answer.

    Raises:
        ExampleError: One did not start, or a port is taken.
    """
    wait_for_free(list(ports.values()))
    for variant, port in ports.items():
        command = [str(interpreter), "-m", "examples.bitsandbytes.server", "--model", str(folder.resolve())]
        command += ["--variant", variant, "--port", str(port), "--threads", str(threads)]
        children.start(variant, command)
    children.wait_for([f"http://127.0.0.1:{port}/health" for port in ports.values()], _START_TIMEOUT_S)


def benchmark(command: Sequence[str], out: Console) -> None:
    """Run one benchmark and print what it says.

    Raises:
        ExampleError: It failed.
    """
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    out.print(done.stdout, markup=False, soft_wrap=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ExampleError(f"touchstone bench-pair: {lines[-1]}")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a Transformers model (default: the support model)")
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="golden set (default: the support model's)")
    copies = [variant for variant in PORTS if variant != "f32"]
    parser.add_argument("--variants", nargs="+", choices=copies, default=copies, help="copies (default: all)")
    parser.add_argument("--items", type=int, default=300, help="so many of it; 0 for all (default: %(default)s)")
    parser.add_argument("--max-tokens", type=int, default=40, help="of an answer (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of each server (default: %(default)s)")
    options = parser.parse_args()
    try:
        run(options, Console(highlight=False, width=None if sys.stdout.isatty() else 120))
    except ExampleError as error:
        print(f"examples.bitsandbytes: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
