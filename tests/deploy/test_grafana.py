"""The Grafana dashboard: what its panels ask for is exposed, and its form is that of Grafana's own types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests_promql import SERIES, problems, series_of

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
VARIABLES = {"$__rate_interval": "5m", "$job": "touchstone", "$experiment": ".*"}
SHOWN = {
    "touchstone_experiment_split_ratio",
    "touchstone_requests_total",
    "touchstone_request_duration_seconds_bucket",
    "touchstone_time_to_first_byte_seconds_bucket",
    "touchstone_shadow_shed_total",
    "touchstone_journal_bytes",
    "touchstone_recorder_waiting_bytes",
    "touchstone_experiment_look_age_seconds",
    "touchstone_experiment_phase",
    "touchstone_experiment_verdict",
    "touchstone_cache_hits_total",
    "touchstone_backend_ejections_total",
    "touchstone_saving_usd_per_day",
}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "touchstone.json").read_text(encoding="utf-8"))
    return found


def expressions() -> Iterator[tuple[str, str, str]]:
    """Yield (panel, expression, legend) with Grafana's variables filled in."""
    notes = [
        (note["name"], [{"expr": note["expr"], "legendFormat": ""}]) for note in dashboard()["annotations"]["list"]
    ]
    for title, targets in [*notes, *((panel["title"], panel.get("targets", [])) for panel in dashboard()["panels"])]:
        for target in targets:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield title, expression, target["legendFormat"]


@pytest.mark.parametrize(
    ("title", "expression", "legend"), [pytest.param(*e, id=f"{e[0]}-{e[2]}") for e in expressions()]
)
def test_a_panel_asks_for_what_is_exposed(title: str, expression: str, legend: str) -> None:
    assert "$" not in expression, title
    assert problems(expression) == []
    named = re.findall(r"\{\{(\w+)\}\}", legend)
    assert problems(f"sum by ({', '.join(named)}) ({expression})") == []


def test_all_that_on_call_looks_for_is_on_it() -> None:
    assert set().union(*(series_of(expression) for _, expression, _ in expressions())) >= SHOWN


def test_the_variables_are_of_series_and_labels_that_exist() -> None:
    queries = [v["query"]["query"] for v in dashboard()["templating"]["list"] if v["type"] == "query"]
    for query in queries:
        found = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", query)
        assert found is not None
        assert found[2] in SERIES[found[1]]


def test_panels_have_ids_of_their_own_lie_beside_one_another_and_say_what_they_show() -> None:
    panels = dashboard()["panels"]
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"].endswith(".")


def test_grafanas_own_types_know_every_key() -> None:
    """A key that Grafana does not know would be passed over in silence; read and written again, it would be missing."""
    cog = pytest.importorskip("grafana_foundation_sdk.cog.plugins", reason="needs grafana-foundation-sdk")
    encoder = pytest.importorskip("grafana_foundation_sdk.cog.encoder")
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    cog.register_default_plugins()
    written = dashboard()

    again = json.loads(encoder.JSONEncoder().encode(models.Dashboard.from_json(written)))

    # The two of the annotation are the Prometheus data source's own, which the types leave out.
    notes = ".annotations.list[0]"
    assert set(_missing(written, again, "")) == {f"{notes}.titleFormat", f"{notes}.step"}


def _missing(written: Any, again: Any, path: str) -> Iterator[str]:
    """Yield where a value is not what was written; what is added by default does not matter."""
    if isinstance(written, dict) and isinstance(again, dict):
        for key, value in written.items():
            if key not in again and value not in (None, [], {}, ""):
                yield f"{path}.{key}"
            elif key in again:
                yield from _missing(value, again[key], f"{path}.{key}")
    elif isinstance(written, list) and isinstance(again, list) and len(written) == len(again):
        for number, (one, other) in enumerate(zip(written, again, strict=True)):
            yield from _missing(one, other, f"{path}[{number}]")
    elif written != again:
        yield f"{path}: {written!r} became {again!r}"


def test_the_provisioning_files_name_what_grafana_wants() -> None:
    providers = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "touchstone.yml").read_text())
    sources = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "prometheus.yml").read_text())

    assert providers["apiVersion"] == sources["apiVersion"] == 1
    assert [(p["type"], bool(p["options"]["path"])) for p in providers["providers"]] == [("file", True)]
    assert [source["type"] for source in sources["datasources"]] == ["prometheus"]
