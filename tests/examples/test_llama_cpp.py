"""The llama.cpp example: its quantized copies are those that were shipped; they are served and benchmarked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port
from rich.console import Console

from examples.children import ROOT, Children, ExampleError
from examples.llama_cpp import __main__ as example
from examples.llama_cpp.quantize import quantize
from examples.support_model.catalog import MODELS, file_name
from experiments.config import load

gguf = pytest.importorskip("gguf", reason="quantizing needs: pip install 'touchstone-router[llama-cpp]'")
SMALL = MODELS / file_name("f32")


def test_a_quantized_copy_is_the_shipped_one_tensor_by_tensor(tmp_path: Path) -> None:
    made = gguf.GGUFReader(quantize(SMALL, tmp_path / "q4_0.gguf", "q4_0"))
    shipped = gguf.GGUFReader(MODELS / file_name("q4_0"))

    assert [tensor.name for tensor in made.tensors] == [tensor.name for tensor in shipped.tensors]
    for one, other in zip(made.tensors, shipped.tensors, strict=True):
        assert one.tensor_type == other.tensor_type
        assert (one.data == other.data).all()
    assert {name: field.contents() for name, field in made.fields.items() if not name.startswith("GGUF.")} == {
        name: field.contents() for name, field in shipped.fields.items() if not name.startswith("GGUF.")
    }


def test_a_matrix_that_one_wants_to_keep_stays_as_it_is(tmp_path: Path) -> None:
    path = quantize(SMALL, tmp_path / "q4_0.gguf", "q4_0", keep=lambda name: name == "output.weight")

    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}
    assert (kinds["output.weight"], kinds["token_embd.weight"]) == ("F32", "Q4_0")


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [(SMALL, "q9", "kind 'q9' is none of q8_0, q5_0, q4_0"), (Path(__file__), "q4_0", "cannot be read as GGUF")],
)
def test_what_cannot_be_quantized_is_told(tmp_path: Path, source: Path, kind: str, says: str) -> None:
    with pytest.raises(ExampleError, match=says):
        quantize(source, tmp_path / "out.gguf", kind)


@pytest.mark.parametrize("package", ["gguf", "xllamacpp"])
def test_a_missing_package_is_one_line_that_names_the_command(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "argv", ["llama_cpp", "--items", "1"])

    with pytest.raises(SystemExit) as ended:
        example.main()

    assert ended.value.code == 2
    said = f"error: {package} is not installed. Run: pip install 'touchstone-router[llama-cpp]'\n"
    assert capsys.readouterr().err == said


def test_the_shipped_model_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(example.originals()) == ["support", "support-larger"]
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  support-larger-f32.gguf\n")
    (tmp_path / "support-larger-f32.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(example, "LARGER", tmp_path / "support-larger-f32.gguf")
    with pytest.raises(ExampleError, match="checksum mismatch"):
        example.originals()


def test_its_experiment_can_be_served_with_the_servers_that_it_starts() -> None:
    config = load(ROOT / "examples" / "llama_cpp" / "config.toml")

    assert set(config.experiments) == {"support-q8", "support-q4"}
    ports = {int(url.rpartition(":")[2]) for backend in config.backends.values() for url in backend.urls}
    assert ports == set(example.PORTS.values())


async def test_a_copy_is_made_served_and_benchmarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp", reason="serving needs: pip install 'touchstone-router[llama-cpp]'")
    monkeypatch.setattr(example, "PORTS", {kind: unused_port() for kind in example.PORTS})
    files = example.copies("larger", example.LARGER, tmp_path)
    with Children(tmp_path) as children:
        urls = example.serve(children, "larger", files)
        found = await example.bench(urls, files, "q4_0", items=30)

    assert found.accuracy is not None
    assert found.accuracy.overall.accuracy_a > 0.8
    assert {variant: memory.why_not for variant, memory in found.memory.items()} == {"control": "", "treatment": ""}
    assert [found.memory[variant].model_bytes for variant in ("control", "treatment")] == [1_271_648, 201_568]
    out = Console(width=80)
    with out.capture() as capture:
        out.print(example.shown(found).parts[0])
    assert "accuracy (n=30)" in capture.get()
