"""Epochs of single metrics: the first outcome of another version begins them anew."""

from tests_builders import make_outcome

from experiments.evaluation.metric_versions import Change, MetricVersions, Version


def test_a_metric_begins_anew_with_another_version_and_the_former_one_counts_no_more() -> None:
    versions = MetricVersions()
    rows = [("exact/1", Change.NONE), ("exact/1", Change.NONE), ("exact/2", Change.ANEW), ("exact/1", Change.FORMER)]

    found = [versions.take(make_outcome("a", 0.0, scorer=scorer), now=50.0) for scorer, _ in rows]

    assert found == [change for _, change in rows]
    assert versions.of("quality") == Version("exact/2", 50.0, "quality")


def test_a_metric_that_asks_another_server_has_a_lane_of_its_own_and_no_other_has() -> None:
    versions = MetricVersions()
    versions.take(make_outcome("a", 0.0), now=50.0)
    versions.take(make_outcome("a", 0.0, metric="judge", scored_at=60.0), now=70.0)

    assert {metric: version.lane for metric, version in versions.all().items()} == {"quality": "", "judge": "judge"}
    assert versions.of("latency") is None


def test_one_metrics_change_is_none_of_the_others() -> None:
    versions = MetricVersions()
    for metric in ("quality", "errors"):
        versions.take(make_outcome("a", 0.0, metric=metric, scorer="old"), now=1.0)
    versions.take(make_outcome("a", 0.0, scorer="new"), now=2.0)

    assert versions.take(make_outcome("a", 0.0, metric="errors", scorer="old"), now=3.0) is Change.NONE


def test_by_the_rules_of_the_version_before_a_metric_goes_on() -> None:
    versions = MetricVersions()
    versions.take(make_outcome("a", 0.0), now=1.0)

    assert versions.take(make_outcome("a", 0.0, scorer="exact/2"), now=2.0, anew=False) is Change.NONE
    assert versions.of("quality") == Version("exact/2", None, "")
