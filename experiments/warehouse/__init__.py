"""Analysis where the data lives: the statistics that the controller keeps, as one set of Ibis expressions.

Nothing here is loaded by the serving process, and Ibis not before it is needed.
"""

from experiments.warehouse.records import Analysis, WarehouseError
from experiments.warehouse.run import analyze

__all__ = ["Analysis", "WarehouseError", "analyze"]
