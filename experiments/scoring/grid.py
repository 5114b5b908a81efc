"""The carbon intensity of a country's grid, from CodeCarbon's offline data (extra `carbon`).

Only its data file is read, CodeCarbon itself is never imported: its trackers measure the machine that they run on, and
that is not the model server.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

_DATA = Path("data", "private_infra", "global_energy_mix.json")
_MISSING = "needs the grid data of CodeCarbon: pip install 'touchstone-router[carbon]'"


class GridError(ValueError):
    """There is no figure for a country; says why, and which code may have been meant.

    Args:
        rule: What is wrong, said after the key and its value.
        known: All codes that there are figures for; empty if the data itself is missing.
    """

    def __init__(self, rule: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(rule)
        self.rule = rule
        self.known = known


class Intensity(NamedTuple):
    """How much CO2 equivalent a kWh of a grid stands for, on the average of a year."""

    g_per_kwh: float
    """Grams of CO2 equivalent per kWh."""
    source: str
    """Where the figure is from, and for which year."""


def grid_intensity(country: str) -> Intensity:
    """Return the average intensity of a country's grid.

    Args:
        country: ISO 3166-1 alpha-3 code, for example "IND".

    Raises:
        GridError: The extra `carbon` is not installed, or there is no figure for this code.
    """
    countries = _countries()
    found = countries.get(country)
    if found is None or "carbon_intensity" not in found:
        rule = 'is no country that there is a figure for; give its ISO 3166-1 alpha-3 code, for example "IND"'
        raise GridError(rule, tuple(sorted(countries)))
    source = f"CodeCarbon {version('codecarbon')} (Our World in Data), {found['country_name']}, {found['year']}"
    return Intensity(float(found["carbon_intensity"]), source)


def is_installed() -> bool:
    """Whether CodeCarbon's data is there."""
    return _folder() is not None


@cache
def _countries() -> dict[str, dict[str, Any]]:
    return read_mix(_folder())


def _folder() -> Path | None:
    spec = find_spec("codecarbon")  # finds it, and imports nothing
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def read_mix(folder: Path | None) -> dict[str, dict[str, Any]]:
    """Return country code -> its energy mix.

    Args:
        folder: Of the package; None if it is not installed.

    Raises:
        GridError: It is not installed, or has no such data.
    """
    if folder is None:
        raise GridError(_MISSING)
    try:
        return msgspec.json.decode((folder / _DATA).read_bytes(), type=dict[str, dict[str, Any]])
    except (OSError, msgspec.DecodeError) as error:
        raise GridError(f"{_MISSING}; the one that is installed has none") from error
