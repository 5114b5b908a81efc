"""What all forms of a report write alike. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from experiments.evidence import SplitEvidence
from experiments.stored import Transition
from router.pairs_view import safe
from router.reporting.content import ReplayedEpoch


class SplitRow(NamedTuple):
    """The units of one stage, as texts."""

    name: str
    configured: str
    control: str
    treatment: str
    share: str
    alarm: str


def readable(text: str) -> str:
    r"""Write a text of somebody's so that no reader and no terminal is led astray: unseen signs are shown.

    >>> readable("a\x1b[31mb\u202e")
    'a\\x1b[31mb\\u202e'
    """
    return safe(text).plain


def moment(at: float) -> str:
    """Write a time for people, UTC.

    >>> moment(1_700_000_000.0)
    '2023-11-14 22:13:20'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def change(transition: Transition) -> str:
    """Say what a transition did: phases, or the stage where the phase stayed."""
    split = f"{transition.split_basis_points / 100:g} % with the treatment"
    before, after = (phase.value.replace("_", " ") for phase in (transition.from_phase, transition.to_phase))
    return f"{after}, {split}" if before == after else f"{before} → {after}, {split}"


def replayed(found: ReplayedEpoch) -> str:
    """Say how a replay came out.

    >>> replayed(ReplayedEpoch(1, 56, 56)), replayed(ReplayedEpoch(2, 8, 7))
    ('epoch 1: 56 of 56 looks identical', 'epoch 2: 7 of 8 looks identical, 1 DIFFERENT')
    """
    different = found.looks - found.same
    text = f"epoch {found.number}: {found.same:,} of {found.looks:,} looks identical"
    return f"{text}, {different:,} DIFFERENT" if different else text


def count_or_dash(number: int | None) -> str:
    """Write a count, or a dash where there is none.

    >>> count_or_dash(1234), count_or_dash(None)
    ('1,234', '-')
    """
    return "-" if number is None else f"{number:,}"


def split_rows(splits: Sequence[SplitEvidence]) -> Iterator[SplitRow]:
    """Yield a row for each stage of each check of the split."""
    for found in splits:
        for basis_points, control, treatment in found.stages:
            both = control + treatment
            yield SplitRow(
                found.name,
                f"{basis_points / 100:g} %",
                f"{control:,}",
                f"{treatment:,}",
                f"{100 * treatment / both:.1f} %" if both else "-",
                "ALARM" if found.alarm else "no",
            )
