"""The alpha of a rollback is shared before any data, and margins scale into slices."""

import pytest
from tests_builders import make_experiment

from experiments.config.records import Guardrail, Slice, Source
from experiments.evaluation.weights import margins, rollback_weights
from experiments.evidence import Kind


def test_the_weights_of_the_rollback_alpha_never_add_up_to_more_than_one() -> None:
    slices = tuple(Slice(attribute=a, source=Source(kind="header", name=a)) for a in ("language", "tenant"))
    experiment = make_experiment(slices=slices)

    weights = rollback_weights(experiment)

    total = sum(w * (34 if key[2] else 1) for key, w in weights.items() if key != (Kind.EVENT, "quality", False))
    assert total == pytest.approx(1.0)


def test_the_tolerance_is_half_the_margin_unless_given_and_scales_into_slices() -> None:
    plain = Guardrail(name="q", scorer="exact", margin=0.02)
    given = Guardrail(name="q", scorer="exact", margin=0.02, tolerance=0.02, slice_margin=0.06)

    assert margins(plain, "") == (0.02, 0.01)
    assert margins(plain, "language=hi") == (0.02, 0.01)
    assert margins(given, "language=hi") == pytest.approx((0.06, 0.06))
