"""Lists, numpy, pandas and Arrow give the same results, and what a frame lacks is an error that names it."""

import subprocess
import sys

import numpy as np
import pytest

from analysis.bootstrap import bootstrap_mean
from analysis.design_effect import design_effect
from analysis.eprocess import DifferenceCounts
from analysis.frames import arm_events, labels, numbers, pair_counts, requests_of, split_counts, to_frame, unit_means
from analysis.joint_moments import JointMoments
from analysis.multiplicity import e_bonferroni, holm
from analysis.outcomes import paired_differences, paired_log_ratios, plain_outcomes
from analysis.paired import cluster_mcnemar, tango_interval
from analysis.proportions import newcombe_interval
from analysis.quantiles import quantile_interval
from analysis.ratios import cluster_rate
from analysis.request_log import Requests
from analysis.samples import unit_states
from analysis.sequential import MeanState
from analysis.signed_rank import hodges_lehmann, wilcoxon_signed_rank
from analysis.slices import shrink
from analysis.srm import srm_chi2, srm_test

pd = pytest.importorskip("pandas", reason="needs pandas, of the extra warehouse")
pa = pytest.importorskip("pyarrow", reason="needs pyarrow, of the extra warehouse")

_RNG = np.random.default_rng(1)
DIFFERENCES = _RNG.choice([-1.0, 0.0, 0.0, 0.0, 1.0], 60)
SHARES = _RNG.uniform(0.1, 0.9, 60)
UNITS = np.array([f"user-{number % 20}" for number in range(60)])
COUNTS = _RNG.integers(0, 3, 60)

KINDS = {
    "list": lambda array: array.tolist(),
    "pandas": pd.Series,
    "pandas, another index": lambda array: pd.Series(array, index=range(100, 100 + len(array))),
    "pandas on Arrow": lambda array: pd.Series(array).convert_dtypes(dtype_backend="pyarrow"),
    "Arrow": lambda array: pa.array(array.tolist()),
    "Arrow, in chunks": lambda array: pa.chunked_array([array[:1].tolist(), array[1:].tolist()]),
}
METHODS = {
    "DifferenceCounts.of": lambda kind: DifferenceCounts.of(kind(DIFFERENCES)),
    "DifferenceCounts.of_array": lambda kind: DifferenceCounts.of_array(kind(DIFFERENCES)),
    "MeanState.of": lambda kind: MeanState.of(kind(SHARES)),
    "JointMoments.of": lambda kind: JointMoments.of(kind(SHARES), kind(COUNTS)),
    "bootstrap_mean": lambda kind: bootstrap_mean(kind(DIFFERENCES), 1, clusters=kind(UNITS), resamples=1_000),
    "cluster_mcnemar": lambda kind: cluster_mcnemar(kind(COUNTS), kind(COUNTS[::-1].copy())),
    "wilcoxon_signed_rank": lambda kind: wilcoxon_signed_rank(kind(SHARES - 0.4)),
    "hodges_lehmann": lambda kind: hodges_lehmann(kind(SHARES)),
    "quantile_interval": lambda kind: quantile_interval(kind(SHARES), 0.5),
    "cluster_rate": lambda kind: cluster_rate(kind(COUNTS), kind(COUNTS + 1)),
    "design_effect": lambda kind: design_effect(kind(UNITS), kind(DIFFERENCES)),
    "paired_differences": lambda kind: paired_differences(kind(SHARES), kind(1 - SHARES)).values.tolist(),
    "paired_log_ratios": lambda kind: paired_log_ratios(kind(SHARES), kind(1 - SHARES)).values.tolist(),
    "unit_states": lambda kind: (
        unit_states(
            Requests(kind(UNITS), stages=kind(COUNTS), slices={"tenant": kind(UNITS)}),
            {"agreement": plain_outcomes(kind(DIFFERENCES), bounded=True)},
        ).states
    ),
    "holm": lambda kind: holm(kind(SHARES)),
    "e_bonferroni": lambda kind: e_bonferroni(kind(SHARES), 0.05),
    "shrink": lambda kind: shrink(kind(DIFFERENCES), kind(SHARES)),
    "srm_chi2": lambda kind: srm_chi2(kind(np.array([50, 60])), kind(np.array([0.5, 0.5]))),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_says_the_same_of_every_kind_of_array(method: str) -> None:
    expected = repr(METHODS[method](lambda array: array))

    assert {name: repr(METHODS[method](kind)) for name, kind in KINDS.items()} == dict.fromkeys(KINDS, expected)


COLUMNS = {
    "unit": UNITS.tolist(),
    "assigned": ["treatment" if number % 20 < 7 else "control" for number in range(60)],
    "value": DIFFERENCES.tolist(),
    "happened": (COUNTS > 0).tolist(),
}
FRAMES = {
    "mapping": COLUMNS,
    "pandas": pd.DataFrame(COLUMNS),
    "pandas on Arrow": pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="pyarrow"),
    "Arrow table": pa.table(COLUMNS),
    "Arrow batch": pa.RecordBatch.from_pydict(COLUMNS),
}


