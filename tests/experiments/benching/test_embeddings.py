import pytest

from experiments.benching.embeddings import Prototypes, cosine, likeness
from experiments.benching.samples import Sample


def vectors(**given: tuple[float, ...]) -> dict[str, Sample]:
    return {name: Sample(vector=vector) for name, vector in given.items()}


def test_likeness_is_over_the_items_that_both_embedded_and_names_the_worst() -> None:
    control = vectors(a=(1.0, 0.0), b=(0.0, 2.0), c=(1.0, 1.0)) | {"d": Sample(error="timeout")}
    treatment = vectors(a=(3.0, 0.0), b=(1.0, 1.0), c=(1.0, 1.0, 1.0), d=(1.0, 0.0))

    found = likeness(control, treatment)

    assert found is not None
    assert (found.n, found.least_id) == (2, "b")
    assert (found.least, found.mean) == pytest.approx((0.5**0.5, (1 + 0.5**0.5) / 2))


def test_texts_have_no_likeness() -> None:
    assert likeness({"a": Sample(text="yes")}, {"a": Sample(text="yes")}) is None


def test_a_label_is_the_mean_of_its_examples_and_not_the_nearest_of_them() -> None:
    """One invoice example points where most refunds are asked from."""
    known = Prototypes(["refund", "refund", "invoice", "invoice"], [(1, 0.3), (1, -0.3), (1, 0), (-1, 1)])

    assert known.nearest((1.0, 0.0)) == "refund"


def test_a_vector_takes_the_label_of_the_nearest_direction_however_long_the_examples_are() -> None:
    known = Prototypes(["refund", "invoice"], [(0.1, 0.0), (0.0, 100.0)])

    assert (known.nearest((2.0, 1.0)), known.nearest((1.0, 2.0))) == ("refund", "invoice")
    assert known.nearest((1.0, 2.0, 3.0)) is None


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        ([], [], "0 labels and 0 vectors"),
        (["a"], [(1.0,), (2.0,)], "1 labels and 2 vectors"),
        (["a", "b"], [(1.0,), (2.0, 3.0)], "examples of several numbers of dimensions"),
    ],
)
def test_prototypes_that_do_not_fit_together_are_refused(labels, given, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Prototypes(labels, given)


def test_a_vector_without_length_is_like_nothing() -> None:
    assert cosine((0.0, 0.0), (1.0, 0.0)) == 0.0
    with pytest.raises(ValueError, match="vectors of 1 and 2 dimensions"):
        cosine((1.0,), (1.0, 0.0))
