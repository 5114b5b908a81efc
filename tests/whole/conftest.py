"""The fixture that begins a whole experiment; what it is made of is in `tests_whole`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from tests_whole import PROXIES, Loses, Proxy, Whole, write_config

from experiments.store import open_store
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving


@pytest.fixture(name="begin")
def _begin(tmp_path: Path) -> Iterator[Callable[..., Whole]]:
    """Begin an experiment with a simulated treatment; keywords change the configuration."""
    with ExitStack() as stack:

        def begin(
            treatment: Behaviour, *, control: Behaviour | None = None, loses: Loses | None = None, **changes: Any
        ) -> Whole:
            backends = [FakeBackend(control or Behaviour()), FakeBackend(treatment)]
            addresses = [stack.enter_context(serving(backend)) for backend in backends]
            config = write_config(tmp_path, control=addresses[0], treatment=addresses[1], **changes)
            store = stack.enter_context(closing(open_store(config.router.database)))
            store.migrate()
            Path(config.router.journal).mkdir()
            folder = Path(config.router.journal) if loses is None else tmp_path / "proxies-journal"
            settings = config.router.model_copy(update={"journal": folder})
            proxied = config.model_copy(update={"router": settings})
            proxies = [Proxy(proxied, store) for _ in range(PROXIES)]
            for proxy in proxies:
                proxy.url = stack.enter_context(serving(proxy.app, clients=config.router.clients))
            whole = Whole(tmp_path, proxies, folder, *backends, store, config, loses)
            whole.begin(config)
            return whole

        yield begin
