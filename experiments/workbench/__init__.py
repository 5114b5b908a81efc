"""A store for data scientists: opened for reading, asked in Python, answered in pandas, Arrow or plain records.

- `opening` opens a configuration, a database or an export; `opened` is what comes of it
- `experiment` is one experiment: its rows, looks, evidence, decision, verdict and figures
- `rows`: what is read lazily, and handed to pandas and Arrow; `queries` finds it, `units` makes the observations
- `rescored`: another scorer over stored pairs, in memory
- `simulated`: a small store to try things on

Nothing here computes a second time what another module computes: rows come from the tables that `touchstone export`
writes, observations from the ledger, verdicts from `showing`, replays from `replay`.
"""

from experiments.workbench.errors import WorkbenchError
from experiments.workbench.experiment import OpenExperiment
from experiments.workbench.opened import OpenStore
from experiments.workbench.opening import open_store
from experiments.workbench.rows import Column, Rows, Table
from experiments.workbench.simulated import example

__all__ = ["Column", "OpenExperiment", "OpenStore", "Rows", "Table", "WorkbenchError", "example", "open_store"]
