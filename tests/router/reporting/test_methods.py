"""The methods: those of this experiment and no others, each with what it promises."""

import msgspec
from tests_history import Life

from experiments.showing.reader import Showing
from router.reporting.methods import ALWAYS, ASYMPTOTIC, DESCRIPTIVE, methods


def test_each_says_how_far_it_holds_and_what_it_assumes(life: Life) -> None:
    found = methods(Showing(life.store, life.config).standing("support"), 0)

    assert {method.holds for method in found} == {ALWAYS, ASYMPTOTIC, DESCRIPTIVE, "exact counts"}
    assert all(method.how and method.assumes for method in found)


def test_only_what_was_used_is_named(life: Life) -> None:
    standing = Showing(life.store, life.config).standing("support")
    subjects = [method.subject for method in methods(standing, 0)]
    with_golden = [method.subject for method in methods(standing, 3)]

    assert "Golden runs" not in subjects
    assert set(with_golden) - set(subjects) == {"Golden runs"}
    assert not any("after the promotion" in subject for subject in subjects)
    assert any(subject.startswith("Slices: x-language") for subject in subjects)


def test_a_retry_has_its_number_and_the_level_that_it_was_given(life: Life) -> None:
    standing = Showing(life.store, life.config).standing("support")
    assert standing.epoch is not None
    policy = standing.experiment.policy.model_copy(update={"alpha_promote": 0.025 / 4})
    experiment = standing.experiment.model_copy(update={"policy": policy})
    retried = msgspec.structs.replace(
        standing, experiment=experiment, epoch=msgspec.structs.replace(standing.epoch, attempt=2)
    )

    ledger = next(method for method in methods(retried, 0) if "alpha ledger" in method.subject)

    assert "attempt 2 of its build" in ledger.how
    assert "a chance of 0.625 % at most" in ledger.how
