"""Plain words: every reason has its sentence, every number its unit and its sign, and nothing unknown looks known."""

import re
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_experiment
from tests_history import living

from experiments.assignment import assign, unit_of
from experiments.evidence import (
    Action,
    Code,
    Decision,
    Evidence,
    Interval,
    Kind,
    MetricEvidence,
    Reason,
    Verdict,
)
from experiments.explain import (
    action_word,
    called,
    estimate_text,
    headline,
    interval_text,
    percent,
    points,
    sentence,
    where,
    worse_groups,
)
from experiments.model import TREATMENT, Exchange, Phase

shares = st.floats(-1, 1)


def reason(code: Code, **changes: typing.Any) -> Reason:
    values = {
        "metric": "quality", "value": 5.0, "threshold": 3.0, "estimate": -0.104, "lower": -0.2, "upper": -0.01,
        "margin": 0.02, "units": 120,
    }  # fmt: skip
    return Reason(code=code, **(values | changes))


def row(slice_: str = "", **changes: typing.Any) -> MetricEvidence:
    values: dict[str, typing.Any] = {
        "metric": "quality", "role": "guardrail", "kind": Kind.PAIRED, "verdict": Verdict.INSUFFICIENT, "units": 10,
    }  # fmt: skip
    return MetricEvidence(slice=slice_, **(values | changes))


def evidence(*metrics: MetricEvidence) -> Evidence:
    return Evidence(
        experiment="support", epoch=1, look=1, at=1.0, stage=0, phase=Phase.RUNNING, units=10, stage_units=10,
        exchanges=10, served_by_treatment=5, pairs=10, metrics=list(metrics), splits=[], completeness=[],
        log_e_family=0.0, peak_log_e_family=0.0,
    )  # fmt: skip


# --- reasons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            reason(Code.HARM, slice="x-language=hi"),
            "quality in Hindi is worse than the tolerated 2 points: -10.4 points (between -20.0 and -1.0)",
        ),
        (
            reason(Code.HARM, metric="errors", estimate=None),
            "the error rate is higher with the treatment than tolerated",
        ),
        (
            reason(Code.FAMILY_HARM, slice="tenant=acme"),
            (
                "all guardrails together show harm, most of it in quality, tenant=acme: "
                "-10.4 points (between -20.0 and -1.0)"
            ),
        ),
        (
            reason(Code.ANY_LOSS),
            (
                "some loss of quality in all traffic is proven (-10.4 points), though not yet that it is more than "
                "tolerated: the split will not rise"
            ),
        ),
        (
            reason(Code.SPLIT_MISMATCH, metric="assigned"),
            (
                "the assigned units do not follow the configured split: something loses or doubles requests, "
                "so nothing is decided until that is found"
            ),
        ),
        (
            reason(Code.INCOMPLETE, metric="treatment", value=0.81, threshold=0.95),
            "only 81 % of the mirrored requests to the treatment came to an end, 95 % are needed",
        ),
        (
            reason(Code.NONINFERIOR, estimate=0.001, lower=-0.01, upper=0.012),
            "quality is not worse by 2 points or more: +0.1 points (between -1.0 and +1.2)",
        ),
        (
            reason(Code.NOT_YET_NONINFERIOR, estimate=0.001, lower=None, upper=None),
            "quality may still be worse by 2 points or more: +0.1 points after 120 units",
        ),
        (reason(Code.NOT_YET_NONINFERIOR, units=0), "quality has not been measured yet"),
        (reason(Code.GOAL_REACHED, metric="cost", estimate=-0.31), "cost is lower as promised: 31 % less"),
        (
            reason(Code.GOAL_NOT_REACHED, metric="cost", margin=0.3, estimate=-0.12),
            (
                "cost is not yet shown to be lower by 30 % "
                "(so far 12 % less, between 20 % less and 1 % less, after 120 users)"
            ),
        ),
        (
            reason(Code.GOAL_NOT_REACHED, metric="cost", margin=0.3, estimate=-0.12, lower=None),
            "cost is not yet shown to be lower by 30 % (so far 12 % less, after 120 users)",
        ),
        (
            reason(Code.SCORING_INCOMPLETE, value=0.8996, threshold=0.95, units=1000),
            "only 89.9 % of the 1000 pairs that are due could be scored for quality, 95 % are needed",
        ),
        (
            reason(Code.LATE_HARM),
            "quality has become worse than tolerated since the promotion (120 users compared since)",
        ),
        (
            reason(Code.LATE_HARM, metric="errors", kind=Kind.EVENT),
            "the rate of failed requests has become worse than tolerated since the promotion (120 users met one since)",
        ),
        (
            reason(Code.LATE_HARM, metric="thumbs_up", kind=Kind.EVENT),
            (
                "the rate of bad feedback (thumbs_up) has become worse than tolerated since the promotion "
                "(120 users gave some since)"
            ),
        ),
        (
            reason(Code.GOAL_NOT_REACHED, metric="cost", margin=0.3, estimate=None),
            "cost is not yet shown to be lower by 30 %",
        ),
        (
            reason(Code.SLICE_NOT_SAFE, slice="x-language=hi-Latn", estimate=None, units=0),
            (
                "Hinglish is protected and not yet shown safe: quality may be worse by 2 points or more there "
                "(unknown after 0 units)"
            ),
        ),
        (reason(Code.TOO_FEW_UNITS, units=40, threshold=100.0), "40 of at least 100 units analysed"),
        (
            reason(Code.TOO_EARLY, value=7_200.0, threshold=604_800.0),
            "2.0 hours of at least 7.0 days have passed",
        ),
        (reason(Code.STAGE_DONE, threshold=60.0), "this stage has its 60 units and nothing is harmed"),
        (
            reason(Code.TIME_IS_UP, value=2_419_300.0, threshold=2_419_200.0),
            "undecided after 28.0 days, the limit is 28.0 days",
        ),
        (
            reason(Code.ASSUMPTIONS_VIOLATED),
            "quality contradicts the assumptions of its interval, which is empty by now: look into the data",
        ),
    ],
)
def test_a_reason_is_told_in_a_sentence(found: Reason, said: str) -> None:
    assert sentence(found) == said


