"""A golden run from a configuration: the set of an experiment, its backends, its label and its model."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from tests_config import CHAT, make_config

from experiments.config.records import Guardrail, Match
from experiments.golden.runs import Outcome
from experiments.golden.sets import GoldenError
from experiments.golden.verdict import GateCode, Result
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.golden.runs import GoldenRun, NoGoldenSetError, run_golden
from router.processes.secrets import SecretError

LINE = {"prompt": "where is it?", "expected": {"label": "track"}, "tags": ["en"]}


def write(folder: Path, count: int = 60, **changes) -> Path:
    path = folder / "golden.jsonl"
    lines = [msgspec.json.encode({"id": str(n), **LINE, **changes}) for n in range(count)]
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Iterator[Callable[..., object]]:
    """Run a golden set of an experiment between two fakes."""
    with ExitStack() as stack:

        async def run(control: FakeBackend, treatment: FakeBackend, golden: Path | None, **changes) -> GoldenRun:
            urls = [stack.enter_context(serving(backend)) for backend in (control, treatment)]
            told = changes.pop("told", [])
            label = (Guardrail(name="intent", scorer="label", label="json:intent", margin=0.02),)
            config = make_config(tmp_path, *urls, golden=golden, **{"guardrails": label, **changes})
            return await run_golden(config, config.experiments["support"], progress=lambda *d: told.append(d), seed=1)

        yield run


def fake(intent: str) -> FakeBackend:
    return FakeBackend(Behaviour(answer=lambda _: f'{{"intent": "{intent}"}}'))


async def test_labels_are_read_as_the_experiment_reads_them(run, tmp_path: Path) -> None:
    found = await run(fake("track"), fake("track"), write(tmp_path))

    assert found.verdict.result is Result.PASSED
    assert {(r.control, r.treatment) for r in found.results} == {(Outcome.OK, Outcome.OK)}


async def test_a_treatment_that_answers_otherwise_fails_and_its_answers_can_be_seen(run, tmp_path: Path) -> None:
    found = await run(fake("track"), fake("refund"), write(tmp_path))

    assert found.verdict.result is Result.FAILED
    assert [reason.code for reason in found.verdict.reasons] == [GateCode.WORSE, GateCode.WORSE_IN_TAG]
    assert found.answers["0"]["treatment"].text == '{"intent": "refund"}'


async def test_without_a_label_metric_such_items_cannot_be_judged(run, tmp_path: Path) -> None:
    found = await run(fake("track"), fake("track"), write(tmp_path), guardrails=())

    assert found.verdict.result is Result.CANNOT_TELL


async def test_items_are_posted_where_the_experiment_matches_and_for_its_model(run, tmp_path: Path) -> None:
    control = fake("track")

    await run(control, fake("track"), write(tmp_path, 1), match=Match(path=CHAT, model="support"))

    (request,) = control.received
    assert request["path"] == CHAT
    assert msgspec.json.decode(request["body"])["model"] == "support"


async def test_progress_is_told(run, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    await run(fake("track"), fake("track"), write(tmp_path, 3), told=told)

    assert told == [(1, 3), (2, 3), (3, 3)]


async def test_an_experiment_without_a_golden_set_has_nothing_to_run(run, tmp_path: Path) -> None:
    with pytest.raises(NoGoldenSetError, match="support names no golden set"):
        await run(fake("x"), fake("x"), None)
    with pytest.raises(NoGoldenSetError, match=r"golden\.jsonl has no items"):
        await run(fake("x"), fake("x"), write(tmp_path, 0))


async def test_a_set_that_cannot_be_read_is_named(run, tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match=r"golden\.jsonl:1: expected: must say what is expected"):
        await run(fake("x"), fake("x"), write(tmp_path, expected={}))


async def test_a_key_that_is_missing_stops_the_run_before_anything_is_sent(run, tmp_path: Path) -> None:
    control = fake("x")

    with pytest.raises(SecretError, match="env:TOUCHSTONE_NO_SUCH_KEY is not in the environment"):
        await run(control, fake("x"), write(tmp_path), backend={"api_key": "env:TOUCHSTONE_NO_SUCH_KEY"})
    assert control.received == []
