"""Two variants' marks on the same items, set side by side: overall and for each value of each tag. Pure.

Items of one cluster (one template, one conversation) are alike. With clusters named, the interval is a bootstrap of
whole clusters, and the clustered p-value takes them as the independent units; without, each item is its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.bootstrap import bootstrap_mean
from analysis.paired import cluster_mcnemar, mcnemar, tango_interval
from analysis.result import Estimate, NotEstimable

LEVEL = 0.95
_SEED = 20_261_126
"""Of the bootstrap: the same answers give the same interval."""


@dataclass(frozen=True)
class Mark:
    """One item with both marks. A is control, the original; B the treatment."""

    tags: Mapping[str, str]
    a: bool
    b: bool


@dataclass(frozen=True)
class Contrast:
    """Two models on the same items: A the original, B the cheaper copy."""

    n: int
    right_a: int
    right_b: int
    only_a: int
    """Items that A alone answered right."""
    only_b: int
    interval: Estimate | NotEstimable
    """Of B's share of right answers minus A's, 95 %: Tango's, or by a bootstrap of clusters."""
    p_mid: float
    """McNemar's mid-p: all items independent."""
    p_cluster: float
    """Cluster-robust McNemar: clusters independent."""
    p_sign: float
    """Sign test of the clusters, mid-p: of those that differ, as many lose as win. Exact where few differ, and there a
    bootstrap is too sure of itself: it never draws an outcome that did not occur."""
    clusters: int
    """Independent units: as many as items unless clusters are named."""

    @property
    def p_value(self) -> float:
        """Of "as good as A": by clusters if there are any."""
        return self.p_sign if self.clusters < self.n else self.p_mid

    @property
    def accuracy_a(self) -> float:
        """Share of the items that A answered right."""
        return self.right_a / self.n

    @property
    def accuracy_b(self) -> float:
        """Share of the items that B answered right."""
        return self.right_b / self.n

    @property
    def difference(self) -> float:
        """B minus A."""
        return (self.right_b - self.right_a) / self.n


@dataclass(frozen=True)
class Accuracy:
    """The contrast on all items, and on those of each tag's value."""

    overall: Contrast
    by_tag: dict[str, dict[str, Contrast]]
    """Tag -> value -> contrast, such as `by_tag["language"]["hi"]`; the value is empty for a tag that is a name."""


def contrasts(marks: Sequence[Mark], cluster_tag: str | None = None, *, clustered_interval: bool = True) -> Accuracy:
    """Set marks side by side.

    Args:
        marks: At least one.
        cluster_tag: The tag whose value names an item's cluster; an item without it stands for itself.
        clustered_interval: Whether the interval, too, resamples clusters; Tango's if not.

    Raises:
        ValueError: No mark.

    >>> found = contrasts([Mark({"language": "hi"}, True, False), Mark({"language": "en"}, True, True)])
    >>> (found.overall.difference, found.by_tag["language"]["en"].difference)
    (-0.5, 0.0)
    """
    if not marks:
        raise ValueError("marks is empty")

    def contrast(chosen: Sequence[Mark]) -> Contrast:
        return _contrast(chosen, cluster_tag, clustered_interval=clustered_interval)

    tags = sorted({tag for mark in marks for tag in mark.tags} - {cluster_tag})
    by_tag = {}
    for tag in tags:
        values = dict.fromkeys(mark.tags[tag] for mark in marks if tag in mark.tags)  # as the set lists them
        by_tag[tag] = {value: contrast([mark for mark in marks if mark.tags.get(tag) == value]) for value in values}
    return Accuracy(contrast(marks), by_tag)


def _contrast(marks: Sequence[Mark], cluster_tag: str | None, *, clustered_interval: bool) -> Contrast:
    clusters = [_cluster(mark, cluster_tag, number) for number, mark in enumerate(marks)]
    losses = Counter(cluster for cluster, mark in zip(clusters, marks, strict=True) if mark.a and not mark.b)
    wins = Counter(cluster for cluster, mark in zip(clusters, marks, strict=True) if mark.b and not mark.a)
    names = sorted(set(clusters))
    by_cluster = clustered_interval and len(names) < len(marks)
    return Contrast(
        n=len(marks),
        right_a=sum(mark.a for mark in marks),
        right_b=sum(mark.b for mark in marks),
        only_a=losses.total(),
        only_b=wins.total(),
        interval=_resampled(marks, clusters)
        if by_cluster and wins.total() + losses.total()
        # Where no pair differs there is nothing to resample; each cluster then counts as one pair.
        else tango_interval(wins.total(), losses.total(), len(names) if by_cluster else len(marks), LEVEL),
        p_mid=mcnemar(wins.total(), losses.total()).p_mid,
        p_cluster=cluster_mcnemar([losses[name] for name in names], [wins[name] for name in names]).p_value,
        p_sign=_sign_test([wins[name] - losses[name] for name in names]),
        clusters=len(names),
    )


def _sign_test(net_wins: Sequence[int]) -> float:
    return mcnemar(sum(net > 0 for net in net_wins), sum(net < 0 for net in net_wins)).p_mid


def _cluster(mark: Mark, tag: str | None, number: int) -> str:
    # Not the bare number: a cluster may be called so.
    return mark.tags[tag] if tag is not None and tag in mark.tags else f"\0{number}"


def _resampled(marks: Sequence[Mark], clusters: Sequence[str]) -> Estimate | NotEstimable:
    differences = [float(mark.b) - float(mark.a) for mark in marks]
    return bootstrap_mean(differences, _SEED, clusters=list(clusters), level=LEVEL)
