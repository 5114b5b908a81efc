"""The calibration study: it runs, it is repeatable, it uses the product's methods, and it can fail."""

import math
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.stats import chisquare, norm

from analysis.calibrate import comparators
from analysis.calibrate.__main__ import main
from analysis.calibrate.figure import draw
from analysis.calibrate.report import Settings, bar_text, limits_text, number_text, render
from analysis.calibrate.runner import run_study, tasks_of
from analysis.calibrate.scenarios import SCENARIOS, clustered, late_harm, latency, quantile, ramped, split
from analysis.calibrate.study import Bar, Figure, Measure, Part, Samples, Scenario, measure_part, summarise
from analysis.e_detector import EDetector, difference_increments
from analysis.eprocess import DifferenceCounts, log_e_harm
from analysis.event_coin import EventCoin, log_e_event
from analysis.quantiles import quantile_sequence
from analysis.result import Estimate
from analysis.sequential import MeanState, asymptotic_cs, halfwidth, log_e_msprt
from analysis.simulate import UserLooks, ever, simulate_arms, simulate_pairs, simulate_users
from analysis.srm import StageCounts, srm_log_bayes_factor

_SETTINGS = Settings(seed=1, replicates=400, command="python -m analysis.calibrate", figure_path="images/c.svg")
_BY_NUMBER = {scenario.number: scenario for scenario in SCENARIOS}


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- the study as a whole ---------------------------------------------------------------------------------------------


def test_a_small_study_of_all_scenarios_reaches_its_bars_and_writes_its_page(tmp_path: Path) -> None:
    page = tmp_path / "calibration.md"

    # In this process: a pool would import everything anew in each, and is compared with one process below.
    assert main(["--quick", "--replicates", "60", "--jobs", "1", "--output", str(page)]) == 0

    text = page.read_text(encoding="utf-8")
    assert "MISSED" not in text
    assert "--replicates 60" in text
    assert np.__version__ in text
    for number in range(1, 21):
        assert f'<a id="{number}"></a>' in text
    assert (tmp_path / "images" / "calibration.svg").exists()


def test_the_scenarios_are_those_of_the_design_document() -> None:
    assert [scenario.number for scenario in SCENARIOS] == list(range(1, 21))
    for scenario in SCENARIOS:
        bars = [measure.bar for part in scenario.parts for measure in part.measures if measure.bar]
        assert bars, f"scenario {scenario.number} has no bar"


@pytest.mark.parametrize("number", range(1, 12))
def test_every_error_scenario_shows_what_others_do_on_the_same_draws(number: int) -> None:
    methods = {measure.method for part in _BY_NUMBER[number].parts for measure in part.measures}

    assert methods > {"product"}


def test_the_figures_do_not_depend_on_the_number_of_processes() -> None:
    scenarios = [_BY_NUMBER[2], _BY_NUMBER[20]]

    alone, together = (run_study(scenarios, 600, seed=3, jobs=jobs) for jobs in (1, 2))

    assert alone == together


def test_another_seed_gives_other_draws() -> None:
    first, second = (run_study([_BY_NUMBER[2]], 400, seed=seed)[0].rows for seed in (1, 2))

    assert [row.figure for row in first] != [row.figure for row in second]


def test_parts_are_cut_into_blocks_that_add_up() -> None:
    sizes: dict[tuple[int, int], int] = {}
    for task in tasks_of(SCENARIOS, 4000):
        sizes[task.scenario, task.part] = sizes.get((task.scenario, task.part), 0) + task.replicates

    for scenario in SCENARIOS:
        for number, part in enumerate(scenario.parts):
            simulated = part.block is not None
            assert sizes.get((scenario.number, number), 0) == (math.ceil(4000 * part.weight) if simulated else 0)


def test_every_block_has_its_own_draws() -> None:
    first, second = (task for task in tasks_of([_BY_NUMBER[2]], 1000) if task.part == 1)

    assert first.replicates == second.replicates
    assert not np.array_equal(first.run(seed=1)["z"], second.run(seed=1)["z"])


def test_every_error_bar_has_at_least_4000_replicates_in_the_full_study() -> None:
    for scenario in SCENARIOS:
        for part in scenario.parts:
            if any(measure.bar and measure.bar.rule == "error" for measure in part.measures):
                assert part.weight >= 1, f"{scenario.number}: {part.name}"


