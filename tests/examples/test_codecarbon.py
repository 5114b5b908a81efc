"""The CodeCarbon example: it meters this machine while the pair runs, asks no network, and says how sure it is."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.codecarbon.__main__ import main, spread
from examples.codecarbon.figures import FIELDS, Round, per_thousand, ratio, widened
from experiments.scoring.grid import is_installed

needs_codecarbon = pytest.mark.skipif(not is_installed(), reason="needs the extra `carbon` (codecarbon)")
HOME = {"127.0.0.1", "::1", "localhost", None}


@pytest.fixture(name="asked", scope="module")
def _asked() -> Iterator[list[str]]:
    """What this process asks of the network, from here on; a hook cannot be taken away, so it is told to be silent."""
    heard: list[str] = []
    listening = [True]

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "socket.connect" and isinstance(arguments[1], tuple):
            heard.extend(str(arguments[1]) for host in arguments[1][:1] if host not in HOME)
        if listening and event == "socket.getaddrinfo" and arguments[0] not in HOME:
            heard.append(str(arguments[0]))

    sys.addaudithook(note)
    yield heard
    listening.clear()


def made(energy_wh: float, answers: int = 500) -> Round:
    return Round(
        answers=answers, energy_wh=energy_wh, processor_wh=energy_wh / 2, co2e_g=0.7 * energy_wh, server_cpu_s=9
    )


@needs_codecarbon
def test_the_pair_is_served_in_turn_and_metered_without_a_word_to_the_network(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("xllamacpp", reason="needs the extra `demo`")

    code = main(["--rounds", "2", "--questions", "30"])

    said, errors = capsys.readouterr()
    assert (code, errors, asked) == (0, "", [])
    order = [line.split(":")[0] for line in said.splitlines() if line.startswith("round")]
    assert order == ["round 1, f32", "round 1, q4_0", "round 2, q4_0", "round 2, f32"]
    assert "q4_0 / f32" in said
    assert "without RAPL" in said or "counted by the processor" in said
    assert "g CO2e/kWh, CodeCarbon" in said


def test_without_codecarbon_it_says_how_to_get_it_and_stops(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)

    assert main([]) == 2
    said = "examples.codecarbon: codecarbon is not installed. Run: pip install 'touchstone-router[carbon]'\n"
    assert capsys.readouterr() == ("", said)


@needs_codecarbon
def test_a_country_without_a_figure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--country", "XXX"]) == 2
    assert capsys.readouterr().err.startswith("examples.codecarbon: 'XXX' is no country that there is a figure for")


def test_the_questions_are_spread_over_the_languages() -> None:
    assert list(spread(range(3000), 3)) == [0, 1000, 2000]  # type: ignore[arg-type]
    assert len(spread(range(3000), 700)) == 700  # type: ignore[arg-type]
    assert len(spread(range(5), 700)) == 5  # type: ignore[arg-type]


def test_the_interval_is_students_over_logarithms() -> None:
    found = per_thousand([made(1.0), made(2.0), made(4.0)], "energy_wh")

    half = 4.302653 * math.log(2) / math.sqrt(3)  # t, 2 degrees of freedom; the logarithms' deviation is log 2
    assert (found.value, found.lower, found.upper) == pytest.approx((4.0, 4 * math.exp(-half), 4 * math.exp(half)))
    assert widened(found, 30)[0] < found.lower < found.upper < widened(found, 30)[1]


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=6), st.floats(0.5, 2))
def test_what_is_wrong_for_both_cancels_in_the_ratio(pairs: list[tuple[float, float]], wrong: float) -> None:
    copy, original = [made(a) for a, _ in pairs], [made(b) for _, b in pairs]
    for field in FIELDS:
        each = per_thousand(copy, field).value / per_thousand(original, field).value
        assert ratio(copy, original, field).value == pytest.approx(each)
    scaled = ratio([made(a * wrong) for a, _ in pairs], [made(b * wrong) for _, b in pairs], "energy_wh")
    assert scaled.value == pytest.approx(ratio(copy, original, "energy_wh").value)


def test_a_round_that_the_meter_did_not_see_is_said_to_be_too_short() -> None:
    with pytest.raises(ValueError, match=r"^a round of 500 answers has no energy_wh: it was too short for the meter$"):
        per_thousand([made(0.0), made(1.0)], "energy_wh")
