"""What is sent of a day: figures under names that a target allows, and that stay apart."""

from experiments.scoring.daily import DailyQuality
from router.monitoring.report import figure_name, reports


def row(**changes: object) -> DailyQuality:
    values = {
        "experiment": "support",
        "epoch": 1,
        "day": "2026-03-01",
        "metric": "quality",
        "slice": "",
        "variant": "control",
        "pairs": 10,
        "mean": 0.9,
        "macro_f1": None,
        "win_rate": None,
    }
    return DailyQuality(**(values | changes))  # type: ignore[arg-type]


def test_each_epoch_of_an_experiment_has_its_own_report_of_a_day() -> None:
    found = reports([row(), row(variant="treatment", mean=0.8, macro_f1=0.7), row(epoch=2)])

    assert [report.name for report in found] == ["support/1/2026-03-01", "support/2/2026-03-01"]
    assert found[0].figures == {
        "quality/control/pairs": 10.0,
        "quality/control/mean": 0.9,
        "quality/treatment/pairs": 10.0,
        "quality/treatment/mean": 0.8,
        "quality/treatment/macro_f1": 0.7,
    }


def test_the_digest_changes_with_a_figure_and_with_nothing_else() -> None:
    [first], [same], [other] = reports([row()]), reports([row(day="2026-03-02")]), reports([row(mean=0.91)])

    assert first.digest == same.digest != other.digest


def test_values_of_slices_that_are_no_names_stay_apart() -> None:
    names = [figure_name("quality", f"tenant={value}", "control", "mean") for value in ("a=b", "a?b", "अ", "a" * 300)]

    assert len(set(names)) == len(names)
    assert all(len(name) <= 250 and name.isascii() and "=" not in name for name in names)
