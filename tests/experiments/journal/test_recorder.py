"""Journal -> store: each record once, damage counted, segments deleted only when they are in the store to their end."""

import os

import msgspec
import pytest
from structlog.testing import capture_logs

from experiments.config.records import PROMPT_SLICES, Config, RouterSettings, Slice, Source
from experiments.journal.format import encode, end_mark, segment_name
from experiments.journal.recorder import Recorder
from experiments.languages.identify import ATTRIBUTES
from experiments.model import CONTROL, TREATMENT, Exchange, Feedback, Role
from experiments.scoring.experiment_scorer import ExperimentScorer
from experiments.store import Watermarks

GONE = 2**22 + 1
"""No process has this id."""


@pytest.fixture(name="journal")
def _journal(tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir()
    return folder


@pytest.fixture(name="recorder")
def _recorder(journal, store):
    settings = RouterSettings(journal=journal)
    return Recorder(Config(path=journal / "c.toml", router=settings, backends={}, experiments={}), store)


def exchange(name: str, **more) -> Exchange:
    return Exchange(id=name, at=1.0, experiment="support", epoch=1, unit="u", **more)


def alive(number: int = 1) -> str:
    return segment_name(os.getpid(), 1, number)


def test_a_growing_segment_is_loaded_piece_by_piece_and_each_record_once(journal, recorder, store) -> None:
    path = journal / alive()
    path.write_bytes(encode(exchange("a")))
    recorder.record()
    with path.open("ab") as file:
        file.write(encode(exchange("b")) + encode(exchange("c"))[:10])

    assert recorder.record() == 1
    assert recorder.record() == 0

    assert store.count_exchanges() == {"live": 2}
    assert path.exists()


def test_a_closed_segment_is_deleted_once_it_is_loaded(journal, recorder, store) -> None:
    path = journal / alive()
    path.write_bytes(encode(exchange("a")) + end_mark())

    recorder.record()

    assert not path.exists()
    assert store.segment_offset(path.name) == 0
    assert store.count_exchanges() == {"live": 1}


def test_a_segment_of_a_killed_process_is_loaded_to_its_last_whole_line_and_deleted(journal, recorder, store) -> None:
    path = journal / segment_name(GONE, 1, 1)
    path.write_bytes(encode(exchange("a")) + encode(exchange("b"))[:-5])

    recorder.record()

    assert store.count_exchanges() == {"live": 1}
    assert not path.exists()


def test_a_segment_that_turns_up_again_after_a_kill_is_not_stored_twice(journal, recorder, store) -> None:
    """Killed after the commit and before the deletion: the next recorder reads the same bytes again."""
    for _ in range(2):
        path = journal / segment_name(GONE, 1, 1)
        path.write_bytes(encode(exchange("a")) + encode(exchange("b")) + end_mark())
        recorder.record()

    assert store.count_exchanges() == {"live": 2}


def test_a_segment_whose_end_mark_found_no_room_is_deleted_once_its_journal_has_begun_the_next(
    journal, recorder, store
) -> None:
    first, second = journal / alive(1), journal / alive(2)
    first.write_bytes(encode(exchange("a")) + end_mark()[:7])
    recorder.record()
    assert first.exists(), "it may go on"
    second.write_bytes(b"")

    recorder.record()

    assert (first.exists(), second.exists()) == (False, True)
    assert (store.count_exchanges(), store.damaged_records()) == ({"live": 1}, 1)


def test_an_exchange_whose_protocol_is_not_known_keeps_its_figures(journal, recorder, store) -> None:
    (journal / alive()).write_bytes(encode(exchange("a", protocol="telex", status=200)) + encode(exchange("b")))

    assert recorder.record() == 2

    found = store.exchanges("support", 1, 0, 99)
    assert [(item.exchange.id, item.exchange.status, item.answer) for item in found] == [
        ("a", 200, None),
        ("b", 0, None),
    ]


def test_a_file_that_cannot_be_read_is_logged_once_and_stops_no_other(journal, recorder, store) -> None:
    (journal / alive(1)).mkdir()
    (journal / segment_name(os.getpid(), 2, 1)).write_bytes(encode(exchange("a")))

    with capture_logs() as logs:
        recorder.record()
        recorder.record()

    assert store.count_exchanges() == {"live": 1}
    assert [log["event"] for log in logs] == ["segment_unreadable"]


def test_feedback_that_says_the_same_again_is_stored_once_and_a_changed_mind_as_a_row_of_its_own(
    journal, recorder, store
) -> None:
    values = [True, True, False, False, True]
    thumbs = [Feedback(exchange="a", metric="thumbs_up", value=value, at=2.0) for value in values]
    path = journal / alive()
    path.write_bytes(encode(exchange("a")) + b"".join(map(encode, thumbs)))
    recorder.record()
    with path.open("ab") as file:
        file.write(encode(thumbs[0]) + encode(thumbs[2]))
    recorder.record()

    found = store.feedback("support", 1, Watermarks(0, 0, 0), Watermarks(99, 99, 99))
    assert [item.value for item in found] == [1.0, 0.0, 1.0, 0.0]


def test_damage_is_counted_and_the_lines_behind_it_are_loaded(journal, recorder, store) -> None:
    path = journal / alive()
    path.write_bytes(encode(exchange("a")) + b"garbage\n" + encode(exchange("b")))

    recorder.record()

    assert store.count_exchanges() == {"live": 2}
    assert store.damaged_records() == 1


def test_feedback_that_names_a_unit_goes_to_its_latest_exchange_and_a_stranger_is_dropped(
    journal, recorder, store
) -> None:
    (journal / alive(1)).write_bytes(encode(exchange("a")) + encode(exchange("b")))
    recorder.record()
    thumbs = [
        Feedback(unit="u", experiment="support", metric="thumbs_up", value=True, at=2.0),
        Feedback(unit="nobody", experiment="support", metric="thumbs_up", value=True, at=2.0),
        Feedback(exchange="a", metric="comment", value="nice", at=2.0),
    ]
    (journal / alive(2)).write_bytes(b"".join(map(encode, thumbs)))

    recorder.record()

    [found] = store.feedback("support", 1, Watermarks(0, 0, 0), Watermarks(99, 99, 99))
    assert (found.exchange, found.value) == ("b", 1.0)


@pytest.fixture(name="sliced")
def _sliced(experiment):
    """The experiment `support` with all slices of the prompt, and one of a header."""
    found = [Slice(attribute=name, source=Source(kind="prompt", name=name)) for name in PROMPT_SLICES]
    tenant = Slice(attribute="x-tenant", source=Source(kind="header", name="x-tenant"))
    return experiment(slices=(*found, tenant))


@pytest.fixture(name="slicing")
def _slicing(journal, store, sliced):
    settings = RouterSettings(journal=journal)
    config = Config(path=journal / "c.toml", router=settings, backends={}, experiments={"support": sliced})
    return Recorder(config, store)


def asking(name: str, prompt: str, **more) -> Exchange:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": prompt}]}).decode()
    return exchange(name, request_text=body, **more)


def test_what_the_configuration_takes_from_a_prompt_is_what_can_be_found_in_one() -> None:
    assert set(PROMPT_SLICES) == ATTRIBUTES


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("where is my order, it has not come yet", ("en", "latin", "no")),
        ("mera order kab aayega", ("hi-Latn", "latin", "yes")),
        ("मेरा order कब आएगा", ("hi", "mixed", "yes")),
        ("मुझे पैसे वापस चाहिए", ("hi", "devanagari", "no")),
        ("où est ma commande, elle n'est pas arrivée", ("fr", "latin", "cannot tell")),
        ("12345", ("cannot tell", "cannot tell", "cannot tell")),
        ("", ("cannot tell", "cannot tell", "cannot tell")),
    ],
)
def test_language_script_and_switching_are_found_when_an_exchange_is_loaded(
    journal, slicing, store, prompt: str, found: tuple[str, ...]
) -> None:
    (journal / alive()).write_bytes(encode(asking("a", prompt, slices={"x-tenant": "acme"})))

    slicing.record()

    [stored] = store.exchanges("support", 1, 0, 99)
    assert stored.exchange.slices == {"x-tenant": "acme"} | dict(zip(PROMPT_SLICES, found, strict=True))


