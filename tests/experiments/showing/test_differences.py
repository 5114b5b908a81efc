"""What changed from one epoch to the next."""

from tests_builders import make_experiment
from tests_standings import make_epoch

from experiments.config.records import Guardrail, Policy
from experiments.showing.differences import differences, epoch_differences


def test_a_changed_key_is_named_by_its_path() -> None:
    before = make_epoch(make_experiment(policy=Policy(min_days=7)))
    after = make_epoch(make_experiment(policy=Policy(min_days=3)), number=2)

    first, second = epoch_differences([before, after])

    assert first.changes == []
    assert [(d.key, d.before, d.after) for d in second.changes] == [("policy.min_days", "7.0", "3.0")]


def test_a_metric_put_in_front_does_not_change_the_others() -> None:
    quality = Guardrail(name="quality", scorer="exact", margin=0.02)
    empty = Guardrail(name="empty", scorer="empty", margin=0.01)
    before = make_epoch(make_experiment(guardrails=(quality,)))
    after = make_epoch(make_experiment(guardrails=(empty, quality)))

    changed = differences(before.config, after.config)

    assert changed
    assert all(d.key.startswith("guardrails.empty.") and d.before is None for d in changed)


def test_the_same_configuration_has_no_differences() -> None:
    config = make_epoch(make_experiment()).config

    assert differences(config, config) == []


def test_a_key_that_is_gone_has_no_value_after() -> None:
    (found,) = differences({"a": 1, "b": {"c": "x"}}, {"a": 1, "b": {}})[:1]

    assert (found.key, found.before, found.after) == ("b", None, "{}")


def test_that_a_salt_has_changed_is_told_and_not_what_it_is() -> None:
    changed = differences({"salt": "a", "cohort": None}, {"salt": "b", "cohort": {"salt": "c"}})

    shown = {found.key: (found.before, found.after) for found in changed}
    assert shown["salt"] == ("[kept back]", "[kept back]")
    assert shown["cohort.salt"] == (None, "[kept back]")
