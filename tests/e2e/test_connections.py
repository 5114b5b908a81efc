"""How many connections a running Touchstone holds on a real PostgreSQL."""

import pytest
from sqlalchemy import create_engine, text

WORKERS = 2
MOST_A_PROXY = 2
MOST_OF_THE_CONTROLLER = 10
"""Its threads' (the loop, pages, notifications, scoring), and the lock by which it leads."""


@pytest.mark.postgres
async def test_two_proxies_and_a_controller_hold_few_connections_under_traffic(served, postgres_url: str) -> None:
    running = served(ramp="[50]", mirror=100, workers=WORKERS, database=postgres_url)
    await running.send(200)
    for _ in range(5):
        running.get("/api/v1/experiments")

    watching = create_engine(postgres_url)
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with watching.connect() as connection:
        held = connection.execute(text(query)).scalar_one()
    watching.dispose()

    assert WORKERS + 1 <= held <= WORKERS * MOST_A_PROXY + MOST_OF_THE_CONTROLLER
