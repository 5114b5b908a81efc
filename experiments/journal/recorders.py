"""Who records which journal's folder, in the store: each one's report, and what of it the controller has taken note of.

Every host records its own folder, whether or not its controller leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Engine, delete, select, update

from experiments.evidence import Shed
from experiments.journal.status import Status
from experiments.statements import upserting
from experiments.tables import RECORDER

SILENT_S = 60.0
"""Of a recorder that has not been heard for so long it is not known what its proxies do."""
_FORGET_S = 7 * 86_400.0
_MUCH_BYTES = 64 * 2**20
"""Some minutes' worth: a recorder that is only a moment behind is none of anybody's business."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one recorder says of its folder."""

    folder: str
    """What the folder is known by."""
    host: str
    waiting_bytes: int
    """What lies in it and is not in the store."""
    writers: Mapping[str, Status]
    """What each proxy says, by the name of its file."""
    ended: bool = False
    """Whether its recorder stopped in good order."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A report as it lies in the store."""

    report: Report
    at: float
    """When it was told, by the recorder's clock."""
    beat: int
    """How often it has told something. It tells of life where clocks differ."""
    told: Mapping[str, Status]
    """What of `writers` stands in a look."""

    @property
    def shedding(self) -> bool:
        """Whether a proxy of it was shedding when it was told."""
        return any(status.shedding for status in self.report.writers.values())

    def new(self) -> tuple[int, int]:
        """Return how many records, and how many texts, were shed and stand in no look yet."""
        records = texts = 0
        for name, status in self.report.writers.items():
            before = self.told.get(name, Status())
            records += max(0, status.shed - before.shed)
            texts += max(0, status.texts_shed - before.texts_shed)
        return records, texts


class Recorders:
    """The reports in one store.

    Args:
        engine: Of the store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return "<Recorders>"

    def put(self, report: Report, now: float) -> Mapping[str, Status]:
        """Store a report in place of the folder's last one; returns what of it the controller has taken note of."""
        columns = RECORDER.c
        values = {
            "folder": report.folder,
            "host": report.host,
            "at": now,
            "beat": 1,
            "waiting_bytes": report.waiting_bytes,
            "ended": report.ended,
            "writers": msgspec.to_builtins(report.writers),
            "told": {},
        }
        statement = upserting(self._engine, RECORDER)
        changed = {name: statement.excluded[name] for name in values if name not in {"folder", "beat", "told"}}
        statement = statement.on_conflict_do_update(
            index_elements=["folder"], set_=changed | {"beat": columns.beat + 1}
        ).returning(columns.told)
        with self._engine.begin() as connection:
            return _statuses(connection.execute(statement, values).scalar_one())

    def all(self) -> list[Recorded]:
        """Return the newest report of each folder, by host."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(RECORDER).order_by(RECORDER.c.host, RECORDER.c.folder)).mappings().all()
        return [
            Recorded(
                report=Report(
                    folder=row["folder"],
                    host=row["host"],
                    waiting_bytes=row["waiting_bytes"],
                    writers=_statuses(row["writers"]),
                    ended=row["ended"],
                ),
                at=row["at"],
                beat=row["beat"],
                told=_statuses(row["told"]),
            )
            for row in rows
        ]

    def take_note(self, recorded: Recorded) -> None:
        """Say that what a report says stands in a look."""
        told = msgspec.to_builtins(recorded.report.writers)
        with self._engine.begin() as connection:
            connection.execute(update(RECORDER).where(RECORDER.c.folder == recorded.report.folder).values(told=told))

    def forget(self, recorded: Recorded) -> None:
        """Drop the report of a folder that is gone, unless it has been told anew."""
        same = (RECORDER.c.folder == recorded.report.folder) & (RECORDER.c.beat == recorded.beat)
        with self._engine.begin() as connection:
            connection.execute(delete(RECORDER).where(same))


def troubles(recorded: Iterable[Recorded], now: float) -> Iterator[str]:
    """Say what is wrong with the recording of each host, a line a trouble.

    Args:
        recorded: The newest report of each folder.
        now: By the wall clock.
    """
    for one in recorded:
        report, silent_s = one.report, now - one.at
        if report.ended:
            continue
        if silent_s > SILENT_S:
            yield (
                f"the journal of {report.host} has not been loaded for {silent_s / 60:,.0f} minutes: what its proxies "
                "record is missing from the evidence until `touchstone record` runs there"
            )
        elif one.shedding:
            yield (
                f"recording is shed by a proxy of {report.host}, and experiments are held: the proxy's own readiness "
                "says why"
            )
        if report.waiting_bytes > _MUCH_BYTES:
            yield f"{report.waiting_bytes / 2**20:,.0f} MiB of the journal of {report.host} wait to be loaded"


def _statuses(stored: Any) -> dict[str, Status]:
    return msgspec.convert(stored, dict[str, Status])


class ShedWatch:
    """What all proxies have shed since the last look. For the controller that leads; for one thread.

    Args:
        recorders: What is told of them.
    """

    def __init__(self, recorders: Recorders) -> None:
        self._recorders = recorders
        self._read: list[Recorded] = []
        self._heard: dict[str, tuple[int, float]] = {}
        """Folder -> its last beat, and when we first saw that."""

    def read(self, steady_s: float) -> Shed:
        """Return what was shed since `settle` was last called.

        Args:
            steady_s: By a clock that never jumps.
        """
        self._read = self._recorders.all()
        now, records, texts = False, 0, 0
        for recorded in self._read:
            folder, beat = recorded.report.folder, recorded.beat
            if self._heard.get(folder, (0, 0.0))[0] != beat:
                self._heard[folder] = (beat, steady_s)
            heard = steady_s - self._heard[folder][1] < SILENT_S
            now |= recorded.shedding and heard and not recorded.report.ended
            new = recorded.new()
            records, texts = records + new[0], texts + new[1]
        return Shed(now=now, records=records, texts=texts)

    def settle(self, now: float) -> None:
        """Take what was read for seen: it is stored with the looks by now. Reports of a week ago are dropped.

        Args:
            now: By the wall clock.
        """
        for recorded in self._read:
            if recorded.report.writers != recorded.told:
                self._recorders.take_note(recorded)
            elif recorded.at < now - _FORGET_S:
                self._recorders.forget(recorded)
        self._read = []
