"""What each column of an export means, and in which unit it is; types come from the store's own tables.

A test holds that every column that is exported stands here, and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Meaning(NamedTuple):
    """Of one column."""

    text: str
    unit: str = ""
    """Empty where there is none: names, texts, flags."""


_TIME = "s since 1970-01-01 (UTC)"
_BASIS_POINTS = "basis points (1/10,000)"
_SEQ = Meaning("Grows in the order in which rows were stored; the row's key within its table.", "count")
_EXPERIMENT = Meaning("Name of the experiment.")
_EPOCH = Meaning("The stretch with one configuration; figures of two epochs are never pooled.", "count from 1")
_STAGE = Meaning("Stage of the ramp at that time.", "count from 0")
_SLICES = Meaning('Slice attribute -> value, for example {"language": "hi"}.')
_PAIR = Meaning("Id of the live exchange of the pair.")

EXCHANGE: Mapping[str, Meaning] = {
    "seq": _SEQ,
    "id": Meaning("UUID version 7; of a live exchange, the response header `x-touchstone-exchange`."),
    "at": Meaning("When the request arrived.", _TIME),
    "experiment": _EXPERIMENT,
    "epoch": _EPOCH,
    "stage": _STAGE,
    "unit": Meaning("Keyed hash of what was randomised (the user, say); never the user's own id."),
    "bucket": Meaning("Where the unit lies among all: the lowest are the treatment's.", _BASIS_POINTS),
    "propensity": Meaning("Probability with which the assigned variant was assigned.", "probability"),
    "assigned": Meaning("Variant that the unit was assigned to: `control` or `treatment`. Analyse by this one."),
    "served": Meaning("Variant that answered; differs from `assigned` after a fallback."),
    "role": Meaning("`live`: the user got the answer; `shadow`: a mirrored copy; `golden`: of the golden set."),
    "pair": Meaning("Id of the live exchange of the pair; empty if it was not mirrored."),
    "shadow_first": Meaning("Whether the mirrored request was sent before the live one (drawn at random)."),
    "fallback": Meaning("Why control answered in the place of the assigned variant; empty if it did not."),
    "backend": Meaning("Name of the backend that answered."),
    "endpoint": Meaning("URL of its endpoint that answered."),
    "protocol": Meaning("How the body was read, for example `openai`."),
    "method": Meaning("HTTP method."),
    "path": Meaning("Path of the request."),
    "status": Meaning("HTTP status; 0 if there was no response.", "HTTP status"),
    "error": Meaning("What went wrong (`timeout`, `connect`, ...); empty if nothing did."),
    "ttft_ms": Meaning("From sending to the first byte of the body; null if there was none.", "ms"),
    "latency_ms": Meaning("From sending to the last byte of the body; null if there was none.", "ms"),
    "bytes_in": Meaning("Size of the request's body.", "bytes"),
    "bytes_out": Meaning("Size of the response's body.", "bytes"),
    "stream": Meaning("Whether the answer came as a stream."),
    "slices": _SLICES,
    "prompt": Meaning("Text of the prompt, only with `--texts`; null if erased or never captured."),
    "answer": Meaning("Text of the answer, only with `--texts`; null if erased or never captured."),
    "finish_reason": Meaning("Why the model stopped, in its own word; null if it did not say."),
    "input_tokens": Meaning("Tokens of the prompt; null if unknown.", "tokens"),
    "output_tokens": Meaning("Tokens of the answer; null if unknown.", "tokens"),
    "tokens_estimated": Meaning("Whether the tokens were counted by us, as the backend reported none."),
    "truncated": Meaning("Whether a captured text was cut off at the capture limit."),
    "cached": Meaning("Whether the answer was repeated from the cache: its times say nothing of the backend."),
    "model": Meaning("The model that the answer names, else the one that was asked for; empty if neither."),
    "tool_calls": Meaning("How many tools the answer calls; null if the protocol has none.", "count"),
    "inter_token_ms": Meaning("Mean time between two tokens of a streamed answer; null if unknown.", "ms"),
    "server_compute_ms": Meaning("How long the server says that it computed; null if it says nothing.", "ms"),
    "server_queue_ms": Meaning(
        "How long the request waited in the server's queue, by its own word; null if unknown.", "ms"
    ),
    "empty": Meaning("Whether a 2xx answer has nothing in it: no text and no call of a tool."),
    "erased_at": Meaning("When prompt and answer were erased or hashed; null while they are there.", _TIME),
}
OUTCOME: Mapping[str, Meaning] = {
    "seq": _SEQ,
    "pair": _PAIR,
    "metric": Meaning("Name of the metric."),
    "scorer": Meaning("Name and version of the scorer: a pair that is scored anew has a row of each."),
    "experiment": _EXPERIMENT,
    "epoch": _EPOCH,
    "stage": _STAGE,
    "unit": Meaning("Keyed hash of what was randomised; the same as in `exchanges`."),
    "at": Meaning("When the pair's request arrived.", _TIME),
    "slices": _SLICES,
    "control_value": Meaning("The metric of control's answer.", "of the metric"),
    "treatment_value": Meaning("The metric of the treatment's answer.", "of the metric"),
    "value": Meaning(
        "What the statistics use: the difference treatment - control, or for speed, cost and energy ln(treatment / "
        "control).",
        "of the metric, or log ratio",
    ),
    "scored_at": Meaning("When it was scored, if that took another server; null if at once.", _TIME),
    "failure": Meaning("Why there is no score; empty if there is one. The values of such a row do not count."),
    "detail": Meaning("What the scorer noted: labels, which side a judge took; null if nothing."),
}
FEEDBACK: Mapping[str, Meaning] = {
    "seq": _SEQ,
    "exchange": Meaning("Id of the exchange that it is about."),
    "metric": Meaning("Name of the metric."),
    "source": Meaning("Who reported it. Of one exchange, metric and source the newest row counts."),
    "value": Meaning("What was reported; yes and no are 1 and 0.", "of the metric"),
    "at": Meaning("When it was reported.", _TIME),
    "epoch": Meaning("The epoch of the exchange that it is about.", "count from 1"),
}
LOOK: Mapping[str, Meaning] = {
    "seq": _SEQ,
    "experiment": _EXPERIMENT,
    "epoch": _EPOCH,
    "number": Meaning("Number of the look within its epoch.", "count from 1"),
    "at": Meaning("When the controller looked.", _TIME),
    "stage": _STAGE,
    "exchange_seq": Meaning("The look had read `exchanges` up to this `seq`.", "count"),
    "outcome_seq": Meaning("The look had read `outcomes` up to this `seq`.", "count"),
    "feedback_seq": Meaning("The look had read `feedback` up to this `seq`.", "count"),
    "action": Meaning("What was decided: `hold`, `advance`, `promote`, `rollback`, `pause` or `stop_undecidable`."),
    "evidence": Meaning("What the controller saw, as it stored it."),
    "decision": Meaning("What it decided, with its reasons, as it stored it."),
}
TRANSITION: Mapping[str, Meaning] = {
    "seq": _SEQ,
    "experiment": _EXPERIMENT,
    "epoch": _EPOCH,
    "look": Meaning("Number of the look that caused it; null if none did.", "count from 1"),
    "at": Meaning("When it happened.", _TIME),
    "actor": Meaning("Who did it: `controller`, or a person."),
    "from_phase": Meaning("Phase before it."),
    "to_phase": Meaning("Phase after it."),
    "from_stage": Meaning("Stage before it.", "count from 0"),
    "to_stage": Meaning("Stage after it.", "count from 0"),
    "split_basis_points": Meaning("Share of the units that the treatment serves from then on.", _BASIS_POINTS),
    "reason": Meaning("Why, in a sentence."),
}
