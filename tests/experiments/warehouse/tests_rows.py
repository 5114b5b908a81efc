"""Small random histories: exchanges, outcomes, feedback and looks, folded by the real ledger and written as Parquet."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.config.records import Experiment, Guardrail, Match, Monitor, Policy, Slice, Source
from experiments.evaluation.ledger import Ledger
from experiments.model import CONTROL, TREATMENT, ErrorKind, Exchange, Role
from experiments.stored import Outcome, StoredExchange, StoredFeedback
from experiments.warehouse import sources
from experiments.warehouse.chosen import Chosen
from experiments.warehouse.engines import Engine, Limits
from experiments.warehouse.records import State
from experiments.warehouse.schema import COLUMNS
from experiments.warehouse.state import gathering

START = 1_700_000_000.0
METRICS = ("agreement", "errors", "latency", "judged")
_ERRORS = ("", "", "", ErrorKind.TIMEOUT, ErrorKind.SHED, ErrorKind.CLIENT_CLOSED)


def experiment(*, cap: int = 3, settle_s: float = 5.0, boosted: bool = False) -> Experiment:
    """An experiment with two slice attributes, a vote, and a metric that another server scores."""
    return Experiment(
        name="support",
        match=Match(path="/"),
        control="a",
        treatment="b",
        ramp=(10.0, 50.0),
        salt="support",
        mirror_percent=40.0 if boosted else 100.0,
        mirror_slices={"language=hi": 80.0, "plan=p3": 100.0} if boosted else {},
        slices=tuple(Slice(attribute=a, source=Source(kind="header", name=a)) for a in ("language", "plan")),
        guardrails=(
            Guardrail(name="agreement", scorer="agreement", margin=0.2),
            Guardrail(name="errors", margin=0.2, max_relative=2.0),
            Guardrail(name="complaint", feedback=True, max_relative=2.0),
        ),
        monitors=(Monitor(name="judged", scorer="agreement"),),
        policy=Policy(unit_cap=cap, settle_seconds=settle_s),
    )


@dataclass
class History:
    """Rows in the order of the store, and how far each look had read."""

    experiment: Experiment
    exchanges: list[StoredExchange] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    feedback: list[StoredFeedback] = field(default_factory=list)
    looks: list[tuple[float, int, int, int]] = field(default_factory=list)
    """(at, exchange, outcome, feedback seq)."""

    def ledger(self, *, at_once: bool = False) -> Ledger:
        """Fold everything: with the looks, or as if there were one, long after the end."""
        ledger = Ledger(self.experiment)
        end = (START + 1e9, len(self.exchanges), len(self.outcomes), len(self.feedback))
        seen = (0.0, 0, 0, 0)
        for look in [end] if at_once else self.looks:
            ledger.begin_look(look[0])
            ledger.add_exchanges(self.exchanges[seen[1] : look[1]])
            ledger.add_outcomes(self.outcomes[seen[2] : look[2]])
            ledger.add_feedback(self._votes(seen, look))
            ledger.close_units(look[0])
            seen = look
        return ledger

    def _votes(self, seen: tuple[float, int, int, int], look: tuple[float, int, int, int]) -> list[StoredFeedback]:
        at = {stored.exchange.id: stored.seq for stored in self.exchanges}
        new = [f for f in self.feedback if seen[3] < f.seq <= look[3] and at[f.exchange] <= look[1]]
        waited = [f for f in self.feedback if f.seq <= seen[3] and seen[1] < at[f.exchange] <= look[1]]
        return sorted([*waited, *new], key=lambda item: item.seq)

    def write(self, folder: Path, *, looks: bool = True, **changes: Any) -> Path:
        """Write a folder of Parquet without a manifest; `changes` replaces tables."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in (self.tables(looks=looks) | changes).items():
            pq.write_table(table, folder / f"{name}.parquet")
        return folder

    def tables(self, *, looks: bool = True) -> dict[str, pa.Table]:
        """Return the tables as an export has them."""
        exchanges = [msgspec.structs.asdict(s.exchange) | {"seq": s.seq} for s in self.exchanges]
        rows: dict[str, list[dict[str, Any]]] = {
            "exchanges": exchanges,
            "outcomes": [_outcome_row(outcome) for outcome in self.outcomes],
            "feedback": [msgspec.structs.asdict(item) for item in self.feedback],
        }
        if looks:
            names = ("number", "at", "exchange_seq", "outcome_seq", "feedback_seq")
            rows["looks"] = [
                dict(zip(names, (number, *look), strict=True)) | {"experiment": "support", "epoch": 1}
                for number, look in enumerate(self.looks, start=1)
            ]
        extra = {"exchanges": {"id": "text", "at": "number"}}
        return {name: _table(found, COLUMNS[name] | extra.get(name, {})) for name, found in rows.items()}


