"""Badges say whether the data can be trusted; a check that was not made is not shown as passed."""

from tests_standings import make_evidence, make_look, make_row, make_split, make_standing

from experiments.evidence import Code, Completeness, Evidence, Reason, Recent, Shed
from experiments.golden.store import Gate, GoldenRun
from experiments.model import CONTROL, Phase
from experiments.showing.badges import Badge, badges


def shown(evidence: Evidence, *reasons: Reason) -> dict[str, Badge]:
    return {badge.name: badge for badge in badges(make_standing(look=make_look(evidence, *reasons)))}


def test_all_is_well() -> None:
    recent = (Recent(variant=CONTROL, requests=100, failed=1), Recent(variant="treatment", requests=100))
    found = shown(make_evidence(make_row(), recent=recent))

    assert {name: badge.tone for name, badge in found.items()} == {
        "split": "good",
        "completeness of treatment": "good",
        "recording": "good",
        "control": "good",
        "golden": "neutral",
    }


def test_a_split_that_is_off_is_told_with_its_counts() -> None:
    badge = shown(make_evidence(make_row(), splits=[make_split(alarm=True)]))["split"]

    assert (badge.tone, badge.label) == ("bad", "split is off")
    assert "2,500 with control, 2,500 with the treatment" in badge.text


def test_a_split_without_units_is_not_called_good() -> None:
    assert shown(make_evidence(make_row(), splits=[]))["split"].tone == "neutral"


def test_completeness_is_never_rounded_up() -> None:
    found = [Completeness(variant="treatment", complete=9_496, due=10_000)]
    badge = shown(make_evidence(make_row(), completeness=found))["completeness of treatment"]

    assert (badge.tone, badge.label) == ("bad", "treatment: 94.9 % complete")


def test_lost_records_are_counted() -> None:
    badge = shown(make_evidence(make_row(), shed=Shed(records=1_200)))["recording"]

    assert badge.tone == "bad"
    assert "1,200 records were lost" in badge.text


def test_a_failing_control_is_told_and_a_silent_one_is_not_called_well() -> None:
    reason = Reason(code=Code.CONTROL_FAILING, value=0.5)
    failing = (Recent(variant=CONTROL, requests=100, failed=10), Recent(variant="treatment", requests=100))

    assert shown(make_evidence(make_row()), reason)["control"].tone == "bad"
    assert shown(make_evidence(make_row()))["control"].tone == "neutral"
    assert shown(make_evidence(make_row(), recent=failing))["control"].tone == "waiting"


def test_the_golden_set_shows_its_newest_run_or_what_the_gate_waits_for() -> None:
    values = {"experiment": "support", "epoch": 1, "at": 0.0}
    run = GoldenRun(number=2, actor="gate", result="failed", summary="Failed: worse.", **values)
    gate = Gate(waits_for=["backend int4"], **values)

    (failed,) = badges(make_standing(golden=run))
    (waiting,) = badges(make_standing(phase=Phase.GATED, gate=gate))

    assert (failed.tone, failed.text) == ("bad", "Run 2, by gate: Failed: worse.")
    assert (waiting.tone, waiting.text) == ("waiting", "Waits for: backend int4.")
