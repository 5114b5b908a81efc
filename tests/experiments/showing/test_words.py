"""The verdict in one sentence says what the evidence says, and never more."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_experiment
from tests_standings import make_evidence, make_goal, make_look, make_row, make_split, make_standing, make_transition

from experiments.config.records import Policy
from experiments.evidence import Code, Interval, Kind, MetricEvidence, Reason, Verdict
from experiments.golden.store import Gate
from experiments.model import Phase
from experiments.showing.words import Tone, verdict

SAFE, HARM, OPEN = Verdict.NONINFERIOR, Verdict.HARM, Verdict.INSUFFICIENT
HINGLISH = "language=hi-Latn"


def test_a_proof_names_the_margin_how_sure_it_is_and_what_is_gained() -> None:
    said = verdict(make_standing(make_row(SAFE), make_goal()))

    assert said.sentence == "int4: quality is not worse by 2 points or more (97.5 %), 31 % cheaper (asymptotic)."
    assert said.tone == "good"


def test_a_harmed_group_is_named_beside_a_good_average() -> None:
    group = make_row(HARM, slice=HINGLISH, estimate=-0.09)
    said = verdict(make_standing(make_row(SAFE), make_goal(), group))

    assert said.sentence.endswith("31 % cheaper (asymptotic); Hinglish is harmed: 9 points (quality).")
    assert said.tone == "bad"


def test_several_harmed_groups_are_named_the_worst_first() -> None:
    groups = make_row(HARM, slice="language=hi", estimate=-0.03), make_row(HARM, slice=HINGLISH, estimate=-0.09)
    said = verdict(make_standing(make_row(SAFE), *groups))

    assert said.sentence.endswith("; harmed are Hinglish 9 points (quality), Hindi 3 points (quality).")


def test_a_harmed_group_comes_first_where_the_average_is_no_good_news() -> None:
    group = make_row(HARM, slice=HINGLISH, estimate=-0.09)

    undecided = verdict(make_standing(make_row(OPEN), group))
    rolled_back = verdict(make_standing(make_row(SAFE), group, phase=Phase.ROLLED_BACK))

    assert undecided.sentence.startswith("Hinglish is harmed: 9 points (quality); cannot tell yet: int4's quality may")
    assert rolled_back.sentence.startswith("Rolled back: Hinglish is harmed: 9 points (quality); quality is not worse")
    assert (undecided.tone, rolled_back.tone) == ("bad", "bad")


def test_what_is_not_decided_is_said_first() -> None:
    said = verdict(make_standing(make_row(OPEN), make_row(SAFE, metric="errors", margin=0.01), make_goal(OPEN)))

    assert said.sentence == (
        "Cannot tell yet: int4's quality may be worse by 2 points or more (400 requests compared); "
        "the error rate is not worse by 1 point or more (97.5 %), so far 31 % cheaper (not proven)."
    )
    assert said.tone == "waiting"


def test_harm_everywhere_comes_before_everything_else() -> None:
    rows = make_row(HARM, estimate=-0.073), make_row(SAFE, metric="errors"), make_goal()
    said = verdict(make_standing(*rows, phase=Phase.ROLLED_BACK))

    assert said.sentence == "Rolled back: int4 does harm: quality is 7.3 points worse (1 point tolerated)."
    assert said.tone == "bad"


def test_a_loss_within_the_margin_is_not_kept_secret() -> None:
    said = verdict(make_standing(make_row(SAFE, estimate=-0.012, interval=Interval(-0.018, -0.006))))

    assert "some loss is certain (95 % each): all traffic 1.2 points (quality)" in said.sentence
    assert said.tone == "good"


def test_a_protected_group_that_is_not_shown_safe_keeps_the_verdict_waiting() -> None:
    experiment = make_experiment(policy=Policy(protected_slices=("language",)))
    said = verdict(make_standing(make_row(SAFE), make_row(OPEN, slice=HINGLISH), experiment=experiment))

    assert said.sentence.endswith("; cannot tell yet for Hinglish.")
    assert said.tone == "waiting"


def test_an_unsound_split_leaves_nothing_to_conclude() -> None:
    look = make_look(make_evidence(make_row(SAFE), splits=[make_split(alarm=True)]))
    said = verdict(make_standing(look=look))

    assert said.sentence.startswith("Cannot tell: the units do not follow the configured split")
    assert "not worse" not in said.sentence
    assert said.tone == "bad"


def test_a_failing_control_leaves_nothing_to_conclude() -> None:
    look = make_look(make_evidence(make_row(SAFE)), Reason(code=Code.CONTROL_FAILING, value=0.5))

    assert verdict(make_standing(look=look)).sentence.startswith("Cannot tell: control itself fails in 50 %")


def test_a_promotion_by_hand_is_not_taken_for_a_proof() -> None:
    cause = make_transition(Phase.PROMOTED, actor="alice", reason="deadline")
    said = verdict(make_standing(make_row(OPEN), phase=Phase.PROMOTED, transitions=(make_transition(), cause)))

    assert said.sentence.startswith("Promoted by alice (deadline). Cannot tell: int4's quality may be worse")
    assert said.tone == "waiting"


def test_a_rollback_without_statistics_says_what_happened() -> None:
    cause = make_transition(Phase.ROLLED_BACK, look=3, reason="60 % of the treatment's last 40 requests failed")
    said = verdict(make_standing(make_row(OPEN), phase=Phase.ROLLED_BACK, transitions=(cause,)))

    assert said.sentence.startswith("Rolled back because 60 % of the treatment's last 40 requests failed. Cannot tell")
    assert said.tone == "bad"


@pytest.mark.parametrize(
    ("phase", "sentence", "tone"),
    [
        (Phase.DRAFT, "Not started: control serves everyone.", "neutral"),
        (Phase.RUNNING, "Cannot tell yet: no request has come in so far.", "waiting"),
        (Phase.PAUSED, "Paused: nothing has been compared yet.", "neutral"),
        (Phase.GATED, "Waits at its gate: the golden set.", "waiting"),
    ],
)
def test_an_experiment_without_evidence_says_so(phase: Phase, sentence: str, tone: Tone) -> None:
    gate = Gate(experiment="support", epoch=1, at=0.0, waits_for=["the golden set"])

    assert verdict(make_standing(phase=phase, gate=gate)) == (sentence, tone)


def test_without_a_margin_nothing_is_called_safe() -> None:
    event = make_row(OPEN, metric="errors", kind=Kind.EVENT, margin=None, interval=None)
    said = verdict(make_standing(event))

    assert said.sentence.startswith("Cannot tell yet whether int4 is as good: no guardrail has a margin")
    assert said.tone == "waiting"


# --- the law ----------------------------------------------------------------------------------------------------------

METRICS = ("alpha", "beta", "gamma")
SHARES = st.none() | st.floats(-1, 1)


@st.composite
def rows(draw: st.DrawFn) -> list[MetricEvidence]:
    """Any verdicts of any metrics and groups, with figures that need not agree with them."""
    found = []
    # Verdicts drawn one by one are hardly ever all good, and that is where a claim too much would do most harm.
    average, group = (draw(st.sampled_from([list(Verdict), [SAFE], [SAFE, OPEN]])) for _ in range(2))
    group = [*group, *draw(st.sampled_from([[], [HARM]]))]
    for metric in METRICS:
        for slice_ in ("", "language=hi", HINGLISH):
            lower, upper = draw(SHARES), draw(SHARES)
            values = {"metric": metric, "slice": slice_, "estimate": draw(SHARES), "interval": Interval(lower, upper)}
            units = draw(st.integers(0, 900))
            kind = draw(st.sampled_from([Kind.PAIRED, Kind.PAIRED, Kind.EVENT]))
            found.append(
                make_row(
                    draw(st.sampled_from(group if slice_ else average)), units=units, kind=kind, reason="r", **values
                )
            )
    found.append(make_goal(draw(st.sampled_from(list(Verdict))), estimate=draw(SHARES)))
    return found


@given(rows(), st.sampled_from([Phase.RUNNING, Phase.PROMOTED, *Phase]), st.sampled_from([False, False, True]))
def test_a_sentence_never_claims_more_than_the_verdicts_say(
    found: list[MetricEvidence], phase: Phase, alarm: bool
) -> None:
    look = make_look(make_evidence(*found, splits=[make_split(alarm=alarm)]))
    said = verdict(make_standing(look=look, phase=phase, transitions=()))

    called_safe = set(re.findall(r"(\w+) is not worse by", said.sentence))
    proven = {r.metric for r in found if r.verdict is SAFE and r.kind is Kind.PAIRED and not r.slice}
    goal = found[-1]
    assert called_safe <= (set() if alarm else proven)
    assert not re.search(r"\bsafe\b|as good as", said.sentence)
    if goal.verdict is not Verdict.SUPERIOR and "cheaper" in said.sentence:
        assert re.search(r"cheaper \(not proven\)", said.sentence)
    if said.tone == "good":
        judged = [r for r in found if r.kind is Kind.PAIRED and r.role == "guardrail" and not r.slice]
        assert judged
        assert all(r.verdict is SAFE for r in judged)
        assert not any(r.verdict is HARM for r in found)