def history(seed: int, experiment: Experiment, requests: int = 120, users: int = 12) -> History:
    """Make a history: users who come back, late judges, changed votes, errors, two stages, many slices."""
    draw = random.Random(seed)
    found = History(experiment)
    now, waiting, judged, late, votes = START, [], [], [], []
    arms = {f"u{n}": (CONTROL, TREATMENT)[draw.random() < 0.5] for n in range(users)}
    for number in range(requests):
        now += draw.choice((0.0, 0.5, 1.0, 4.0))
        unit = draw.choice(list(arms))
        live = _live(draw, found, unit, arms[unit], now, number / requests)
        if draw.random() < 0.9:
            _shadow(draw, found, live)
            waiting.append(live)
        if draw.random() < 0.5:
            votes.append(live)
        if draw.random() < 0.4:
            _score(draw, found, waiting, judged, late, now)
        if votes and draw.random() < 0.5:
            _vote(draw, found, draw.choice(votes), now)
        if draw.random() < 0.25:
            found.looks.append((now, len(found.exchanges), len(found.outcomes), len(found.feedback)))
    _score(draw, found, waiting, judged, late, now)
    found.looks.append((now + 2.0, len(found.exchanges), len(found.outcomes), len(found.feedback)))
    return found


def _live(draw: random.Random, found: History, unit: str, arm: str, now: float, done: float) -> Exchange:
    stage = int(done > 0.5)
    share = (0.1, 0.5)[stage]
    slices = {"language": draw.choice(("en", "hi", "ta")), "plan": f"p{draw.randrange(40)}"}
    if draw.random() < 0.1:
        del slices["plan"]
    identity = f"{draw.getrandbits(128):032x}"
    live = Exchange(
        id=identity, at=now, experiment="support", epoch=1, stage=stage, unit=unit, assigned=arm, served=arm,
        propensity=share if arm == TREATMENT else 1 - share, pair=identity, slices=slices, error=draw.choice(_ERRORS),
        fallback=ErrorKind.CONNECT if draw.random() < 0.05 else "",
    )  # fmt: skip
    found.exchanges.append(StoredExchange(exchange=live, seq=len(found.exchanges) + 1))
    return live


def _shadow(draw: random.Random, found: History, live: Exchange) -> None:
    other = CONTROL if live.assigned == TREATMENT else TREATMENT
    made = msgspec.structs.replace(
        live, id=f"s{live.id}", role=Role.SHADOW, assigned=other, served=other, error=draw.choice(_ERRORS), fallback=""
    )
    found.exchanges.append(StoredExchange(exchange=made, seq=len(found.exchanges) + 1))


def _score(
    draw: random.Random,
    found: History,
    waiting: list[Exchange],
    judged: list[Exchange],
    late: list[tuple[Exchange, str]],
    now: float,
) -> None:
    for live, metric in late:
        _outcome(draw, found, live, metric, None)
    late.clear()
    for live in waiting:
        for metric in METRICS[:3]:
            chance = draw.random()
            if chance < 0.7:
                _outcome(draw, found, live, metric, None)
            elif chance < 0.9:
                late.append((live, metric))
    for live in judged:
        _outcome(draw, found, live, "judged", now)
    judged[:] = [live for live in waiting if draw.random() < 0.8]
    waiting.clear()


