"""Slices are named in the order in which they appear, as the ledger names them."""

import pytest

from experiments.warehouse import labels as module
from experiments.warehouse.labels import labels
from experiments.warehouse.records import WarehouseError


def test_values_beyond_the_sixteenth_to_appear_are_other() -> None:
    texts = [(f'{{"plan": "p{n}"}}', 100 - n) for n in range(20)]

    of_text, values = labels(texts, ["plan"])

    assert values["plan"] == [f"p{n}" for n in range(19, 3, -1)]
    assert of_text['{"plan": "p19"}'] == ("plan=p19",)
    assert of_text['{"plan": "p3"}'] == ("plan=other",)


def test_a_text_without_the_attribute_is_in_no_slice() -> None:
    assert labels([('{"other": "x"}', 1), ("{}", 2)], ["plan"]) == ({'{"other": "x"}': (), "{}": ()}, {"plan": []})


@pytest.mark.parametrize("text", ["no json", "[1]", '{"plan": 3}'])
def test_what_is_no_object_of_texts_is_shown(text: str) -> None:
    with pytest.raises(WarehouseError, match=r"^outcomes.slices: .* must be a JSON object of texts") as caught:
        labels([(text, 1)], ["plan"])
    assert repr(text) in str(caught.value)


def test_free_text_is_no_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TEXTS", 2)
    with pytest.raises(WarehouseError, match="3 different texts, and must be at most 2"):
        labels([(f'{{"plan": "{n}"}}', n) for n in range(3)], ["plan"])
