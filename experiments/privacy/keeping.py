"""What of an exchange may be written: its texts, redacted texts, or none. Pure.

`redact`: what a pattern matches in prompt, answer, slices and path is replaced. `capture = "none"`: no text stays, only
what is counted of it. Either way the bodies are read first, as the recorder will, and then written anew from what was
read: a stream's pieces are joined before a pattern sees them, JSON's escapes are undone, and what nobody reads is not
kept at all. Finish reason, tokens, calls of tools and emptiness read the same afterwards.

It happens on the proxy's path, since an exchange is in the journal before its user has the last byte of the answer.
Traffic itself is untouched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from experiments.config.records import Config, Experiment
from experiments.journal.reading import says_nothing
from experiments.model import Exchange
from experiments.privacy.plain_bodies import answer_body, request_body
from experiments.privacy.redaction import REDACTED, Redactor
from experiments.protocols import Answered, protocol

_log = structlog.get_logger(__name__)
NOT_KEPT = "[not kept]"
"""Stands for an answer under `capture = "none"` that says something."""
NOTHING_SAID = " "
"""Stands for one that says nothing."""
_NAME = re.compile(r"[\w./:@+-]{0,128}", re.ASCII)


class Keeping:
    """Says of each exchange what of it may be written.

    Args:
        config: Its experiments say it, by `redact` and `capture`.
    """

    def __init__(self, config: Config) -> None:
        made = {name: _keep(experiment) for name, experiment in config.experiments.items()}
        self._by_experiment = {name: keep for name, keep in made.items() if keep is not None}

    def __repr__(self) -> str:
        return f"<Keeping [{', '.join(self._by_experiment)}]>"

    def __call__(self, exchange: Exchange) -> Exchange:
        """Return what may be written of an exchange. Never raises: what cannot be redacted is left out."""
        keep = self._by_experiment.get(exchange.experiment)
        if keep is None:
            return exchange
        try:
            return keep(exchange)
        except Exception as error:  # noqa: BLE001  # whatever a body is, its text must not be written as it is
            _log.error("texts_not_kept", exchange=exchange.id, reason=type(error).__name__)
            return replace(exchange, request_text="", response_text="", truncated=True, slices={}, path="")


def _keep(experiment: Experiment) -> Callable[[Exchange], Exchange] | None:
    if experiment.capture == "none":
        return without_text
    if not experiment.redact:
        return None
    redactor = Redactor(experiment.redact)
    return lambda exchange: redacted(exchange, redactor)


def redacted(exchange: Exchange, redactor: Redactor) -> Exchange:
    """Return an exchange of which texts, slices and path are redacted; its figures read as before."""
    read = _read(exchange)
    prompt_is_cut = not _is_whole(exchange, exchange.request_text, exchange.bytes_in)
    answer_is_cut = bool(exchange.error) or not _is_whole(exchange, exchange.response_text, exchange.bytes_out)
    answered = read.answered._replace(
        text=_redacted(read.answered.text, redactor, cut=answer_is_cut),
        finish_reason=_redacted(read.answered.finish_reason, redactor),
        model=_redacted(read.answered.model, redactor),
    )
    prompt, model = _redacted(read.prompt, redactor, cut=prompt_is_cut), _redacted(read.model, redactor)
    return replace(
        _written(exchange, prompt, model, answered),
        path=redactor(exchange.path),
        slices={attribute: redactor(value) for attribute, value in exchange.slices.items()},
    )


def without_text(exchange: Exchange) -> Exchange:
    """Return an exchange of which no text is left; its figures read as before."""
    read = _read(exchange)
    answered = read.answered._replace(
        text=_stand_in(read.answered.text),
        finish_reason=_name(read.answered.finish_reason),
        model=_name(read.answered.model),
    )
    return _written(exchange, None, _name(read.model), answered)


class _Read(NamedTuple):
    """What the recorder would read of an exchange's bodies."""

    prompt: str | None
    model: str | None
    """As the request names it; None where the answer names one."""
    answered: Answered


def _read(exchange: Exchange) -> _Read:
    speaks = protocol(exchange.protocol)
    answered = speaks.answer(exchange.response_text)
    asked = speaks.peek(exchange.request_text.encode("utf-8", "replace")).model if answered.model is None else None
    return _Read(speaks.prompt(exchange.request_text), asked, answered)


def _written(exchange: Exchange, prompt: str | None, model: str | None, answered: Answered) -> Exchange:
    """Put plain bodies in the place of an exchange's; where none was captured, there is none."""
    request = request_body(exchange.protocol, prompt, model) if exchange.request_text else ""
    response = answer_body(exchange.protocol, answered) if exchange.response_text else ""
    return replace(exchange, request_text=request, response_text=response)


def _redacted(text: str | None, redactor: Redactor, *, cut: bool = False) -> str | None:
    return None if text is None else redactor(text, cut=cut)


def _stand_in(answer: str | None) -> str | None:
    if answer is None:
        return None
    return NOTHING_SAID if says_nothing(answer) else NOT_KEPT


def _is_whole(exchange: Exchange, text: str, length_bytes: int) -> bool:
    """Whether a captured text is all of its body; where that cannot be told, it is not."""
    return not exchange.truncated or ("\ufffd" not in text and len(text.encode("utf-8", "replace")) == length_bytes)


def _name(said: str | None) -> str | None:
    """Return what names something; a text where a name should be is not kept."""
    return said if said is None or _NAME.fullmatch(said) else REDACTED
