"""A report as Markdown: the same words, and the figures as tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from analysis.figures.figure import Cell
from experiments.model import Phase
from experiments.showing.figures import Section
from experiments.showing.metric_rows import MetricRow
from router.reporting.content import EpochEntry, Report
from router.reporting.methods import LIMITS, SIMULATED
from router.reporting.words import change, count_or_dash, moment, readable, replayed, split_rows

_SIGNS = re.compile(r"([\\`*_\[\]<>|#~&!])")
_SAVED = {"cost": "Money", "carbon": "Carbon"}
_FENCE = re.compile(r"`{3,}")


def plain(text: str) -> str:
    r"""Write a text of somebody's so that it is that text, in a line: no markup, no link, no HTML, no new cell.

    >>> plain("<script>a | b</script>")
    '\\<script\\>a \\| b\\</script\\>'
    """
    return _SIGNS.sub(r"\\\1", readable(" ".join(text.split())))


def render_markdown(report: Report) -> str:
    """Write a report as one Markdown file."""
    parts = (
        _head,
        _decision,
        _saved,
        _trust,
        _metrics,
        _figures,
        _golden,
        _history,
        _methods,
        _configuration,
        _about,
    )
    return "\n".join(line for part in parts for line in part(report)) + "\n"


def _head(report: Report) -> Iterator[str]:
    summary = report.summary
    yield f"# {plain(summary.name)}: {plain(summary.treatment)} against {plain(summary.control)}"
    yield ""
    yield f"**{plain(summary.verdict)}**"
    yield ""
    yield f"{plain(summary.phase_text)} Made {moment(report.made_at)} UTC."
    yield ""
    if summary.hypothesis:
        yield f"- To be shown: {plain(summary.hypothesis)}"
    if summary.owner:
        yield f"- Owner: {plain(summary.owner)}"
    for saving in summary.savings:
        basis = f" ({saving.basis})" if saving.basis else ""
        yield f"- {_SAVED[saving.metric]}: {plain(saving.text + basis)}"
    yield (
        f"- Compared: {summary.units:,} units, {summary.pairs:,} pairs, of {summary.requests:,} live requests; "
        f"stage {summary.stage} of {summary.stages}, {summary.split_percent:g} % with the treatment"
    )
    yield f"- To a decision: {plain(summary.wait.text)}"
    if report.replayed is not None:
        yield f"- Recomputed: {'; '.join(map(replayed, report.replayed)) or 'there is no look yet'}"
    yield ""


def _saved(report: Report) -> Iterator[str]:
    ledger = report.summary.ledger
    if ledger.account is None:
        return
    yield from ("## What it costs, and what is saved", "")
    for line in ledger.lines:
        of = f", {line.variant}" if line.lever != "treatment" else ""
        yield f"- {line.lever.capitalize()}{of}: {plain(line.text)}"
    for saving in ledger.projections:
        yield f"- {saving.title}: {plain(saving.monthly or saving.text)}"
    basis = "A month is 30.4 days at the traffic seen so far; the interval is that of what one request saves."
    yield from ("", f"{basis} Grid: {plain('; '.join(ledger.grid))}.", "")


def _decision(report: Report) -> Iterator[str]:
    summary, cause = report.summary, report.cause
    yield from ("## Decision and reasons", "")
    if cause is not None:
        look = f" (look {cause.look})" if cause.look is not None else ""
        yield f"{moment(cause.at)} UTC, {plain(cause.actor)}: **{change(cause)}**{look}: {plain(cause.reason)}"
        yield ""
    if report.waits_for and summary.phase is Phase.GATED:
        yield from ("It waits at its gate:", "", *_bullets(report.waits_for))
    if summary.decision and summary.looked_at is not None:
        yield f"The newest look, {summary.look} of {moment(summary.looked_at)} UTC: **{summary.decision}**"
        yield from ("", *_bullets(summary.reasons))
    else:
        yield from ("No look has been taken yet.", "")
    yield from ("What would change it:", "", *_bullets(summary.changes))


def _trust(report: Report) -> Iterator[str]:
    yield from ("## Can the data be trusted?", "")
    yield from _bullets(f"{badge.label}: {badge.text}" for badge in report.summary.badges)
    yield from _bullets([*report.summary.remarks, *report.summary.responses])
    if report.splits:
        columns = ("units", "configured share", "control", "treatment", "treatment's share", "alarm")
        yield from _table(columns, split_rows(report.splits))


def _metrics(report: Report) -> Iterator[str]:
    summary = report.summary
    if not summary.metrics:
        return
    yield from ("## Metrics and slices", "", "Intervals are 95 % and valid at every look.", "")
    rows = [*summary.metrics, *summary.slices]
    columns = (
        "metric",
        "role",
        "in",
        "verdict",
        "control",
        "treatment",
        "difference",
        "interval",
        "margin",
        "tolerance",
    )
    yield from _table((*columns, "units"), map(_cells, rows))
    if summary.paired:
        headers = ("pair by pair", "in", "both right", "only control", "only treatment", "both wrong", "pairs")
        counts = [
            (
                row.label,
                row.place,
                *map(count_or_dash, (row.both_right, row.losses, row.wins, row.both_wrong, row.pairs)),
            )
            for row in summary.paired
        ]
        yield from _table(headers, counts)


def _cells(row: MetricRow) -> tuple[Cell, ...]:
    aside = " (asymptotic)" if "asymptotic" in row.method else ""
    words = (row.label, row.role, row.place, row.verdict_text, row.control, row.treatment, row.difference)
    return (*words, f"{row.interval}{aside}", row.margin, row.tolerance, f"{row.units:,}")


def _figures(report: Report) -> Iterator[str]:
    """Write the figures as tables; the forest is the table of metrics and slices already."""
    titles = {
        Section.OVER_TIME: "Evidence over time",
        Section.RAMP: "Split over time",
        Section.DURATIONS: "Latency and speed",
        Section.DAILY: "Day by day",
    }
    for section, title in titles.items():
        found = report.of(section)
        if found:
            yield from (f"## {title}", "")
        for figure in found:
            table = figure.drawn.table()
            yield from (f"### {plain(figure.title)}", "", plain(figure.drawn.alt_text()), "")
            yield from _table(table.columns, table.rows)


def _golden(report: Report) -> Iterator[str]:
    yield from ("## Golden runs", "")
    if not report.golden:
        yield from ("None has been run in this experiment.", "")
        return
    rows = [
        (run.epoch, run.number, moment(run.at), run.actor, run.result.replace("_", " "), run.summary)
        for run in report.golden
    ]
    yield from _table(("epoch", "run", "when (UTC)", "who", "result", "in words"), rows)


def _history(report: Report) -> Iterator[str]:
    yield from ("## What happened", "")
    rows = [(moment(t.at), t.epoch, change(t), t.look, t.actor, t.reason) for t in report.transitions]
    yield from _table(("when (UTC)", "epoch", "what", "look", "who", "why"), rows)


def _methods(report: Report) -> Iterator[str]:
    yield from ("## Methods and assumptions", "")
    yield from _table(("what", "how", "holds", "assumes"), report.methods)
    yield from (SIMULATED, "", LIMITS, "")


def _configuration(report: Report) -> Iterator[str]:
    yield from ("## Configuration, epoch by epoch", "")
    if not report.epochs:
        yield from (f"No epoch has begun yet. The file has the configuration with hash `{report.present_hash}`.", "")
    for epoch in reversed(report.epochs):
        yield from _epoch(epoch)
    if report.epochs:
        now = "the same configuration" if report.configured_now else f"another one, hash `{report.present_hash}`"
        yield from (f"The file has {now} now.", "")


def _epoch(epoch: EpochEntry) -> Iterator[str]:
    yield f"### Epoch {epoch.number}, since {moment(epoch.started_at)} UTC, attempt {epoch.attempt}"
    build = f", build {plain(epoch.candidate)}" if epoch.candidate else ""
    yield from ("", f"Hash `{epoch.config_hash}`{build}", "")
    if epoch.changes:
        yield from _table(("key", "before", "after"), [(c.key, c.before, c.after) for c in epoch.changes])
    # A text in the configuration can hold a fence of its own: ours is longer.
    fence = "`" * max([3, *(len(found) + 1 for found in _FENCE.findall(epoch.config))])
    yield from (f"{fence}json", epoch.config, fence, "")


def _about(report: Report) -> Iterator[str]:
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    undone = " (not done for this report)" if report.replayed is None else ""
    yield from ("## About this report", "")
    yield f"- Made: {moment(report.made_at)} UTC"
    yield f"- Computed by: {versions}"
    yield f"- Check it: `touchstone replay {report.summary.name}` recomputes every look from the stored rows{undone}"


def _bullets(texts: Iterable[str]) -> list[str]:
    return [*(f"- {plain(text)}" for text in texts), ""]


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    yield f"| {' | '.join(map(plain, columns))} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join('-' if cell is None else plain(str(cell)) for cell in row)} |"
    yield ""
