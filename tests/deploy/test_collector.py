"""The collector's file is whole, and what Touchstone sends is what its receiver takes: decoded by OTLP's own classes.

No collector runs here: none can be had from the registries that a build may ask. Its file is held against the form of
its components; what is sent, over a real socket, against the protocol (`opentelemetry-proto`).
"""

from __future__ import annotations

import gzip
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.config.serving import Tracing
from experiments.model import Exchange
from router.telemetry import conventions
from router.telemetry.tracing import Tracer

ROOT = Path(__file__).parents[2]
COMPONENTS = {
    "receivers": {"otlp": {"protocols"}},
    "processors": {
        "memory_limiter": {"check_interval", "limit_mib", "spike_limit_mib"},
        "batch": {"timeout", "send_batch_size"},
    },
    "exporters": {"otlphttp": {"endpoint", "headers", "retry_on_failure", "sending_queue"}, "debug": {"verbosity"}},
    "extensions": {"health_check": {"endpoint"}},
}
"""Component -> its keys that the file may use, as the collector's documentation has them."""


def collector() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "otel-collector.yaml").read_text(encoding="utf-8"))
    return found


def test_every_component_is_known_has_known_keys_and_is_used_once_it_is_there() -> None:
    file = collector()
    [pipeline] = file["service"]["pipelines"].values()

    assert set(file) == {*COMPONENTS, "service"}
    for kind, known in COMPONENTS.items():
        used = file["service"]["extensions"] if kind == "extensions" else pipeline[kind]
        assert set(file[kind]) == set(used) == set(known), kind
        for name, settings in file[kind].items():
            assert set(settings) <= known[name], name


def test_memory_is_limited_before_anything_else_and_no_secret_is_in_the_file() -> None:
    file = collector()

    assert list(file["service"]["pipelines"]) == ["traces"]
    assert file["service"]["pipelines"]["traces"]["processors"][0] == "memory_limiter"
    assert file["processors"]["memory_limiter"]["spike_limit_mib"] < file["processors"]["memory_limiter"]["limit_mib"]
    exporter = file["exporters"]["otlphttp"]
    assert re.fullmatch(r"\$\{env:\w+\}", exporter["endpoint"])
    assert exporter["headers"] == {"authorization": "Bearer ${env:TRACES_TOKEN}"}


def test_the_documented_endpoint_is_that_of_the_receiver() -> None:
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    listens = collector()["receivers"]["otlp"]["protocols"]["http"]["endpoint"]

    assert f'endpoint = "http://{listens}/v1/traces"' in page


def test_what_is_sent_decodes_as_otlp_with_the_conventions_of_generative_models() -> None:
    service = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="needs the extra `otel`"
    )
    came: list[tuple[str, str | None, bytes]] = []
    there = threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        """As much of the receiver as a sender sees: it takes a request, and answers as OTLP over HTTP wants it."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            packed = self.headers.get("content-encoding") == "gzip"
            came.append((self.path, self.headers["content-type"], gzip.decompress(body) if packed else body))
            answer = service.ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            there.set()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        tracer = Tracer(Tracing(endpoint=f"http://127.0.0.1:{server.server_port}/v1/traces", sample_percent=100))
        tracer.start()
        span = tracer.begin({})
        assert span is not None
        tracer.end(span, _exchange())
        assert there.wait(10)
        tracer.close(1.0)
        server.shutdown()
        thread.join()

    [(path, kind, body)] = came
    assert (path, kind, tracer.dropped) == ("/v1/traces", "application/x-protobuf", 0)
    [sent] = service.ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    values = {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in sent.attributes}
    assert sent.name == "chat support"
    assert values[conventions.OPERATION_NAME] == "chat"
    assert (values[conventions.REQUEST_MODEL], values[conventions.RESPONSE_MODEL]) == ("support", "support-int4")
    assert (values[conventions.USAGE_INPUT_TOKENS], values[conventions.USAGE_OUTPUT_TOKENS]) == (11, 3)
    assert values[conventions.FEATURE_FLAG_RESULT_VARIANT] == "treatment"
    assert b"where is my money" not in body


def _exchange() -> Exchange:
    return Exchange(
        id="x1", at=1.0, experiment="support", assigned="treatment", served="treatment", status=200,
        path="/v1/chat/completions", ttft_ms=5.0, latency_ms=9.0,
        request_text='{"model": "support", "messages": [{"role": "user", "content": "where is my money"}]}',
        response_text='{"model": "support-int4", "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],'
        ' "usage": {"prompt_tokens": 11, "completion_tokens": 3}}',
    )  # fmt: skip
