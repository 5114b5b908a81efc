"""What Touchstone said of live traffic, held against the golden set asked offline: real servers, fake models."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from examples.support_model import claims
from examples.support_model.claims import Claim, check_claims, claims_table, write_report
from examples.support_model.screen import Standing
from experiments.config import Config, load
from experiments.evidence import Evidence, Interval, Kind, MetricEvidence, Verdict
from experiments.model import Phase
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving

ROOT = Path(__file__).parents[2]
LANGUAGES = ("en", "hi")
QUESTIONS = {f"question {number}": LANGUAGES[number % 2] for number in range(20)}


def said(slice_: str, estimate: float, interval: Interval | None, metric: str = "quality") -> MetricEvidence:
    return MetricEvidence(
        metric=metric, role="guardrail", kind=Kind.PAIRED, slice=slice_, verdict=Verdict.INSUFFICIENT, units=40,
        estimate=estimate, interval=interval,
    )  # fmt: skip


def evidence(*metrics: MetricEvidence) -> Evidence:
    return Evidence(
        experiment="web-8bit", epoch=1, look=1, at=1.0, stage=0, phase=Phase.RUNNING, units=40, stage_units=40,
        exchanges=40, served_by_treatment=20, pairs=40, metrics=list(metrics), splits=[], completeness=[],
        log_e_family=0.0, peak_log_e_family=0.0,
    )  # fmt: skip


def right(prompt: str) -> str:
    return f"answer to {prompt}\n"


def wrong_in_hindi(prompt: str) -> str:
    return "?" if QUESTIONS[prompt] == "hi" else right(prompt)


@pytest.fixture(name="backends")
def _backends() -> dict[str, FakeBackend]:
    return {
        "original": FakeBackend(Behaviour(answer=right)),
        "int8": FakeBackend(Behaviour(answer=right)),
        "int4": FakeBackend(Behaviour(answer=wrong_in_hindi)),
    }


@pytest.fixture(name="config")
def _config(backends: dict[str, FakeBackend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """The demo's configuration with fake models, and a golden set that is small enough for a test."""
    lines = [
        msgspec.json.encode(
            {
                "id": prompt,
                "request": {"messages": [{"role": "user", "content": prompt}]},
                "expected": {"exact": f"answer to {prompt}"},
                "tags": {"language": language},
            }
        )
        for prompt, language in QUESTIONS.items()
    ]
    (tmp_path / "golden.jsonl").write_bytes(b"\n".join(lines))
    monkeypatch.setattr(claims, "__file__", str(tmp_path / "claims.py"))
    config = load(ROOT / "config.toml", {})
    with ExitStack() as stack:
        urls = {name: stack.enter_context(serving(backend)) for name, backend in backends.items()}
        served = {name: config.backends[name].model_copy(update={"urls": (urls[name],)}) for name in backends}
        yield config.model_copy(update={"backends": served})


def quiet() -> Console:
    return Console(file=io.StringIO())


async def test_every_model_is_asked_every_question_once_and_the_difference_is_told_by_language(
    config: Config, backends: dict[str, FakeBackend]
) -> None:
    wide = Interval(-1.0, 1.0)
    found = evidence(said("", -0.5, wide), said("x-language=hi", -1.0, wide), said("", 0.0, wide, metric="errors"))
    standings = {name: Standing(evidence=found) for name in config.experiments}

    checked = await check_claims(config, standings, backends, quiet())

    assert [(c.experiment, c.slice, c.offline_difference, c.offline_n) for c in checked] == [
        ("web-8bit", "", 0.0, 20),
        ("web-8bit", "x-language=hi", 0.0, 10),
        ("mobile-4bit", "", -0.5, 20),
        ("mobile-4bit", "x-language=hi", -1.0, 10),
    ]
    for backend in backends.values():
        asked = [msgspec.json.decode(request["body"]) for request in backend.received]
        assert sorted(body["messages"][0]["content"] for body in asked) == sorted(QUESTIONS)
        assert {(body["max_tokens"], body["temperature"], body["cache_prompt"]) for body in asked} == {(40, 0, False)}


async def test_an_experiment_that_has_no_evidence_makes_no_claim(
    config: Config, backends: dict[str, FakeBackend]
) -> None:
    standings = {name: Standing() for name in config.experiments}

    assert await check_claims(config, standings, backends, quiet()) == []


def claim(difference: float, interval: Interval | None) -> Claim:
    return Claim("web-8bit", "", said("", -0.002, interval), difference, 3_000)


@given(lower=st.floats(-1, 1), upper=st.floats(-1, 1), difference=st.floats(-1, 1))
def test_a_claim_holds_if_the_offline_difference_lies_inside_its_interval(
    lower: float, upper: float, difference: float
) -> None:
    assert claim(difference, Interval(lower, upper)).holds == (lower <= difference <= upper)


@pytest.mark.parametrize("interval", [None, Interval(None, -0.5), Interval(0.5, None)])
def test_where_nothing_was_claimed_nothing_can_be_wrong(interval: Interval | None) -> None:
    assert claim(0.0, interval).holds


def test_the_table_says_of_each_claim_whether_it_agrees() -> None:
    out = Console(width=160, file=io.StringIO())
    out.print(claims_table([claim(-0.001, Interval(-0.02, 0.015)), claim(-0.2, Interval(-0.02, 0.015))]))

    lines = [line for line in out.file.getvalue().splitlines() if "web-8bit" in line]

    assert "-0.2 points (40 users)" in lines[0]
    assert "-2.0 to +1.5" in lines[0]
    assert "-0.1 points (3000 questions)" in lines[0]
    assert [line.strip("│ ").split()[-1] for line in lines] == ["yes", "NO"]


def test_the_report_has_a_section_for_each_experiment_and_its_own_claims_only(tmp_path: Path) -> None:
    config = load(ROOT / "config.toml", {})
    standings = {
        "web-8bit": Standing("promoted", "100 %", "The 8-bit model is as good."),
        "mobile-4bit": Standing("rolled_back", "0 %", "The 4-bit model is worse."),
    }
    told = [
        claim(-0.001, Interval(-0.02, 0.015)),
        Claim("mobile-4bit", "x-language=hi", said("", -0.1, None), -0.12, 9),
    ]

    path = write_report(tmp_path / "report.md", config, standings, told)

    text = path.read_text(encoding="utf-8")
    web, mobile = text.split("## mobile-4bit: ")
    assert "## web-8bit: promoted\n\nThe 8-bit model is as good.\n" in web
    assert mobile.startswith("rolled back\n\nThe 4-bit model is worse.\n")
    assert web.count("\n| all traffic |") == 1
    assert mobile.count("\n| Hindi |") == 1
    assert text.count("\n| all traffic |") + text.count("\n| Hindi |") == 2
