"""`/metrics`: the figures of all proxies added up, in the text form that Prometheus reads.

A process that ends takes nothing back: what it counted is added to a file of totals before its own files are removed,
so that no counter ever falls while the router runs, or over its restart.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from experiments.config.records import Config
from experiments.store import Store
from router.admin.experiment_figures import EXPERIMENT_FAMILIES, ExperimentFigures
from router.admin.store_figures import STORE_FAMILIES, StoreFigures
from router.telemetry.metrics import BY_NAME, FAMILIES, Family, add
from router.telemetry.metrics_files import Published, Series, published

_log = structlog.get_logger(__name__)
TOTALS = "totals.metrics"


class _Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What processes counted that have ended."""

    writers: frozenset[str] = frozenset()
    """Those of them whose files may still be there: they are counted already."""
    rows: dict[str, list[tuple[tuple[str, ...], list[float]]]] = {}


_decode = msgspec.json.Decoder(_Totals).decode


class Rendered(NamedTuple):
    """An answer to a scrape."""

    body: bytes
    content_type: str


class Exposition:
    """Adds up what the proxies of one folder have published.

    Args:
        folder: The journal's.
        of_store: Returns figures that are in no process but in the store; none unless given.
    """

    def __init__(self, folder: Path, of_store: Callable[[], Series] = dict) -> None:
        self._folder = folder
        self._of_store = of_store
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Exposition {self._folder}>"

    def render(self, accept: str = "") -> Rendered:
        """Return all figures; `accept` is the scraper's header, which may ask for OpenMetrics."""
        encode, content_type = choose_encoder(accept)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(self.merged()))
        return Rendered(encode(registry), content_type)

    def merged(self) -> Series:
        """Return all figures by name and labels, those of the store too."""
        return self.of_proxies() | self._of_store()

    def of_proxies(self) -> Series:
        """Return all figures by name and labels; those of ended processes move into the totals on the way."""
        with self._lock:
            found = published(self._folder)
            totals = self._fold(found)
        merged = {name: dict(rows) for name, rows in totals.rows.items()}
        merged["touchstone_proxies"] = {(): [0.0]}
        for process in found:
            if process.writer not in totals.writers:
                _merge(merged, process)
        return merged

    def _fold(self, found: list[Published]) -> _Totals:
        """Move the last figures of ended processes into the totals; a crash on the way makes none count twice."""
        totals = self._read_totals()
        ended = [process for process in found if process.over and process.writer not in totals.writers]
        if ended:
            series: Series = {name: dict(rows) for name, rows in totals.rows.items()}
            for process in ended:
                _merge(series, process)
            rows = {name: list(values.items()) for name, values in series.items()}
            # Whose files are gone need not be remembered.
            known = {p.writer for p in found if p.over or p.writer in totals.writers}
            folded = _Totals(writers=frozenset(known), rows=rows)
            if not self._write_totals(folded):
                return totals
            totals = folded
        for process in found:
            if process.writer in totals.writers:
                _remove(process.paths)
        return totals

    def _read_totals(self) -> _Totals:
        try:
            return _decode((self._folder / TOTALS).read_bytes())
        except FileNotFoundError:
            return _Totals()
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            _log.error("metric_totals_unreadable", error=type(error).__name__)
            return _Totals()

    def _write_totals(self, totals: _Totals) -> bool:
        """Whether they are safe now; on a full disk the processes' own files just stay."""
        path = self._folder / TOTALS
        new = path.with_name(f".{TOTALS}.{os.getpid()}")
        try:
            with new.open("wb") as file:
                file.write(msgspec.json.encode(totals))
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            _log.warning("metric_totals_not_written", reason=error.strerror)
            _remove([new])
            return False
        return True


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("metrics_file_not_removed", reason=error.strerror)


def _merge(merged: Series, process: Published) -> None:
    """Add what one process published; its gauges only if it is still there."""
    if process.last is None:
        return
    for name, rows in process.last.rows.items():
        family = BY_NAME.get(name)
        if family is None or (family.kind == "gauge" and not process.present):
            continue
        for labels, values in rows:
            if len(labels) != len(family.labels):
                continue  # of another version
            if family.together == "max":
                before = merged.get(name, {}).get(labels, values)
                merged.setdefault(name, {})[labels] = [max(before[0], values[0])]
            else:
                add(merged, name, labels, values)


class _Collected(Collector):
    """The merged figures, as the client library wants them."""

    def __init__(self, merged: Series) -> None:
        self._merged = merged

    def collect(self) -> Iterator[Metric]:
        for family in (*FAMILIES, *STORE_FAMILIES, *EXPERIMENT_FAMILIES):
            rows = self._merged.get(family.name)
            if rows:
                yield _metric(family, sorted(rows.items()))


def _metric(family: Family, rows: list[tuple[tuple[str, ...], list[float]]]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.says, labels=family.labels)
        bounds = [*map(str, family.bounds), "+Inf"]
        for labels, values in rows:
            histogram.add_metric(labels, list(zip(bounds, accumulate(values[:-1]), strict=False)), values[-1])
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.says, labels=family.labels)
    for labels, values in rows:
        metric.add_metric(labels, values[0])
    return metric


def render(folder: Path) -> bytes:
    """Return the figures of all proxies that publish in a folder, as text for Prometheus."""
    return Exposition(folder).render().body


def exposition_of(config: Config, store: Store | None = None) -> Exposition:
    """Return what adds the figures up; one a process, since it moves those of ended proxies into the totals.

    Args:
        config: Says where the proxies publish.
        store: Its figures are added; without it, there is only what the proxies count.
    """
    if store is None:
        return Exposition(Path(config.router.journal))
    figures, experiments = StoreFigures(store), ExperimentFigures(store, config)
    # While the store cannot be read, neither has any.
    return Exposition(Path(config.router.journal), lambda: figures.read(experiments.read))


def metrics_endpoint(exposition: Exposition) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint `/metrics` of the admin app."""

    async def metrics(request: Request) -> Response:
        # Files are read: not on the loop.
        body, content_type = await run_in_threadpool(exposition.render, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return metrics
