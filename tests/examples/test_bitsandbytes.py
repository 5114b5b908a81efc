"""The bitsandbytes example: guards, conversion, the server's wire shapes; the real run where it is installed."""

import json
import os
import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from examples.bitsandbytes.__main__ import GOLDEN, bench_command, sizes
from examples.bitsandbytes.answering import Asked, Generated
from examples.bitsandbytes.convert import KIND, MODELS, recipe_of, unrotated, vocabulary
from examples.bitsandbytes.environment import VARIABLE, python
from examples.bitsandbytes.models import UnsafeModelError, check_columns, check_saved, quantization
from examples.bitsandbytes.server import Server
from examples.children import ROOT, ExampleError
from examples.support_model.catalog import checked_path
from examples.support_model.export import Trained, _for_rope
from experiments.protocols import protocol
from experiments.server_timings import server_timings


class Echo:
    """Answers with the prompt, a word at a time: the seam behind which the model stands."""

    def chat_prompt(self, messages):
        return messages[-1]["content"]

    def generate(self, asked: Asked, on_piece=lambda _text: None) -> Generated:
        words = asked.prompt.split()[: asked.max_tokens]
        for word in words:
            on_piece(f"{word} ")
        return Generated(asked.prompt, "stop", 3, len(words), queue_ms=1.5, prompt_ms=2.0, predicted_ms=4.0)


@pytest.fixture
def client():
    with TestClient(Server(Echo(), "support-nf4", {"size_bytes": 304}).app()) as found:
        yield found


CHAT = {"messages": [{"role": "user", "content": "kahan hai mera parcel"}], "max_tokens": 40, "temperature": 0}


def test_a_chat_is_answered_in_the_shape_that_touchstone_reads(client):
    body = client.post("/v1/chat/completions", json=CHAT).text

    found = protocol("openai").answer(body)
    assert (found.text, found.finish_reason) == ("kahan hai mera parcel", "stop")
    assert (found.input_tokens, found.output_tokens) == (3, 4)
    assert server_timings("openai", body) == (6.0, 1.5)


def test_a_stream_says_the_same_and_ends_with_its_usage(client):
    asked = CHAT | {"stream": True, "stream_options": {"include_usage": True}}
    body = client.post("/v1/chat/completions", json=asked).text

    found = protocol("openai").answer(body)
    assert found.text == "kahan hai mera parcel "
    assert (found.output_tokens, found.tokens_estimated) == (4, False)
    assert body.endswith("data: [DONE]\n\n")
    assert server_timings("openai", body) == (6.0, 1.5)


def test_completions_models_and_health_answer(client):
    assert client.post("/v1/completions", json={"prompt": "a b"}).json()["choices"][0]["text"] == "a b"
    assert sizes({"nf4": client.get("/v1/models").text}) == "Weights in memory: nf4 0 kB"
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("chat/completions", {"messages": []}, "messages must be a list that is not empty"),
        ("chat/completions", CHAT | {"n": 2}, "n is 2, must be 1"),
        ("chat/completions", CHAT | {"temperature": 3}, "temperature is 3, must be from 0 to 2"),
        ("chat/completions", {"messages": [{"content": [1]}]}, "messages[0].content must be a text"),
        ("completions", {"prompt": ""}, "prompt must be a text"),
        ("completions", {"prompt": "a", "max_tokens": 0.5}, "max_tokens is 0.5"),
        ("completions", {"prompt": "a", "stop": [""]}, "stop must be"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused_with_the_field(client, path, body, said):
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_a_body_that_is_no_json_is_refused(client):
    assert client.post("/v1/completions", content=b"{").status_code == 400


def test_four_bits_without_double_quantization_are_refused():
    assert quantization("nf4")["bnb_4bit_use_double_quant"] is True
    with pytest.raises(UnsafeModelError, match="bnb_4bit_use_double_quant is false"):
        check_saved({"quantization_config": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}}, "a-7b")
    check_saved({"quantization_config": {"load_in_8bit": True}}, "a-7b")
    check_saved({}, "a-7b")


def test_columns_that_the_cpu_computes_wrongly_are_refused():
    check_columns({"q_proj": 64, "down_proj": 192, "up_proj": 1000}, "fine")
    with pytest.raises(UnsafeModelError, match="q_proj has 32 columns, a multiple of 16 and not of 64"):
        check_columns({"down_proj": 128, "q_proj": 32}, "narrow")


def test_the_conversion_undoes_what_the_export_does_to_query_and_key():
    numpy = pytest.importorskip("numpy")
    tensor = numpy.arange(64 * 64, dtype=numpy.float32).reshape(64, 64)
    shape = {"num_attention_heads": 4, "num_key_value_heads": 4}
    for name in ("model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight"):
        rotated = _for_rope(name, tensor, Trained(shape, {}, {}).config)
        assert numpy.array_equal(unrotated(name, rotated, 4), tensor)


def test_the_shape_and_the_vocabulary_come_from_the_files_metadata():
    fields = {
        "llama.vocab_size": 768,
        "llama.embedding_length": 64,
        "llama.feed_forward_length": 192,
        "llama.block_count": 4,
        "llama.attention.head_count": 4,
        "llama.context_length": 256,
        "tokenizer.ggml.tokens": ["<|end|>", "a", "[PAD2]"],
        "tokenizer.ggml.token_type": [3, 1, 5],
    }
    assert (recipe_of(fields).hidden, recipe_of(fields).feed_forward) == (64, 192)
    assert vocabulary(fields) == {"<|end|>": 0, "a": 1}


def test_the_model_that_is_shipped_is_the_one_of_its_checksum():
    assert checked_path(KIND, MODELS).stat().st_size == 1_271_648


def test_the_benchmark_names_both_servers_and_the_cluster():
    command = bench_command("nf4", GOLDEN, 300, 40)
    assert command[command.index("--control") + 1] != command[command.index("--treatment") + 1]
    assert json.loads(command[command.index("--body") + 1]) == {"max_tokens": 40, "temperature": 0}
    assert command[-2:] == ["--items", "300"]


def test_without_the_packages_it_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "python"))
    with pytest.raises(ExampleError, match="is not there"):
        python()


@pytest.mark.skipif(
    os.environ.get("TOUCHSTONE_HEAVY") != "1", reason="loads torch four times: set TOUCHSTONE_HEAVY=1 with the extra hf"
)
def test_the_example_runs_on_the_real_libraries():
    done = subprocess.run(
        [sys.executable, "-m", "examples.bitsandbytes", "--variants", "nf4", "--items", "40"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
