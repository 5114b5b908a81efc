"""The file's friendly spellings become the records' shape; paths become absolute."""

from pathlib import Path
from typing import Any

import pytest

from experiments.config.shape import shape, share, source

HERE = Path("/etc/touchstone/config.toml")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("header:X-User-Id", {"kind": "header", "name": "x-user-id"}),
        ("cookie:Session", {"kind": "cookie", "name": "session"}),
        ("body:metadata.User", {"kind": "body", "name": "metadata.User"}),
        ("request", {"kind": "request"}),
        ("header:", None),
        ("header:a b", None),
        ("body:a..b", None),
        ("body:", None),
        ("query:x", None),
        ({"kind": "header", "name": "x"}, None),
        (5, None),
    ],
)
def test_a_place_in_a_request_is_one_text(text: Any, place: dict[str, str] | None) -> None:
    assert source(text) == place


@pytest.mark.parametrize(
    ("text", "value"), [("30%", 0.3), (" 12.5 % ", 0.125), ("150%", 1.5), ("30", "30"), ("-5%", "-5%")]
)
def test_a_share_may_be_a_percentage(text: str, value: Any) -> None:
    assert share(text) == value


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///a.db", "sqlite:////etc/touchstone/a.db"),
        ("sqlite:////var/a.db", "sqlite:////var/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://db/x", "postgresql+psycopg://db/x"),
        ("postgres://db/x", "postgresql+psycopg://db/x"),
        ("postgresql+psycopg://db/x", "postgresql+psycopg://db/x"),
        ("mysql://db/x", "mysql://db/x"),
    ],
)
def test_a_database_url_has_an_absolute_path_or_a_driver(url: str, resolved: str) -> None:
    assert shape({"router": {"database": url}}, HERE)["router"]["database"] == resolved


def test_one_url_is_a_pool_of_one() -> None:
    assert shape({"backends": {"a": {"url": "http://x"}}}, HERE)["backends"]["a"]["urls"] == ("http://x",)


def test_an_experiment_has_a_salt_and_a_ramp_of_its_own_unless_given() -> None:
    def experiment(**keys: Any) -> Any:
        return shape({"experiments": {"a": keys}}, HERE)["experiments"]["a"]

    assert (experiment()["salt"], experiment()["ramp"]) == ("a", (0.0,))
    assert experiment(split_percent=5)["ramp"] == (5,)
    assert experiment(split_percent=5, ramp=[1, 5], salt="s")["ramp"] == (1, 5)
    assert experiment(golden="g.jsonl")["golden"] == Path("/etc/touchstone/g.jsonl")
    [metric] = experiment(guardrails={"form": {"scorer": "json_valid", "schema_file": "s.json"}})["guardrails"]
    assert metric["schema_file"] == Path("/etc/touchstone/s.json")
    assert experiment(match={"headers": {"X-A": "1"}})["match"] == {"headers": {"x-a": "1"}}
    assert experiment(slices=["body:a.b"])["slices"] == ({"attribute": "b", "source": {"kind": "body", "name": "a.b"}},)
    prompt = {"kind": "prompt", "name": "language"}
    assert experiment(slices=["language"])["slices"] == ({"attribute": "language", "source": prompt},)


def test_a_metric_has_the_name_of_its_table_and_errors_have_defaults() -> None:
    [errors] = shape({"experiments": {"a": {"guardrails": {"errors": {"margin": 0.1}}}}}, HERE)["experiments"]["a"][
        "guardrails"
    ]

    assert errors == {"name": "errors", "max_relative": 1.2, "margin": 0.1}
