"""Quantize a GGUF file with gguf-py's own numpy code: no llama.cpp tools, no GPU.

    pip install 'touchstone-router[llama-cpp]'
    python -m examples.llama_cpp.quantize support-f32.gguf support-q4_0.gguf q4_0

Matrices are quantized, vectors (norms, biases) stay as they are, and so do the matrices that `keep` names. That is what
`llama-quantize --pure` does; without `--pure` it leaves some matrices in more bits. For the K-quants of a large model
(Q4_K_M and the like) use `llama-quantize`: gguf-py cannot write them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from examples import children
from examples.children import ExampleError

INSTALL = "pip install 'touchstone-router[llama-cpp]'"
KINDS = ("q8_0", "q5_0", "q4_0")
_SKIPPED = ("GGUF.", "general.architecture", "general.file_type")
"""Fields that the writer writes by itself, or that change."""
Keep = Callable[[str], bool]
"""Whether a tensor of this name stays as it is."""
needed = partial(children.needed, install=INSTALL)
"""Imports what is no dependency of the product, or says how to get it."""


def quantize(source: Path, target: Path, kind: str, keep: Keep = lambda _name: False) -> Path:
    """Write a quantized copy of a GGUF file and return its path.

    Args:
        source: F32 or F16.
        target: Overwritten if it is there.
        kind: One of `KINDS`.
        keep: Which matrices to leave as they are.

    Raises:
        ExampleError: gguf is not installed, the source is no GGUF file, or the kind is unknown.
    """
    if kind not in KINDS:
        raise ExampleError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    gguf = needed("gguf")
    try:
        reader = gguf.GGUFReader(source)
    except (OSError, ValueError) as error:
        raise ExampleError(f"{source} cannot be read as GGUF: {error}") from error
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, value, type_, of in _fields(gguf, reader):
        writer.add_key_value(name, value, type_, sub_type=of)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind.upper()}"])
    _add_tensors(gguf, reader, writer, kind, keep)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _fields(gguf: Any, reader: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    for field in reader.fields.values():
        if not field.name.startswith(_SKIPPED):
            type_ = field.types[0]
            yield field.name, field.contents(), type_, field.types[-1] if type_ == gguf.GGUFValueType.ARRAY else None


def _add_tensors(gguf: Any, reader: Any, writer: Any, kind: str, keep: Keep) -> None:
    quants, type_ = needed("gguf.quants"), gguf.GGMLQuantizationType[kind.upper()]
    block, _ = gguf.GGML_QUANT_SIZES[type_]
    for tensor in reader.tensors:
        # A row that is no multiple of the block cannot be cut into blocks.
        if len(tensor.shape) == 1 or tensor.shape[0] % block or keep(tensor.name):
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        else:
            whole = quants.dequantize(tensor.data, tensor.tensor_type).astype("float32")
            writer.add_tensor(tensor.name, quants.quantize(whole, type_), raw_dtype=type_)


def main() -> None:
    """Read the options and quantize."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="an F32 or F16 GGUF file")
    parser.add_argument("target", type=Path, help="where the copy goes")
    parser.add_argument("kind", choices=KINDS)
    options = parser.parse_args()
    try:
        path = quantize(options.source, options.target, options.kind)
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{path}  {path.stat().st_size} bytes, of {options.source.stat().st_size}")


if __name__ == "__main__":
    main()
