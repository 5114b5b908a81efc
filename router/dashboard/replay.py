"""The page of a replay: the looks of an epoch, recomputed from the stored rows while one waits.

It reads what was recorded, unlike every other page: that is its purpose. So it is asked for by a click, and an epoch
of more looks than a page can wait for is left to the command.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.evidence import Action
from experiments.explain import action_word, sentence
from experiments.replay import Replayed, replay
from experiments.retention.dropped import dropped
from experiments.showing.standing import Standing
from experiments.store import Store

MOST_LOOKS = 2_000


class ShownLook(NamedTuple):
    """A look that acted, or that came out otherwise."""

    number: int
    at: float
    stored: str
    recomputed: str
    is_same: bool
    reasons: list[str]


def replay_page(store: Store, standing: Standing) -> dict[str, Any]:
    """Recompute the newest epoch.

    Args:
        store: Where its rows are.
        standing: Of the experiment.
    """
    name = standing.experiment.name
    looks = standing.look.number if standing.look is not None else 0
    shown: dict[str, Any] = {"name": name, "looks": looks, "most": MOST_LOOKS, "same": 0, "told": []}
    shown |= {"epoch": 0, "gone": ""}
    if not looks or standing.epoch is None or looks > MOST_LOOKS:
        return shown
    if (gone := dropped(store.engine, name, standing.epoch.number)) is not None:
        return shown | {"epoch": standing.epoch.number, "gone": str(gone)}
    found = list(replay(store, standing.experiment, standing.epoch.number))
    told = [look for look in found if look.stored.decision.action is not Action.HOLD or not look.same]
    return shown | {
        "epoch": standing.epoch.number,
        "looks": len(found),
        "same": sum(look.same for look in found),
        "told": [_shown(look) for look in told],
    }


def _shown(look: Replayed) -> ShownLook:
    return ShownLook(
        number=look.stored.number,
        at=look.stored.at,
        stored=action_word(look.stored.decision.action),
        recomputed=action_word(look.decision.action),
        is_same=look.same,
        reasons=[sentence(reason) for reason in look.decision.reasons],
    )
