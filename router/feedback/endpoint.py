"""`POST /_touchstone/v1/feedback` and `.../feedback/batch`: journaled before it is acknowledged.

Who may send it: everyone, or with a token in the configuration those who show it; with `require_signed`, those who have
had the answer. How much: so many a minute of one exchange or unit, so that no single sender decides an experiment.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from experiments.config.records import Config
from experiments.model import Feedback
from router.feedback.admission import Admission, Lookup, Member
from router.feedback.batch import MAX_BYTES, answer_batch, read_batch
from router.feedback.items import Item, RefusedError, read_item
from router.journal import Journal
from router.processes.secrets import resolve

_MAX_BYTES = 64 * 1024
_A_TURN = 64
"""So many items of a batch are judged before the traffic has its turn: about a millisecond."""
_CHALLENGE = {"www-authenticate": 'Bearer realm="touchstone feedback"'}


class FeedbackEndpoint:
    """The endpoints.

    Args:
        config: Which metrics take feedback, from whom, and how much.
        journal: Where it goes.
        lookup: Exchange id -> experiment, from the store; may raise when the store is away.
        member: Name of an experiment or group, and a unit -> the experiment that the unit belongs to, as it is routed
            now; None if there is none of that name.

    Raises:
        SecretError: The configured token or signing key cannot be had.
    """

    def __init__(self, config: Config, journal: Journal, lookup: Lookup, member: Member) -> None:
        settings = config.router.feedback
        self._journal = journal
        self._token = resolve(settings.token, config.path.parent) if settings.token is not None else None
        self._admission = Admission(config, lookup, member)
        self.refused: Counter[str] = Counter()
        """Feedback refused because of a limit, by reason: feedback_rate."""

    async def __call__(self, request: Request) -> Response:
        """Take one feedback."""
        try:
            self._check_sender(request)
            item = read_item(await _read(request, _MAX_BYTES))
            self._admission.check(item)
            admitted = self._admission.admit(item, await self._admission.experiments_of([item]))
            if not self._journal.append(admitted.record):
                raise _unrecorded()
        except RefusedError as refused:
            self._count(refused)
            return refused.response()
        return Response(b'{"accepted":true}', 200 if admitted.known else 202, media_type="application/json")

    async def batch(self, request: Request) -> Response:
        """Take many; each is answered on its own."""
        try:
            self._check_sender(request)
            items = read_batch(await _read(request, MAX_BYTES), request.headers.get("content-type", ""))
        except RefusedError as refused:
            return refused.response()
        faults = await self._take(items)
        for fault in faults.values():
            self._count(fault)
        return answer_batch(faults, len(items))

    async def _take(self, items: list[Item | RefusedError]) -> dict[int, RefusedError]:
        """Record what is taken; returns index -> why, for the rest."""
        faults: dict[int, RefusedError] = {}
        checked: dict[int, Item] = {}
        for index, item in enumerate(items):
            await _give_way(index)
            try:
                checked[index] = self._checked(item)
            except RefusedError as refused:
                faults[index] = refused
        experiments = await self._admission.experiments_of(checked.values())
        records: dict[int, Feedback] = {}
        for index, item in checked.items():
            await _give_way(index)
            try:
                records[index] = self._admission.admit(item, experiments).record
            except RefusedError as refused:
                faults[index] = refused
        # In a thread: with `journal_fsync = "always"`, each of them waits for the disk.
        kept = await asyncio.to_thread(lambda: {i: self._journal.append(record) for i, record in records.items()})
        return faults | {index: _unrecorded() for index, written in kept.items() if not written}

    def _checked(self, item: Item | RefusedError) -> Item:
        if isinstance(item, RefusedError):
            raise item
        self._admission.check(item)
        return item

    def _check_sender(self, request: Request) -> None:
        if self._token is None:
            return
        shown = request.headers.getlist("authorization")
        scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        wanted = self._token.get_secret_value().encode()
        # Both are compared in any case, in a time that tells nothing of how near a wrong token is.
        if not hmac.compare_digest(token.strip().encode(), wanted) or scheme.lower() != "bearer":
            raise RefusedError(401, "feedback needs the bearer token of router.feedback.token", headers=_CHALLENGE)

    def _count(self, refused: RefusedError) -> None:
        if refused.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.refused["feedback_rate"] += 1


def _unrecorded() -> RefusedError:
    return RefusedError(503, "feedback cannot be recorded right now; try again later")


async def _give_way(index: int) -> None:
    if index % _A_TURN == _A_TURN - 1:
        await asyncio.sleep(0)


async def _read(request: Request, limit_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit_bytes:
            raise RefusedError(413, f"feedback is larger than {limit_bytes} bytes")
    return bytes(data)
