"""Similarity: the cosine of two vectors as the treatment's score, control being 1."""

import json

import pytest

from experiments.config.asking import Embeddings
from experiments.scorers import Answer, Asked, Failed, PairScore
from experiments.scorers.similarity import Similarity
from router.fakes.judge import vector

SIMILARITY = Similarity(Embeddings(backend="vectors", model="small"))
ONE, OTHER = Answer("your order comes", ok=True), Answer("your parcel comes", ok=True)
FAILED = Answer(None, ok=False)


def reply(*vectors: list[float]) -> bytes:
    return json.dumps({"data": [{"index": i, "embedding": v} for i, v in reversed(list(enumerate(vectors)))]}).encode()


def read(control: Answer, treatment: Answer, *vectors: list[float]) -> Asked | Failed | None:
    return SIMILARITY.read("p", control, treatment, [reply(*vectors)] if vectors else [])


def test_both_texts_are_one_question() -> None:
    [question] = SIMILARITY.questions("p", ONE, OTHER)

    assert question.path == "/v1/embeddings"
    assert question.body == {"input": [ONE.text, OTHER.text], "encoding_format": "float", "model": "small"}


@pytest.mark.parametrize(
    ("vectors", "score"),
    [(([1, 0], [2, 0]), 1.0), (([1, 0], [1, 1]), 2**-0.5), (([1, 0], [0, 3]), 0.0), (([1, 0], [-1, 0]), 0.0)],
)
def test_the_treatment_scores_the_cosine_and_never_less_than_nothing(vectors: tuple, score: float) -> None:
    found = read(ONE, OTHER, *vectors)

    assert found.score == (1.0, pytest.approx(score))
    assert found.detail["cosine"] <= 1


def test_a_shared_word_is_nearer_than_none() -> None:
    assert read(ONE, OTHER, vector(ONE.text), vector(OTHER.text)).score.treatment > 0.5


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        (ONE, ONE, PairScore(1, 1)),
        (ONE, FAILED, PairScore(1, 0)),
        (ONE, Answer(None, ok=True, empty=True), PairScore(1, 0)),
        (ONE, Answer(" ", ok=True), PairScore(1, 0)),
        (Answer("", ok=True), Answer(" ", ok=True), PairScore(1, 1)),
        (FAILED, ONE, None),
    ],
)
def test_what_the_answers_themselves_tell_is_not_asked(control: Answer, treatment: Answer, score) -> None:
    assert SIMILARITY.questions("p", control, treatment) == []
    found = read(control, treatment)
    assert (found.score if found else None) == score


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"data": "x"}',
        reply([1.0]),
        reply([1.0], [1.0, 2.0]),
        reply([0.0], [1.0]),
        reply([1e200], [1e308]),
    ],
)
def test_vectors_that_cannot_be_compared_are_a_failure(body: bytes) -> None:
    assert isinstance(SIMILARITY.read("p", ONE, OTHER, [body]), Failed)


def test_another_model_is_another_version() -> None:
    assert SIMILARITY.version != Similarity(Embeddings(backend="vectors")).version