def test_the_command_runs_one_scenario_and_writes_nothing() -> None:
    command = [sys.executable, "-m", "analysis.calibrate", "--scenario", "20", "--replicates", "200", "--jobs", "1"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert "Planned looks" in done.stderr


@pytest.mark.parametrize("arguments", [["--replicates", "0"], ["--jobs", "-1"], ["--scenario", "21"]])
def test_a_wrong_option_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)

    assert refused.value.code == 2
    assert arguments[0] in capsys.readouterr().err


# --- bars can be missed -----------------------------------------------------------------------------------------------


def _peeking(rng: np.random.Generator, replicates: int) -> Samples:
    return {"ours": ever(comparators.z_harm(simulate_pairs(rng, replicates, 100, 100, 0.03, 0.03)))}


_FAILING = Scenario(
    1, "A product that peeks", "", (Part("A/A", _peeking, (Measure("ours", "z", bar=Bar("error", 0.05)),)),)
)


def test_a_method_that_errs_too_often_misses_its_bar_and_the_page_says_so() -> None:
    results = run_study([_FAILING], 400, seed=1)

    assert not results[0].passed
    page = render(results, _SETTINGS)
    assert "SOME ARE MISSED" in page
    assert "**MISSED**" in page
    assert "**NO**" in page


@pytest.mark.parametrize(
    ("bar", "figure", "passes"),
    [
        (Bar("error", 0.05), Figure(0.06, 0.05, 0.07), True),
        (Bar("error", 0.05), Figure(0.06, 0.051, 0.07), False),
        (Bar("at most", 1.15), Figure(1.15, 1.0, 1.3), True),
        (Bar("at most", 1.15), Figure(1.16, 1.0, 1.3), False),
        (Bar("at least", 0.88), Figure(0.88, 0.8, 0.9), True),
        (Bar("at least", 0.88), Figure(0.87, 0.8, 0.9), False),
        (Bar("within", 0.045, 0.055), Figure(0.06, 0.054, 0.066), True),
        (Bar("within", 0.045, 0.055), Figure(0.06, 0.056, 0.064), False),
        (Bar("within", 0.045, 0.055), Figure(0.04, 0.03, 0.044), False),
    ],
)
def test_a_bar_judges(bar: Bar, figure: Figure, passes: bool) -> None:
    assert bar.passes(figure) is passes


def test_a_rate_a_mean_and_a_median_have_limits() -> None:
    values = np.arange(1.0, 1001.0)

    assert summarise(values <= 25, "rate").value == 0.025
    mean = summarise(values, "mean")
    assert mean.value == 500.5
    assert mean.upper - mean.value == pytest.approx(norm.ppf(0.975) * values.std(ddof=1) / math.sqrt(1000))
    assert summarise(values, "median") == Figure(500.5, 469.0, 532.0)


def test_limits_of_a_waiting_time_hold_it_as_often_as_they_say() -> None:
    rng = _rng()
    found = [summarise(rng.exponential(300.0, 5), "waiting time") for _ in range(1000)]

    assert np.mean([figure.lower <= 300 <= figure.upper for figure in found]) == pytest.approx(0.95, abs=0.02)


def test_limits_of_a_median_hold_it_as_often_as_they_say() -> None:
    rng = _rng()
    found = [summarise(rng.standard_normal(81), "median") for _ in range(600)]

    assert np.mean([figure.lower <= 0 <= figure.upper for figure in found]) >= 0.93


def test_nothing_to_summarise_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one replicate"):
        summarise(np.array([]), "mean")


def test_a_measure_without_its_sample_is_an_error() -> None:
    part = Part("A/A", _peeking, (Measure("mistyped", "z"),))

    with pytest.raises(KeyError, match="mistyped"):
        measure_part(part, {"ours": np.array([True])})


# --- the page and the figure ------------------------------------------------------------------------------------------


def test_the_page_names_the_seed_the_versions_and_the_limits() -> None:
    page = render(run_study([_BY_NUMBER[2]], 400, seed=1), _SETTINGS)

    assert re.search(r"\| 1 \| 400 ", page)
    assert "images/c.svg" in page
    assert "Clopper-Pearson" in page
    assert re.search(r"betting e-process \| \*\*[\d.]+ %\*\* \| [\d.]+ to [\d.]+ % \| <= 5 % \| reached", page)
    assert re.search(r"\*naive:\* z test", page)


