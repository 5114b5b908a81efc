"""The OpenAPI document names every route and is whole; that it is true: tests/e2e/test_admin_api.py."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests_history import Life, living

from router.admin import openapi
from router.admin.app import routes


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        yield life


def test_every_route_is_described_with_its_methods_and_no_other(life: Life) -> None:
    served = {
        (route.path.replace(":path", ""), method.lower())
        for route in routes(life.config, life.store)
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert served == {
        (path, method) for path, item in openapi.document(life.config)["paths"].items() for method in item
    }


def test_every_reference_leads_somewhere(life: Life) -> None:
    document = openapi.document(life.config)

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (value for key, value in node.items() if key == "$ref")
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert found <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert len(found) > 5
