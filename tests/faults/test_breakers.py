"""Endpoints that are down (F1, F2, F6): nobody waits for them, nobody storms them, and they come back by themselves."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import msgspec
import pytest
from tests_config import make_config
from tests_history import Life, living

from experiments.config.records import Backend
from experiments.config.serving import Ejection
from experiments.evidence import Action
from experiments.model import CONTROL, TREATMENT, Exchange, Feedback, Phase, Route
from router.app import DataPlane, build_app
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving

CHAT = "/v1/chat/completions"
FAILURES = Ejection().failures
OPEN_S = 0.6


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def ask(url: str, user: str = "u") -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + CHAT, data=b"hello", headers={"x-user-id": user}) as response,
    ):
        return response.status, await response.read()


Front = Callable[[str, str, int], tuple[str, DataPlane]]


@pytest.fixture(name="front")
def _front(tmp_path: Path) -> Iterator[Front]:
    """Serve a data plane whose endpoints are left out for a moment only: (control, treatment, split in percent)."""
    with ExitStack() as stack:

        def start(control: str, treatment: str, split: int) -> tuple[str, DataPlane]:
            ejection = Ejection(seconds=OPEN_S)
            backends = {
                name: Backend(name=name, urls=(url,), ejection=ejection)
                for name, url in (("original", control), ("int4", treatment))
            }
            config = make_config(tmp_path / "journal", control, treatment).model_copy(update={"backends": backends})
            route = Route(
                experiment="support", epoch=1, phase=Phase.RUNNING, split_basis_points=split * 100, salt="support"
            )
            app = build_app(config, load_routes=lambda: [route], lookup_exchange=lambda _: None)
            return stack.enter_context(serving(app)), app

        yield start


async def test_f1_a_treatment_that_refuses_is_left_out_after_five_failures_and_no_user_notices(plane) -> None:
    port = free_port()
    running = plane(split=100, treatment_url=f"http://127.0.0.1:{port}")

    answers = [await ask(running.url, f"user-{number}") for number in range(FAILURES)]
    back = FakeBackend()
    with serving(back, f"127.0.0.1:{port}"):
        # It is there again, but its circuit is open: nobody asks.
        answers += [await ask(running.url, f"user-{number}") for number in range(20)]

    exchanges = running.exchanges(FAILURES + 20)
    assert [status for status, _ in answers] == [200] * (FAILURES + 20)
    assert back.counts[CHAT] == 0
    assert {(e.assigned, e.served) for e in exchanges} == {(TREATMENT, CONTROL)}
    assert [e.fallback for e in exchanges] == ["connect"] * FAILURES + ["unavailable"] * 20


async def test_f1_an_endpoint_that_is_back_gets_one_try_and_then_its_traffic(front: Front) -> None:
    port, control = free_port(), FakeBackend()
    with serving(control) as control_url:
        url, _ = front(control_url, f"http://127.0.0.1:{port}", 100)
        statuses = [(await ask(url))[0] for _ in range(FAILURES)]
        treatment = FakeBackend()
        with serving(treatment, f"127.0.0.1:{port}"):
            deadline = time.monotonic() + 10 * OPEN_S
            while not treatment.counts[CHAT] and time.monotonic() < deadline:
                statuses.append((await ask(url))[0])
            before = control.counts[CHAT]
            statuses += [(await ask(url))[0] for _ in range(10)]

    assert set(statuses) == {200}
    assert treatment.counts[CHAT] == 11, "the try, and everything after it"
    assert control.counts[CHAT] == before


async def test_f2_a_refusing_control_is_a_502_within_the_connect_timeout_and_its_breaker_never_blocks_it(plane) -> None:
    """Where nobody else may answer, an endpoint that is thought to be down is asked all the same."""
    port = free_port()
    running = plane(split=0, control_url=f"http://127.0.0.1:{port}", settings={"connect_timeout_s": 1.0})

    took_s = []
    for number in range(2 * FAILURES):
        started = time.monotonic()
        status, body = await ask(running.url, f"user-{number}")
        took_s.append(time.monotonic() - started)
        assert status == 502
        assert json.loads(body)["error"]["code"] == "upstream_connect"
    with serving(FakeBackend(), f"127.0.0.1:{port}"):
        again, _ = await ask(running.url)

    assert max(took_s) < 1.0
    assert again == 200
    assert running.treatment.counts[CHAT] == 0
    assert {e.error for e in running.exchanges(2 * FAILURES + 1)} == {"connect", ""}


class ControlDown(Life):
    """A life in which control's side of every request fails to connect, live or not."""

    def write(self, *records: Exchange | Feedback, segment: int = 1) -> None:
        super().write(*map(_without_control, records), segment=segment)


def _without_control(record: Exchange | Feedback) -> Exchange | Feedback:
    if not isinstance(record, Exchange) or record.assigned != CONTROL:
        return record
    return msgspec.structs.replace(record, status=502, error="connect", response_text="", ttft_ms=None, latency_ms=None)


def test_f2_while_control_is_down_nothing_is_promoted_and_nothing_is_blamed_on_the_treatment(tmp_path: Path) -> None:
    with living(tmp_path) as calm:
        life = ControlDown(calm.config, calm.store)
        life.start()
        decided = []
        for number in range(4):
            life.serve(number * 40, number * 40 + 40)
            decided += life.tick()
        [route] = life.store.routes()

    assert len(decided) == 4
    assert route.phase is Phase.RUNNING
    assert not {decision.action for decision in decided} & {Action.PROMOTE, Action.ROLLBACK}


async def test_f6_a_treatment_that_fails_often_is_stood_in_for_in_a_fifth_of_the_traffic_at_most(plane) -> None:
    """Four of ten answers are 500, so that the circuit opens late and the budget has to hold."""
    running = plane(split=100)
    running.treatment.behaviour = Behaviour(fail_share=0.4)

    statuses = [(await ask(running.url, f"user-{number}"))[0] for number in range(200)]

    load = running.treatment.counts[CHAT] + running.control.counts[CHAT]
    assert load <= 1.2 * 200 + 3
    assert set(statuses) <= {200, 500}
