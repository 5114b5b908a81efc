"""A life under the real controller with what is difficult: users who come back, a cap, errors, votes."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from tests_history import CONFIG, Life, bad

from experiments.evaluation.ledger import Ledger
from experiments.model import ErrorKind, Exchange, Feedback

TEXT = CONFIG.replace("settle_seconds = 0", "settle_seconds = 2\nunit_cap = 2")


def lived(life: Life) -> Ledger:
    """Live it, and return the ledger of its controller."""
    life.start()
    for number in range(8):
        first = number * 10
        made = life.serve(first, first + 20, bad)  # half of them again, at the next tick
        life.write(*(_again(exchange, number) for exchange in made if exchange.unit < "8"))
        life.write(
            *(
                Feedback(exchange=f"live-{n}", metric="complaint", value=n % 3 == 0, at=life.now)
                for n in range(first, first + 5)
            )
        )
        life.tick(1.0 + number % 3)
    for _ in range(3):
        life.tick(2.0)
    return life.controller._evaluators._kept["support"].evaluator.ledger


def _again(exchange: Exchange, number: int) -> Exchange:
    """Another request of the same user, whose treatment fails at times."""
    name = f"again-{number}-{exchange.id.rpartition('-')[2]}"
    identity = name if exchange.id == exchange.pair else f"shadow-{name}"
    error = ErrorKind.TIMEOUT if exchange.assigned == "treatment" and number % 2 else ""
    return replace(exchange, id=identity, pair=name, error=error)


def database(folder: Path) -> str:
    """The configuration with its store in a folder."""
    return TEXT.replace("sqlite:///touchstone.db", f"sqlite:///{folder}/touchstone.db")
