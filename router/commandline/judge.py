"""`touchstone judge`: how a judge does. Thin: reads the options, shows what `experiments.scoring.judging` found.

Exit codes: 0 done; 2 the experiment, the metric, the configuration or the store is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    JsonOption,
    fail,
    known_or_fail,
    load_or_fail,
    out,
    reading,
    show_json,
)

if TYPE_CHECKING:
    from experiments.config import Experiment
    from experiments.scoring.judging import Judging, Share


def judge(
    experiment: str,
    metric: Annotated[
        str | None, typer.Option("--metric", "-m", help="One with a judge, if there are several.")
    ] = None,
    config: ConfigOption = CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Say how a judge does: who wins, whether it judges positions, and whether people agree with it."""
    from experiments.scoring.judging import judging  # noqa: PLC0415

    loaded = load_or_fail(config, fail)
    chosen = known_or_fail(loaded, experiment, fail)
    name = _judged_metric(chosen, metric)
    with reading(loaded, fail) as store:
        found = judging(store, experiment, name, time.time())
    if json:
        show_json(found)
        return
    for line in _lines(found):
        out.print(line, soft_wrap=True)


def _judged_metric(experiment: Experiment, wanted: str | None) -> str:
    names = [m.name for m in experiment.guardrails if m.scorer == "judge"]
    names += [m.name for m in experiment.monitors if m.scorer == "judge"]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None or wanted not in names:
        asked = f"no metric {wanted!r} with a judge" if wanted is not None else "--metric is needed"
        fail(f"{asked} in {experiment.name}; there are: {', '.join(names) or 'none'}")
    return wanted


def _lines(found: Judging) -> Iterator[str]:
    yield f"{found.experiment}, {found.metric} ({found.version or 'nothing judged yet'}), epoch {found.epoch}"
    yield f"  judged     {found.judged} pairs; {found.waiting} wait"
    for why, count in found.unasked.items():
        yield f"  not asked  {count}: {why}"
    for failure, count in found.failures.items():
        yield f"  failed     {count}: {failure}"
    for side, share in found.wins.items():
        yield f"  {'ties' if side == 'tie' else f'{side} wins':15}  {_shown(share)}"
    yield f"  the answer shown first is preferred in  {_shown(found.first_preferred)}"
    yield f"  asked in both orders, it says something else in  {_shown(found.inconsistent)}"
    yield f"  people say the same of  {_shown(found.agreement.same)}{_kappa(found)}"
    spent = found.spent_today
    yield (
        f"  today (UTC)  {spent['calls']} calls, {spent['input_tokens']} tokens in, {spent['output_tokens']} tokens out"
    )


def _kappa(found: Judging) -> str:
    return "" if found.agreement.kappa is None else f"; Cohen's kappa {found.agreement.kappa:.2f}"


def _shown(share: Share) -> str:
    if share.share is None or share.lower is None or share.upper is None:
        return "none: cannot tell"
    return f"{share.share:.1%} ({share.lower:.1%} to {share.upper:.1%}; {share.count} of {share.of})"
