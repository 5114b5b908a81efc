from pathlib import Path

from experiments.config.records import (
    Backend,
    Experiment,
    Goal,
    Guardrail,
    Match,
    Monitor,
    Policy,
    Price,
    RouterSettings,
)
from experiments.config.reference import reference

ROOT = Path(__file__).parents[3]


def test_the_configuration_reference_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), "run `make docs`"


def test_every_key_of_the_file_says_what_it_means() -> None:
    for record in (RouterSettings, Backend, Experiment, Match, Guardrail, Goal, Monitor, Policy, Price):
        for name, field in record.model_fields.items():
            assert field.description or name == "name", f"{record.__name__}.{name}"
