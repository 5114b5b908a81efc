from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from experiments.assignment import BUCKETS, assign, cohort, unit_of
from experiments.model import CONTROL, TREATMENT

units = st.binary(max_size=64)
splits = st.integers(0, BUCKETS)


@given(units, st.text(max_size=80))
def test_a_unit_always_falls_into_the_same_bucket(unit: bytes, salt: str) -> None:
    assert unit_of(salt, unit) == unit_of(salt, unit)
    assert 0 <= unit_of(salt, unit).bucket < BUCKETS


@given(units, splits, splits)
def test_a_rising_split_moves_units_to_the_treatment_only(unit: bytes, one: int, other: int) -> None:
    low, high = sorted((one, other))
    bucket = unit_of("salt", unit).bucket

    if assign(bucket, low).variant == TREATMENT:
        assert assign(bucket, high).variant == TREATMENT


@given(splits)
def test_the_share_of_the_buckets_is_exactly_the_split(split: int) -> None:
    treated = sum(assign(bucket, split).variant == TREATMENT for bucket in range(BUCKETS))

    assert treated == split


@given(st.integers(0, BUCKETS - 1), splits)
def test_the_propensity_is_the_probability_of_the_variant_that_was_assigned(bucket: int, split: int) -> None:
    variant, propensity = assign(bucket, split)

    assert propensity == (split / BUCKETS if variant == TREATMENT else 1 - split / BUCKETS)
    assert 0 < propensity <= 1


def test_the_assignment_is_pinned_so_that_an_upgrade_moves_nobody() -> None:
    buckets = {name: unit_of("support-int4", name.encode()).bucket for name in ("user-1", "user-2", "", "यूज़र")}

    assert buckets == {"user-1": 1661, "user-2": 7847, "": 1031, "यूज़र": 5064}


def test_two_experiments_assign_independently() -> None:
    """A unit's variant in one experiment says nothing of its variant in another."""
    users = [str(n).encode() for n in range(20_000)]
    both = sum(
        assign(unit_of("one", u).bucket, 5000).variant == assign(unit_of("two", u).bucket, 5000).variant for u in users
    )

    assert abs(both - 10_000) < 4.5 * 5000**0.5


def test_shares_over_many_units_follow_the_split() -> None:
    treated = sum(assign(unit_of("s", str(n).encode()).bucket, 1000).variant == TREATMENT for n in range(50_000))

    assert abs(treated - 5000) < 4.5 * (50_000 * 0.1 * 0.9) ** 0.5
    assert assign(0, 0).variant == CONTROL


@given(units, st.text(max_size=80), st.integers(1, 10))
def test_a_unit_always_falls_into_the_same_of_all_cohorts(unit: bytes, salt: str, count: int) -> None:
    assert cohort(salt, unit, count) == cohort(salt, unit, count)
    assert 0 <= cohort(salt, unit, count) < count


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=20), st.integers(2, 6))
def test_cohorts_are_equally_large(salt: str, count: int) -> None:
    """By chi-square; of a thousand million right divisions one is told to be wrong."""
    sizes = Counter(cohort(salt, str(n).encode(), count) for n in range(4_000))

    expected = 4_000 / count
    assert sum((sizes[index] - expected) ** 2 / expected for index in range(count)) < chi2.isf(1e-9, count - 1)


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.integers(2, 6))
def test_a_cohort_says_nothing_of_the_variant_even_with_the_same_salt(salt: str, other: str, count: int) -> None:
    """In every cohort the split is the configured one, whatever the salts are."""
    users = [str(n).encode() for n in range(4_000)]
    for own in (salt, other):
        inside = [user for user in users if cohort(salt, user, count) == 0]
        treated = sum(assign(unit_of(own, user).bucket, 5_000).variant == TREATMENT for user in inside)

        assert abs(treated - len(inside) / 2) < 6 * (len(inside) / 4) ** 0.5


def test_cohorts_are_pinned_so_that_an_upgrade_moves_nobody() -> None:
    assert [cohort("support", f"user-{n}".encode(), 3) for n in range(1, 7)] == [1, 2, 0, 0, 1, 2]
