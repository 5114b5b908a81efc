"""The feedback endpoints as a proxy mounts them: from an answer's header to the store."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests_config import CHAT
from tests_plane import Plane

from experiments.config.records import Config, Guardrail, Monitor
from experiments.config.serving import FeedbackSettings
from experiments.journal.recorder import Recorder
from experiments.pairs.labels import LabelStore
from experiments.store import open_store

BATCH = "/_touchstone/v1/feedback/batch"
ONE_TRANSPORT = pytest.mark.parametrize("plane", ["http1"], indirect=True)
METRICS = {
    "guardrails": (Guardrail(name="right", scorer="exact", margin=0.1),),
    "monitors": (Monitor(name="thumbs_up", feedback=True),),
}


def post(running: Plane, path: str, body: Any) -> tuple[int, Any, dict[str, str]]:
    request = urllib.request.Request(running.url + path, json.dumps(body).encode(), {"x-user-id": "u"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, json.loads(response.read()), dict(response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), dict(error.headers)


@pytest.fixture(name="signed")
def _signed(plane, tmp_path: Path) -> Plane:
    (tmp_path / "key").write_text("a-key-of-24-characters!!")
    signed = FeedbackSettings(signing_key=f"file:{tmp_path}/key", require_signed=True, per_minute=5)
    running: Plane = plane(settings={"feedback": signed}, **METRICS)
    return running


def ask(running: Plane) -> tuple[str, str]:
    _, _, headers = post(running, CHAT, {"messages": [{"role": "user", "content": "capital of France"}]})
    running.known[headers["x-touchstone-exchange"]] = "support"
    return headers["x-touchstone-exchange"], headers["x-touchstone-feedback-token"]


@ONE_TRANSPORT
def test_an_answers_token_opens_the_batch_and_what_it_says_reaches_the_store(signed: Plane, tmp_path: Path) -> None:
    exchange, token = ask(signed)
    vote = {"exchange": exchange, "metric": "thumbs_up", "value": True, "token": token}
    right = vote | {"metric": "right", "value": "Paris"}

    status, answer, _ = post(signed, BATCH, [vote, right, vote | {"token": ask(signed)[1]}])
    signed.stop()

    config = Config(
        path=tmp_path / "c.toml",
        backends={},
        router=signed.app._config.router,
        experiments=signed.app._config.experiments,
    )
    store = open_store(f"sqlite:///{tmp_path / 'touchstone.db'}")
    store.migrate()
    for _ in range(2):
        Recorder(config, store).record()
    labels, marks = LabelStore(store.engine).latest([exchange], "right"), store.watermarks()
    store.close()
    assert (status, answer["accepted"], [told["status"] for told in answer["refused"]]) == (207, 2, [401])
    assert marks.feedback == 1
    assert (labels[exchange].value, labels[exchange].experiment) == ("Paris", "support")


@ONE_TRANSPORT
def test_what_the_rate_refuses_is_counted(signed: Plane) -> None:
    exchange, token = ask(signed)
    vote = {"exchange": exchange, "metric": "thumbs_up", "value": True, "token": token}

    assert post(signed, BATCH, [vote] * 8)[1]["accepted"] == 5
    assert post(signed, "/_touchstone/v1/feedback", vote)[0] == 429
    assert signed.app._feedback.refused == {"feedback_rate": 4}
