"""Where two answers differ, word by word, in any script."""

from hypothesis import given
from hypothesis import strategies as st

from experiments.showing.word_differences import Piece, word_differences


@given(one=st.text(max_size=60), other=st.text(max_size=60))
def test_the_pieces_are_the_texts_and_what_is_not_marked_is_the_same_in_both(one: str, other: str) -> None:
    left, right = word_differences(one, other)

    assert ("".join(piece.text for piece in left), "".join(piece.text for piece in right)) == (one, other)
    same = ["".join(piece.text for piece in pieces if not piece.differs) for pieces in (left, right)]
    assert same[0] == same[1]


def test_equal_answers_have_no_marks() -> None:
    assert word_differences("धनवापसी होगी", "धनवापसी होगी") == ([Piece(False, "धनवापसी होगी")],) * 2


def test_a_hindi_word_is_marked_whole() -> None:
    left, right = word_differences("धनवापसी पाँच दिन में", "धनवापसी सात दिन में")

    assert [piece.text for piece in left if piece.differs] == ["पाँच"]
    assert [piece.text for piece in right if piece.differs] == ["सात"]


def test_a_very_long_answer_is_shown_without_marks() -> None:
    long = "word " * 3_000

    assert word_differences(long, "short") == ([Piece(False, long)], [Piece(False, "short")])
