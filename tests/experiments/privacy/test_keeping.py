"""What may be written of an exchange: no match and no text is left, and the recorder reads the same figures."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests_bodies import BODIES, texts
from tests_builders import make_experiment

from experiments.config.records import Config
from experiments.journal.format import encode
from experiments.journal.reading import read_texts
from experiments.model import Exchange
from experiments.privacy.keeping import NOT_KEPT, NOTHING_SAID, Keeping
from experiments.privacy.redaction import REDACTED

NUMBER = "9876543210"
MOBILE = r"[6-9]\d{9}"
CHAT = '{"model":"m","messages":[{"role":"user","content":"call %s"}],"user":"%s"}'
SPLIT_NUMBER = (
    'data: {"model":"m","choices":[{"delta":{"content":"It is 98765"}}]}\n\n'
    'data: {"choices":[{"delta":{"content":"43210."},"finish_reason":"stop"}]}\n\n'
    "data: [DONE]\n\n"
)


def keeping(**changes: Any) -> Keeping:
    experiment = make_experiment(**changes)
    return Keeping(Config(path=Path("c.toml"), backends={}, experiments={"support": experiment}))


def made(request: str, response: str, protocol: str = "openai", **changes: Any) -> Exchange:
    sizes = {"bytes_in": len(request.encode()), "bytes_out": len(response.encode())}
    common: dict[str, Any] = {"id": "x1", "at": 1.0, "experiment": "support", "status": 200, "stream": True}
    texts = {"request_text": request, "response_text": response, "protocol": protocol}
    return Exchange(**(common | sizes | texts | {"ttft_ms": 5.0, "latency_ms": 9.0} | changes))


def figures(exchange: Exchange) -> dict[str, Any]:
    read = read_texts(exchange)
    names = ("finish_reason", "input_tokens", "output_tokens", "model", "tool_calls", "empty", "inter_token_ms")
    return {name: getattr(read, name) for name in names} | {"answered": read.answer is not None}


def test_a_number_that_a_stream_splits_is_found_and_so_is_one_behind_escapes() -> None:
    escaped = "".join(f"\\u{ord(digit):04x}" for digit in NUMBER)
    exchange = made(CHAT % (escaped, NUMBER), SPLIT_NUMBER, path=f"/v1/{NUMBER}", slices={"user": f"+91 {NUMBER}"})

    kept = keeping(redact=(MOBILE,))(exchange)

    line = encode(kept).decode()
    assert [part for part in (NUMBER, escaped, "98765", "43210") if part in line] == []
    read = read_texts(kept)
    assert (read.prompt, read.answer) == ("call [redacted]", "It is [redacted].")
    assert (kept.path, kept.slices) == ("/v1/[redacted]", {"user": "+91 [redacted]"})
    assert figures(kept) == figures(exchange)


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=150)
@given(data=st.data())
def test_the_figures_read_the_same_whatever_is_left_out(name: str, data: st.DataObject) -> None:
    exchange = made(
        data.draw(BODIES[name] | texts), data.draw(BODIES[name]), name, status=data.draw(st.sampled_from([200, 500]))
    )
    before = figures(exchange)

    assert figures(keeping(redact=(MOBILE,))(exchange)) == before
    without = figures(keeping(capture="none")(exchange))
    assert without.pop("model") in {before.pop("model"), REDACTED}, "a text where a name should be goes too"
    assert without == before


@pytest.mark.parametrize("name", BODIES)
@given(said=st.text(st.characters(categories=["L"]), max_size=20).map("Ω{}Ω".format), data=st.data())
def test_without_capture_nothing_that_was_said_is_written(name: str, said: str, data: st.DataObject) -> None:
    bodies = {
        "openai": '{"prompt":"%s","choices":[{"message":{"content":"%s"}}],"x":"%s"}',
        "ollama": '{"prompt":"%s","response":"%s","context":"%s"}',
        "triton": '{"text_input":"%s","text_output":"%s","x":"%s"}',
        "raw": "%s %s %s",
    }
    body = bodies[name] % (said, said, said)
    cut = body[: data.draw(st.integers(0, len(body)))]

    kept = keeping(capture="none")(made(cut, body, name, bytes_in=len(body.encode()), truncated=len(cut) < len(body)))

    assert said not in kept.request_text + kept.response_text
    assert read_texts(kept).answer in {NOT_KEPT, NOTHING_SAID}


def test_what_cannot_be_parsed_is_not_kept() -> None:
    whole = CHAT % (NUMBER, NUMBER)
    exchange = made(whole[:60], SPLIT_NUMBER[:100], bytes_in=len(whole), bytes_out=len(SPLIT_NUMBER), truncated=True)

    kept = keeping(redact=(MOBILE,))(exchange)

    assert "98765" not in kept.request_text + kept.response_text
    assert read_texts(kept).answer == REDACTED, "the end of an answer that is cut off goes: a match may begin there"
    assert read_texts(kept).prompt is None


def test_only_the_side_that_is_cut_off_loses_its_end() -> None:
    answer = '{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}]}'
    exchange = made("hello", answer, bytes_in=10_000, truncated=True)

    assert read_texts(keeping(redact=(MOBILE,))(exchange)).answer == "yes"


def test_a_broken_answer_loses_its_end() -> None:
    broken = SPLIT_NUMBER.partition("\n\n")[0]

    kept = keeping(redact=(MOBILE,))(made(CHAT % ("", ""), broken, error="reset"))

    assert "98765" not in kept.response_text


def test_what_nobody_asked_to_keep_less_of_stays_as_it_is() -> None:
    exchange = made(CHAT % (NUMBER, NUMBER), SPLIT_NUMBER)

    assert keeping()(exchange) is exchange
    assert keeping(redact=(MOBILE,))(replace(exchange, experiment="")).request_text == exchange.request_text


def test_what_cannot_be_redacted_is_not_written() -> None:
    with capture_logs() as logs:
        kept = keeping(redact=(MOBILE,))(made(CHAT % (NUMBER, NUMBER), SPLIT_NUMBER, "no such protocol"))

    assert (kept.request_text, kept.response_text, kept.truncated) == ("", "", True)
    assert [log["event"] for log in logs] == ["texts_not_kept"]
