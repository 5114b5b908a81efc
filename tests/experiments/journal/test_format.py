"""The journal's lines: whatever happens to a segment, whole lines load and nothing crashes."""

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.journal.format import (
    Damaged,
    End,
    Entry,
    encode,
    end_mark,
    process_is_gone,
    read_segment,
    segment_name,
)
from experiments.model import Exchange, Feedback, Role

texts = st.text(max_size=30)
exchanges = st.builds(
    Exchange,
    id=texts,
    at=st.floats(0, 2e9),
    experiment=texts,
    role=st.sampled_from(Role),
    propensity=st.floats(0, 1),
    ttft_ms=st.none() | st.floats(0, 1e6),
    slices=st.dictionaries(texts, texts, max_size=3),
    request_text=texts,
    response_text=texts,
)
feedback = st.builds(
    Feedback, exchange=texts, metric=texts, value=st.booleans() | texts | st.floats(-9, 9), at=st.floats(0, 2e9)
)
records = st.lists(exchanges | feedback, min_size=1, max_size=6)
anything = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anything
@given(written=records)
def test_every_record_comes_back_as_it_was(tmp_path: Path, written: list) -> None:
    path = tmp_path / "s.journal"
    path.write_bytes(b"".join(map(encode, written)) + end_mark())

    *entries, end = read_segment(path)

    assert [entry.record for entry in entries] == written
    assert end == End(path.stat().st_size)


@anything
@given(written=records, data=st.data())
def test_a_segment_cut_off_anywhere_gives_its_whole_lines_and_waits_for_the_rest(
    tmp_path: Path, written: list, data
) -> None:
    lines = [encode(record) for record in written]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path / "s.journal"
    path.write_bytes(whole[:cut])

    before = list(read_segment(path))
    path.write_bytes(whole)
    after = list(read_segment(path, before[-1].offset_after if before else 0))

    assert all(isinstance(entry, Entry) for entry in before + after)
    assert [entry.record for entry in before + after] == written


@anything
@given(written=records, data=st.data())
def test_a_flipped_bit_costs_its_own_line_and_no_other(tmp_path: Path, written: list, data) -> None:
    lines = [encode(record) for record in written]
    whole = bytearray(b"".join(lines))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "s.journal"
    path.write_bytes(whole)

    found = list(read_segment(path))

    hit = next(n for n in range(len(lines)) if place < sum(map(len, lines[: n + 1])))
    loaded = [entry.record for entry in found if isinstance(entry, Entry)]
    # The line that was hit is lost; if its newline was hit, so is the one that it ran into. (Or nothing is lost: the
    # flip only changed a hexadecimal digit's case.)
    assert loaded[:hit] == written[:hit]
    assert loaded[hit:] in (written[hit:], written[hit + 1 :], written[hit + 2 :])


@anything
@given(noise=st.binary(max_size=200))
def test_noise_is_counted_as_damage_and_never_raises(tmp_path: Path, noise: bytes) -> None:
    path = tmp_path / "s.journal"
    path.write_bytes(noise + b"\n")

    assert all(isinstance(entry, Damaged) for entry in read_segment(path))


def test_a_segment_of_a_process_that_is_gone_has_no_writer_any_more() -> None:
    assert not process_is_gone(segment_name(os.getpid(), 1, 1))
    assert process_is_gone(segment_name(2**22 + 1, 1, 1))
    assert not process_is_gone("another-host~1~1~000001.journal")
