"""Golden items: every form of a line is read, and every wrong one is named with its place, its key and the rule."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenError, GoldenItem, read_items

GOOD = {"id": "1", "prompt": "capital?", "expected": {"exact": "Paris"}}


def write(folder: Path, *lines: dict | str) -> Path:
    path = folder / "golden.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else msgspec.json.encode(x).decode() for x in lines))
    return path


def refusal(folder: Path, *lines: dict | str) -> str:
    with pytest.raises(GoldenError) as caught:
        read_items(write(folder, *lines))
    return str(caught.value)


def test_a_prompt_stands_for_a_chat_of_one_message(tmp_path: Path) -> None:
    (item,) = read_items(write(tmp_path, GOOD))

    assert item.request == {"messages": [{"role": "user", "content": "capital?"}], "temperature": 0}


def test_a_whole_request_is_kept_as_it_is(tmp_path: Path) -> None:
    request = {"model": "m", "messages": [{"role": "system", "content": "x"}], "seed": 7}

    (item,) = read_items(write(tmp_path, {"id": "1", "request": request, "expected": {"exact": "a"}}))

    assert item == GoldenItem(id="1", request=request, expected=Expected(exact="a"))


def test_every_key_of_the_format_is_read(tmp_path: Path) -> None:
    expected = {"label": "refund", "from": "json:intent"}
    more = {"tags": {"language": "hi"}, "critical": True, "example": '{"intent":"refund"}', "counterexample": "x"}

    (item,) = read_items(write(tmp_path, {**GOOD, "expected": expected, **more}))

    assert item.expected == Expected(label="refund", label_from="json:intent")
    assert item.critical
    assert (item.example, item.counterexample) == ('{"intent":"refund"}', "x")


@pytest.mark.parametrize(
    ("tags", "labels"),
    [({"language": "hi", "kind": "price"}, ("language=hi", "kind=price")), (["refund", "vip"], ("refund", "vip"))],
)
def test_tags_are_a_list_or_a_map(tmp_path: Path, tags: object, labels: tuple[str, ...]) -> None:
    (item,) = read_items(write(tmp_path, {**GOOD, "tags": tags}))

    assert item.labels == labels


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expected": None}, "expected: Expected `object`, got `null`"),
        ({"expected": {}}, "expected: must say what is expected, by one of exact, contains, regex"),
        ({"expected": {"exakt": "x"}}, 'expected.exakt: is no key of an expectation (did you mean "exact"?)'),
        ({"expected": {"exact": 3}}, "expected.exact: Expected `str | null`, got `int`"),
        ({"expected": {"regex": "("}}, "expected.regex: is no pattern that RE2 can read: missing ): ("),
        ({"expected": {"regex": "a\nb("}}, "expected.regex: is no pattern that RE2 can read: missing ): a b("),
        ({"expected": {"contains": "x"}}, "expected.contains: Expected `array | null`, got `str`"),
        ({"critcal": True}, 'critcal: is no key of a golden item (did you mean "critical"?)'),
        ({"critical": "yes"}, "critical: Expected `bool`, got `str`"),
        ({"tags": [1]}, "tags[0]: Expected `str`, got `int`"),
        ({"id": " "}, "id: must not be empty"),
        ({"id": 3}, "id: Expected `str`, got `int`"),
        ({"request": {}}, "request: either request or prompt must be given, and not both"),
        ({"example": "London"}, "example: does not meet what is expected"),
        ({"counterexample": "Paris"}, "counterexample: meets what is expected"),
    ],
)
def test_a_wrong_line_is_named_with_its_key_and_the_rule(tmp_path: Path, changes: dict, said: str) -> None:
    text = refusal(tmp_path, {**GOOD, "id": "0"}, "", {**GOOD, **changes})

    assert text.startswith(f"{tmp_path / 'golden.jsonl'}:3: {said}")
    assert "\n" not in text


@pytest.mark.parametrize("key", ["id", "prompt", "expected"])
def test_a_key_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    text = refusal(tmp_path, {name: value for name, value in GOOD.items() if name != key})

    assert f":1: {'request' if key == 'prompt' else key}: " in text


def test_a_misspelt_key_is_named_rather_than_the_one_that_is_missing_for_it(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"id": "1", "prompt": "x", "expcted": {}}).endswith('(did you mean "expected"?)')


def test_an_id_that_comes_twice_is_named_with_both_its_lines(tmp_path: Path) -> None:
    assert refusal(tmp_path, GOOD, {**GOOD, "id": "2"}, GOOD).endswith(':3: id: "1" has line 1 already')


def test_other_keys_are_for_their_authors(tmp_path: Path) -> None:
    assert len(read_items(write(tmp_path, {**GOOD, "comment": "asked by legal", "source": 7}))) == 1


scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
names = st.sampled_from([*GOOD, "request", "tags", "exact", "regex", "from", "label"])
values = st.recursive(scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(names, x, max_size=4))


@given(values)
def test_any_json_is_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(msgspec.json.encode(value))

    said = read_or_refused(path)

    assert said == "" or said.startswith(f"{path}:1: ")
    assert len(said.splitlines()) <= 1


def read_or_refused(path: Path) -> str:
    try:
        read_items(path)
    except GoldenError as error:
        return str(error)
    return ""
