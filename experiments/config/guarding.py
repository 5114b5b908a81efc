"""The records of what guards users beside the statistics: `[experiments.NAME.gate]` and `[experiments.NAME.trips]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from experiments.config.record import Count, Percent, Positive, Record, Share


class Gate(Record):
    """`[experiments.NAME.gate]`: what must hold before the first user gets the treatment."""

    golden: bool = True
    """Run the golden set through both variants first, if the experiment has one: it must not fail."""
    on_cannot_tell: Literal["hold", "pass"] = "hold"
    """What follows when the golden set is too small to tell, or control itself does badly on it."""
    alpha: Share = 0.05
    """Chance of failing a treatment that is equally good, over all runs of its build."""
    margin: Share = 0.10
    """The golden set passes when a loss of this share of its items is ruled out."""
    every_hours: Positive | None = 24.0
    """The golden set is run again so often, while the experiment waits or runs."""
    healthy: bool = True
    """Every endpoint of both backends must answer first."""
    aa_units: Annotated[int, Field(ge=0)] = 0
    """First an A/A run over so many analysed units: half of the users are assigned to the treatment, control answers
    everyone, and nothing may be found. None unless given."""


class Trips(Record):
    """`[experiments.NAME.trips]`: hard trips, which wait for no statistics: the treatment is plainly broken."""

    window_s: Positive = 60.0
    """What is looked at: the treatment's requests of so many seconds, mirrored ones too."""
    min_requests: Count = 20
    """Fewer requests in the window trip nothing."""
    failed_percent: Percent = 50.0
    """Trips when so many of them failed, or were not sent because its circuit was open."""
    empty_percent: Percent = 50.0
    """Trips when so many of its answers were empty, and of control's fewer than half as many."""
    action: Literal["pause", "rollback", "off"] = "pause"
    """What follows. Either way control serves everyone; a pause can be resumed."""


Holdback = Annotated[float, Field(ge=0, lt=50)]