def test_a_prompt_that_is_missing_cut_off_or_unreadable_is_one_of_which_it_cannot_be_told(
    journal, slicing, store
) -> None:
    cut = asking("b", "mera order kab aayega").request_text[:40]
    (journal / alive()).write_bytes(encode(exchange("a")) + encode(exchange("b", request_text=cut)))
    slicing.record()

    for stored in store.exchanges("support", 1, 0, 99):
        assert stored.exchange.slices == dict.fromkeys(PROMPT_SLICES, "cannot tell")


def test_an_experiment_that_asks_for_none_gets_none(journal, recorder, store) -> None:
    (journal / alive()).write_bytes(encode(asking("a", "mera order kab aayega", slices={"x-tenant": "acme"})))

    recorder.record()

    [stored] = store.exchanges("support", 1, 0, 99)
    assert stored.exchange.slices == {"x-tenant": "acme"}


@pytest.mark.parametrize("assigned", [CONTROL, TREATMENT])
def test_the_outcomes_of_a_mirrored_pair_have_the_slices_of_its_prompt(
    journal, slicing, store, sliced, assigned: str
) -> None:
    other = TREATMENT if assigned == CONTROL else CONTROL
    more = {"pair": "a", "status": 200, "latency_ms": 5.0}
    live = asking("a", "mera order kab aayega", assigned=assigned, served=assigned, **more)
    shadow = asking("b", "mera order kab aayega", assigned=other, served=other, role=Role.SHADOW, **more)
    (journal / alive()).write_bytes(encode(live) + encode(shadow))
    slicing.record()

    [pair] = store.unscored_pairs(10)
    outcomes = ExperimentScorer(sliced).outcomes(*pair)

    assert {outcome.metric for outcome in outcomes} == {"errors", "latency"}
    assert all(outcome.slices["language"] == "hi-Latn" for outcome in outcomes)
