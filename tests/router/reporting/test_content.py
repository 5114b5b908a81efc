"""What is gathered for a report: all epochs, all that happened, and the looks computed again."""

import json

import pytest
from tests_history import Life

from experiments.config.records import Config
from experiments.showing.figures import Section
from router.reporting.content import gather
from router.reporting.html import render_html
from router.reporting.markdown import render_markdown


def test_every_epoch_is_there_with_its_configuration_and_what_it_changed(life: Life) -> None:
    report = gather(life.store, life.config, "support", now=life.now)

    assert [epoch.number for epoch in report.epochs] == [1, 2]
    assert [(c.key, c.before, c.after) for c in report.epochs[1].changes if c.key == "policy.min_units"] == [
        ("policy.min_units", "100", "101")
    ]
    assert '"min_units": 100' in report.epochs[0].config
    assert report.epochs[0].config_hash != report.epochs[1].config_hash


def test_what_happened_is_told_whole_and_what_led_to_the_present_phase_is_pointed_out(life: Life) -> None:
    report = gather(life.store, life.config, "support", now=life.now)

    assert report.transitions == life.store.transitions("support")
    assert {transition.epoch for transition in report.transitions} == {1, 2}
    assert report.cause == report.transitions[-1]


def test_a_replay_counts_the_looks_of_every_epoch_and_none_is_claimed_without(life: Life) -> None:
    without = gather(life.store, life.config, "support", now=life.now)
    report = gather(life.store, life.config, "support", now=life.now, with_replay=True)

    looks = [len(list(life.store.looks("support", epoch))) for epoch in (1, 2)]
    assert without.replayed is None
    assert [(found.looks, found.same) for found in report.replayed or []] == [(n, n) for n in looks]
    assert not report.replay_differs


def test_a_file_that_changed_after_the_epoch_began_is_noticed(life: Life) -> None:
    experiment = life.config.experiments["support"]
    policy = experiment.policy.model_copy(update={"min_units": 7})
    changed = experiment.model_copy(update={"policy": policy})
    config: Config = life.config.model_copy(update={"experiments": {"support": changed}})

    assert gather(life.store, life.config, "support", now=life.now).configured_now
    assert not gather(life.store, config, "support", now=life.now).configured_now


def test_there_is_no_report_of_an_unknown_experiment(life: Life) -> None:
    with pytest.raises(KeyError):
        gather(life.store, life.config, "nobody", now=life.now)


def test_fewer_points_make_shorter_series(life: Life) -> None:
    figures = gather(life.store, life.config, "support", now=life.now, points=2).of(Section.OVER_TIME)

    assert {len(figure.drawn.table().rows) for figure in figures} == {2}


def test_the_salt_is_kept_back_since_users_could_be_found_by_it(life: Life) -> None:
    report = gather(life.store, life.config, "support", now=life.now)
    salts = [change for change in report.epochs[1].changes if change.key == "salt"]

    assert [(change.before, change.after) for change in salts] == [("[kept back]", "[kept back]")]
    assert [json.loads(epoch.config)["salt"] for epoch in report.epochs] == ["[kept back]"] * 2
    assert "pepper" not in render_html(report) + render_markdown(report)
