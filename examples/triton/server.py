"""One Triton server with one model, `intent`: text (BYTES) in; label (BYTES), batch and compute_ms out.

Runs in the server's own virtual environment (see README.md):

    PYTHON -m examples.triton.server --model FOLDER/int8.onnx --port 9201 --batching on

Prints `ready` once it answers. It ends at SIGTERM, and with `--exit-with-parent` when its standard input ends. Ports:
HTTP on PORT, gRPC on PORT + 1, /metrics on PORT + 2, all on loopback.

`compute_ms` is the time that the model took for the batch in which a text was. Triton's answers hold no times of their
own; an output of this name is what Touchstone reads as the server's report.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from examples.support_model.errors import SupportModelError, optional
from examples.triton.classifier import INDEX, Classifier

INSTALL = "pip install nvidia-pytriton"
MODEL = "intent"
MOST_A_BATCH = 16
PREFERRED = (4, 8)
"""Batch sizes at which Triton stops waiting for more."""
MOST_WAIT_US = 2000
"""How long Triton waits for more than it has, in microseconds."""


def infer_function(classifier: Classifier) -> Any:
    """Return what Triton calls: BYTES [batch, 1] -> the outputs, each [batch, 1]."""
    numpy, batch = optional("numpy", INSTALL), optional("pytriton.decorators", INSTALL).batch

    @batch  # type: ignore[untyped-decorator]  # the package is not installed where types are checked
    def infer(text: Any) -> dict[str, Any]:
        started = time.perf_counter()
        labels = classifier.labels([row[0].decode(errors="replace") for row in text])
        compute_ms = 1000 * (time.perf_counter() - started)
        return {
            "label": numpy.char.encode(numpy.array(labels), "utf-8").reshape(-1, 1),
            "batch": numpy.full((len(labels), 1), len(labels), numpy.int32),
            "compute_ms": numpy.full((len(labels), 1), compute_ms, numpy.float32),
        }

    return infer


def batcher(*, dynamic: bool) -> Any:
    """Return how Triton puts requests together: up to `MOST_A_BATCH`, or each by itself."""
    if not dynamic:
        return None
    configs = optional("pytriton.model_config", INSTALL)
    return configs.DynamicBatcher(preferred_batch_size=list(PREFERRED), max_queue_delay_microseconds=MOST_WAIT_US)


def start(model: Path, port: int, *, dynamic: bool) -> Any:
    """Return a running `pytriton.triton.Triton`.

    Raises:
        SupportModelError: A package is not installed.
    """
    triton, configs = optional("pytriton.triton", INSTALL), optional("pytriton.model_config", INSTALL)
    numpy, tensor = optional("numpy", INSTALL), configs.Tensor
    host = "127.0.0.1"
    # Each by name: what is not set listens on all addresses.
    server = triton.Triton(
        config=triton.TritonConfig(
            http_address=host,
            http_port=port,
            grpc_address=host,
            grpc_port=port + 1,
            metrics_address=host,
            metrics_port=port + 2,
        )
    )
    server.bind(
        model_name=MODEL,
        infer_func=infer_function(Classifier(model, model.with_name(INDEX))),
        inputs=[tensor(name="text", dtype=bytes, shape=(1,))],
        outputs=[
            tensor(name="label", dtype=bytes, shape=(1,)),
            tensor(name="batch", dtype=numpy.int32, shape=(1,)),
            tensor(name="compute_ms", dtype=numpy.float32, shape=(1,)),
        ],
        config=configs.ModelConfig(max_batch_size=MOST_A_BATCH, batcher=batcher(dynamic=dynamic)),
    )
    server.run()
    return server


def _wait_for_end_of_input(stop: threading.Event) -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass  # closed already
    stop.set()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="ONNX file, with index.npz beside it")
    parser.add_argument("--port", type=int, required=True, help="of HTTP; the two behind it are taken as well")
    parser.add_argument(
        "--batching", choices=("on", "off"), default="on", help="dynamic batching (default: %(default)s)"
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.exit_with_parent:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    try:
        server = start(options.model, options.port, dynamic=options.batching == "on")
    except SupportModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print("ready", flush=True)
    stop.wait()
    server.stop()


if __name__ == "__main__":
    main()
