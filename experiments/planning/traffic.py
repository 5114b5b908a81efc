"""What is expected of traffic and models before an experiment starts: the input of a plan. Pure.

Nothing has a default that could pass for knowledge: what is not given stays unknown, and the plan says what it misses.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from experiments.config.record import Positive, Record
from experiments.config.records import Experiment

Probability = Annotated[float, Field(ge=0, le=1)]
_ROUNDING = 1e-9


class ExpectationsError(ValueError):
    """The expectations cannot be read; says why, a line for each reason."""


class Expectations(Record):
    """The expected traffic of one experiment, and what its metrics are expected to be."""

    requests_per_day: Positive
    """That the experiment matches."""
    units_per_day: Positive
    """Distinct units (users, conversations) of one day; where a request is its own unit, `requests_per_day` counts."""
    returning: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a day's units that were there on an earlier day: they have been counted already."""
    shares: dict[str, dict[str, Probability]] = Field(default={})
    """Slice attribute -> value -> share of the units."""
    discordance: dict[str, Probability] = Field(default={})
    """Paired metric -> share of pairs of which only one answer is right; a loss comes on top of it."""
    error_rate: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of control's requests that fail."""
    feedback_rates: dict[str, Probability] = Field(default={})
    """Feedback metric -> share of control's units that report something bad."""
    gains: dict[str, Annotated[float, Field(lt=1)]] = Field(default={})
    """Goal -> how much less is expected of the treatment: 0.4 is 40 % less."""
    spreads: dict[str, Annotated[float, Field(ge=0)]] = Field(default={})
    """Goal -> standard deviation of log(treatment / control) among units."""
    input_tokens: Positive | None = None
    """Of a request, on average."""
    output_tokens: Positive | None = None
    """Of an answer, on average."""
    latency_ms: Positive | None = None
    """Of an answer of control's, on average; for prices by the hour."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.units_per_day > self.requests_per_day:
            raise ValueError("units_per_day is above requests_per_day: every unit sends a request at least")
        for attribute, shares in self.shares.items():
            if sum(shares.values()) > 1 + _ROUNDING:
                raise ValueError(f"the shares of {attribute} add up to more than 1")
        return self

    def discordance_of(self, metric: str) -> float | None:
        """Return the share of discordant pairs; of `errors`, what the error rate makes of two independent backends."""
        if metric == "errors" and metric not in self.discordance and self.error_rate is not None:
            return 2 * self.error_rate * (1 - self.error_rate)
        return self.discordance.get(metric)

    def divided(self, count: int) -> Expectations:
        """Return what one of several experiments sees that divide the units among them.

        Args:
            count: How many there are.
        """
        parts = {"requests_per_day": self.requests_per_day / count, "units_per_day": self.units_per_day / count}
        return self.model_copy(update=parts)


@dataclass(frozen=True, slots=True)
class Flow:
    """How fast observations come in: one of a unit, however many requests it sends."""

    units_per_day: float
    """Units that were not there before."""
    requests_per_unit: float
    """On a day."""
    paired_units_per_day: float
    """Those of which at least one request is mirrored."""

    @classmethod
    def of(cls, experiment: Experiment, expected: Expectations) -> Flow:
        """Return the flow of an experiment.

        Every unit is taken to send equally many requests. Where some send many and most send few, fewer units have a
        mirrored request than this says.
        """
        by_request = experiment.unit.kind == "request"
        units = expected.requests_per_day if by_request else expected.units_per_day * (1 - expected.returning)
        each = 1.0 if by_request else expected.requests_per_day / expected.units_per_day
        missed: float = (1 - experiment.mirror_percent / 100) ** each
        return cls(units, each, units * (1 - missed))


def parse_expectations(text: str) -> Expectations:
    r"""Read expectations from TOML.

    Raises:
        ExpectationsError: It is no TOML, a key is unknown or missing, or a number is out of range.

    >>> parse_expectations("requests_per_day = 9000.0\nunits_per_day = 3000.0").units_per_day
    3000.0
    """
    try:
        return Expectations.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ExpectationsError(f"no TOML: {error}") from error
    except ValidationError as error:
        lines = [
            ": ".join(filter(None, [".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")]))
            for problem in error.errors()
        ]
        raise ExpectationsError("\n".join(lines)) from error