def test_every_reason_has_its_sentence_whatever_is_not_known() -> None:
    numbers = ("value", "estimate", "lower", "upper", "margin")
    for code in Code:
        for missing in [(), *((name,) for name in numbers), numbers]:
            said = sentence(reason(code, **dict.fromkeys(missing)))
            assert said
            assert not re.search(r"\bNone\b|\bnan\b|\binf\b", said), said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 seconds"),
        (90, "90 seconds"),
        (179, "179 seconds"),
        (180, "3 minutes"),
        (5_399, "90 minutes"),
        (5_400, "1.5 hours"),
        (172_799, "48.0 hours"),
        (172_800, "2.0 days"),
    ],
)
def test_a_duration_has_the_unit_that_a_reader_would_use(seconds: float, said: str) -> None:
    assert sentence(reason(Code.TOO_EARLY, value=seconds, threshold=1e7)).startswith(f"{said} of at least ")


def test_every_action_has_its_word_and_no_two_share_one() -> None:
    assert len({action_word(action) for action in Action}) == len(Action)


# --- numbers ----------------------------------------------------------------------------------------------------------


@given(share=shares)
def test_a_difference_is_told_in_points_to_a_tenth_with_its_sign(share: float) -> None:
    number, unit = points(share).split()

    assert unit == "points"
    assert number[0] in "+-"
    assert abs(float(number) - 100 * share) <= 0.05 + 1e-9


@given(share=shares)
def test_a_change_is_told_without_a_sign_but_with_its_direction(share: float) -> None:
    number, _, direction = percent(share).split()

    assert abs(float(number) - 100 * abs(share)) <= 0.5 + 1e-9
    assert direction == ("less" if share < 0 else "more")


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert (points(None), points(None, signed=False), percent(None)) == ("unknown", "unknown", "unknown")
    assert (estimate_text(row()), interval_text(row(), None)) == ("-", "-")


def test_an_estimate_and_its_interval_are_told_in_the_metrics_own_unit() -> None:
    paired = row(estimate=-0.104)
    ratio = row(kind=Kind.RATIO, estimate=-0.31)

    assert (estimate_text(paired), interval_text(paired, Interval(-0.2, 0.015))) == ("-10.4 points", "-20.0 to +1.5")
    assert (estimate_text(ratio), interval_text(ratio, Interval(-0.4, 0.05))) == ("31 % less", "-40 % to +5 %")
    assert interval_text(ratio, Interval(None, 0.05)) == "unbounded to +5 %"
    assert interval_text(paired, Interval(-0.2, None)) == "-20.0 to unbounded"


@pytest.mark.parametrize(
    ("slice_", "said"),
    [
        ("", "all traffic"),
        ("x-language=en", "English"),
        ("lang=hi", "Hindi"),
        ("x-language=fr", "x-language=fr"),
        ("tenant=hi", "tenant=hi"),
        ("x-language=other", "x-language=other"),
        ("body=a=b", "body=a=b"),
    ],
)
def test_a_slice_is_named_as_people_name_it(slice_: str, said: str) -> None:
    assert where(slice_) == said


def test_a_metric_is_named_as_people_name_it() -> None:
    assert (called("errors"), called("quality")) == ("the error rate", "quality")