def test_numbers_are_written_in_their_units() -> None:
    assert number_text(0.05, "%", digits=1) == "5 %"
    assert number_text(0.005, "%", digits=1) == "0.5 %"
    assert limits_text(Figure(0.02, 0.015, 0.025), "%") == "1.50 to 2.50 %"
    assert bar_text(Bar("at least", 0.97), "%") == ">= 97 %"
    assert bar_text(Bar("within", 0.045, 0.055), "%") == "4.5 % to 5.5 %"
    assert bar_text(Bar("within", 300_000, math.inf), "n") == ">= 300,000"
    assert bar_text(None, "x") == ""


def test_the_figure_is_an_image_with_a_mark_for_each_method() -> None:
    results = run_study([_BY_NUMBER[1], _BY_NUMBER[2]], 200, seed=1)
    image = ET.fromstring(draw(results))
    titles = [title.text or "" for title in image.iter("{http://www.w3.org/2000/svg}title")]

    shown = [row for result in results for row in result.rows]
    assert all(any(title.startswith(row.measure.label) for title in titles) for row in shown)
    texts = [text.text for text in image.iter("{http://www.w3.org/2000/svg}text")]
    assert "nominal error" in texts
    assert "false alarms (logarithmic axis)" in texts


# --- the study uses the product's methods -----------------------------------------------------------------------------


def test_one_increment_per_user_is_the_products_e_process() -> None:
    drawn = simulate_users(_rng(), 3, 400, 50, 0.3, 0.5)
    users = UserLooks(50, drawn.losses, drawn.wins)
    crossed = clustered.users_crossed(users)

    for replicate in range(3):
        for look in (9, 49, 99):
            seen = slice(0, 4 * (look + 1))
            means = (drawn.wins[replicate, seen] - drawn.losses[replicate, seen]) / 50
            log_e = log_e_harm(DifferenceCounts.of(means.tolist()), 0.0)
            assert crossed[replicate, look] == (log_e >= math.log(20))


def test_some_users_cross() -> None:
    losses = np.full((1, 400), 30)

    assert clustered.users_crossed(UserLooks(50, losses, np.zeros_like(losses))).any()


def test_the_event_coin_of_a_ramp_is_the_products() -> None:
    shares = ramped._SHARES[ramped._STAGE]
    arms = simulate_arms(_rng(), 2, 400, shares, 0.1, 0.16)
    crossed = ramped.coin_crossed(arms)

    assert crossed.any()
    for look in (5, 20, 40, 71):
        events: dict[tuple[float, int], int] = {}
        for at in range(look + 1):
            for arm, counts in ((0, arms.control_events), (1, arms.treated_events)):
                key = (float(shares[at]), arm)
                events[key] = events.get(key, 0) + int(counts[0, at])
        assert crossed[0, look] == (log_e_event(EventCoin.of_counts(events)) >= math.log(20))


def test_the_latency_sequence_is_the_products() -> None:
    values = _rng().normal(0.05, 1.0, size=(1, 10_000))
    n = np.arange(1, 10_001)
    mean = values.cumsum(axis=1) / n
    sd = np.sqrt(((values**2).cumsum(axis=1) - n * mean**2) / np.maximum(n - 1, 1))
    missed = latency.misses((mean, sd), burn_in=100, n_star=500)[0]

    assert 0 < missed.sum() < len(missed) == 10_000 - 99
    for at in (100, 1500, 3000, 9999):
        found = asymptotic_cs(MeanState.of(values[0, :at]), 0.05, 500)
        assert isinstance(found, Estimate)
        assert missed[at - 100] == (not found.lower <= 0 <= found.upper)


@pytest.mark.parametrize("level", [0.5, 0.95])
@pytest.mark.parametrize("n", [30, 300, 900])
def test_the_quantile_sequence_is_the_products(level: float, n: int) -> None:
    found = quantile_sequence(np.arange(1, n + 1), level, 0.05, t_opt=1000)
    at = np.searchsorted(quantile._SIZES, n)
    assert isinstance(found, Estimate)

    # If the true quantile lay just above the value `below`, so many values would lie below it.
    for below in range(n + 1):
        seen = np.full(len(quantile._SIZES), below)
        missed = quantile.misses(seen, level, sample_extremes=False)[at]
        assert missed == (not found.lower <= below + 0.5 <= found.upper), below


