"""What must be known of a body, by protocol: model, prompt, answer, tokens, the shape of an error. Pure."""

from __future__ import annotations

from experiments.protocols.base import Answered, Peek, Protocol, Traits, body_field
from experiments.protocols.ollama import Ollama
from experiments.protocols.openai import OpenAI
from experiments.protocols.raw import Raw
from experiments.protocols.triton import Triton

__all__ = ["Answered", "Peek", "Protocol", "Traits", "body_field", "protocol"]

_PROTOCOLS: dict[str, Protocol] = {"openai": OpenAI(), "ollama": Ollama(), "triton": Triton(), "raw": Raw()}


def protocol(name: str) -> Protocol:
    """Return a protocol by its name in the configuration.

    Raises:
        KeyError: There is no such protocol.
    """
    return _PROTOCOLS[name]
