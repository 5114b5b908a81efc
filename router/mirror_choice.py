"""Whether a request is mirrored: by its draw, by its slices, and by what would happen if it were sent twice.

A slice that only the prompt tells costs time on the traffic's path, so it is found only where it can change the answer:
the experiment mirrors such a slice more, and the draw lies between the two percentages. Without such an experiment the
language identifier is not even imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import structlog

from experiments.config.records import Experiment
from experiments.mirroring import drawn, needs_prompt, percent_of
from experiments.model import Exchange
from experiments.privacy.keeping import redacted
from experiments.privacy.redaction import Redactor
from experiments.protocols import Protocol, protocol
from router.plan import Request
from router.routes import BoundRoute

_log = structlog.get_logger(__name__)
_SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "POST"})
"""POST because that is how a model is asked; what a request may change is said by `mirror_exclude`."""
_WARM_UP = "Chcialbym zwrocic zamowienie"
"""Neither English nor Hindi: the identifier has to be asked, and so to be loaded."""


def is_mirrored(bound: BoundRoute, request: Request, fields: Mapping[str, Any]) -> bool:
    """Say whether a request is to be sent to the other variant too.

    Args:
        bound: Its experiment and route.
        request: What was asked.
        fields: What is known of its exchange: id, slices, the request's text.
    """
    experiment, mirror_percent = bound.experiment, bound.route.mirror_basis_points / 100
    if mirror_percent <= 0:
        return False
    draw = drawn(fields["id"])
    if draw < mirror_percent:
        return may_be_mirrored(experiment, bound.protocol, request)
    # Only beyond the common percentage can a slice decide.
    if not experiment.mirror_slices or draw >= max(experiment.mirror_slices.values()):
        return False
    if not may_be_mirrored(experiment, bound.protocol, request):
        return False
    if draw < percent_of(experiment, mirror_percent, fields["slices"]):
        return True
    found = _found_in_prompt(experiment, fields)
    return bool(found) and draw < percent_of(experiment, mirror_percent, found)


def may_be_mirrored(experiment: Experiment, speaks: Protocol, request: Request) -> bool:
    """Say whether sending the request a second time is harmless, as far as the experiment says what is not."""
    if not isinstance(request.body, bytes):
        return False
    excluded = experiment.mirror_exclude
    if not excluded:
        return True
    if "not_idempotent" in excluded and request.method not in _SAFE_TO_REPEAT:
        return False
    if any(name[7:].lower().encode() in request.headers for name in excluded if name.startswith("header:")):
        return False
    traits = speaks.traits(request.body)
    return not ((traits.tools and "tools" in excluded) or (traits.stateful and "stateful" in excluded))


def prepare(experiments: Iterable[Experiment]) -> None:
    """Load what finds slices in prompts, if an experiment needs it on the traffic's path: about a second, once."""
    if any(map(needs_prompt, experiments)):
        from experiments.languages.identify import slices_of  # noqa: PLC0415  # 70 MB that other proxies do not pay

        slices_of(_WARM_UP, ["language"])


def _found_in_prompt(experiment: Experiment, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the slices that the recorder will find in the same text, or nothing where it cannot be read."""
    wanted = needs_prompt(experiment)
    if not wanted:
        return {}
    from experiments.languages.identify import slices_of  # noqa: PLC0415

    try:
        return slices_of(_prompt(experiment, fields) or "", wanted)
    except Exception as error:  # noqa: BLE001  # whatever a prompt is, its user is served
        _log.error("slices_unreadable", exchange=fields["id"], reason=type(error).__name__)
        return {}


def _prompt(experiment: Experiment, fields: Mapping[str, Any]) -> str | None:
    """Return the prompt as it will be recorded: what is redacted may have been what told its language."""
    exchange = Exchange(**fields)
    if experiment.redact:
        exchange = redacted(exchange, _redactor(experiment.redact))
    return protocol(exchange.protocol).prompt(exchange.request_text)


@lru_cache(maxsize=64)
def _redactor(patterns: tuple[str, ...]) -> Redactor:
    return Redactor(patterns)
