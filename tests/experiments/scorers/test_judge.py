"""The judge: blinded, its position drawn, sometimes asked in both orders; what needs no judge is not asked."""

import json
from typing import Any

import pytest

from experiments.config import asking
from experiments.scorers import Answer, Asked, Failed, PairScore
from experiments.scorers.judge import Judge
from router.fakes.judge import Rule, first, longer, read_prompt

SHORT, LONG = Answer("tomorrow", ok=True, prompt="when?"), Answer("tomorrow at nine", ok=True, prompt="when?")
FAILED, EMPTY = Answer(None, ok=False), Answer(None, ok=True, empty=True)
CALL, UNREAD = Answer(None, ok=True, tool_calls=1), Answer(None, ok=True)


def judge(**changes: Any) -> Judge:
    return Judge(asking.Judge(backend="judge", **changes))


def asked(scorer: Judge, pair: str, control: Answer, treatment: Answer, rule: Rule) -> Asked | Failed | None:
    questions = scorer.questions(pair, control, treatment)
    verdicts = [rule(read_prompt(question.body["messages"])) for question in questions]
    replies = [json.dumps({"choices": [{"message": {"content": json.dumps({"verdict": v})}}]}) for v in verdicts]
    return scorer.read(pair, control, treatment, [reply.encode() for reply in replies])


@pytest.mark.parametrize("swap_percent", [0.0, 100.0])
def test_the_better_answer_wins_wherever_it_is_shown(swap_percent: float) -> None:
    for number in range(20):
        found = asked(judge(swap_percent=swap_percent), f"p{number}", SHORT, LONG, longer)
        assert isinstance(found, Asked)
        assert found.score == PairScore(0.0, 1.0)
        assert found.detail["swapped"] is (swap_percent == 100)
        assert found.detail["consistent"] is True


def test_the_position_is_drawn_by_the_pair_evenly_and_always_the_same() -> None:
    scorer = judge(swap_percent=0)
    firsts = [asked(scorer, f"p{n}", SHORT, LONG, first).detail["first"] for n in range(400)]

    assert 160 < firsts.count("control") < 240
    assert firsts == [asked(scorer, f"p{n}", SHORT, LONG, first).detail["first"] for n in range(400)]


def test_a_judge_of_positions_gives_ties_where_it_is_asked_twice_and_is_found_out() -> None:
    found = asked(judge(swap_percent=100), "p1", SHORT, LONG, first)

    assert found.score == PairScore(0.5, 0.5)
    assert (found.detail["consistent"], found.detail["picked"], found.detail["picked_swapped"]) == (False, "A", "A")


def test_the_share_that_is_swapped_is_the_configured_one() -> None:
    scorer = judge(swap_percent=20)

    assert 50 < sum(len(scorer.questions(f"p{n}", SHORT, LONG)) - 1 for n in range(400)) < 115


def test_the_question_names_no_variant_and_asks_for_structured_output() -> None:
    [question, *_] = judge(model="big", rubric="be brief").questions("p1", SHORT, LONG)
    text = json.dumps(question.body)

    assert question.path == "/v1/chat/completions"
    assert (question.body["model"], question.body["temperature"]) == ("big", 0)
    assert "be brief" in text
    assert not {"control", "treatment"} & set(text.replace('"', " ").split())
    assert question.body["response_format"]["json_schema"]["strict"] is True
    assert "model" not in judge().questions("p1", SHORT, LONG)[0].body


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        (SHORT, FAILED, (1, 0)),
        (EMPTY, LONG, (0, 1)),
        (UNREAD, LONG, (0, 1)),
        (CALL, FAILED, (1, 0)),
        (FAILED, FAILED, (0, 0)),
        (FAILED, EMPTY, (0, 0)),
        (EMPTY, EMPTY, (0.5, 0.5)),
        (LONG, LONG, (0.5, 0.5)),
        (LONG, LONG._replace(text=" tomorrow  at nine\n"), (0.5, 0.5)),
    ],
)
def test_what_the_answers_themselves_tell_is_not_asked(control: Answer, treatment: Answer, score: tuple) -> None:
    assert judge().questions("p", control, treatment) == []
    found = judge().read("p", control, treatment, [])
    assert found.score == score
    assert found.detail["asked"] is False


@pytest.mark.parametrize(("control", "treatment"), [(CALL, LONG), (LONG, CALL), (CALL, CALL), (UNREAD, UNREAD)])
def test_what_no_judge_can_be_shown_is_left_out(control: Answer, treatment: Answer) -> None:
    assert judge().questions("p", control, treatment) == []
    assert judge().read("p", control, treatment, []) is None


@pytest.mark.parametrize("reply", [b"", b"{}", b"\xff", b'{"choices": [{"message": {"content": "hm"}}]}'])
def test_a_reply_without_a_verdict_is_a_failure(reply: bytes) -> None:
    assert isinstance(judge().read("p", SHORT, LONG, [reply]), Failed)


def test_what_changes_a_verdict_changes_the_version() -> None:
    versions = {
        judge(**changes).version
        for changes in ({}, {"rubric": "brief"}, {"model": "m"}, {"ties": False}, {"retries": 5})
    }

    assert len(versions) == 4  # retries change no verdict
    assert all(version.startswith("judge/1:") and len(version) == 14 for version in versions)
