"""The looks of an epoch come in order, page by page, and all of them."""

from pathlib import Path

import pytest
from tests_history import good, live_through, living

from experiments import looks
from experiments.looks import each_look


@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_they_are_the_same_however_large_a_page_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(looks, "_A_PAGE", page)
    with living(tmp_path) as life:
        live_through(life, good, ticks=3)
        found = list(each_look(life.store.engine, "support", 1))

        assert found == life.store.looks("support", 1)
        assert [look.number for look in each_look(life.store.engine, "support", 1, after=1)] == [
            look.number for look in found[1:]
        ]
        assert list(each_look(life.store.engine, "support", 2)) == []
