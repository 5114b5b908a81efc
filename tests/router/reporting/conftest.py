"""An experiment with two epochs whose every text that people can write is hostile."""

from collections.abc import Iterator

import pytest
from tests_history import CONFIG, Life, bad, good, live_through, living, write_config

from experiments.config import load
from experiments.golden.store import GoldenRun, GuardStore
from experiments.operating import Command, operate
from experiments.scoring.daily import DailyStore
from experiments.scoring.score_tasks import day_of
from router.reporting.content import Report, gather

HOSTILE = '</script><script src="http://elsewhere/x.js"></script><img src=x onerror=alert(1)>'
TEXT = CONFIG.replace(
    "[experiments.support]\n", f"[experiments.support]\nhypothesis = '{HOSTILE}'\nowner = '{HOSTILE} | owner'\n"
)
ANOTHER = TEXT.replace("min_units = 100", "min_units = 101").replace("hypothesis =", 'salt = "pepper"\nhypothesis =')


@pytest.fixture(name="life", scope="package")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("reported")
    with living(folder, TEXT) as life:
        live_through(life, bad)
        # Another configuration: the second epoch. Its users come with a hostile header.
        life.config = load(write_config(folder, ANOTHER), {})
        life.restart()
        life.start()
        for number in range(4):
            life.serve(1000 + 40 * number, 1040 + 40 * number, good, **{"x-language": HOSTILE})
            life.tick()
        run = GoldenRun(
            experiment="support", epoch=2, number=1, at=life.now, actor=HOSTILE, result="cannot_tell", summary=HOSTILE
        )
        GuardStore(life.store.engine).add_run(run)
        DailyStore(life.store.engine).compute("support", day_of(life.now))
        experiment = life.config.experiments["support"]
        operate(life.store, experiment, Command.ROLLBACK, actor="eve", reason=HOSTILE, now=life.now)
        yield life


@pytest.fixture(name="report", scope="package")
def _report(life: Life) -> Report:
    return gather(life.store, life.config, "support", now=life.now, with_replay=True)


@pytest.fixture(name="hostile", scope="package")
def _hostile() -> str:
    return HOSTILE
