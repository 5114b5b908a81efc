"""Whether a backend is there, and a golden run, as the controller's gate asks for them: blocking, in its own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import aiohttp
import msgspec

from experiments.config.records import Config, Experiment
from experiments.config.serving import Backend
from experiments.golden.gate import Ran
from experiments.golden.verdict import GatePolicy
from experiments.golden.words import summary
from router.golden.runs import GoldenRun, run_golden
from router.upstream.upstream import trust_of

_TIMEOUT_S = 2.0


def probe(config: Config, experiment: Experiment) -> Sequence[str]:
    """Return what is wrong with an experiment's backends, a sentence for each endpoint that does not answer.

    With a health check configured, its answer must be 2xx; without one, any answer will do.
    """
    backends = [config.backends[name] for name in (experiment.control, experiment.treatment)]
    return asyncio.run(_probe(backends))


async def _probe(backends: Sequence[Backend]) -> list[str]:
    asked = [(backend, url) for backend in backends for url in backend.urls]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S), trust_env=False) as session:
        found = await asyncio.gather(*(_complaint(session, backend, url) for backend, url in asked))
    return [complaint for complaint in found if complaint]


async def _complaint(session: aiohttp.ClientSession, backend: Backend, url: str) -> str:
    path = backend.health.path if backend.health is not None else "/"
    try:
        async with session.get(url.rstrip("/") + path, ssl=trust_of(backend.tls), allow_redirects=False) as response:
            good = backend.health is None or 200 <= response.status < 300
            return "" if good else f"{backend.name}: its health check answers {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return f"{backend.name} does not answer ({type(error).__name__})"


def golden(config: Config, experiment: Experiment, number: int) -> Ran:
    """Run an experiment's golden set for the n-th time in its epoch; see `router.golden.runs.run_golden`."""
    policy = GatePolicy(alpha=experiment.gate.alpha, margin=experiment.gate.margin)
    return ran(asyncio.run(run_golden(config, experiment, policy=policy, run_number=number)))


def ran(run: GoldenRun) -> Ran:
    """Return a run as it is stored: without prompts and answers."""
    return Ran(run.verdict.result.value, summary(run.verdict), msgspec.to_builtins(run.verdict), list(_items(run)))


def _items(run: GoldenRun) -> Iterator[dict[str, object]]:
    for result in run.results:
        yield {"id": result.id, "control": result.control.value, "treatment": result.treatment.value}
