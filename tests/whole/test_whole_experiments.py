"""Whole experiments through real proxies, from the first user to the decision. The backends are simulated."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests_whole import asked

from analysis.alpha_ledger import attempt_alpha
from experiments.evidence import Action, Code
from experiments.model import TREATMENT, Phase, Role
from router.fakes.backend import Behaviour, echo, sometimes_wrong

DROPPED = 0.5
"""Share of the treatment's live requests that a faulty proxy does not record."""


def write_references(path: Path, users: int) -> None:
    """Write what a right answer is to what each user asks."""
    prompts = [asked(number) for number in range(users)]
    items = [{"id": f"q{n}", "prompt": p, "expected": {"exact": echo(p)}} for n, p in enumerate(prompts)]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))


def wrong_in_hindi(share: float) -> Behaviour:
    """Answer Hindi users wrongly in a share of cases, and all others as control does."""
    wrong = sometimes_wrong(share, seed=3)
    return Behaviour(answer=lambda prompt: wrong(prompt) if prompt.startswith("hi ") else echo(prompt))


async def test_a_harmless_cheaper_variant_is_promoted_through_its_ramp(begin) -> None:
    """Simulated int8: half a percent of other answers, 45 % cheaper."""
    whole = begin(Behaviour(answer=sometimes_wrong(0.005, seed=1)))

    await whole.live(batches=30)
    whole.treatment.counts.clear()
    await whole.serve(20)

    assert whole.story() == [("running", 0, 10), ("running", 1, 50), ("promoted", 1, 100)]
    assert "cost is lower as promised: 45 % less" in whole.why()
    assert "agreement is not worse by 5 points or more" in whole.why()
    assert whole.looks()[-1].evidence.elapsed.epoch_s >= 7 * 86_400
    assert whole.treatment.counts["/v1/chat/completions"] == 20
    assert whole.replays()


async def test_a_harmful_variant_is_rolled_back_before_many_users_have_met_it(begin) -> None:
    """Simulated int4: 12 % of the answers are wrong."""
    whole = begin(Behaviour(answer=sometimes_wrong(0.12, seed=2)))

    await whole.live(batches=30)
    reached = whole.treatment.counts["/v1/chat/completions"]
    await whole.serve(20)

    assert whole.phase is Phase.ROLLED_BACK
    reasons = whole.decisions[-1].reasons
    assert {reason.code for reason in reasons} <= {Code.HARM, Code.FAMILY_HARM}
    assert {reason.metric for reason in reasons} == {"agreement"}
    assert all(reason.upper < 0 for reason in reasons)
    assert 0 < len(whole.exposed()) <= 20
    assert whole.treatment.counts["/v1/chat/completions"] == reached
    assert whole.replays()


async def test_harm_in_one_language_is_found_and_rolled_back_though_the_average_hides_it(begin) -> None:
    """Simulated: 16 % of the users write Hindi, and get a wrong answer in 30 % of cases: 4.8 points of all traffic.

    Five points are tolerated, overall and in each slice.
    """
    whole = begin(wrong_in_hindi(0.3), margin=0.1, slice_margin=0.1)

    await whole.live(batches=30)

    assert whole.phase is Phase.ROLLED_BACK
    assert "agreement in Hindi is worse than" in whole.why()
    assert {r.slice for r in whole.decisions[-1].reasons if r.code is Code.HARM} >= {"x-language=hi"}
    english = whole.looks()[-1].evidence.of("agreement", "x-language=en")
    assert english.losses == 0
    assert whole.replays()


async def test_a_gain_that_is_not_there_ends_undecided_and_the_arithmetic_is_told(begin) -> None:
    """Simulated: the treatment answers the same at the same speed; promised were 30 % less latency."""
    whole = begin(Behaviour(delay_ms=4), control=Behaviour(delay_ms=4), goal="latency", max_days=14)

    await whole.live(batches=40, days=1)

    assert whole.story()[-1] == ("stopped", 1, 0)
    assert whole.decisions[-1].action is Action.STOP_UNDECIDABLE
    reasons = {reason.code: reason for reason in whole.decisions[-1].reasons}
    assert set(reasons) == {Code.TIME_IS_UP, Code.GOAL_NOT_REACHED}
    missed = reasons[Code.GOAL_NOT_REACHED]
    assert (missed.metric, missed.margin, missed.threshold) == ("latency", 0.3, 0.025)
    assert missed.value > missed.threshold
    assert -0.3 < missed.lower < missed.estimate < missed.upper  # the gain is ruled out, not just unproven
    assert missed.units == whole.users
    assert "undecided after 14.0 days, the limit is 14.0 days" in whole.why()
    assert "latency is not yet shown to be lower by 30 % (so far " in whole.why()
    assert whole.replays()


