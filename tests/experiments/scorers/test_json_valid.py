"""An answer that is JSON, and fits a schema."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.scorers import Answer, PairScore, ScorerError
from experiments.scorers.json_valid import JsonValid

SCHEMA = '{"type": "object", "required": ["intent"], "properties": {"intent": {"enum": ["track", "refund"]}}}'


@pytest.fixture(name="schema_file")
def _schema_file(tmp_path: Path) -> Path:
    path = tmp_path / "answer.schema.json"
    path.write_text(SCHEMA)
    return path


def score(scorer: JsonValid, text: str) -> float:
    found = scorer.score(Answer("{}", ok=True), Answer(text, ok=True), None)
    assert found is not None
    return found.treatment


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('{"a": [1, null]}', 1),
        (' "text"\n', 1),
        ("17", 1),
        ("", 0),
        ("refund", 0),
        ('{"a": 1', 0),
        ('```json\n{"a": 1}\n```', 0),
        ('{"a": NaN}', 0),
        ("{'a': 1}", 0),
        ('{"a": 1} and more', 0),
        ("[" * 100_000, 0),
        ('"\ud800"', 0),
    ],
)
def test_the_whole_answer_must_be_json(text: str, valid: int) -> None:
    assert score(JsonValid(), text) == valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('{"intent": "track", "order": 1}', 1),
        ('{"intent": "cancel"}', 0),
        ('{"order": 1}', 0),
        ('"track"', 0),
        ("track", 0),
        ('{"intent": 1e999}', 0),
    ],
)
def test_with_a_schema_it_must_fit(schema_file: Path, text: str, valid: int) -> None:
    assert score(JsonValid(schema_file), text) == valid


def test_the_version_names_the_schemas_content(schema_file: Path) -> None:
    before = JsonValid(schema_file).version
    schema_file.write_text("true")

    assert len({JsonValid().version, before, JsonValid(schema_file).version}) == 3


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("{", "is no JSON schema"),
        ('{"type": "objekt"}', "is no JSON schema"),
        ('{"$ref": "https://example.com/schema.json"}', "is no JSON schema"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(tmp_path: Path, content: str | None, rule: str) -> None:
    path = tmp_path / "schema.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ScorerError, match=f"^schema_file: {rule}"):
        JsonValid(path)


def test_a_failure_is_invalid_and_of_a_call_of_a_tool_it_cannot_tell() -> None:
    good = Answer("{}", ok=True)

    assert JsonValid().score(good, Answer("{}", ok=False), None) == PairScore(1, 0)
    assert JsonValid().score(good, Answer("", ok=True, empty=True), None) == PairScore(1, 0)
    assert JsonValid().score(good, Answer(None, ok=True, tool_calls=1), None) is None


@given(text=st.text(max_size=40))
def test_no_answer_makes_it_raise(text: str) -> None:
    assert score(JsonValid(), text) in {0, 1}
