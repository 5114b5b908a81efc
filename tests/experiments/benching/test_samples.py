import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.benching.samples import blocks
from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenItem


def items(count: int) -> list[GoldenItem]:
    return [GoldenItem(id=str(n), request={}, expected=Expected(exact="")) for n in range(count)]


@given(count=st.integers(0, 200), concurrency=st.integers(1, 5), seed=st.integers(0, 9))
def test_each_item_goes_out_once_and_neither_variant_is_always_first(count: int, concurrency: int, seed: int) -> None:
    found = blocks(items(count), concurrency, random.Random(seed))

    assert sorted(int(item.id) for block in found for item in block.items) == list(range(count))
    first = Counter(block.order[0] for block in found)
    assert abs(first["control"] - first["treatment"]) <= 1
    assert all(set(block.order) == {"control", "treatment"} for block in found)


def test_with_one_request_at_a_time_the_variants_take_turns_item_by_item() -> None:
    assert {len(block.items) for block in blocks(items(9), 1, random.Random(1))} == {1}
    assert len(blocks(items(64), 4, random.Random(1))[0].items) == 32, "enough to keep four requests out"


def test_no_request_at_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="concurrency == 0, must be >= 1"):
        blocks(items(1), 0, random.Random(1))
