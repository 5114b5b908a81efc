"""Feedback over HTTP: outcomes from outside, journaled before they are acknowledged.

`items` says what is sent and how a refusal looks; `tokens` makes and checks the signed tokens that answers carry;
`admission` says who may say what of which exchange, and how often; `batch` reads many in one body; `endpoint` is the
two HTTP endpoints.
"""

from __future__ import annotations

from router.feedback.admission import Lookup
from router.feedback.endpoint import FeedbackEndpoint
from router.feedback.tokens import FeedbackTokens, tokens_of

__all__ = ["FeedbackEndpoint", "FeedbackTokens", "Lookup", "tokens_of"]
