"""Where slices are mirrored more, each counts its own pairs, as the ledger has it."""

from pathlib import Path

from tests_rows import assert_same, experiment, gathered, history


def test_boosted_slices_agree_with_the_ledger(tmp_path: Path) -> None:
    rows = history(3, experiment(cap=2, settle_s=5.0, boosted=True), requests=200, users=24)

    with gathered(rows.write(tmp_path), rows) as state:
        assert_same(state, rows.ledger())
    pairs = {key.slice: counts.pairs for key, counts in state.pair_counts.items() if key.metric == "agreement"}
    # Every pair has a language: without a boost these would be all traffic.
    assert sum(n for slice_, n in pairs.items() if slice_.startswith("language=")) > pairs[""]
