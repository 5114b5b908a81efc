"""Texts in the raw bytes behind a body's JSON, as they are after the recorder has made text of them."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.protocols.tensors import read_head, tensors_text


def in_bytes(name: str, *elements: str) -> tuple[dict, bytes]:
    """A text tensor in binary form: its description, its bytes."""
    raw = b"".join(struct.pack("<I", len(e.encode())) + e.encode() for e in elements)
    described = {"name": name, "datatype": "BYTES", "shape": [len(elements)]}
    return described | {"parameters": {"binary_data_size": len(raw)}}, raw


def captured(*tensors: tuple[dict, bytes]) -> tuple[list[dict], str]:
    """What a body with these tensors is read back as."""
    body = json.dumps({"outputs": [tensor for tensor, _ in tensors]}).encode() + b"".join(raw for _, raw in tensors)
    head, rest = read_head(body.decode("utf-8", "replace"))
    return head["outputs"], rest


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=400))
def test_one_element_is_read_whatever_its_length(text: str) -> None:
    assert tensors_text(*captured(in_bytes("text_output", text)), "text_output") == text


@pytest.mark.parametrize("length", [100, 127, 128, 200, 255, 256, 300, 70_000])
def test_a_tensor_is_found_behind_others(length: int) -> None:
    flag = ({"name": "f", "datatype": "BOOL", "shape": [1], "parameters": {"binary_data_size": 1}}, b"\x01")
    tensors = captured(in_bytes("first", "x" * length), flag, in_bytes("text_output", "y" * length))

    assert tensors_text(*tensors, "text_output") == "y" * length


def test_several_elements_are_read_by_their_lengths() -> None:
    assert tensors_text(*captured(in_bytes("any", "one", "", "three")), "text_output") == "one\n\nthree"


def test_several_elements_whose_lengths_were_lost_are_not_guessed_at() -> None:
    assert tensors_text(*captured(in_bytes("any", "x" * 200, "two")), "text_output") is None


def test_numbers_in_binary_form_are_not_read() -> None:
    numbers = ({"name": "n", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}, b"\0\0\x80?")

    assert tensors_text(*captured(numbers), "text_output") is None


@pytest.mark.parametrize("behind", ["", "\ufffd\0\0\0binary"])
def test_a_head_is_read_with_and_without_raw_bytes_behind_it(behind: str) -> None:
    assert read_head(' {"id": "é"}' + behind) == ({"id": "é"}, behind)


UNFIT = ["", "[1]", "[1]\0", '{"id": "\\ud800"}', '{"id": "\\ud800"}\0', '{"id": 1', "{" * 9_000]


@pytest.mark.parametrize("body", UNFIT)
def test_what_is_no_object_that_could_be_stored_is_an_empty_one(body: str) -> None:
    assert read_head(body)[0] == {}
