"""Holds what Touchstone claims from live traffic against the full golden set, run offline on the same models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from examples.support_model.screen import QUALITY, Standing, rows
from experiments.config import Config
from experiments.evidence import MetricEvidence
from experiments.explain import estimate_text, interval_text, points, where
from experiments.golden.sets import GoldenItem, load_golden
from experiments.protocols import protocol

_CONCURRENCY = 4


@dataclass(frozen=True)
class Claim:
    """What the live run says of one experiment in one slice, and what the offline run finds."""

    experiment: str
    slice: str
    said: MetricEvidence
    offline_difference: float
    offline_n: int

    @property
    def holds(self) -> bool:
        """Whether the offline difference lies inside the live run's always-valid interval."""
        interval = self.said.interval
        if interval is None or interval.lower is None or interval.upper is None:
            return True
        return interval.lower <= self.offline_difference <= interval.upper


async def check_claims(
    config: Config, standings: Mapping[str, Standing], models: Mapping[str, str], out: Console
) -> list[Claim]:
    """Ask every model the whole golden set, and compare."""
    golden = load_golden(Path(__file__).with_name("golden.jsonl")).items
    with Progress(console=out) as progress:
        task = progress.add_task("golden set", total=len(golden) * len(models))
        right = {
            name: await _right(config.backends[name].urls[0], golden, lambda: progress.advance(task)) for name in models
        }
    claims = []
    for experiment in config.experiments.values():
        evidence = standings[experiment.name].evidence
        for said in rows(evidence, QUALITY) if evidence else []:
            chosen = [n for n, item in enumerate(golden) if _belongs(item, said.slice)]
            pairs = [(right[experiment.control][n], right[experiment.treatment][n]) for n in chosen]
            difference = sum(treatment - control for control, treatment in pairs) / len(pairs)
            claims.append(Claim(experiment.name, said.slice, said, difference, len(pairs)))
    return claims


async def _right(url: str, golden: Sequence[GoldenItem], tick: Callable[[], None]) -> list[bool]:
    """Return for each item whether the model answers it exactly."""
    places = asyncio.Semaphore(_CONCURRENCY)
    read = protocol("openai")

    async def ask(session: aiohttp.ClientSession, item: GoldenItem) -> bool:
        body = item.request | {"max_tokens": 40, "temperature": 0, "cache_prompt": False}
        async with places, session.post(f"{url}/v1/chat/completions", json=body) as response:
            answer = read.answer((await response.read()).decode())
        tick()
        return (answer.text or "").strip() == (item.expected.exact or "").strip()

    async with aiohttp.ClientSession() as session:
        return list(await asyncio.gather(*(ask(session, item) for item in golden)))


def _belongs(item: GoldenItem, slice_: str) -> bool:
    return not slice_ or item.tags["language"] == slice_.partition("=")[2]


def claims_table(claims: Sequence[Claim]) -> Table:
    """Return the comparison as a table."""
    table = Table(
        "experiment", "in", "Touchstone said (live)", "always-valid 95 %", "offline, whole golden set", "agrees",
        title="\nRight answers: treatment minus original", title_justify="left",
    )  # fmt: skip
    for claim in claims:
        table.add_row(*_cells(claim))
    return table


def _cells(claim: Claim) -> tuple[str, ...]:
    return (
        claim.experiment,
        where(claim.slice),
        f"{estimate_text(claim.said)} ({claim.said.units} users)",
        interval_text(claim.said, claim.said.interval),
        f"{points(claim.offline_difference)} ({claim.offline_n} questions)",
        "yes" if claim.holds else "NO",
    )


def write_report(path: Path, config: Config, standings: Mapping[str, Standing], claims: Sequence[Claim]) -> Path:
    """Write a short report in Markdown."""
    lines = ["# Demo report", "", "Real models on this machine, simulated users; prices are examples.", ""]
    for experiment in config.experiments.values():
        standing = standings[experiment.name]
        lines += [f"## {experiment.name}: {standing.phase.replace('_', ' ')}", "", standing.says, ""]
        lines += ["| in | live | always-valid 95 % | offline | agrees |", "|---|---|---|---|---|"]
        lines += [
            "| " + " | ".join(_cells(claim)[1:]) + " |" for claim in claims if claim.experiment == experiment.name
        ]
        lines.append("")
    lines.append("Recompute the decisions: `touchstone replay web-8bit`, `touchstone replay mobile-4bit`.")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
