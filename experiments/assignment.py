"""Sticky assignment: (salt, unit) -> bucket -> variant and propensity. Pure.

The bucket is an integer 0..9999 (a basis point), so that shares are exact and a rising split only ever moves units
from control to treatment. The hash is keyed BLAKE2b: uniform, fast, and with a salt per experiment, so that two
experiments assign independently (sharing a salt would correlate them).
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from experiments.model import CONTROL, TREATMENT

BUCKETS = 10_000


class Unit(NamedTuple):
    """A randomised unit as it is stored: a keyed hash in place of the user's own id, and its bucket."""

    key: str
    """32 hexadecimal digits."""
    bucket: int
    """Basis point 0..9999."""


class Assignment(NamedTuple):
    """Which variant a unit gets, and with which probability it got that one."""

    variant: str
    propensity: float


# Users come back, and a hash with a key costs more than the look into a table.
@lru_cache(maxsize=16_384)
def unit_of(salt: str, unit_id: bytes) -> Unit:
    """Hash a unit's id with the experiment's salt.

    Args:
        salt: The experiment's salt; at most 64 bytes of it count, which BLAKE2b takes as its key.
        unit_id: The raw id, for example the value of `x-user-id`.

    >>> unit_of("support-int4", b"user-1").bucket
    1661
    """
    digest = blake2b(unit_id, digest_size=24, key=salt.encode()[:64]).digest()
    return Unit(digest[8:].hex(), int.from_bytes(digest[:8]) % BUCKETS)


def cohort(salt: str, unit_id: bytes, count: int) -> int:
    """Say which of several experiments a unit belongs to, if they divide the units among them.

    BLAKE2b's `person` keeps this apart from `unit_of`: even with the same salt, a unit's cohort says nothing of its
    bucket.

    Args:
        salt: Of the division, the same for all of them; at most 64 bytes of it count.
        unit_id: The raw id.
        count: How many there are.

    Returns:
        An index from 0 to `count` - 1.

    >>> [cohort("support", user, 3) for user in (b"user-1", b"user-2", b"user-3")]
    [1, 2, 0]
    """
    digest = blake2b(unit_id, digest_size=8, key=salt.encode()[:64], person=b"cohort").digest()
    return int.from_bytes(digest) % count


def assign(bucket: int, split_basis_points: int) -> Assignment:
    """Assign a bucket: the first `split_basis_points` of the 10,000 buckets are the treatment's.

    >>> assign(999, 1000)
    Assignment(variant='treatment', propensity=0.1)
    >>> assign(1000, 1000)
    Assignment(variant='control', propensity=0.9)
    """
    if bucket < split_basis_points:
        return Assignment(TREATMENT, split_basis_points / BUCKETS)
    return Assignment(CONTROL, 1 - split_basis_points / BUCKETS)
