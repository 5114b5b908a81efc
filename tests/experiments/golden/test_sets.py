"""Golden sets: every line is read or named, and a prompt of live traffic finds its reference."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.golden.sets import Expected, GoldenError, GoldenItem, GoldenSet, load_golden

LINE = '{"id": "1", "request": {"prompt": "capital?"}, "expected": {"exact": "Paris"}}'


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "golden.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def item(prompt: str, answer: str = "a") -> GoldenItem:
    return GoldenItem(id=prompt, request={"prompt": prompt}, expected=Expected(exact=answer))


def test_a_line_becomes_an_item_with_its_tags(tmp_path: Path) -> None:
    line = (
        '{"id": "t0", "request": {"messages": [{"role": "user", "content": "नमस्ते"}]},'
        ' "expected": {"label": "greeting"}, "tags": {"language": "hi"}, "comment": "ignored"}'
    )

    golden = load_golden(write(tmp_path, f"{LINE}\n\n  \n{line}"))

    assert len(golden) == 2
    assert golden.items[1] == GoldenItem(
        id="t0",
        request={"messages": [{"role": "user", "content": "नमस्ते"}]},
        expected=Expected(label="greeting"),
        tags={"language": "hi"},
    )


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_lines_may_end_as_any_system_ends_them(tmp_path: Path, ends: str) -> None:
    other = LINE.replace('"1"', '"2"')

    assert len(load_golden(write(tmp_path, ends.join([LINE, other, ""])))) == 2


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "null",
        '{"id": 3}',
        '{"id": "1", "request": {}}',
        '{"id": "1", "request": [], "expected": {}}',
        LINE.replace("exact", "exakt"),
        LINE.replace('"Paris"', "3"),
        LINE.replace('"capital?"', "[" * 100_000),
    ],
)
def test_a_line_that_is_no_item_is_named_with_its_number(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path, f"{LINE}\n\n{bad}\n{LINE}\n")

    with pytest.raises(GoldenError) as caught:
        load_golden(path)

    assert str(caught.value).startswith(f"{path}:3: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match=r"^.*/none\.jsonl: No such file or directory$"):
        load_golden(tmp_path / "none.jsonl")
    with pytest.raises(GoldenError, match=r": Is a directory$"):
        load_golden(tmp_path)


def test_an_empty_file_is_a_set_that_knows_nothing(tmp_path: Path) -> None:
    golden = load_golden(write(tmp_path, ""))

    assert len(golden) == 0
    assert golden.expected("capital?") is None


def test_a_prompt_is_found_however_much_white_space_surrounds_it() -> None:
    golden = GoldenSet([item(" capital?\n", "Paris")])

    assert golden.expected("capital?") == golden.expected("\tcapital?  ") == Expected(exact="Paris")
    assert golden.expected("Capital?") is None
    assert golden.expected(None) is None


def test_the_last_question_of_a_conversation_is_its_prompt() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": [{"type": "text", "text": "capital?"}]},
    ]
    golden = GoldenSet([GoldenItem(id="1", request={"messages": messages}, expected=Expected(exact="Paris"))])

    assert golden.expected("capital?") == Expected(exact="Paris")
    assert golden.expected("hello") is None


def test_a_request_without_a_prompt_is_kept_and_matches_nothing() -> None:
    golden = GoldenSet([GoldenItem(id="1", request={"n": 1}, expected=Expected(exact="x"))])

    assert len(golden) == 1
    assert golden.expected("") is None


def test_in_the_raw_protocol_the_whole_body_is_the_prompt() -> None:
    golden = GoldenSet([GoldenItem(id="1", request={"x": 1}, expected=Expected(exact="y"))], "raw")

    assert golden.expected('{"x":1}') == Expected(exact="y")


@given(answers=st.dictionaries(st.text(min_size=1).filter(str.strip).map(str.strip), st.text(), max_size=8))
def test_every_prompt_of_a_set_finds_its_own_reference(answers: dict[str, str]) -> None:
    golden = GoldenSet([item(prompt, answer) for prompt, answer in answers.items()])

    assert {prompt: golden.expected(prompt).exact for prompt in answers} == answers


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(good=st.integers(0, 5), noise=st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40))
def test_any_line_is_read_or_named_and_nothing_else_is_raised(tmp_path: Path, good: int, noise: str) -> None:
    path = write(tmp_path, "".join(LINE.replace('"1"', f'"{n}"') + "\n" for n in range(good)) + noise)

    said = read_or_named(path)

    assert said.startswith(f"{path}:{good + 1}: ") or said == f"{good + bool(noise.strip())} items"


def read_or_named(path: Path) -> str:
    try:
        return f"{len(load_golden(path))} items"
    except GoldenError as error:
        return str(error)


@pytest.mark.parametrize("where", ["request", "id", "tags"])
def test_a_line_that_is_not_utf_8_is_named(tmp_path, where: str) -> None:
    good = b'{"id": "1", "request": {"prompt": "x"}, "expected": {"exact": "y"}, "tags": {"t": "z"}}\n'
    bad = {
        "request": good.replace(b'"x"', b'"\xff"'),
        "id": good.replace(b'"1"', b'"\xff"'),
        "tags": good.replace(b'"z"', b'"\xff"'),
    }
    path = tmp_path / "golden.jsonl"
    path.write_bytes(good + bad[where])
    with pytest.raises(GoldenError, match=r"golden\.jsonl:2: "):
        load_golden(path)
