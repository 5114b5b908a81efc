"""The Triton example's own parts; the run on the real server where its environment is installed."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from examples.children import ROOT, ExampleError
from examples.triton import golden
from examples.triton.__main__ import RUN, by_language
from examples.triton.batching import Cell, loads
from examples.triton.environment import DEFAULT, VARIABLE, python
from examples.triton.load import Load, Loaded
from examples.triton.metrics import Counted, read
from experiments.config import load as load_config
from experiments.golden.sets import load_golden

METRICS = """\
# HELP nv_inference_count Number of inferences performed (does not include cached requests)
# TYPE nv_inference_count counter
nv_inference_count{model="intent",version="1"} 80
nv_inference_count{model="other",version="1"} 7
# TYPE nv_inference_exec_count counter
nv_inference_exec_count{model="intent",version="1"} 10
# TYPE nv_inference_queue_duration_us counter
nv_inference_queue_duration_us{model="intent",version="1"} 160000
# TYPE nv_inference_compute_input_duration_us counter
nv_inference_compute_input_duration_us{model="intent",version="1"} 8000
# TYPE nv_inference_compute_infer_duration_us counter
nv_inference_compute_infer_duration_us{model="intent",version="1"} 800000
# TYPE nv_inference_compute_output_duration_us counter
nv_inference_compute_output_duration_us{model="intent",version="1"} 8000
"""


def test_queueing_and_compute_are_told_apart_from_tritons_sums():
    found = read(METRICS, "intent")

    assert (found.mean_batch, found.queue_ms, found.compute_ms) == (8.0, 2.0, 10.2)
    assert found.since(found) == Counted()
    assert Counted().mean_batch is Counted().queue_ms is Counted().compute_ms is None


def test_the_golden_set_is_read_by_the_product_and_is_the_same_each_time(tmp_path):
    first = golden.write(tmp_path / "a.jsonl", 3, clusters=True)
    items = load_golden(first, "triton").items

    assert first.read_bytes() == golden.write(tmp_path / "b.jsonl", 3, clusters=True).read_bytes()
    assert (len(items), len({item.tags["query"] for item in items})) == (144, 48)
    assert len({item.expected.exact for item in items}) == 8
    assert set(load_golden(golden.write(tmp_path / "c.jsonl", 1), "triton").items[0].tags) == {"language"}


def test_one_user_speaks_one_language_and_does_not_ask_the_same_twice():
    ordered = by_language(list(golden.items(3)))

    assert len(ordered) == 144
    for start in range(0, 144, 4):
        user = ordered[start : start + 4]
        assert len({item["tags"]["language"] for item in user}) == 1
        assert len({item["tags"]["query"] for item in user}) == 4


@pytest.mark.parametrize("name", ["config.toml", "batching.toml"])
def test_the_configurations_are_good(name):
    golden.write(RUN / "golden.jsonl")  # the file that the example writes, and always the same
    config = load_config(ROOT / "examples" / "triton" / name)
    assert {backend.protocol for backend in config.backends.values()} == {"triton"}


async def test_both_loops_count_answers_and_failures():
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=500 if request.headers.get("x-bad") else 200)

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    closed, opened, bad = await asyncio.gather(
        Load(url, [{}], {}).closed(2, 0.3),
        Load(url, [{}], {}).open(50, 0.3),
        Load(url, [{}], {"x-bad": "1"}).closed(1, 0.1),
    )
    await runner.cleanup()

    assert len(closed.latencies_ms) > 2
    assert len(opened.latencies_ms) > 2
    assert (closed.failures, opened.failures, bad.latencies_ms) == (0, 0, [])
    assert bad.failures > 0
    assert bad.quantile_ms(0.5) is None


def test_a_cell_splits_the_latency_and_says_when_it_cannot():
    columns = Cell("4 clients", "on", Loaded([20.0] * 10, 0, 2.0), Counted(10, 5, 40_000, 100_000)).columns()
    assert columns == ["4 clients", "on", "5", "20.0", "20.0", "20.0", "2.0", "4.0", "10.0", "6.0", "0"]
    assert Cell("4 clients", "on", Loaded([], 3, 2.0), Counted()).columns()[3:] == ["–"] * 7 + ["3"]
    assert [name for name, _, is_open in loads((1,), (40.0,))] == ["1 client", "40/s"]


def test_without_the_servers_environment_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "python"))
    with pytest.raises(ExampleError, match="nvidia-pytriton"):
        python()


@pytest.mark.skipif(
    os.environ.get("TOUCHSTONE_HEAVY") != "1" or not Path(os.environ.get(VARIABLE, str(DEFAULT))).exists(),
    reason="starts Triton: set TOUCHSTONE_HEAVY=1, and TOUCHSTONE_TRITON_PYTHON to the python of its environment",
)
def test_the_example_runs_on_the_real_server():
    done = subprocess.run(
        [sys.executable, "-m", "examples.triton", "--copies", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "96 live requests through the router" in done.stdout
    assert "0 failed" in done.stdout