@pytest.mark.parametrize("name", FRAMES)
def test_every_kind_of_frame_is_counted_alike(name: str) -> None:
    frame = FRAMES[name]

    counts, means, events = pair_counts(frame), unit_means(frame), arm_events(frame, "happened")

    assert counts == ((DIFFERENCES < 0).sum(), (DIFFERENCES == 0).sum(), (DIFFERENCES > 0).sum())
    assert means.units.tolist() == [f"user-{number}" for number in range(20)]
    assert means.values == pytest.approx(DIFFERENCES.reshape(3, 20).mean(axis=0))
    assert means.rows.tolist() == [3] * 20
    assert (events.n1, events.n2, events.x1 + events.x2) == (21, 39, (COUNTS > 0).sum())
    assert split_counts(frame, 0.35).counts == (13, 7)
    states = unit_states(requests_of(frame, slices=("assigned",)), {"m": plain_outcomes(frame["value"], bounded=True)})
    assert states.observations == 20


def test_counts_go_where_they_are_wanted() -> None:
    counts = pair_counts(COLUMNS)

    assert tango_interval(counts.wins, counts.losses, counts.n).n == 60
    assert newcombe_interval(*arm_events(COLUMNS, "happened")).n == 60
    assert srm_test([split_counts(COLUMNS, 0.35)]).alarm is False


MISSING = pd.Series([1, None, 2], dtype="Int64")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: numbers({"value": [1.0]}, "valeu"), "there is no column 'valeu'; there are: value"),
        (lambda: numbers(pa.table({"value": ["a"]}), "value"), "value holds .*str.*, must be numbers"),
        (lambda: numbers(pd.DataFrame({"value": [1.0, float("nan")]}), "value"), r"value\[1\] is missing"),
        (lambda: numbers(pd.DataFrame({"value": MISSING}), "value"), r"value\[1\] is missing"),
        (lambda: numbers(pa.table({"value": [None, 1]}), "value"), r"value\[0\] is missing"),
        (lambda: numbers({"value": [float("inf")]}, "value"), r"value\[0\] is infinite"),
        (lambda: labels({"unit": [0.5]}, "unit"), "unit holds float64, must be integers or texts"),
        (lambda: labels({"unit": ["a", None]}, "unit"), r"unit\[1\] is missing"),
        (lambda: labels({"unit": [["a"], "b"]}, "unit"), "unit holds lists of different lengths"),
        (lambda: arm_events({"assigned": ["control", "B"], "value": [1, 1]}), r"assigned\[1\] == 'B', must be"),
        (lambda: arm_events({"assigned": ["control"], "value": [0.5]}), r"value\[0\] == 0.5, must be 0 or 1"),
        (lambda: numbers([1, 2], "value"), "list is no frame: it needs named columns"),
    ],
)
def test_what_a_frame_lacks_is_named(call, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


def test_results_become_a_frame() -> None:
    frame = to_frame([newcombe_interval(56, 70, 48, 80)])

    assert frame.columns.tolist()[:3] == ["value", "lower", "upper"]


def test_pandas_is_not_loaded_with_the_statistics() -> None:
    code = (
        "import sys, analysis.frames, experiments; print({'pandas', 'pyarrow', 'analysis.eprocess'} & {*sys.modules})"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said == "set()\n"
