"""The statistics' state, kept every few minutes, so that a restart need not fold weeks of looks again.

A checkpoint is a shortcut and never the record: the looks and the rows that they read are. It is taken only if this
very version of the code wrote it, and only behind a look that is stored; else everything is folded from the start, as
`touchstone replay` does in any case. What is read back may hold the classes of the statistics' state and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine, select

from experiments.evaluation.evaluator import Evaluator
from experiments.statements import upserting
from experiments.tables import CHECKPOINT

_log = structlog.get_logger(__name__)
EVERY_LOOKS = 100
_OURS = ("analysis.", "experiments.")
_BUILTINS = {
    ("collections", "Counter"),
    ("collections", "deque"),
    ("collections", "defaultdict"),
    ("collections", "OrderedDict"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "list"),
    ("builtins", "dict"),
    ("builtins", "int"),
    ("builtins", "float"),
    ("builtins", "tuple"),
    ("copyreg", "_reconstructor"),
    ("builtins", "object"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}


class CheckpointStore:
    """The checkpoints of a database: one an experiment, the newest.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, evaluator: Evaluator, forgotten: int = 0) -> None:
        """Keep a state in place of the one before.

        Args:
            evaluator: As it is after its newest look, which is stored.
            forgotten: Number of the newest unit that was forgotten by then.

        Raises:
            sqlalchemy.exc.DBAPIError: The store is away; nothing is lost by that.
        """
        values = {
            "experiment": evaluator.experiment.name,
            "epoch": evaluator.epoch,
            "look": evaluator.looks,
            "version": _version(forgotten),
            "state": zlib.compress(pickle.dumps(evaluator, protocol=5), 1),
        }
        statement = upserting(self._engine, CHECKPOINT)
        new = {name: statement.excluded[name] for name in values if name != "experiment"}
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["experiment"], set_=new), values)

    def load(self, experiment: str, epoch: int, forgotten: int = 0) -> Evaluator | None:
        """Return the state of an epoch; None if there is none that one can go on from.

        Args:
            experiment: Its name.
            epoch: Its number.
            forgotten: Number of the newest unit that was forgotten: a state from before knows it by a key that is gone.
        """
        columns = CHECKPOINT.c
        query = select(columns.look, columns.version, columns.state)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(columns.experiment == experiment, columns.epoch == epoch)).first()
        if row is None or row.version != _version(forgotten):
            return None
        try:
            evaluator = _Unpickler(io.BytesIO(zlib.decompress(row.state))).load()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with it, the rows themselves are there
            _log.warning("checkpoint_unreadable", experiment=experiment, reason=f"{type(error).__name__}: {error}")
            return None
        sound = isinstance(evaluator, Evaluator) and evaluator.looks == row.look
        return evaluator if sound else None


class _Unpickler(pickle.Unpickler):
    """Knows the classes of the state only: a checkpoint is data, whoever wrote it."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _BUILTINS or (module.startswith(_OURS) and name.isidentifier()):
            found = super().find_class(module, name)
            if isinstance(found, type) or (module, name) in _BUILTINS:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a state")


def _version(forgotten: int) -> str:
    return f"{code_version()}/{forgotten}"


@cache
def code_version() -> str:
    """Return what stands for the code that a state depends on: a hash of the packages that make it."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for folder in ("analysis", "experiments"):
        for path in sorted(root.joinpath(folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
