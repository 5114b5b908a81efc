import msgspec
import pytest

from experiments.benching.vectors import vector_in


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"embedding": [1, 0.5]}, {"embedding": [9, 9]}]},
        {"data": [{"embedding": [[1, 0.5]]}]},
        {"embeddings": [[1, 0.5], [9, 9]]},
        {"embedding": [1, 0.5]},
    ],
)
def test_the_first_embedding_is_read_in_every_shape_that_servers_answer(body: dict[str, object]) -> None:
    assert vector_in(msgspec.json.encode(body).decode()) == (1.0, 0.5)


def test_numbers_of_a_tensor_are_an_embedding_only_if_one_says_so() -> None:
    assert vector_in('{"outputs": []}', "[0.25, 0.75]") == (0.25, 0.75)
    assert vector_in('{"outputs": []}') is None


@pytest.mark.parametrize(
    "body", ["", "no", "[1]", '{"data": 7}', '{"data": [{"embedding": "AAAA"}]}', '{"embedding": []}']
)
def test_what_is_no_embedding_is_none(body: str) -> None:
    assert vector_in(body, "yes") is None
