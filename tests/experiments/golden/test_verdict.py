"""The verdict on a golden run: harm fails it, too little says nothing, and only evidence passes it."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.golden.runs import ItemResult, Outcome
from experiments.golden.verdict import GateCode, GatePolicy, GateVerdict, Result, verdict

OK, WRONG, FAILED, UNKNOWN = Outcome.OK, Outcome.WRONG, Outcome.FAILED, Outcome.UNKNOWN
RANK = [Result.FAILED, Result.CANNOT_TELL, Result.PASSED]


def run(*groups: tuple[int, Outcome, Outcome], tag: str = "", critical: bool = False) -> list[ItemResult]:
    """Make results: so many items with these outcomes of control and treatment."""
    return [
        ItemResult(id=f"{tag}{group}-{number}", tags=(tag,) if tag else (), critical=critical, control=c, treatment=t)
        for group, (count, c, t) in enumerate(groups)
        for number in range(count)
    ]


def codes(found: GateVerdict) -> list[GateCode]:
    return [reason.code for reason in found.reasons]


def test_two_variants_that_agree_on_many_items_pass() -> None:
    found = verdict(run((190, OK, OK), (10, WRONG, WRONG)))

    assert found.result is Result.PASSED
    assert codes(found) == [GateCode.NOT_WORSE]
    assert found.overall.loss == 0
    assert found.overall.loss_at_most is not None
    assert 0 < found.overall.loss_at_most < 0.1


def test_a_treatment_that_loses_many_items_fails_and_the_items_are_named() -> None:
    found = verdict(run((180, OK, OK), (20, OK, WRONG)))

    assert found.result is Result.FAILED
    assert codes(found) == [GateCode.WORSE]
    assert len(found.reasons[0].items) == 20
    assert found.reasons[0].value == pytest.approx(0.1)


def test_few_items_pass_nothing_even_without_a_single_loss() -> None:
    found = verdict(run((10, OK, OK)))

    assert found.result is Result.CANNOT_TELL
    assert codes(found) == [GateCode.TOO_LITTLE]


def test_no_items_at_all_say_nothing() -> None:
    found = verdict([])

    assert found.result is Result.CANNOT_TELL
    assert found.overall.loss is None


def test_one_critical_item_that_is_lost_fails_the_run_however_good_the_rest_is() -> None:
    found = verdict([*run((300, OK, OK)), *run((1, OK, WRONG), (3, OK, OK), tag="t", critical=True)])

    assert found.result is Result.FAILED
    assert codes(found) == [GateCode.CRITICAL_LOST]
    assert found.reasons[0].items == ("t0-0",)


def test_a_critical_item_that_is_not_answered_is_lost() -> None:
    assert GateCode.CRITICAL_LOST in codes(verdict([*run((300, OK, OK)), *run((1, OK, FAILED), critical=True)]))


def test_a_critical_item_that_control_gets_wrong_too_is_no_loss() -> None:
    assert verdict([*run((300, OK, OK)), *run((1, WRONG, WRONG), critical=True)]).result is Result.PASSED


@pytest.mark.parametrize("pair", [(FAILED, WRONG), (UNKNOWN, UNKNOWN), (OK, UNKNOWN), (FAILED, FAILED)])
def test_a_critical_item_that_cannot_be_compared_leaves_the_run_open(pair: tuple[Outcome, Outcome]) -> None:
    found = verdict([*run((300, OK, OK)), *run((1, *pair), critical=True)])

    assert found.result is Result.CANNOT_TELL
    assert codes(found) == [GateCode.CRITICAL_NOT_JUDGED]


def test_a_critical_item_that_the_treatment_gets_right_needs_no_control() -> None:
    assert verdict([*run((300, OK, OK)), *run((1, FAILED, OK), critical=True)]).result is Result.PASSED


def test_harm_in_one_tag_fails_the_run_though_another_tag_makes_up_for_it() -> None:
    found = verdict([*run((80, OK, OK), (12, OK, WRONG), tag="hi"), *run((80, OK, OK), (12, WRONG, OK), tag="en")])

    assert found.overall.losses == found.overall.wins == 12
    assert found.result is Result.FAILED
    assert [(reason.code, reason.tag) for reason in found.reasons] == [(GateCode.WORSE_IN_TAG, "hi")]
    assert {tag.tag: tag.result for tag in found.tags}["hi"] is Result.FAILED


def test_many_tags_do_not_add_up_their_chances_of_a_false_alarm() -> None:
    one = run((20, OK, OK), (5, OK, WRONG), tag="a")
    rest = [result for number in range(20) for result in run((20, OK, OK), (5, WRONG, OK), tag=f"b{number}")]

    assert verdict(one).result is Result.FAILED
    found = verdict([*one, *rest])
    assert found.result is not Result.FAILED
    assert found.tags[0].p_worse == pytest.approx(21 / 32)


def test_a_control_that_is_away_is_no_proof_for_the_treatment() -> None:
    found = verdict(run((100, OK, OK), (100, FAILED, OK)))

    assert found.result is Result.CANNOT_TELL
    assert codes(found) == [GateCode.CONTROL_AWAY]
    assert found.overall.wins == 0


def test_a_treatment_that_is_away_fails_and_it_is_said_that_it_did_not_answer() -> None:
    found = verdict(run((200, OK, FAILED)))

    assert found.result is Result.FAILED
    assert codes(found) == [GateCode.NO_ANSWERS]
    assert found.overall.unanswered == 200


def test_two_variants_that_are_both_wrong_do_not_pass() -> None:
    found = verdict(run((200, WRONG, WRONG), tag="hi"))

    assert found.result is Result.CANNOT_TELL
    assert codes(found) == [GateCode.CONTROL_WRONG]
    assert found.tags[0].result is Result.CANNOT_TELL


def test_items_that_need_a_scorer_pass_nothing() -> None:
    found = verdict(run((150, OK, OK), (50, UNKNOWN, UNKNOWN)))

    assert found.result is Result.CANNOT_TELL
    assert codes(found) == [GateCode.NOT_JUDGED]


def test_a_loss_that_is_tolerated_does_not_fail() -> None:
    results = run((950, OK, OK), (40, OK, WRONG), (10, WRONG, OK))

    assert verdict(results).result is Result.FAILED
    assert verdict(results, GatePolicy(tolerance=0.05)).result is Result.PASSED


def test_later_runs_have_less_of_the_alpha_and_all_together_no_more_than_the_whole() -> None:
    alphas = [verdict([], GatePolicy(alpha=0.05), run_number=number).alpha for number in range(1, 400)]

    assert alphas == sorted(alphas, reverse=True)
    assert sum(alphas) < 0.05


@pytest.mark.parametrize("bad", [{"alpha": 0.0}, {"margin": 0.0}, {"tolerance": 0.2}, {"margin": 1.0}])
def test_a_policy_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be in \(0, 1\)"):
        GatePolicy(**bad)


@settings(deadline=None, max_examples=12)
@given(wins=st.integers(0, 30), losses=st.integers(0, 30))
def test_the_p_value_of_harm_is_that_of_the_exact_test(wins: int, losses: int) -> None:
    found = verdict(run((wins, WRONG, OK), (losses, OK, WRONG), (5, OK, OK)))

    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(wins + 1)) / 2**n
    assert found.overall.p_worse == pytest.approx(tail if losses > wins else 1.0)


outcomes = st.sampled_from([OK, WRONG, FAILED, UNKNOWN])
results = st.lists(
    st.builds(
        ItemResult, id=st.text("abc", min_size=1, max_size=3), tags=st.sampled_from([(), ("x",), ("x", "y=1")]),
        critical=st.booleans(), control=outcomes, treatment=outcomes,
    ),
    max_size=25,
)  # fmt: skip


@settings(deadline=None, max_examples=12)
@given(results=results, repeat=st.integers(1, 5))
def test_one_more_loss_never_improves_a_verdict(results: list[ItemResult], repeat: int) -> None:
    better = results * repeat
    place = next((n for n, r in enumerate(better) if r.control is OK and r.treatment is OK), None)
    if place is None:
        return
    worse = [*better]
    worse[place] = msgspec.structs.replace(better[place], treatment=WRONG)

    assert RANK.index(verdict(worse).result) <= RANK.index(verdict(better).result)


@settings(deadline=None, max_examples=12)
@given(results=results)
def test_every_verdict_has_a_reason_can_be_stored_and_counts_every_pair_once(results: list[ItemResult]) -> None:
    found = verdict(results)

    assert found.reasons
    assert msgspec.json.decode(msgspec.json.encode(found), type=GateVerdict) == found
    for row in (found.overall, *found.tags):
        assert row.both + row.wins + row.losses + row.neither == row.n
