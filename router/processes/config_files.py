"""The files that a configuration names: whether they have changed, and whether they can be used.

A certificate is renewed, and a key replaced, without a word of the configuration changing: SIGHUP takes that up too.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from experiments.config.records import Config
from experiments.config.serving import Tls
from router.feedback.tokens import tokens_of
from router.processes.secrets import SecretError, check_secrets, secret_references
from router.upstream.upstream import CertificateError, trust_of
from router.upstream.warmup import WarmupError, read_all

Signature = tuple[int, int, int]


class UnusableError(Exception):
    """A certificate, a secret or a file of requests cannot be used; the message says which and why."""


def signature(path: Path) -> Signature | None:
    """Return what changes when a file does; None while it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def signatures(config: Config) -> dict[Path, Signature | None]:
    """Return the signatures of all files that processes read once, when they start."""
    return {path: signature(path) for path in _files(config)}


def _files(config: Config) -> Iterator[Path]:
    for tls in (config.router.tls, config.router.admin_tls):
        if tls is not None:
            yield from (tls.certificate, tls.key)
    for backend in config.backends.values():
        if backend.tls.ca is not None:
            yield backend.tls.ca
        if backend.warmup is not None:
            yield backend.warmup.requests
    for experiment in config.experiments.values():
        if experiment.golden is not None:
            yield experiment.golden
    for reference in secret_references(config):
        kind, _, name = reference.partition(":")
        if kind == "file":
            yield config.path.parent / name


def check_files(config: Config) -> None:
    """Try every certificate, secret and warm-up file, before processes are started that would end for want of one.

    Raises:
        UnusableError: One cannot be used.
    """
    try:
        check_secrets(config)
        tokens_of(config)
        for backend in config.backends.values():
            trust_of(backend.tls)
        read_all(config.backends)
    except (SecretError, CertificateError, WarmupError) as error:
        raise UnusableError(str(error)) from error
    _check_channels(config)
    for address, tls in ((config.router.listen, config.router.tls), (config.router.admin, config.router.admin_tls)):
        if tls is not None:
            _check_certificate(address, tls)


def _check_channels(config: Config) -> None:
    if config.router.notifications is None or not config.router.notifications.channels:
        return
    from router.notify.channels import ChannelError  # noqa: PLC0415  # a large library, rarely needed
    from router.notify.configured import channels_of  # noqa: PLC0415

    try:
        channels_of(config)
    except ChannelError as error:
        raise UnusableError(str(error)) from error


def _check_certificate(address: str, tls: Tls) -> None:
    try:
        # An empty password: a key that has one is an error, and no question on the terminal.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls.certificate, tls.key, password="")
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise UnusableError(f"cannot serve https on {address} with {tls.certificate}: {reason}") from error
