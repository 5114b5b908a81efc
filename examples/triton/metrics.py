"""What Triton counts: how long requests waited in its queue, how long they were computed, and how many at a time. Pure.

Triton's answers hold no times; its /metrics has sums since the start, so an interval is the difference of two readings.
"""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

_COMPUTE = ("input", "infer", "output")


class Counted(NamedTuple):
    """Sums of one model."""

    inferences: float = 0
    """Texts: a batch of 8 is 8."""
    executions: float = 0
    """Calls of the model: a batch of 8 is 1."""
    queue_us: float = 0
    """Over all requests, in microseconds."""
    compute_us: float = 0
    """Over all requests: each one's share is the time of the whole batch in which it was."""

    def since(self, before: Counted) -> Counted:
        """Return what came on top of an earlier reading."""
        return Counted(*(now - then for now, then in zip(self, before, strict=True)))

    @property
    def mean_batch(self) -> float | None:
        """Texts a call; None if there was none."""
        return self.inferences / self.executions if self.executions else None

    @property
    def queue_ms(self) -> float | None:
        """Mean wait in the queue of one request that holds one text; None if there was none."""
        return self.queue_us / self.inferences / 1000 if self.inferences else None

    @property
    def compute_ms(self) -> float | None:
        """Mean time from the queue to the answer of one request that holds one text; None if there was none."""
        return self.compute_us / self.inferences / 1000 if self.inferences else None


def read(text: str, model: str) -> Counted:
    """Read the sums of a model from what /metrics answers.

    Raises:
        ValueError: The text is no exposition format.
    """
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("model") == model:
                name = sample.name.removesuffix("_total")
                sums[name] = sums.get(name, 0.0) + sample.value
    return Counted(
        inferences=sums.get("nv_inference_count", 0.0),
        executions=sums.get("nv_inference_exec_count", 0.0),
        queue_us=sums.get("nv_inference_queue_duration_us", 0.0),
        compute_us=sum(sums.get(f"nv_inference_compute_{part}_duration_us", 0.0) for part in _COMPUTE),
    )
