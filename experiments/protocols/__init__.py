"""What must be known of a body, by protocol: model, prompt, answer, tokens, the shape of an error. Pure."""

from __future__ import annotations

from experiments.protocols.base import Answered, Peek, Protocol, body_field
from experiments.protocols.openai import OpenAI
from experiments.protocols.raw import Raw

__all__ = ["Answered", "Peek", "Protocol", "body_field", "protocol"]

_PROTOCOLS: dict[str, Protocol] = {"openai": OpenAI(), "raw": Raw()}


def protocol(name: str) -> Protocol:
    """Return a protocol by its name in the configuration.

    Raises:
        KeyError: There is no such protocol.
    """
    return _PROTOCOLS[name]