# --- headlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "lead"),
    [
        (Phase.RUNNING, "still running"),
        (Phase.PROMOTED, "promoted"),
        (Phase.ROLLED_BACK, "rolled back"),
        (Phase.STOPPED, "stopped without a winner"),
        (Phase.PAUSED, "paused"),
    ],
)
def test_a_headline_says_who_against_whom_how_it_stands_and_why(phase: Phase, lead: str) -> None:
    decision = Decision(
        action=Action.HOLD,
        reasons=[reason(Code.TOO_FEW_UNITS, units=n, threshold=100.0) for n in range(5)],
    )

    said = headline(make_experiment(), phase, evidence(), decision)

    assert said == (
        f"support, int4 against original: {lead}. 0 of at least 100 units analysed; "
        "1 of at least 100 units analysed; 2 of at least 100 units analysed."
    ), "three reasons are enough for a headline"


def test_a_headline_begins_its_reasons_with_a_capital_and_leaves_the_rest_as_it_is() -> None:
    decision = Decision(action=Action.ROLLBACK, reasons=[reason(Code.HARM, metric="errors", estimate=None)])

    assert ". The error rate is higher" in headline(make_experiment(), Phase.RUNNING, evidence(), decision)


def test_without_evidence_a_headline_says_no_more_than_that() -> None:
    decision = Decision(action=Action.HOLD, reasons=[])

    for arguments in ((None, None), (evidence(), None), (None, decision)):
        said = headline(make_experiment(), Phase.RUNNING, *arguments)
        assert said == "support, int4 against original: no evidence yet."


def _lost(slice_: str, estimate: float, upper: float, **changes: typing.Any) -> MetricEvidence:
    return row(slice_, estimate=estimate, interval=Interval(-1.0, upper), **changes)


def test_the_groups_that_lose_for_certain_are_named_the_worst_first() -> None:
    found = evidence(
        _lost("", -0.5, -0.4),
        _lost("x-language=en", -0.1, 0.001),
        _lost("x-language=hi", -0.2, -0.05),
        _lost("x-language=hi-Latn", -0.4, -0.3),
        _lost("tenant=acme", -0.9, -0.8, role="monitor"),
        row("tenant=b", estimate=-0.9),
        row("tenant=c", interval=Interval(-1.0, -0.5)),
    )

    assert worse_groups(found) == "Some loss is certain (95 % each) in: Hinglish -40.0 points, Hindi -20.0 points."
    assert worse_groups(evidence(_lost("", -0.5, -0.4))) == ""


def test_only_after_a_rollback_the_headline_names_them() -> None:
    found = evidence(_lost("x-language=hi", -0.2, -0.05))
    decision = Decision(action=Action.ROLLBACK, reasons=[reason(Code.HARM)])

    said = {phase: headline(make_experiment(), phase, found, decision) for phase in Phase}

    assert {phase for phase, text in said.items() if "Some loss is certain" in text} == {Phase.ROLLED_BACK}
    assert all(text == text.strip() for text in said.values())


@pytest.mark.parametrize(
    ("share", "said"), [(0.125, "12.5 points"), (0.105, "10.5 points"), (0.999, "99.9 points"), (0.02, "2 points")]
)
def test_a_margin_is_told_as_it_was_configured(share: float, said: str) -> None:
    assert points(share, signed=False) == said


def test_a_rise_of_the_error_rate_is_told_in_points_and_not_as_a_ratio() -> None:
    """1 % -> 6 % is five points more (six times as much), not "5 % more"."""
    row = MetricEvidence(
        metric="errors",
        role="guardrail",
        kind=Kind.EVENT,
        verdict=Verdict.HARM,
        units=1,
        control_mean=0.01,
        treatment_mean=0.06,
        estimate=0.05,
    )
    assert estimate_text(row) == "+5.0 points"


def test_a_rollback_for_errors_names_no_unknown_tolerance(tmp_path) -> None:
    """It says: "the error rate in all traffic is worse than the tolerated unknown: +83.2 points"."""
    with living(tmp_path) as life:
        life.start()
        route = life.store.route_states()["support"].route
        for number in range(300):
            unit = unit_of(route.salt, f"user-{number}".encode())
            variant, propensity = assign(unit.bucket, route.split_basis_points)
            failed = variant == TREATMENT
            life.write(
                Exchange(
                    id=f"e{number}",
                    at=life.now,
                    experiment="support",
                    epoch=1,
                    unit=unit.key,
                    bucket=unit.bucket,
                    propensity=propensity,
                    assigned=variant,
                    served=variant,
                    status=500 if failed else 200,
                    error="status" if failed else "",
                )
            )
        [decision] = life.tick()
    assert decision.action == "rollback"
    assert "unknown" not in "; ".join(map(sentence, decision.reasons))


def test_a_share_that_is_too_low_never_reads_as_high_enough() -> None:
    """It says: "only 95 % of the mirrored requests ... came to an end, 95 % are needed"."""
    said = sentence(Reason(code=Code.INCOMPLETE, metric="treatment", value=0.9496, threshold=0.95, units=9999))
    assert "only 95 % " not in said
