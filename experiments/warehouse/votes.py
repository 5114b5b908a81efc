"""Feedback as Ibis expressions: the latest word of each voter, once it has stood for a while. Runs nothing.

`evaluation/feedback_votes.py` says it vote by vote. A vote is settled, and later ones of the same voter count for
nothing, when the next one comes so late that it has stood, or when a look in between has counted it. Votes of one voter
are taken to come in the order of their times within a look.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from experiments.model import Role
from experiments.warehouse.chosen import Chosen
from experiments.warehouse.expressions import NO, PLACES, had_a_choice, place_of
from experiments.warehouse.steps import Steps

_VOTER = ["exchange", "metric", "source"]


def votes(feedback: ir.Table, exchanges: ir.Table, chosen: Chosen) -> ir.Table:
    """Return (metric, unit, value, place, choice, settled_in, first_look, first_seq) of every vote that counts.

    Args:
        feedback: All there is.
        exchanges: Of the epoch, up to the last look.
        chosen: By which rules.
    """
    rows = _seen(_on_live(feedback, exchanges, chosen), chosen)
    ordered = ibis.window(group_by=_VOTER, order_by=["look", "seq"])
    rows = rows.mutate(
        vote_before=rows.voted_at.lag().over(ordered),
        look_before=rows.look.lag().over(ordered),
        first_look=rows.look.min().over(ibis.window(group_by=_VOTER)),
        first_seq=rows.seq.first().over(ordered),
    )
    stood = rows.voted_at - rows.vote_before >= chosen.settle_s
    counted = (rows.look > rows.look_before) & (rows.before_at - rows.vote_before >= chosen.settle_s)
    late = (stood | counted).fill_null(NO)
    running = ibis.window(group_by=_VOTER, order_by=["look", "seq"], preceding=None, following=0)
    rows = rows.mutate(late=late.ifelse(1, 0).max().over(running))
    rows = rows.mutate(late_next=rows.late.lead().over(ordered).fill_null(1))
    return _settled(rows.filter(rows.late == 0, rows.late_next == 1), chosen)


def _on_live(feedback: ir.Table, exchanges: ir.Table, chosen: Chosen) -> ir.Table:
    """Return feedback on live exchanges of the epoch that came in time, with the place of its exchange."""
    live = exchanges.filter(exchanges.role == Role.LIVE.value)
    about = live.select(
        exchange="id",
        unit=live.unit,
        exchange_at=live["at"],
        exchange_seq=live.seq,
        place=place_of(live),
        choice=had_a_choice(live),
    )
    window_s = chosen.experiment.feedback_window_hours * 3_600
    rows = feedback.filter(feedback.metric.isin(list(chosen.feedback_metrics))).join(about, "exchange")
    return rows.filter(rows["at"] <= rows.exchange_at + window_s)


def _seen(rows: ir.Table, chosen: Chosen) -> ir.Table:
    """Add the look that saw it: the first that had read both the vote and its exchange; and when it was cast."""
    looks = chosen.looks
    if not looks:
        never = ibis.null("float64")
        return rows.mutate(look=ibis.literal(1, "int64"), before_at=never, voted_at=rows["at"])
    of_votes = Steps(looks, [look.feedback_seq for look in looks]).joined(rows, "seq")
    of_votes = of_votes.rename(vote_look="look", vote_look_at="look_at", vote_before_at="before_at")
    both = Steps(looks, [look.exchange_seq for look in looks]).joined(of_votes, "exchange_seq")
    later = both.vote_look > both.look
    look_at: Any = later.ifelse(both.vote_look_at, both.look_at)
    seen = both.mutate(
        look=later.ifelse(both.vote_look, both.look),
        before_at=later.ifelse(both.vote_before_at, both.before_at),
        # No vote is younger than the look that saw it, whatever it says of itself.
        voted_at=ibis.least(both["at"], look_at),
        ready_at=ibis.least(ibis.greatest(ibis.least(both["at"], look_at) + chosen.settle_s, look_at), looks[-1].at),
    )
    return seen.drop("look_at", "vote_look", "vote_look_at", "vote_before_at")


def _settled(rows: ir.Table, chosen: Chosen) -> ir.Table:
    """Drop the votes that no look has counted yet; say which one did."""
    looks = chosen.looks
    if looks:
        quiet = looks[-1].at - rows.voted_at >= chosen.settle_s
        waiting = rows.filter(quiet).rename(seen_in="look").drop("before_at")
        ends = [look.at for look in looks]
        found = Steps(looks, ends, ends[0] - 1.0).joined(waiting, "ready_at")
        rows = found.mutate(settled_in=ibis.greatest(found.look, found.seen_in))
    else:
        rows = rows.mutate(settled_in=rows.look)
    return rows.select("metric", "unit", "value", "place", "choice", "settled_in", "first_look", "first_seq")


def answered(found: ir.Table, units: ir.Table) -> ir.Table:
    """Return (metric, place, n): the units with feedback, by where they first were."""
    some = found.select("metric", "unit").distinct()
    rows = some.join(units, "unit")
    return rows.group_by("metric", place=rows.place % PLACES).agg(n=rows.count())


def bad(found: ir.Table) -> ir.Table:
    """Return (metric, place, n): the first bad vote of each unit, by the place of its exchange."""
    rows = found.filter(found.value <= 0, found.choice)
    order = ibis.window(group_by=["metric", "unit"], order_by=["settled_in", "first_look", "first_seq"])
    rows = rows.mutate(number=ibis.row_number().over(order))
    first = rows.filter(rows.number == 0)
    return first.group_by("metric", "place").agg(n=first.count())