async def test_a_proxy_that_loses_the_treatments_requests_blocks_the_promotion_and_accuses_nobody(begin) -> None:
    """Simulated fault: half of the treatment's live requests never reach the recorder."""
    drawn = random.Random(5)
    whole = begin(
        Behaviour(),
        loses=lambda e: e.role is Role.LIVE and e.assigned == TREATMENT and drawn.random() < DROPPED,
        ramp="[50]",
    )

    await whole.live(batches=16, users=80)

    assert whole.phase is Phase.RUNNING
    last = whole.decisions[-1]
    assert last.action is Action.HOLD
    assert {reason.code for reason in last.reasons} == {Code.SPLIT_MISMATCH}
    assert not whole.codes() & {Code.HARM, Code.FAMILY_HARM, Code.ANY_LOSS, Code.SLICE_HARM, Code.FAILING}
    assert Action.PROMOTE not in {decision.action for decision in whole.decisions}
    assert whole.looks()[-1].evidence.elapsed.epoch_s >= 7 * 86_400
    assert whole.replays()


async def test_harm_that_begins_after_the_promotion_takes_it_back(begin) -> None:
    """Simulated: equal for a week; promoted, the treatment gets 30 % of the answers wrong."""
    whole = begin(Behaviour(), holdback=10)
    await whole.live(batches=30)
    promoted = whole.story()[-1]
    await whole.serve(80, days=1)
    calm = whole.look()

    whole.treatment.behaviour = Behaviour(answer=sometimes_wrong(0.3, seed=7))
    before = whole.users
    await whole.live(batches=20, days=1)

    assert promoted == ("promoted", 1, 90)
    assert calm.action is Action.HOLD
    assert whole.story()[-1] == ("rolled_back", 1, 0)
    assert {reason.code for reason in whole.decisions[-1].reasons} == {Code.LATE_HARM}
    assert "agreement has become worse than tolerated since the promotion" in whole.why()
    assert whole.users - before <= 400
    assert whole.replays()


async def test_a_treatment_that_begins_to_answer_nothing_is_paused_at_the_next_look(begin) -> None:
    """Simulated: from one request to the next, every answer of the treatment is empty."""
    whole = begin(Behaviour(), settle_s=300)
    await whole.live(batches=2, users=20, days=0.01)
    whole.treatment.behaviour = Behaviour(answer=lambda _: "")

    await whole.serve(60)
    decision = whole.look()

    assert decision.action is Action.PAUSE
    assert [reason.code for reason in decision.reasons] == [Code.EMPTY_ANSWERS]
    assert whole.story()[-1] == ("paused", 0, 0)
    assert whole.replays()


async def test_a_retry_of_the_same_build_has_new_users_and_less_alpha_and_a_new_build_starts_afresh(begin) -> None:
    """Simulated int4, rolled back; then the margin is made wider, then there is another build."""
    whole = begin(Behaviour(answer=sometimes_wrong(0.3, seed=4)), build="int4-v1", ramp="[50]")
    await whole.live(batches=10)
    first, met_it = whole.retelling(), whole.exposed()

    whole.users = 0  # the same users come again
    whole.configure(build="int4-v1", margin=0.1, ramp="[50]")
    lowered = whole.epoch.config["policy"]["alpha_promote"]
    await whole.live(batches=10)
    second, meet_it = whole.retelling(), whole.exposed()

    whole.configure(build="int4-v2", margin=0.1, ramp="[50]")
    third = whole.retelling()

    assert first == (1, 1, "support", Phase.ROLLED_BACK)
    assert second == (2, 2, "support/2", Phase.ROLLED_BACK)
    assert third == (3, 1, "support", Phase.RUNNING)
    assert lowered == pytest.approx(attempt_alpha(0.025, 2))
    assert lowered == pytest.approx(0.025 / 4 * 0.61, rel=0.01)
    assert whole.epoch.config["policy"]["alpha_promote"] == 0.025
    assert meet_it - met_it
    assert met_it - meet_it
    assert whole.replays()


async def test_the_same_noisy_model_on_both_sides_is_neither_accused_nor_held_back(begin, tmp_path) -> None:
    """Simulated A/A: either side gets a tenth of the answers wrong, not the same ones; a golden set tells which."""
    write_references(tmp_path / "references.jsonl", users=800)
    whole = begin(
        Behaviour(answer=sometimes_wrong(0.1, seed=11)),
        control=Behaviour(answer=sometimes_wrong(0.1, seed=12)),
        golden='golden = "references.jsonl"',
        metric="correct",
        scorer="exact",
        margin=0.15,
        ramp="[50]",
    )

    await whole.live(batches=20)

    assert whole.story()[-1] == ("promoted", 0, 100)
    assert not whole.codes() & {Code.HARM, Code.FAMILY_HARM, Code.SPLIT_MISMATCH}
    assert whole.looks()[-1].evidence.of("correct").losses > 0
    assert whole.replays()
