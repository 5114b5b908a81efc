"""Whether backends are there, and golden runs as they are stored: over real sockets."""

from pathlib import Path

import pytest
from tests_config import make_config

from experiments.config.serving import Health
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.golden.probing import golden, probe
from router.processes.workers import bind

ITEM = '{"id": "%d", "prompt": "question %d", "expected": {"contains": ["question %d"]}}\n'


def refused_url() -> str:
    with bind("127.0.0.1:0") as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_without_a_health_check_any_answer_will_do(tmp_path: Path) -> None:
    with serving(FakeBackend()) as control, serving(FakeBackend(Behaviour(status=500))) as treatment:
        config = make_config(tmp_path, control, treatment)

        assert probe(config, config.experiments["support"]) == []


def test_nobody_at_the_address_is_told_by_the_backends_name(tmp_path: Path) -> None:
    with serving(FakeBackend()) as control:
        config = make_config(tmp_path, control, refused_url())

        [complaint] = probe(config, config.experiments["support"])

    assert complaint.startswith("int4 does not answer (Client")


@pytest.mark.parametrize(("status", "said"), [(200, []), (503, ["int4: its health check answers 503"])])
def test_a_health_check_must_be_good(tmp_path: Path, status: int, said: list[str]) -> None:
    with serving(FakeBackend()) as control, serving(FakeBackend(Behaviour(status=status))) as treatment:
        config = make_config(tmp_path, control, treatment, backend={"health": Health(path="/v1/models")})

        assert probe(config, config.experiments["support"]) == said


def test_a_run_is_stored_without_prompts_and_answers(tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_text("".join(ITEM % (n, n, n) for n in range(60)))
    with serving(FakeBackend()) as control, serving(FakeBackend()) as treatment:
        config = make_config(tmp_path, control, treatment, golden=tmp_path / "golden.jsonl")

        ran = golden(config, config.experiments["support"], 1)

    assert (ran.result, ran.summary[:7], len(ran.items)) == ("passed", "Passed:", 60)
    assert ran.items[0] == {"id": "0", "control": "ok", "treatment": "ok"}
    assert "question" not in str(ran)
