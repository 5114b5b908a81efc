"""Who may say what of which exchange, and how often: from an item to the record that is journaled.

In this order: a wrong token must use up nobody's share of the rate, and what cannot be right must ask no store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import structlog

from experiments.assignment import unit_of
from experiments.config.records import Config
from experiments.feedback.rules import Refusal, name_refusal, taken_by, time_refusal, value_refusal
from experiments.model import Feedback
from router.feedback.items import Item, RefusedError
from router.feedback.tokens import tokens_of
from router.front.rate_limit import RateLimit
from router.routes import BoundRoute
from router.timing import uuid7_seconds

_log = structlog.get_logger(__name__)
_YOUNG_SECONDS = 60.0
_CHALLENGE = {"www-authenticate": 'Touchstone-Feedback-Token realm="touchstone feedback"'}
Lookup = Callable[[str], str | None]
Member = Callable[[str, str], BoundRoute | None]


class Admitted(NamedTuple):
    """A feedback that is taken."""

    record: Feedback
    known: bool
    """Whether its exchange is known for sure: a young one may not have reached the store yet."""


class Admission:
    """Admits feedback, or says why not.

    Args:
        config: Which metrics take feedback, and how much.
        lookup: Exchange id -> experiment, from the store; may raise when the store is away.
        member: Name of an experiment or group, and a unit -> the experiment that the unit belongs to, as it is routed
            now; None if there is none of that name.

    Raises:
        SecretError: The signing key cannot be had.
    """

    def __init__(self, config: Config, lookup: Lookup, member: Member) -> None:
        settings = config.router.feedback
        self._taken = {name: taken_by(experiment) for name, experiment in config.experiments.items()}
        self._lookup = lookup
        self._member = member
        self._tokens = tokens_of(config)
        self._require_signed = settings.require_signed
        self._limit = RateLimit(settings.per_minute)

    def check(self, item: Item) -> None:
        """Look at what can be judged without the store, and count the item against its rate.

        Raises:
            RefusedError: It is not taken.
        """
        now = time.time()
        self._check_token(item, now)
        self._check_rate(item)
        _refuse(name_refusal("metric", item.metric) or name_refusal("source", item.source))
        _refuse(value_refusal(item.value))
        if item.at is not None:
            _refuse(time_refusal(item.at, now))
        if not item.unit and uuid7_seconds(item.exchange) is None:
            raise _unknown(item.exchange)

    async def experiments_of(self, items: Iterable[Item]) -> dict[str, str | None] | None:
        """Ask the store, once for all items, which experiments their exchanges belong to.

        Returns:
            Exchange id -> experiment, None where the store has no such exchange; None for all while it is away.
        """
        wanted = {item.exchange for item in items if item.exchange}
        if not wanted:
            return {}
        try:
            return await asyncio.to_thread(lambda: {exchange: self._lookup(exchange) for exchange in wanted})
        except Exception as error:  # noqa: BLE001  # the store may be away in any way
            _log.warning("feedback_lookup_failed", error=type(error).__name__)
            return None

    def admit(self, item: Item, experiments: dict[str, str | None] | None) -> Admitted:
        """Return the record of an item that has been checked.

        A young exchange may not have reached the store yet, and the store may be away: then the feedback is taken, and
        counts nothing if its exchange never turns up.

        Args:
            item: What was sent.
            experiments: What the store says; None while it is away.

        Raises:
            RefusedError: It is not taken.
        """
        if item.unit:
            return self._admit_unit(item)
        name = experiments.get(item.exchange) if experiments is not None else None
        if name is None and experiments is not None:
            born = uuid7_seconds(item.exchange)
            if born is None or abs(time.time() - born) >= _YOUNG_SECONDS:
                raise _unknown(item.exchange)
        self._check_metric(name, item)
        return Admitted(_record(item, experiment=item.experiment), name is not None)

    def _admit_unit(self, item: Item) -> Admitted:
        bound = self._member(item.experiment, item.unit)
        if bound is None:
            raise RefusedError(404, f"no experiment is named {item.experiment!r}", "experiment")
        self._check_metric(bound.experiment.name, item)
        # The salt of the route, not of the configuration: a retry draws its users anew.
        unit = unit_of(bound.route.salt, item.unit.encode()).key
        return Admitted(_record(item, experiment=bound.experiment.name, unit=unit), known=True)

    def _check_token(self, item: Item, now: float) -> None:
        if not self._require_signed:
            return
        if item.unit:
            raise RefusedError(401, "feedback must be on an exchange, with its token", "unit", _CHALLENGE)
        # Without a key nobody can have a token: closed, not open.
        fault = self._tokens.fault(item.token, item.exchange, now) if self._tokens else "tokens cannot be checked here"
        if fault is not None:
            raise RefusedError(401, fault, "token", _CHALLENGE)

    def _check_rate(self, item: Item) -> None:
        # The length tells where the experiment's name ends: no two senders share a key.
        key = f"unit {len(item.experiment)} {item.experiment} {item.unit}" if item.unit else f"exchange {item.exchange}"
        wait_s = self._limit.wait_s(key, time.monotonic())
        if wait_s:
            what = "unit" if item.unit else "exchange"
            detail = f"too much feedback of one {what}; again in {wait_s} s"
            raise RefusedError(429, detail, headers={"retry-after": str(wait_s)})

    def _check_metric(self, experiment: str | None, item: Item) -> None:
        taken = self._taken.get(experiment) if experiment is not None else None
        if taken is not None:
            _refuse(taken.refusal(item.metric, item.value))


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise RefusedError(422, refusal.detail, refusal.field)


def _unknown(exchange: str) -> RefusedError:
    return RefusedError(404, f"no exchange has the id {exchange!r}", "exchange")


def _record(item: Item, *, experiment: str, unit: str = "") -> Feedback:
    return Feedback(
        exchange=item.exchange,
        unit=unit,
        experiment=experiment,
        metric=item.metric,
        value=item.value,
        source=item.source,
        at=time.time() if item.at is None else item.at,
    )
