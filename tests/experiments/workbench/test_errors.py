"""An error names what was asked for and what there is, and does not list thousands."""

from experiments.workbench.errors import unknown


def test_a_long_list_of_what_there_is_is_cut() -> None:
    said = str(unknown("slice", "x", [f"tenant={number:03}" for number in range(500)]))

    assert said.startswith("no slice 'x'; there are: tenant=000, ")
    assert said.endswith("tenant=019 and 480 more")


def test_nothing_there_is_said() -> None:
    assert str(unknown("metric", "x", [])) == "no metric 'x'; there are: none"
