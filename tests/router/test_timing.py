"""Ids: valid UUIDs of version 7, unique, in the order of their time, and their time can be read back."""

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.timing import uuid7, uuid7_seconds


def test_an_id_is_a_uuid_of_version_7() -> None:
    for _ in range(100):
        parsed = uuid.UUID(made := uuid7())
        assert str(parsed) == made
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_ids_do_not_repeat() -> None:
    assert len({uuid7() for _ in range(10_000)}) == 10_000


def test_all_other_bits_are_drawn_and_none_repeats_another() -> None:
    drawn = [uuid.UUID(uuid7()).int for _ in range(400)]
    places = [place for place in range(80) if place not in {62, 63, 76, 77, 78, 79}]

    columns = [tuple(number >> place & 1 for number in drawn) for place in places]

    assert len(set(columns)) == len(columns) == 74
    assert all(len(set(column)) == 2 for column in columns)


def test_an_id_of_a_later_millisecond_sorts_behind() -> None:
    made = []
    for _ in range(5):
        made.append(uuid7())
        time.sleep(0.002)

    assert made == sorted(made)


def test_the_time_of_an_id_is_the_time_at_which_it_was_made() -> None:
    before = time.time()
    born = uuid7_seconds(uuid7())
    after = time.time()

    assert born is not None
    assert before - 0.001 <= born <= after


@given(milliseconds=st.integers(0, 2**48 - 1), rest=st.integers(0, 2**74 - 1))
def test_the_time_of_any_uuid_of_version_7_is_read_to_the_millisecond(milliseconds: int, rest: int) -> None:
    variant_and_rest = 0b10 << 62 | rest & (2**62 - 1)
    made = uuid.UUID(int=milliseconds << 80 | 7 << 76 | (rest >> 62) << 64 | variant_and_rest)

    assert uuid7_seconds(str(made)) == milliseconds / 1000
    assert uuid7_seconds(str(made)) == milliseconds / 1000


@given(text=st.text(max_size=40))
def test_no_text_makes_it_raise(text: str) -> None:
    found = uuid7_seconds(text)

    assert found is None or found >= 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        str(uuid.UUID(int=0)),
        "7d1e9c1e-5f0e-4b7c-9d0a-6f2b1c3d4e5f",  # version 4
        "2f1acc6c-c623-11e1-9b21-0800200c9a66",  # version 1
        "01890a5d-ac96-774b-bcce-b302099a805",
        "01890a5d-ac96-774b-bcce-b302099a80577",
        "z1890a5d-ac96-774b-bcce-b302099a8057",
    ],
)
def test_another_id_has_no_time(text: str) -> None:
    assert uuid7_seconds(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "01890a5d-ac96-774b-bcce-zzzzzzzzzzzz",  # no hexadecimal digits
        "0x890a5d-ac96-774b-bcce-b302099a8057",
        "+1890a5d-ac96-774b-bcce-b302099a8057",
        "0_890a5d-ac96-774b-bcce-b302099a8057",
        "0-1890a5dac96774bbcceb302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a\x00057",
    ],
)
def test_what_is_no_uuid_has_no_time(text: str) -> None:
    assert uuid7_seconds(text) is None


def test_neither_threads_nor_a_fork_give_an_id_twice() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = [found for some in pool.map(lambda _: [uuid7() for _ in range(500)], range(8)) for found in some]
    reading, writing = os.pipe()
    uuid7()  # there is randomness left over
    if not (child := os.fork()):
        os.write(writing, "".join(uuid7()[15:] for _ in range(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 4096).decode()
    ours = "".join(uuid7()[15:] for _ in range(20))

    assert len(set(ids)) == 4_000
    assert len(theirs) == len(ours)
    assert not {theirs[at : at + 21] for at in range(0, len(theirs), 21)} & {
        ours[at : at + 21] for at in range(0, len(ours), 21)
    }
