"""The split goes in steps, each until the next one or until now."""

from analysis.figures import Mark, RampOverTime, RampStep, Theme

STEPS = (RampStep(100.0, 5.0), RampStep(200.0, 50.0))
FIGURE = RampOverTime(STEPS, 400.0, (Mark(200.0, "50 % to the treatment", "controller: stage done"),))


def test_a_step_holds_until_the_next_one_and_the_last_one_until_now() -> None:
    trace = FIGURE.figure(Theme.LIGHT).data[0]

    assert (trace["x"], trace["y"]) == ([100_000, 200_000, 400_000], [5.0, 50.0, 50.0])
    assert trace["line"]["shape"] == "hv"


def test_a_step_newer_than_the_last_look_is_still_drawn_forward() -> None:
    trace = RampOverTime(STEPS, 150.0).figure(Theme.LIGHT).data[0]

    assert trace["x"] == [100_000, 200_000, 200_000]


def test_a_decision_stands_at_its_time_and_says_why() -> None:
    figure = FIGURE.figure(Theme.LIGHT)

    assert [shape["x0"] for shape in figure.layout["shapes"]] == [200_000]
    assert "controller: stage done" in figure.data[1]["hovertext"][0]
    assert FIGURE.table().rows[1] == (
        "1970-01-01 00:03",
        "50 %",
        "A: 50 % to the treatment (controller: stage done)",
    )


def test_it_is_told_in_words() -> None:
    assert FIGURE.alt_text().startswith("Share of the users with the treatment over time: 5 %, then 50 %.")
