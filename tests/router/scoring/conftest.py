"""A store, a scripted judge on loopback, and what is needed to put pairs in line for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_scoring import Bench

from router.fakes.judge import ScriptedJudge
from router.fakes.server import serving


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> Iterator[Bench]:
    judge = ScriptedJudge()
    with serving(judge) as url:
        bench = Bench(tmp_path, url, judge)
        yield bench
        bench.store.close()
