"""CodeCarbon's offline tracker around a block: energy of this machine, with the method that it could use. No network.

What CodeCarbon can read decides what its figure is: with RAPL the processor's own counters, without them the
processor's design power (TDP) times its load. Memory is always a model of its own (watts by size), not a measurement.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from examples.support_model.errors import SupportModelError, optional
from experiments.scoring.grid import GridError, grid_intensity

INSTALL = "pip install 'touchstone-router[carbon]'"
_J_PER_KWH = 3.6e6
_COUNTED = frozenset({"intel_rapl", "intel_power_gadget"})
"""CodeCarbon's modes in which the processor counts its energy itself."""


class Energy(msgspec.Struct, kw_only=True):
    """What a block took; filled in when the block ends."""

    duration_s: float = 0.0
    processor_j: float = 0.0
    """Of the whole machine: whatever else ran is in it."""
    memory_j: float = 0.0
    gpu_j: float = 0.0
    co2e_g: float = 0.0
    server_cpu_s: float = 0.0
    """Processor time of the processes that this one started, by the kernel's own account: nothing else is in it."""
    watts: float = 0.0
    """Design power of the processor, as CodeCarbon takes it; 0 if the processor counts itself."""
    method: str = ""

    @property
    def energy_j(self) -> float:
        """All of it, in joule."""
        return self.processor_j + self.memory_j + self.gpu_j


def check(country: str) -> None:
    """Say what is missing before anything is served.

    Raises:
        SupportModelError: CodeCarbon, or its figure for the country.
    """
    optional("codecarbon", INSTALL)
    try:
        grid_intensity(country)
    except GridError as error:
        raise SupportModelError(f"{country!r} {error.rule}") from error


@contextmanager
def metered(country: str, every_s: float = 1.0) -> Iterator[Energy]:
    """Meter the block.

    Args:
        country: ISO 3166-1 alpha-3 code of the grid: the yearly average of CodeCarbon's own data file.
        every_s: How often power is read, in seconds.

    Yields:
        What is filled in at the end of the block.

    Raises:
        SupportModelError: CodeCarbon is missing.
    """
    tracker = _tracker(country, every_s)
    found = Energy()
    before = _cpu_s()
    tracker.start()
    try:
        yield found
    finally:
        tracker.stop()
    data = tracker.final_emissions_data
    found.server_cpu_s = _cpu_s() - before
    found.duration_s = data.duration
    found.processor_j, found.memory_j, found.gpu_j = (
        float(kwh) * _J_PER_KWH for kwh in (data.cpu_energy, data.ram_energy, data.gpu_energy)
    )
    found.co2e_g = data.emissions * 1000
    found.watts, found.method = _method(tracker)


def _tracker(country: str, every_s: float) -> Any:
    codecarbon = optional("codecarbon", INSTALL)
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it speaks before it takes its own `log_level`
    return codecarbon.OfflineEmissionsTracker(
        country_iso_code=country,
        measure_power_secs=every_s,
        output_methods=[],  # no file, no API
        api_call_interval=-1,
        electricitymaps_api_token=None,  # a token in the user's own settings would have it ask a server
        tracking_mode="machine",  # the servers are processes of their own
        allow_multiple_runs=True,
        log_level="critical",
    )


def _method(tracker: Any) -> tuple[float, str]:
    """Return the processor's design power, and in words how its energy was found."""
    for part in tracker._hardware:  # noqa: SLF001  # it has no public name for this
        mode = getattr(part, "_mode", None)
        if mode in _COUNTED:
            return 0.0, "counted by the processor (RAPL); memory is a model"
        if mode is not None:
            watts = float(getattr(part, "_tdp", 0.0))
            guessed = ", guessed by the number of cores" if getattr(part, "_is_generic_tdp", False) else ""
            return watts, f"estimate (TDP {watts:g} W{guessed}, times load) without RAPL; memory is a model"
    return 0.0, "the processor is not in it: CodeCarbon found none"


def _cpu_s() -> float:
    """Return the processor time of the processes below this one, in seconds."""
    psutil = importlib.import_module("psutil")  # CodeCarbon's own
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:  # it has ended meanwhile
            continue
        total += times.user + times.system
    return total