def test_the_split_alarms_where_the_product_alarms() -> None:
    below, above = split.alarm_bounds()
    for hour in (1, 24, 336):
        total, count = hour * 300, int(above[hour - 1])
        assert below[hour - 1] == total - count
        for treated, alarms in ((count, True), (count - 1, False)):
            if treated <= total:
                stage = StageCounts((treated, total - treated), (0.5, 0.5))
                assert (srm_log_bayes_factor([stage]) >= math.log(1000)) is alarms


def test_the_late_harm_alarm_is_the_products_detector() -> None:
    differences = _rng().choice([-1, 0, 1], p=[0.08, 0.9, 0.02], size=(2, 3000))
    times = late_harm.alarm_times(differences)

    for replicate, time in enumerate(times):
        assert 0 < time < 3000
        increments = difference_increments(differences[replicate], 0.0, "harm")
        assert EDetector().after(increments[: time + 1]).alarms(300_000)
        assert not EDetector().after(increments[:time]).alarms(300_000)


# --- the comparators are what they say --------------------------------------------------------------------------------


def test_a_z_test_errs_as_it_says_at_one_look_and_far_more_often_at_two_hundred() -> None:
    pairs = simulate_pairs(_rng(), 4000, 200, 100, 0.03, 0.03)
    crossed = comparators.z_two_sided(pairs)

    assert crossed[:, -1].mean() == pytest.approx(0.05, abs=0.015)
    assert ever(crossed).mean() > 0.35


def test_growthbooks_form_is_the_asymptotic_sequence() -> None:
    n = np.array([1000, 5000])

    assert comparators.two_sided_boundary(n, 0.05, 5000) / np.sqrt(n) == pytest.approx(
        [halfwidth(1.0, int(size), 5000, 0.05) for size in n]
    )


def test_the_msprt_is_the_one_of_two_streams() -> None:
    pairs = simulate_pairs(_rng(), 50, 20, 100, 0.06, 0.02)
    # A paired difference of variance s^2 is a difference of two streams of variance s^2 / 2 each.
    sd = np.sqrt(comparators.sample_variance(pairs) / 2)
    mean = (pairs.wins - pairs.losses) / pairs.n
    crossed = comparators.msprt(pairs, effect_sd=0.03)

    assert 0.1 < crossed.mean() < 0.9
    for at in np.ndindex(crossed.shape):
        assert crossed[at] == (log_e_msprt(mean[at], float(sd[at]), pairs.n[at], 0.03) > math.log(20))


def test_the_chi_square_test_of_a_split_is_scipys() -> None:
    treated, total = np.array([[480, 1050]]), np.array([1000, 2000])
    expected = [
        chisquare([count, n - count], [0.5 * n, 0.5 * n]).pvalue < 0.05
        for count, n in zip(treated[0], total, strict=True)
    ]

    assert comparators.chi2_split(treated, total, 0.5, 0.05)[0].tolist() == expected


def test_mantel_haenszel_is_not_fooled_by_a_ramp() -> None:
    stage = np.repeat(np.arange(4), 5)
    arms = simulate_arms(
        _rng(), 1000, 1000, np.array([0.01, 0.05, 0.25, 0.5])[stage], 0.1 + stage / 30, 0.1 + stage / 30
    )

    assert comparators.mantel_haenszel(arms, stage).mean() == pytest.approx(0.05, abs=0.025)
    assert comparators.arms_z_peeking(arms)[:, -1].mean() > 0.9


def test_no_comparator_says_anything_before_there_is_data() -> None:
    pairs = simulate_pairs(_rng(), 2, 3, 100, 0.0, 0.0)
    arms = simulate_arms(_rng(), 2, 100, [0.1, 0.1], 0.0, 0.0)

    methods = (
        comparators.z_harm,
        comparators.z_two_sided,
        partial(comparators.z_noninferior, margin=0.02),
        partial(comparators.bayes_harm, threshold=0.95),
        comparators.growthbook_harm,
        partial(comparators.msprt, effect_sd=0.01),
    )
    assert not any(method(pairs).any() for method in methods)
    assert not comparators.arms_z_peeking(arms).any()
    assert not comparators.arms_asymptotic(arms, 0).any()
