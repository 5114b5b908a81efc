"""Runs parts in blocks of replicates, over processes. Each block has its own seed: any number of processes agrees."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from analysis.calibrate.study import Block, Part, Samples, Scenario, ScenarioResult, measure_part


@dataclass(frozen=True, slots=True)
class Task:
    """One block of one part."""

    scenario: int
    part: int
    """Index within the scenario."""
    index: int
    """Index of the block within the part."""
    replicates: int
    block: Block

    def run(self, seed: int) -> Samples:
        """Draw and analyse; the same seed gives the same samples, whatever else runs."""
        return self.block(np.random.default_rng([seed, self.scenario, self.part, self.index]), self.replicates)


def tasks_of(scenarios: Sequence[Scenario], replicates: int) -> list[Task]:
    """Cut every part into blocks of at most its block size."""
    return [
        Task(scenario.number, number, index, size, part.block)
        for scenario in scenarios
        for number, part in enumerate(scenario.parts)
        if part.block is not None
        for index, size in enumerate(_sizes(part, replicates))
    ]


def _sizes(part: Part, replicates: int) -> Iterator[int]:
    left = max(1, math.ceil(replicates * part.weight))
    while left > 0:
        yield min(left, part.block_size)
        left -= part.block_size


def run_study(
    scenarios: Sequence[Scenario],
    replicates: int,
    seed: int,
    jobs: int = 1,
    on_block: Callable[[Task], None] = lambda _task: None,
) -> list[ScenarioResult]:
    """Run scenarios.

    Args:
        scenarios: What to run; each has its own number.
        replicates: Replicates of each part, times the part's weight.
        seed: Of the whole study; the draws of a block depend on it and on the block's place only.
        jobs: Processes; 1 stays in this one.
        on_block: Called when a block is done, for a progress bar.
    """
    tasks = tasks_of(scenarios, replicates)
    blocks: dict[tuple[int, int], dict[int, Samples]] = defaultdict(dict)
    for task, samples in _results(tasks, seed, jobs):
        blocks[task.scenario, task.part][task.index] = samples
        on_block(task)
    return [
        ScenarioResult(
            scenario,
            tuple(
                measure_part(part, _joined(blocks[scenario.number, number]))
                for number, part in enumerate(scenario.parts)
            ),
        )
        for scenario in scenarios
    ]


def _results(tasks: Sequence[Task], seed: int, jobs: int) -> Iterator[tuple[Task, Samples]]:
    if jobs == 1:
        for task in tasks:
            yield task, task.run(seed)
        return
    # Fresh processes: a fork of one that draws a progress bar in a thread may hang.
    with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(task.run, seed): task for task in tasks}
        for future in as_completed(running):
            yield running[future], future.result()


def _joined(blocks: dict[int, Samples]) -> Samples:
    """Put the blocks of a part one after the other, in the order of their index."""
    ordered = [blocks[index] for index in sorted(blocks)]
    keys = ordered[0] if ordered else ()
    return {key: np.concatenate([block[key] for block in ordered]) for key in keys}
