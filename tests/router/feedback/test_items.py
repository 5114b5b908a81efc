"""One feedback as it is sent: read whole, or refused with the field that is wrong."""

import json

import msgspec
import pytest

from router.feedback.items import Item, RefusedError, read_item


def test_what_is_left_out_has_its_plain_meaning() -> None:
    item = read_item(b'{"exchange": "x", "metric": "thumbs_up", "value": true}')

    assert item == Item(metric="thumbs_up", value=True, exchange="x", source="client", at=None, token="")


@pytest.mark.parametrize("who", [{}, {"exchange": "x", "unit": "u"}, {"exchange": "", "unit": ""}])
def test_a_feedback_is_on_an_exchange_or_a_unit_and_never_on_both(who: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="exactly one of `exchange` and `unit`") as refused:
        read_item(json.dumps({"metric": "m", "value": 1} | who).encode())

    assert (refused.value.status, refused.value.field) == (422, "exchange")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400])
def test_no_number_that_is_none_can_be_sent(value: str) -> None:
    with pytest.raises(RefusedError):
        read_item(f'{{"exchange": "x", "metric": "m", "value": {value}}}'.encode())


def test_a_refusal_says_the_same_alone_and_in_a_batch() -> None:
    refused = RefusedError(429, "too much", "value", {"retry-after": "7"})

    alone, of_item = refused.response(), refused.of_item(3)

    told = msgspec.json.decode(bytes(alone.body))
    assert (alone.status_code, alone.headers["retry-after"]) == (429, "7")
    assert of_item == {
        "index": 3, "status": 429, "detail": told["detail"], "errors": told["errors"], "retry_after_s": 7
    }  # fmt: skip
