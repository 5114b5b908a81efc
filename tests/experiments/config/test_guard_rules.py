"""What is told about gates, trips and slices that make no sense."""

import pytest

from experiments.config import load
from experiments.config.guarding import Gate, Trips

GUARDRAILS = 'quality = { scorer = "exact", margin = 0.02 }\nerrors = { max_relative = 1.5 }\n'
WAIVED = "experiments.support.policy.waived_slices.0"


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ('waived_slices = ["tenant"]', f'{WAIVED} = "tenant": must be "attribute=value"'),
        ('waived_slices = ["tennant=acme"]', '(did you mean "tenant=acme"?)'),
        ('waived_slices = ["x-language=hi"]', "is of no protected slice; protected are: tenant"),
        ("holdback_percent = 50", "holdback_percent = 50: must be"),
        ('[experiments.support.trips]\naction = "stop"', 'must be "pause", "rollback" or "off"'),
        ("[experiments.support.trips]\nfailed_percent = 101", "must be between 0 and 100"),
        ("[experiments.support.gate]\nmargin = 0", "gate.margin = 0: must be above 0"),
        ("[experiments.support.gate]\ngoldn = true", '(did you mean "golden"?)'),
    ],
)
def test_what_makes_no_sense_is_told_at_its_line(good: str, told, added: str, said: str) -> None:
    text = good + added
    line = len(text.splitlines())

    problems = told(text)

    assert any(problem.startswith(f"config.toml:{line}  ") and said in problem for problem in problems), problems


def test_a_gate_that_asks_for_a_golden_set_needs_one(good: str, told) -> None:
    text = good.replace('golden = "golden.jsonl"\n', "").replace('scorer = "exact"', 'scorer = "agreement"')

    [problem] = told(text + "[experiments.support.gate]\ngolden = true")

    assert "gate.golden = true: needs a golden set: name one as `golden` in [experiments.support]" in problem


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mirror_percent = 25\n", "", "compares control's answers with its own: set mirror_percent in"),
        (GUARDRAILS, "thumbs_up = { feedback = true, max_relative = 1.3 }\n", "needs a guardrail with a margin in"),
    ],
)
def test_an_a_a_run_without_pairs_would_never_end(good: str, told, old: str, new: str, said: str) -> None:
    assert old in good
    text = good.replace(old, new) + "[experiments.support.gate]\naa_units = 300"

    problems = told(text)

    assert any("gate.aa_units = 300: " in problem and said in problem for problem in problems), problems


def test_a_holdback_that_is_not_mirrored_compares_nothing(good: str, told) -> None:
    [problem] = told(good.replace("mirror_percent = 25\n", "") + "holdback_percent = 2")

    assert "holdback_percent = 2: needs mirrored requests to compare" in problem


def test_what_is_given_is_taken(good: str, write) -> None:
    guards = '[experiments.support.gate]\nevery_hours = 6\n[experiments.support.trips]\naction = "off"\n'
    waived = 'waived_slices = ["tenant=acme"]\non_slice_harm = "hold"\nholdback_percent = 5\n'

    experiment = load(write(good + waived + guards), {}).experiments["support"]

    assert experiment.gate == Gate(every_hours=6)
    assert experiment.trips == Trips(action="off")
    assert experiment.policy.waived_slices == ("tenant=acme",)
    assert (experiment.policy.on_slice_harm, experiment.policy.holdback_percent) == ("hold", 5.0)
