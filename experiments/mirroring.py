"""Which requests are mirrored. Pure, so that the ledger knows afterwards with which chance each one was drawn.

The draw is read off the exchange's id, whose end is random: nobody has to record it, and a replay finds the same one.
`mirror_slices` raises the chance of single slices; the draw stays the same, so what is mirrored at a smaller percentage
is mirrored at a larger one too.
"""

from __future__ import annotations

from collections.abc import Mapping

from experiments.config.records import PROMPT_SLICES, Experiment

_DIGITS = 8
_STEPS: int = 16**_DIGITS


def drawn(exchange_id: str) -> float:
    """Return an exchange's draw, from 0 to below 100: it is mirrored where that is below the percentage that holds.

    Args:
        exchange_id: A UUID of version 7, whose last 32 bits are random.

    >>> drawn("01890a5d-ac96-774b-bcce-b30240000000"), drawn("01890a5d-ac96-774b-bcce-b302ffffffff") < 100
    (25.0, True)
    """
    return int(exchange_id[-_DIGITS:], 16) * 100 / _STEPS


def first_draw_at(percent: float) -> str:
    """Return the end of the first id whose draw is not below a percentage: ends of ids sort as their draws do.

    >>> first_draw_at(25), first_draw_at(0)
    ('40000000', '00000000')
    """
    return f"{min(_STEPS - 1, round(percent / 100 * _STEPS)):0{_DIGITS}x}"


def percent_of(experiment: Experiment, route_mirror_percent: float, slices: Mapping[str, str]) -> float:
    """Return how many percent of the requests with these slices are mirrored.

    Args:
        experiment: Its `mirror_slices` say which slices are mirrored more.
        route_mirror_percent: What the route mirrors of all requests; where that is nothing, no slice is mirrored.
        slices: Attribute -> value, of the request.
    """
    if route_mirror_percent <= 0 or not experiment.mirror_slices:
        return route_mirror_percent
    found = route_mirror_percent
    for slice_, percent in experiment.mirror_slices.items():
        attribute, _, value = slice_.partition("=")
        if percent > found and slices.get(attribute) == value:
            found = percent
    return found


def needs_prompt(experiment: Experiment) -> tuple[str, ...]:
    """Return the attributes of `mirror_slices` that only the prompt's text tells."""
    attributes = dict.fromkeys(slice_.partition("=")[0] for slice_ in experiment.mirror_slices)
    from_prompt = {slice_.attribute for slice_ in experiment.slices if slice_.source.kind == "prompt"}
    return tuple(name for name in attributes if name in from_prompt and name in PROMPT_SLICES)
