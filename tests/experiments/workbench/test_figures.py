"""Every figure is drawn from the store, with its alternative text; what cannot be drawn is said."""

import pytest
from tests_stores import NAME

from experiments.workbench import WorkbenchError, example


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda figures: figures.forest(), "agreement, Hindi"),
        (lambda figures: figures.forest("ratio", theme="dark"), "cost"),
        (lambda figures: figures.course("agreement", slice="language=hi"), "agreement, Hindi"),
        (lambda figures: figures.course("cost"), "cost"),
        (lambda figures: figures.split(), "100 %"),
        (lambda figures: figures.durations(), "simulated-int4"),
    ],
)
def test_a_figure_has_its_data_and_its_sentence(draw, said: str) -> None:
    figure = draw(example().experiment(NAME).figures)

    assert len(figure.data) > 0
    assert said in figure.layout.meta["alt"]


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda figures: figures.forest("pared"), "no kind 'pared' (did you mean 'paired'?)"),
        (lambda figures: figures.forest(theme="drak"), "no theme 'drak' (did you mean 'dark'?)"),
        (lambda figures: figures.course("agrement"), "no metric 'agrement' (did you mean 'agreement'?)"),
        (lambda figures: figures.course("agreement", "language=h"), "no slice of agreement 'language=h'"),
        (lambda figures: figures.durations("latency"), "no measure 'latency' (did you mean 'latency_ms'?)"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, said: str) -> None:
    with pytest.raises(WorkbenchError) as caught:
        draw(example().experiment(NAME).figures)

    assert said in str(caught.value)
