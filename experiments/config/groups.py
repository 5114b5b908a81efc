"""A/B/n: `treatments = [...]` in one table becomes an experiment for each of them, among which the users are divided.

Each member is a whole experiment, with its own route, phase, evidence and salt. It sees only the units of its cohort,
and its control group is among them. `expand` makes the members; `in_tables` leads from one back to the file.

Each of k treatments is a chance of a false promotion, so each has a k-th of `alpha_promote`: the chance that any
harmful one is promoted is then what the file says. A rollback has no such discount, since that would be less safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from experiments.config.lines import Location
from experiments.config.records import Policy

Table = dict[str, Any]
KEY = "treatments"


@dataclass(frozen=True, slots=True)
class Member:
    """One of a table's treatments."""

    group: str
    """Name of the table in the file."""
    place: int
    """Where in the list it stands."""
    treatment: str
    index: int
    """Number of its cohort, in the order of the alphabet: another order in the file moves nobody."""
    count: int


def is_group(table: Any) -> bool:
    """Whether a table of an experiment becomes several; with `treatment` beside `treatments`, the former counts.

    >>> is_group({"treatments": ["int8", "int4"]}), is_group({"treatments": []}), is_group({"treatment": "int8"})
    (True, False, False)
    """
    return isinstance(table, dict) and "treatment" not in table and bool(_sound(table.get(KEY)))


def members(tables: Any) -> dict[str, Member]:
    """Return the experiments that the groups among the tables become, by name.

    A name that a table of the file has, or that an earlier group makes, is left out: a rule refuses it.

    >>> members({"support": {"treatments": ["int8", "int4"]}})["support.int8"]
    Member(group='support', place=0, treatment='int8', index=1, count=2)
    """
    found: dict[str, Member] = {}
    for name, member in _all(tables):
        if name not in tables:
            found.setdefault(name, member)
    return found


def clashes(tables: Any) -> Iterator[tuple[Member, str]]:
    """Yield the members for which there is no name left, with that name."""
    kept = members(tables)
    for name, member in _all(tables):
        if kept.get(name) != member:
            yield member, name


def expand(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the tables with an experiment in place of each treatment of a group; others stay as they are."""
    made = members(tables)
    found: dict[str, Any] = {}
    for name, table in tables.items():
        if not is_group(table):
            found[name] = _single(table) if isinstance(table, dict) else table
        found |= {member: _member(table, made[member]) for member in made if made[member].group == name}
    return found


def in_tables(location: Location, raw: Any) -> Location:
    """Translate a location at a member to that at its table: the treatment is an item of the list there.

    >>> document = {"experiments": {"support": {"treatments": ["int8", "int4"]}}}
    >>> in_tables(("experiments", "support.int4", "treatment"), document)
    ('experiments', 'support', 'treatments', 1)
    """
    match location:
        case ("experiments", str(name), *rest):
            tables = raw.get("experiments") if isinstance(raw, dict) else None
        case _:
            return location
    table = tables.get(name) if isinstance(tables, dict) else None
    if isinstance(table, dict):
        wants_one = rest[:1] == ["treatment"] and KEY in table and "treatment" not in table
        place: Location = (0,) if isinstance(table.get(KEY), list) else ()
        return ("experiments", name, KEY, *place) if wants_one else location
    member = members(tables).get(name)
    if member is None:
        return location
    if rest[:1] == ["treatment"]:
        return ("experiments", member.group, KEY, member.place)
    return ("experiments", member.group, *rest)


def _all(tables: Any) -> Iterator[tuple[str, Member]]:
    for group, table in tables.items() if isinstance(tables, dict) else ():
        if is_group(table):
            sound = _sound(table[KEY])
            ordered = sorted(sound)
            for treatment, place in sound.items():
                yield f"{group}.{treatment}", Member(group, place, treatment, ordered.index(treatment), len(sound))


def _sound(treatments: Any) -> dict[str, int]:
    """Return each treatment with its first place; whatever is no text is left out."""
    found: dict[str, int] = {}
    for place, treatment in enumerate(treatments if isinstance(treatments, list) else ()):
        if isinstance(treatment, str):
            found.setdefault(treatment, place)
    return found


def _single(table: Table) -> Table:
    """Return a table that stays one experiment; without a single sound treatment, rules pass over the empty one."""
    stand_in = {"treatment": ""} if KEY in table else {}
    return stand_in | _others(table)


def _member(table: Table, member: Member) -> Table:
    given = table.get("salt", member.group)
    known = isinstance(given, str)
    return _with_shared_alpha(_others(table), member.count) | {
        "treatment": member.treatment,
        "salt": f"{given}.{member.treatment}" if known else given,
        "cohort": _cohort(member, given if known else member.group),
    }


def _others(table: Table) -> Table:
    return {key: value for key, value in table.items() if key not in {KEY, "cohort"}}


def _with_shared_alpha(table: Table, count: int) -> Table:
    """Divide `alpha_promote` by the number of treatments; what is no probability is left for the records to refuse."""
    policy = table.get("policy", {})
    if not isinstance(policy, dict):
        return table
    alpha = policy.get("alpha_promote", Policy.model_fields["alpha_promote"].default)
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < 1:
        return table
    return table | {"policy": policy | {"alpha_promote": alpha / count}}


def _cohort(member: Member, salt: str) -> Table:
    return {"group": member.group, "index": member.index, "count": member.count, "salt": salt}
