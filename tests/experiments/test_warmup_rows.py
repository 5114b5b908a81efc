"""Warm-up exchanges are stored, and change nothing of what an experiment's evidence and decisions say."""

from pathlib import Path

import msgspec
import pytest
from tests_history import CHAT, Answer, Life, bad, good, living

from experiments.model import TREATMENT, Exchange, Feedback, Role
from experiments.replay import replay
from experiments.store import Look


def warm_up(number: int, life: Life, **changes: object) -> Exchange:
    """A warm-up exchange as `router.upstream.warmup` records it, of a backend that fails."""
    values = {
        "id": f"warmup-{number}",
        "at": life.now,
        "experiment": "",
        "role": Role.WARMUP,
        "backend": "int4",
        "path": CHAT,
        "status": 500,
        "error": "status",
        "ttft_ms": 9_000.0,
        "latency_ms": 9_000.0,
    }
    return Exchange(**(values | changes))


def astray(number: int, life: Life, user: Exchange) -> Exchange:
    """The worst that a warm-up exchange might be: it claims to belong to the experiment, and to a user of it."""
    return warm_up(
        number,
        life,
        experiment=user.experiment,
        epoch=user.epoch,
        stage=user.stage,
        unit=user.unit,
        bucket=user.bucket,
        propensity=user.propensity,
        assigned=TREATMENT,
        served=TREATMENT,
        slices={"x-language": "warm"},
        request_text=user.request_text,
    )


def live_through(folder: Path, answer: Answer, *, with_warm_up: bool) -> tuple[list[Look], dict[str, int], list[bool]]:
    """Serve and tick four times; returns the looks, the stored exchanges by role, and whether each look replays."""
    folder.mkdir()
    with living(folder) as life:
        life.start()
        for tick in range(4):
            first = tick * 40
            user = life.serve(first, first + 1)[0]
            if with_warm_up:
                rows = [astray(first, life, user), *(warm_up(1_000 + first + n, life) for n in range(20))]
                life.write(*rows, *(Feedback(exchange=r.id, metric="complaint", value=0, at=life.now) for r in rows))
            life.serve(first + 1, first + 40, answer)
            life.tick()
        replayed = [found.same for found in replay(life.store, life.config.experiments["support"], 1)]
        return life.store.looks("support", 1), life.store.count_exchanges(), replayed


@pytest.mark.parametrize("answer", [good, bad])
def test_an_experiments_looks_are_the_same_with_warm_up_rows_among_its_own(tmp_path, answer) -> None:
    plain, counts, _ = live_through(tmp_path / "plain", answer, with_warm_up=False)
    warmed, warm_counts, replayed = live_through(tmp_path / "warmed", answer, with_warm_up=True)

    assert warm_counts == counts | {"warmup": 4 * 21}
    assert len(plain) == len(warmed) >= 2
    for without, having in zip(plain, warmed, strict=True):
        assert msgspec.json.encode(having.evidence) == msgspec.json.encode(without.evidence)
        assert (having.decision, having.state) == (without.decision, without.state)
        assert having.outcome_seq == without.outcome_seq, "a warm-up exchange has been scored"
    assert replayed == [True] * len(warmed)


def test_feedback_on_a_unit_is_never_attributed_to_a_warm_up_exchange(tmp_path) -> None:
    with living(tmp_path) as life:
        life.start()
        user = life.serve(1, 2)[0]
        life.write(astray(1, life, user))
        life.tick()

        assert life.store.count_exchanges("support") == {"live": 1, "shadow": 1, "warmup": 1}
        assert life.store.latest_exchange_of("support", user.unit) == "live-1"
