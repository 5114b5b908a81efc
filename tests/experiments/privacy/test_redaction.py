"""Whatever matches is gone, whatever does not is still there; a pattern that cannot be used is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.privacy.redaction import CUT_END_BYTES, REDACTED, PatternError, Redactor, check_pattern

MOBILE = r"[6-9]\d{9}"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("मेरा नंबर 9876543210 है", "मेरा नंबर [redacted] है"),
        ("98765432109876543210", "[redacted]"),
        ("no number, 98765", "no number, 98765"),
        ("", ""),
    ],
)
def test_what_matches_is_replaced(text: str, after: str) -> None:
    assert Redactor([MOBILE])(text) == after


def test_matches_of_two_patterns_that_overlap_leave_nothing_of_either() -> None:
    assert Redactor(["abc", "bcd"])("xabcdx") == "x[redacted]x"


def test_a_long_hostile_text_takes_linear_time() -> None:
    assert Redactor([r"(a+)+$"])("a" * 50_000 + "b").endswith("ab")


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)", "", "x*", r"\b", "^", "a|", "\ud800"])
def test_what_is_no_pattern_or_matches_everywhere_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        check_pattern(pattern)


@given(st.text(st.sampled_from("0123456789 aन"), max_size=60))
def test_no_match_is_left_and_nothing_else_is_touched(text: str) -> None:
    pieces = Redactor([r"[0-9]{4}"])(text).split(REDACTED)

    assert "".join(pieces) == re.sub(r"(?:[0-9]{4})+", "", text)


@given(st.text(st.sampled_from("9 न"), max_size=400), st.integers(1, 9))
def test_the_end_of_a_cut_text_goes_with_the_match_that_reaches_into_it(text: str, missing: int) -> None:
    number = "9876543210"

    kept = Redactor([MOBILE])(f"{text} {number[:missing]}", cut=True)

    assert kept.endswith(REDACTED)
    assert number[:missing] not in kept.rpartition(" ")[2]
    assert len(kept.encode()) <= max(0, len(text.encode()) + 1 + missing - CUT_END_BYTES) + len(REDACTED) * 41
