"""The page of pairs: the pairs that disagree, in their order, page by page, and what cannot be asked."""

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.datastructures import QueryParams
from tests_history import Life, bad, live_through, living

from experiments.pairs.reader import PairReader
from experiments.showing.reader import Showing
from router.dashboard.pairs import pairs_page


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        live_through(life, bad)
        yield life


def page(life: Life, **asked: str) -> dict:
    standing = Showing(life.store, life.config).standing("support")
    return pairs_page(PairReader(life.store.engine), standing, QueryParams(asked))


def test_it_shows_the_pairs_that_disagree_with_the_difference_marked(life: Life) -> None:
    shown = page(life)

    assert (shown["metric"], len(shown["pairs"])) == ("agreement", 20)
    for pair in shown["pairs"]:
        control, treatment = pair.sides
        assert (control.pieces, treatment.pieces) == ([(True, "yes")], [(True, "no")])
        assert pair.scores[0] == "agreement 1 / 0"


def test_every_pair_is_on_one_page_and_the_last_page_leads_no_further(life: Life) -> None:
    prompts: list[str] = []
    shown = page(life)
    while shown["next_url"]:
        prompts += [pair.prompt for pair in shown["pairs"]]
        shown = page(life, **dict(parse_qsl(urlsplit(shown["next_url"]).query)))
    prompts += [pair.prompt for pair in shown["pairs"]]

    assert len(prompts) == len(set(prompts)) == 72, "three of ten of 240"


def test_a_slice_has_its_own_pairs_only(life: Life) -> None:
    shown = page(life, slice="x-language=hi")

    assert shown["pairs"]
    assert {pair.slices["x-language"] for pair in shown["pairs"]} == {"hi"}


def test_what_cannot_be_asked_is_said_and_no_error(life: Life) -> None:
    assert page(life, slice="nonsense")["trouble"].startswith("This cannot be asked: slice")
    assert page(life, cursor="nonsense")["pairs"] == []


def test_before_anything_is_scored_it_says_so(tmp_path) -> None:
    with living(tmp_path) as life:
        life.controller.start(1_700_000_000.0)
        assert page(life)["trouble"] == "No pair has been scored yet."
