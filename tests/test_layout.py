"""The tests mirror the tree: each module has its test file, or it is said here which other one tests it."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent

ELSEWHERE = {
    "analysis/arm.py": "analysis/test_two_sample.py",
    "analysis/checks.py": "docs/test_docs.py",  # its examples; each refusal where it is used
    "analysis/calibrate/comparators.py": "analysis/test_calibrate.py",
    "analysis/calibrate/figure.py": "analysis/test_calibrate.py",
    "analysis/calibrate/report.py": "analysis/test_calibrate.py",
    "analysis/calibrate/runner.py": "analysis/test_calibrate.py",
    "analysis/calibrate/study.py": "analysis/test_calibrate.py",
    "analysis/restricted_rates.py": "analysis/test_proportions.py",
    "experiments/config/fields.py": "experiments/config/test_problems.py",
    "experiments/config/messages.py": "experiments/config/test_problems.py",
    "experiments/config/metric_rules.py": "experiments/config/test_rules.py",
    "experiments/protocols/fields.py": "experiments/test_protocols.py",
    "experiments/protocols/pieces.py": "experiments/protocols/test_openai.py",
    "experiments/protocols/raw.py": "experiments/test_protocols.py",
    "router/front/answers.py": "router/test_exchange.py",
    "experiments/rows.py": "experiments/test_store.py",
    "router/admin/orders.py": "router/admin/test_backends.py",
    "router/app.py": "router/test_proxy.py",  # its fixture is the whole application
    "router/fakes/behaviour.py": "router/fakes/test_backend.py",
    "router/fakes/openai.py": "router/fakes/test_backend.py",
    "router/fakes/responses.py": "e2e/test_clients.py",
    "router/fakes/wire.py": "router/fakes/test_backend.py",
    "router/upstream/transports/aiohttp_client.py": "router/upstream/transports/test_transports.py",
    "router/upstream/transports/http1.py": "router/upstream/transports/test_transports.py",
    "router/upstream/transports/http1_connection.py": "router/upstream/transports/test_transports.py",
}
WITHOUT_BEHAVIOUR = {
    "analysis/result.py": "records",
    "experiments/config/asking.py": "records; what they refuse is tested with the loader",
    "experiments/config/guarding.py": "records; what they refuse is tested with the loader",
    "experiments/config/records.py": "records; what they refuse is tested with the loader",
    "experiments/config/record.py": "the records' common base",
    "experiments/config/serving.py": "records; what they refuse is tested with the loader",
    "experiments/protocols/base.py": "a protocol class",
    "experiments/scorers/base.py": "a protocol class",
    "experiments/stored.py": "records",
    "experiments/warehouse/records.py": "records",
    "experiments/tables.py": "tables; held against the migrations by test_migrations",
    "router/front/entry.py": "protocol classes",
    "router/fakes/server.py": "what nearly every test of the router runs on",
    "router/plan.py": "records",
    "router/upstream/transports/base.py": "protocol classes",
}


def _modules() -> list[str]:
    found = [path for package in ("analysis", "experiments", "router") for path in (ROOT / package).rglob("*.py")]
    names = [path.relative_to(ROOT).as_posix() for path in found if not path.name.startswith("__")]
    # Scenarios are cases of one study, and alembic's files are run by every test that opens a store.
    return sorted(name for name in names if "/migrations/" not in name and "/scenarios/" not in name)


def _own(module: str) -> Path:
    path = Path(module)
    return TESTS / path.parent / f"test_{path.name}"


@pytest.mark.parametrize("module", [m for m in _modules() if m not in WITHOUT_BEHAVIOUR])
def test_a_module_has_its_test_file(module: str) -> None:
    assert (TESTS / ELSEWHERE[module] if module in ELSEWHERE else _own(module)).is_file()


@pytest.mark.parametrize("module", [*ELSEWHERE, *WITHOUT_BEHAVIOUR])
def test_no_exception_outlives_its_reason(module: str) -> None:
    assert (ROOT / module).is_file()
    assert not _own(module).exists()