def _outcome(draw: random.Random, found: History, live: Exchange, metric: str, scored_at: float | None) -> None:
    value = draw.choice((-1.0, 0.0, 0.0, 1.0, 0.25, -1 / 3))
    made = Outcome(
        pair=live.id, metric=metric, scorer=f"{metric}/1", experiment="support", epoch=1, stage=live.stage,
        unit=live.unit, at=live.at, slices=live.slices, control_value=0.5, treatment_value=0.5 + value / 2, value=value,
        scored_at=scored_at, failure="no words" if draw.random() < 0.1 else "", seq=len(found.outcomes) + 1,
    )  # fmt: skip
    found.outcomes.append(made)


def _vote(draw: random.Random, found: History, live: Exchange, now: float) -> None:
    made = StoredFeedback(
        seq=len(found.feedback) + 1, exchange=live.id, metric="complaint", source="client",
        value=draw.choice((0.0, 1.0)), at=now + draw.choice((0.0, 0.0, 3.0)), unit=live.unit, stage=live.stage,
        assigned=live.assigned, propensity=live.propensity, exchange_at=live.at,
    )  # fmt: skip
    found.feedback.append(made)


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    return msgspec.structs.asdict(outcome) | {"slices": msgspec.json.encode(outcome.slices).decode()}


def _table(rows: list[dict[str, Any]], columns: dict[str, str]) -> pa.Table:
    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "json": pa.string()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    plain = [{name: str(row[name]) if kind == "text" else row[name] for name, kind in columns.items()} for row in rows]
    return pa.Table.from_pylist(plain, schema=schema)


@contextmanager
def gathered(
    folder: Path, rows: History, *, at_once: bool = False, engine: Engine = "duckdb", limits: Limits | None = None
) -> Iterator[State]:
    """Sum up a folder."""
    with sources.opened(folder, "support", engine, limits) as source:
        yield state_of(source, rows.experiment, at_once=at_once)


def state_of(source: sources.Source, experiment: Experiment, *, at_once: bool = False) -> State:
    """Sum up what is open."""
    attributes = tuple(slice_.attribute for slice_ in experiment.slices)
    looks = () if at_once else source.looks("support", 1)
    with gathering(source.tables, Chosen(experiment, 1, looks=looks, attributes=attributes), {}, source.keep) as work:
        return work.run()


def assert_same(state: Any, ledger: Ledger, tolerance: float = 1e-9) -> None:
    """Hold a state against a ledger, field by field."""
    for name in (
        "exposures",
        "analysed",
        "answered",
        "shadows",
        "slice_values",
        "live",
        "served_by_treatment",
        "units",
    ):
        assert getattr(state, name) == getattr(ledger, name), name
    assert {m: c for m, c in state.events.items() if c} == {m: c for m, c in ledger.events.items() if c}
    assert +state.failed == +ledger.failed
    assert state.differences.keys() == ledger.differences.keys()
    for key, counts in ledger.differences.items():
        found = sorted(state.differences[key].elements())
        expected = sorted(counts.elements())
        assert len(found) == len(expected), key
        assert all(abs(a - b) < tolerance for a, b in zip(found, expected, strict=True)), key
    assert state.moments.keys() == ledger.moments.keys()
    for key, moments in ledger.moments.items():
        other = state.moments[key]
        assert other.n == moments.n, key
        assert abs(other.mean - moments.mean) < tolerance, key
        assert abs(other.m2 - moments.m2) < tolerance, key
    assert state.pair_counts.keys() == ledger.pair_counts.keys()
    for key, counts in ledger.pair_counts.items():
        other = state.pair_counts[key]
        assert (other.pairs, other.losses, other.wins) == (counts.pairs, counts.losses, counts.wins), key
        assert abs(other.control - counts.control) < tolerance, key
        assert abs(other.treatment - counts.treatment) < tolerance, key
