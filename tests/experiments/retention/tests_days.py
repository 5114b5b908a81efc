"""Times and ids of the tests of retention."""

from __future__ import annotations

import pytest

from experiments.retention.days import first_id

DAY = 86_400.0
NOW = 20_000 * DAY + 3_600
"""An hour into a day."""
on_postgres = pytest.mark.parametrize(
    "store", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True, ids=["postgres"]
)
"""SQLite has no partitions."""


def id_at(at: float, end: str) -> str:
    """What a proxy would have called an exchange at a time."""
    return f"{first_id(at)}-7000-8000-{end}"
