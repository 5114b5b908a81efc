"""Signed feedback tokens: `<expiry>.<signature>`, handed out with an answer, shown with the feedback on it.

Who shows the token of an exchange has had its answer: ids alone, which logs and URLs give away, are then no vote. The
signature is HMAC-SHA256 over the exchange's id and the expiry, so nothing needs to be stored, and any proxy with the
same key knows a token of any other.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from pydantic import SecretStr

from experiments.config.records import Config
from router.processes.secrets import SecretError, resolve

_MIN_KEY_CHARACTERS = 16
_SECONDS_PER_HOUR = 3600
_PURPOSE = b"touchstone feedback 1 "
"""Keeps the signature apart from any other that somebody makes with the same key."""


class FeedbackTokens:
    """Makes and checks tokens.

    Args:
        key: The secret.
        window_s: Experiment -> for how long feedback on its answers counts, in seconds.

    Raises:
        SecretError: The key can be guessed: every token shows whether a guess is right.
    """

    def __init__(self, key: SecretStr, window_s: Mapping[str, float]) -> None:
        secret = key.get_secret_value().encode()
        if len(secret) < _MIN_KEY_CHARACTERS:
            raise SecretError(f"router.feedback.signing_key must have at least {_MIN_KEY_CHARACTERS} characters")
        # Begun once, and copied for each token: half the work of an HMAC is taking its key.
        self._begun = hmac.new(secret, _PURPOSE, "sha256")
        self._window_s = dict(window_s)

    def __repr__(self) -> str:
        return f"<FeedbackTokens of {len(self._window_s)} experiments>"

    def issue(self, experiment: str, exchange_id: str, now: float) -> bytes | None:
        """Return the token of an exchange.

        Args:
            experiment: Says for how long; None is returned if it is none of ours.
            exchange_id: What may be voted on with it.
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        window_s = self._window_s.get(experiment)
        if window_s is None:
            return None
        expiry = b"%d" % (now + window_s)
        return expiry + b"." + self._signature(exchange_id.encode(), expiry)

    def fault(self, token: str, exchange_id: str, now: float) -> str | None:
        """Say what is wrong with a token; None if it is good for this exchange.

        Args:
            token: As it was shown.
            exchange_id: On which feedback is given.
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        if not token:
            return "feedback needs the token that came with the answer (x-touchstone-feedback-token)"
        shown = token.encode("utf-8", "surrogatepass")
        expiry, _, signature = shown.partition(b".")
        wanted = self._signature(exchange_id.encode("utf-8", "surrogatepass"), expiry)
        # In a time that tells nothing of how near a wrong one is; and whether it has expired, only of a right one.
        if not hmac.compare_digest(signature, wanted):
            return "the token is not the one of this exchange"
        return "the token has expired" if now > int(expiry) else None

    def _signature(self, exchange_id: bytes, expiry: bytes) -> bytes:
        mac = self._begun.copy()
        mac.update(b"%b %b" % (expiry, exchange_id))
        return urlsafe_b64encode(mac.digest()).rstrip(b"=")


def tokens_of(config: Config) -> FeedbackTokens | None:
    """Return what makes and checks the tokens of a configuration; None if it has no `signing_key`.

    Raises:
        SecretError: The key cannot be had, or can be guessed.
    """
    reference = config.router.feedback.signing_key
    if reference is None:
        return None
    hours = {name: experiment.feedback_window_hours for name, experiment in config.experiments.items()}
    key = resolve(reference, config.path.parent)
    return FeedbackTokens(key, {name: value * _SECONDS_PER_HOUR for name, value in hours.items()})
