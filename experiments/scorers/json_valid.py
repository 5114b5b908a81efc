"""Whether an answer is JSON, and valid under a schema."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore, ScorerError
from experiments.scorers.sides import each

_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError)


class JsonValid:
    """1 if the whole answer is JSON, and valid if a schema is given; a code fence around it is wrong.

    Args:
        schema_file: A JSON schema; it may not refer to a URL or to another file.

    Raises:
        ScorerError: The schema cannot be read, or is none.
    """

    def __init__(self, schema_file: Path | None = None) -> None:
        self.version = "json_valid/1"
        self._validator: jsonschema_rs.Validator | None = None
        if schema_file is not None:
            text = _read(schema_file)
            self._validator = _validator(text)
            self.version += f" {hashlib.sha256(text).hexdigest()[:8]}"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Score each answer by itself; None where one has a call of a tool in place of a text."""
        return each(control, treatment, self._valid)

    def _valid(self, answer: Answer) -> float | None:
        if answer.text is None:
            return 0.0 if answer.empty else None
        try:
            value: Any = msgspec.json.decode(answer.text)
            return float(self._validator is None or self._validator.is_valid(value))
        except (*_UNREADABLE, OverflowError):  # the last for numbers that are larger than the validator can hold
            return 0.0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ScorerError("schema_file", f"cannot be read: {reason}") from error


def _validator(text: bytes) -> jsonschema_rs.Validator:
    try:
        # Offline: nothing is fetched for a schema. Patterns by an engine whose time is linear in the answer.
        return jsonschema_rs.validator_for(
            msgspec.json.decode(text), offline=True, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (*_UNREADABLE, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        rule = (str(error).splitlines() or [""])[0]
        raise ScorerError("schema_file", f"is no JSON schema: {rule}") from error
