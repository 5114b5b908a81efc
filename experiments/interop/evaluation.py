"""A unit's variant as the value of a flag: what OpenFeature's SDK and OFREP ask for. Pure.

A flag is a table of the configuration, `[experiments.NAME]`, and the targeting key is the unit's raw id, exactly as
requests carry it. The answer is the proxy's own, by the same hash and the same routes. A key names the form of the
value:

    support             text, the variant: "control" or "treatment"
    support:treated     true if the treatment answers this unit
    support:backend     text, the backend that answers
    support:details     a table with all of it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from experiments.assignment import BUCKETS, assign, cohort, unit_of
from experiments.config.problems import nearest
from experiments.config.records import Experiment
from experiments.model import TREATMENT, Phase, Route

FORMS = ("variant", "treated", "backend", "details")
"""What a key may ask for after its colon; the first unless it has one."""
_OFF = frozenset({Phase.DRAFT, Phase.GATED, Phase.PAUSED})
FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
INVALID_CONTEXT = "INVALID_CONTEXT"


class FlagError(Exception):
    """A flag has no value for this context; `code` is OpenFeature's, and the message says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Evaluation(NamedTuple):
    """What becomes of a unit right now."""

    experiment: str
    """Of several treatments in one table, the experiment of this unit's own treatment."""
    variant: str
    """`control` or `treatment`, as the header `x-touchstone-variant` has it."""
    backend: str
    """Which backend answers, as long as none fails."""
    treated: bool
    """Whether that is the treatment's: in an A/A run the variant may be `treatment`, and control answers."""
    reason: str
    """OpenFeature's: SPLIT while units are divided, DISABLED while the experiment waits, STATIC if all get the same."""
    phase: str
    stage: int
    epoch: int
    propensity: float
    """Probability with which this variant is assigned."""

    def value(self, form: str = FORMS[0]) -> Any:
        """Return the value in one of `FORMS`."""
        return self.details() if form == "details" else getattr(self, form)

    def metadata(self) -> dict[str, str | int | float]:
        """Return what is told beside the value."""
        names = ("experiment", "backend", "phase", "stage", "epoch", "propensity")
        return {name: getattr(self, name) for name in names}

    def details(self) -> dict[str, Any]:
        """Return everything that is known but the reason."""
        return {"variant": self.variant, "treated": self.treated, **self.metadata()}


class Flags:
    """All experiments with their routes, at one moment.

    Args:
        experiments: Of the configuration.
        routes: Rows of the store; an experiment without one is served by control.
    """

    def __init__(self, experiments: Mapping[str, Experiment], routes: Iterable[Route]) -> None:
        rows = {route.experiment: route for route in routes}
        self._members: dict[str, list[tuple[Experiment, Route]]] = {}
        """Name of a table -> its experiments, in the order of their cohorts."""
        self._tables: dict[str, str] = {}
        for name, experiment in experiments.items():
            table = experiment.cohort.group if experiment.cohort else name
            route = rows.get(name) or Route(experiment=name, salt=experiment.salt)
            self._members.setdefault(table, []).append((experiment, route))
            self._tables[name] = table
        for members in self._members.values():
            members.sort(key=lambda member: member[0].cohort.index if member[0].cohort else 0)

    def __repr__(self) -> str:
        return f"<Flags {', '.join(self._members) or 'none'}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the flags that have values for units."""
        return tuple(name for name, members in self._members.items() if members[0][0].unit.kind != "request")

    def evaluate(self, name: str, unit_id: str | None) -> Evaluation:
        """Return what becomes of a unit.

        Args:
            name: Of the table in the configuration, without a form.
            unit_id: The unit's id, as requests carry it.

        Raises:
            FlagError: There is no such flag, no unit, or no variant that a unit keeps.
        """
        members = self._members.get(name)
        if members is None:
            raise FlagError(FLAG_NOT_FOUND, self._unknown(name))
        if members[0][0].unit.kind == "request":
            raise FlagError(INVALID_CONTEXT, f'"{name}" draws every request anew: no unit keeps a variant')
        if not unit_id:
            raise FlagError(TARGETING_KEY_MISSING, f'the targeting key of "{name}" is the unit\'s id')
        try:
            raw = unit_id.encode()
        except UnicodeEncodeError:
            raise FlagError(INVALID_CONTEXT, "the targeting key must be a text in Unicode") from None
        own = members[0][0].cohort
        return _evaluated(*members[cohort(own.salt, raw, own.count) if own else 0], raw)

    def _unknown(self, name: str) -> str:
        if name in self._tables:
            return f'"{name}" is one of several treatments: ask for "{self._tables[name]}"'
        meant = nearest(name, self._members)
        return f'no experiment is named "{name}"' + (f' (did you mean "{meant}"?)' if meant else "")


def form_of(key: str) -> tuple[str, str]:
    """Return the flag and the form that a key names.

    Raises:
        FlagError: There is no such form.

    >>> form_of("support"), form_of("support:backend")
    (('support', 'variant'), ('support', 'backend'))
    """
    name, colon, form = key.partition(":")
    if colon and form not in FORMS:
        raise FlagError(FLAG_NOT_FOUND, f'"{form}" is no form of a flag: {", ".join(FORMS)}')
    return name, form or FORMS[0]


def _evaluated(experiment: Experiment, route: Route, unit_id: bytes) -> Evaluation:
    variant, propensity = assign(unit_of(route.salt, unit_id).bucket, route.split_basis_points)
    # As in the proxy: while an experiment waits at its gate, control answers everyone.
    treated = variant == TREATMENT and route.phase is not Phase.GATED
    return Evaluation(
        experiment=experiment.name,
        variant=variant,
        backend=experiment.treatment if treated else experiment.control,
        treated=treated,
        reason=_reason(route),
        phase=route.phase.value,
        stage=route.stage,
        epoch=route.epoch,
        propensity=propensity,
    )


def _reason(route: Route) -> str:
    if route.phase in _OFF:
        return "DISABLED"
    if 0 < route.split_basis_points < BUCKETS:
        return "SPLIT"
    return "STATIC"


__all__ = ["FORMS", "Evaluation", "FlagError", "Flags", "form_of"]
