"""Rules about the metrics of one experiment. Pure: records in, findings out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from experiments.config.asking_rules import check_asking
from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.problems import nearest
from experiments.config.records import Backend, Experiment, Guardrail, Monitor
from experiments.scorers import ScorerError, scorer_for
from experiments.scorers.catalogue import KEYS, names, needs_reference
from experiments.scorers.label import LABEL_RULE, is_extractor

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
NAME_RULE = "a name is up to 64 of a-z, 0-9, _ . -, and begins with a letter or digit"


def check_metrics(at: Location, experiment: Experiment, backends: Mapping[str, Backend]) -> Iterator[Finding]:
    """Yield everything that is wrong with an experiment's guardrails, goals and monitors."""
    yield from _names(at, experiment)
    for guardrail in experiment.guardrails:
        here = (*at, "guardrails", guardrail.name)
        yield from _errors(here, guardrail) if guardrail.name == "errors" else _guardrail(here, guardrail)
        yield from _margins(here, guardrail)
        yield from _scorer(here, guardrail, at, experiment)
        yield from check_asking(here, guardrail, experiment, backends)
    for monitor in experiment.monitors:
        here = (*at, "monitors", monitor.name)
        if monitor.scorer is None and not monitor.feedback:
            yield _needs_a_scorer(here)
        yield from _scorer(here, monitor, at, experiment)
        yield from check_asking(here, monitor, experiment, backends)


def _names(at: Location, experiment: Experiment) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for group in ("guardrails", "goals", "monitors"):
        for metric in getattr(experiment, group):
            if not NAME.fullmatch(metric.name):
                yield Finding((*at, group, metric.name), NAME_RULE)
            if metric.name in seen:
                rule = f"there is a metric of this name under {seen[metric.name]} already"
                yield Finding((*at, group, metric.name), rule)
            seen[metric.name] = group


def _needs_a_scorer(at: Location, suggestion: str = "") -> Finding:
    rule = "needs a scorer (exact, agreement, ...: docs/scorers.md has all) or feedback = true"
    return Finding(at, rule, suggestion, because=((*at, "scorer"), (*at, "feedback")))


def _errors(at: Location, guardrail: Guardrail) -> Iterator[Finding]:
    """`errors` is counted by the router itself; its limits have defaults."""
    for key in ("scorer", "feedback"):
        if getattr(guardrail, key):
            yield Finding((*at, key), "is not for errors: the router counts them itself")


def _guardrail(at: Location, guardrail: Guardrail) -> Iterator[Finding]:
    kinds = ((*at, "scorer"), (*at, "feedback"))
    if guardrail.scorer is None and not guardrail.feedback:
        yield _needs_a_scorer(at, nearest(guardrail.name, ["errors"]))
    if guardrail.scorer is not None and guardrail.margin is None:
        rule = "is missing: the loss that you agree to accept, 0.02 is 2 points"
        yield Finding((*at, "margin"), rule, because=kinds)
    if guardrail.feedback and guardrail.max_relative is None:
        rule = "is missing: the highest accepted ratio of bad feedback, for example 1.2"
        yield Finding((*at, "max_relative"), rule, because=kinds)
    if guardrail.max_relative is not None and not guardrail.feedback:
        yield Finding((*at, "max_relative"), "is for errors and feedback only; a scorer takes a margin", because=kinds)
    if guardrail.feedback and guardrail.margin is not None:
        yield Finding((*at, "margin"), "feedback is not paired: it takes max_relative, not a margin", because=kinds)


def _margins(at: Location, guardrail: Guardrail) -> Iterator[Finding]:
    margin, because = guardrail.margin, ((*at, "margin"),)
    for key in ("tolerance", "slice_margin"):
        if getattr(guardrail, key) is not None and margin is None:
            yield Finding((*at, key), "needs a margin beside it", because=because)
    if margin is None:
        return
    if guardrail.tolerance is not None and guardrail.tolerance > margin:
        yield Finding((*at, "tolerance"), f"must not be above the margin ({margin:g})", because=because)
    if guardrail.slice_margin is not None and guardrail.slice_margin < margin:
        yield Finding((*at, "slice_margin"), f"must not be below the margin ({margin:g})", because=because)


def _scorer(
    here: Location, metric: Guardrail | Monitor, experiment_at: Location, experiment: Experiment
) -> Iterator[Finding]:
    scorer = (*here, "scorer")
    if metric.scorer is not None and metric.feedback:
        yield Finding((*here, "feedback"), "a metric has a scorer or feedback, not both", because=(scorer,))
    if metric.label is not None and not is_extractor(metric.label):
        yield Finding((*here, "label"), LABEL_RULE)
        return
    if metric.scorer is None:
        yield from _without_scorer(here, metric)
        return
    try:
        needs_golden = needs_reference(metric.scorer)
        if needs_golden and experiment.golden is None:
            rule = f"needs references: name a golden set as `golden` in [experiments.{experiment.name}]"
            golden = ((*experiment_at, "golden"), (*experiment_at, "policy", "golden"))
            yield Finding(scorer, rule, because=golden)
        scorer_for(metric)
    except ScorerError as error:
        yield _refused(here, metric.scorer, error)


def _without_scorer(here: Location, metric: Guardrail | Monitor) -> Iterator[Finding]:
    for key in (*KEYS, "options"):
        if getattr(metric, key):
            yield Finding((*here, key), "is for a scorer, and this metric has none", because=((*here, "scorer"),))


def _refused(here: Location, name: str, error: ScorerError) -> Finding:
    """Say what a scorer refuses; a name that there is none of gets the one that was probably meant."""
    if error.key == "scorer":
        known = names()
        return Finding((*here, "scorer"), error.rule, "" if name in known else nearest(name, known))
    rule = LABEL_RULE if name == "label" and error.key == "label" else error.rule
    at = (error.key,) if error.key in {*KEYS, "options"} else ("options", error.key)
    return Finding((*here, *at), rule, because=((*here, "scorer"),))
