"""Secrets: `env:NAME` or `file:PATH` in the configuration becomes a value that no log and no traceback shows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from experiments.config.records import Config

_MAX_BYTES = 16 * 1024


class SecretError(Exception):
    """A secret cannot be had; the message names its reference, and never its value."""


def resolve(reference: str, folder: Path, environ: Mapping[str, str] | None = None) -> SecretStr:
    """Return the secret that a reference names.

    Args:
        reference: `env:NAME` or `file:PATH`.
        folder: What a relative path is relative to: the configuration's folder.
        environ: The process's environment by default.

    Raises:
        SecretError: It is not there, is empty, or cannot stand in a header: one line of printable ASCII, without
            spaces.
    """
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        text = _from_environment(name, os.environ if environ is None else environ)
    elif kind == "file" and name:
        text = _from_file(folder / name)
    else:
        # The reference itself is not told: it is probably the secret.
        raise SecretError('a secret must be given as "env:NAME" or "file:PATH"')
    if not (text and text.isascii() and text.isprintable() and " " not in text):
        raise SecretError(f"the secret {reference} must be one line of printable ASCII, without spaces, and not empty")
    return SecretStr(text)


def secret_references(config: Config) -> list[str]:
    """Return every reference to a secret in a configuration."""
    feedback = config.router.feedback
    references = [feedback.token, feedback.signing_key, *(backend.api_key for backend in config.backends.values())]
    if config.router.notifications is not None:
        for channel in config.router.notifications.channels.values():
            references += [channel.url, channel.secret]
    return [reference for reference in references if reference is not None]


def check_secrets(config: Config) -> None:
    """Resolve every secret of a configuration, before processes are started that would end for want of one.

    Raises:
        SecretError: One cannot be had.
    """
    for reference in secret_references(config):
        resolve(reference, config.path.parent)


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    try:
        return environ[name].strip()
    except KeyError:
        raise SecretError(f"the secret env:{name} is not in the environment") from None


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no possible name of a file"
        raise SecretError(f"the secret file:{path} cannot be read: {reason}") from None
    if len(data) > _MAX_BYTES:
        raise SecretError(f"the secret file:{path} is larger than {_MAX_BYTES} bytes")
    return data.decode("latin-1").strip()
