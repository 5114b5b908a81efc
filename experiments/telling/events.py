"""What of an experiment's life people are told: transitions and looks in, events out. Pure.

Everything is told at its edge: a transition once, an alarm when it begins. A look that says the same as the one before
it says nothing new.
"""

from __future__ import annotations

from experiments.evidence import Action, Code, Decision, Reason
from experiments.explain import sentence
from experiments.model import Phase
from experiments.stored import Look, Transition
from experiments.telling.escalation import Event, Severity

_BY_ITSELF = frozenset({"controller", "config", "gate"})
"""Actors that are nobody: anybody else is a person."""
_PHASE_SEVERITY = {
    Phase.ROLLED_BACK: Severity.CRITICAL,
    Phase.PAUSED: Severity.CRITICAL,
    Phase.STOPPED: Severity.WARNING,
    Phase.PROMOTED: Severity.INFO,
    Phase.RUNNING: Severity.INFO,
}
_PHASE_WORDS = {
    Phase.DRAFT: "is a draft again",
    Phase.GATED: "waits for its golden set and its backends",
    Phase.RUNNING: "is running",
    Phase.PAUSED: "is paused, control serves everyone",
    Phase.PROMOTED: "is promoted, the treatment serves everyone",
    Phase.ROLLED_BACK: "is rolled back, control serves everyone",
    Phase.STOPPED: "is stopped, control serves everyone",
}
ALARMS = frozenset(
    {
        Code.ANY_LOSS,
        Code.SPLIT_MISMATCH,
        Code.INCOMPLETE,
        Code.SCORING_INCOMPLETE,
        Code.RECORDING_SHED,
        Code.ASSUMPTIONS_VIOLATED,
    }
)
"""Reasons that hold an experiment up and that somebody should look into, though nothing is rolled back for them."""


def event_of(transition: Transition) -> Event:
    """Tell a transition. Those that a person made are told as news, whatever they do: somebody knows already."""
    by_hand = transition.actor not in _BY_ITSELF
    severity = Severity.INFO if by_hand else _severity(transition)
    share = f"{transition.split_basis_points / 100:g} %"
    words = _PHASE_WORDS[transition.to_phase]
    if transition.to_phase is Phase.GATED and transition.split_basis_points:
        words = "begins with an A/A run: control answers everyone"
    elif _is_unclean(transition):
        words = "is held up: its A/A run is not clean"
    if transition.to_phase is Phase.RUNNING:
        words = f"{words} at stage {transition.to_stage + 1}: the treatment serves {share}"
    return Event(
        key=f"{transition.experiment}/{transition.epoch}/{transition.to_phase}/{transition.to_stage}",
        severity=severity,
        at=transition.at,
        experiment=transition.experiment,
        title=f"{transition.experiment} {words}",
        text=f"By {transition.actor}: {transition.reason}",
    )


def _severity(transition: Transition) -> Severity:
    if _is_unclean(transition):
        return Severity.WARNING
    return _PHASE_SEVERITY.get(transition.to_phase, Severity.INFO)


def _is_unclean(transition: Transition) -> bool:
    """Whether a look has found something in an A/A run: nothing else moves what is at its gate."""
    gated = transition.to_phase is Phase.GATED and transition.look is not None
    return gated and transition.split_basis_points == 0


def alarms(before: Decision | None, look: Look) -> list[Event]:
    """Tell the alarms of a look that the decision before it did not have.

    Args:
        before: Of the look before, in the same epoch; None if this is the first.
        look: The newest one.
    """
    old = set() if before is None else {_subject(reason) for reason in before.reasons}
    new = [reason for reason in look.decision.reasons if reason.code in ALARMS and _subject(reason) not in old]
    found = [_alarm(look, reason) for reason in new]
    if look.decision.action is Action.PROMOTE and (before is None or before.action is not Action.PROMOTE):
        found.append(_ready(look))
    return found


def channel_down(channel: str, at: float) -> Event:
    """Tell, by the other channels, that one takes nothing any more.

    Args:
        channel: Its name.
        at: In seconds since the epoch (UTC).
    """
    return Event(
        key=f"channel/{channel}",
        severity=Severity.WARNING,
        at=at,
        title=f"the channel {channel} takes no notifications",
        text="They were tried for an hour and given up; what is critical and not acknowledged goes on being tried.",
    )


def _subject(reason: Reason) -> tuple[Code, str, str]:
    return reason.code, reason.metric, reason.slice


def _alarm(look: Look, reason: Reason) -> Event:
    about = "/".join(part for part in (reason.code, reason.metric, reason.slice) if part)
    return Event(
        key=f"{look.experiment}/{look.epoch}/{about}",
        severity=Severity.WARNING,
        at=look.at,
        experiment=look.experiment,
        title=f"{look.experiment} is held up",
        text=sentence(reason),
    )


def _ready(look: Look) -> Event:
    """Every condition of a promotion holds: with `on_success = "notify"` this is all that happens."""
    return Event(
        key=f"{look.experiment}/{look.epoch}/ready",
        severity=Severity.INFO,
        at=look.at,
        experiment=look.experiment,
        title=f"{look.experiment} fulfils every condition of a promotion",
        text="; ".join(sentence(reason) for reason in look.decision.reasons),
    )
