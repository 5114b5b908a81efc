"""Several treatments in one table: what becomes of them, and how what is wrong with them is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config import config_hash, load
from experiments.config.groups import clashes, expand, in_tables, is_group, members
from experiments.config.records import Cohort

Write = Callable[[str], Path]
Tell = Callable[..., list[str]]
INT8 = '[backends.int8]\nurl = "http://127.0.0.1:9104"\nprice = { input = 0.5, output = 1.0 }\n\n[experiments.support]'


@pytest.fixture(name="several")
def _several(good: str) -> str:
    """Line 19 holds the treatments."""
    text = good.replace('treatment = "int4"', 'treatments = ["int8", "int4"]')
    return text.replace("[experiments.support]", INT8)


def test_each_treatment_is_an_experiment_with_a_salt_and_a_cohort_of_its_own(several: str, write: Write) -> None:
    found = load(write(several), {}).experiments

    assert {name: (e.name, e.treatment, e.salt) for name, e in found.items()} == {
        "support.int4": ("support.int4", "int4", "support.int4"),
        "support.int8": ("support.int8", "int8", "support.int8"),
    }
    assert [found[f"support.{name}"].cohort for name in ("int4", "int8")] == [
        Cohort(group="support", index=0, count=2, salt="support"),
        Cohort(group="support", index=1, count=2, salt="support"),
    ]
    same = {"name", "treatment", "salt", "cohort"}
    assert found["support.int4"].model_dump(exclude=same) == found["support.int8"].model_dump(exclude=same)


def test_a_given_salt_is_that_of_the_division_and_the_root_of_each_own(several: str, write: Write) -> None:
    found = load(write(several.replace("mirror_percent", 'salt = "s"\nmirror_percent')), {}).experiments

    assert {e.salt for e in found.values()} == {"s.int4", "s.int8"}
    assert {e.cohort.salt for e in found.values() if e.cohort} == {"s"}


def test_each_of_k_treatments_has_a_kth_of_the_chance_of_a_false_promotion_and_all_of_that_of_a_false_rollback(
    good: str, several: str, write: Write
) -> None:
    given = several.replace("[experiments.support.policy]", "[experiments.support.policy]\nalpha_promote = 0.04")
    one = load(write(good), {}).experiments["support"].policy

    by_default, asked_for = (
        [experiment.policy for experiment in load(write(text), {}).experiments.values()] for text in (several, given)
    )

    assert [policy.alpha_promote for policy in by_default] == [one.alpha_promote / 2] * 2
    assert [policy.alpha_promote for policy in asked_for] == [0.02, 0.02]
    assert {policy.alpha_rollback for policy in by_default} == {one.alpha_rollback}


@pytest.mark.parametrize("alpha", ["0", "1", "2", "true", '"x"'])
def test_an_alpha_that_is_none_is_refused_as_it_stands_in_the_file(several: str, told: Tell, alpha: str) -> None:
    problems = told(
        several.replace("[experiments.support.policy]", f"[experiments.support.policy]\nalpha_promote = {alpha}")
    )

    assert any(f"policy.alpha_promote = {alpha}: must be" in problem for problem in problems), problems


def test_another_order_of_the_treatments_moves_nobody_and_another_treatment_begins_anew(
    several: str, write: Write
) -> None:
    def hashes(treatments: str) -> dict[str, str]:
        config = load(write(several.replace('["int8", "int4"]', treatments)), {})
        return {name: config_hash(experiment, config.backends) for name, experiment in config.experiments.items()}

    assert hashes('["int4", "int8"]') == hashes('["int8", "int4"]')
    assert hashes('["int8"]')["support.int8"] != hashes('["int8", "int4"]')["support.int8"]


def test_an_experiment_with_one_treatment_sees_everyone(good: str, write: Write) -> None:
    assert load(write(good), {}).experiments["support"].cohort is None


@pytest.mark.parametrize(
    ("treatments", "line", "said"),
    [
        ('treatments = ["int8", "int44"]', 19, 'treatments.1 = "int44": is no backend (did you mean "int4"?)'),
        ('treatments = [\n"int8",\n"int44",\n]', 21, 'treatments.1 = "int44": is no backend (did you mean "int4"?)'),
        ('treatments = ["int8", "original"]', 19, 'treatments.1 = "original": must differ from the control'),
        ('treatments = ["int8", "int8"]', 19, 'treatments.1 = "int8": there is a treatment "int8" already'),
        ('treatments = ["int8", 5]', 19, "treatments.1 = 5: must be a text in quotes"),
        ("treatments = [5]", 19, "treatments.0 = 5: must be a text in quotes"),
        ("treatments = []", 19, "treatments = []: must not be empty"),
        ('treatments = "int8"', 19, 'treatments = "int8": must be a list'),
        ("treatments = {}", 19, "treatments: must be a list"),
        (
            'treatment = "int4"\ntreatments = ["int8"]',
            20,
            'treatments = ["int8"]: give treatment or treatments, not both',
        ),
        ('treatment = ["int8", "int4"]', 19, "must be a text in quotes; several belong in treatments"),
        ('treatmets = ["int8", "int4"]', 19, '(did you mean "treatments"?)'),
        ('treatments = ["int8"]\ncohort = 1', 20, "cohort = 1: unknown key; known here: owner, hypothesis, match"),
    ],
)
def test_what_is_wrong_with_treatments_is_told_once_at_its_line(
    several: str, told: Tell, treatments: str, line: int, said: str
) -> None:
    [problem] = told(several.replace('treatments = ["int8", "int4"]', treatments))

    assert problem.startswith(f"config.toml:{line}  experiments.support.")
    assert said in problem


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[1, 10, 50]", "[1, 110]", "20  experiments.support.ramp.1 = 110: must be between 0 and 100"),
        ("[1, 10, 50]", "[10, 1]", "20  experiments.support.ramp = [10, 1]: must rise from stage to stage"),
        ("margin = 0.02", "margin = 2", "27  experiments.support.guardrails.quality.margin = 2: must be above 0"),
        ("header:X-User-Id", "X-User-Id", '22  experiments.support.unit = "X-User-Id": must be "header:NAME"'),
        ('["tenant"]', '["tennant"]', '37  experiments.support.policy.protected_slices.0 = "tennant": is no slice'),
        ('golden = "golden.jsonl"', 'golden = "x"', '24  experiments.support.golden = "x": cannot be used: '),
        (
            'golden = "golden.jsonl"',
            "",
            '27  experiments.support.guardrails.quality.scorer = "exact": needs references',
        ),
        ("experiments.support", "experiments.Support", "16  experiments.Support: a name is up to 64 of a-z"),
        ("mirror_percent = 25", "mirror_percent = 25\nsalt = 5", "22  experiments.support.salt = 5: must be a text"),
        ("control =", "controll =", "18  experiments.support.controll"),
    ],
)
def test_what_is_wrong_with_the_table_is_told_once_and_not_for_each_treatment(
    several: str, told: Tell, old: str, new: str, said: str
) -> None:
    [problem] = told(several.replace(old, new))

    assert problem.startswith(f"config.toml:{said}")


def test_a_name_that_becomes_too_long_is_told_at_the_treatment(several: str, told: Tell) -> None:
    name = "x" * 60

    problems = told(several.replace("experiments.support", f"experiments.{name}"))

    place = f"config.toml:19  experiments.{name}.treatments"
    assert [problem[: len(place) + 2] for problem in problems] == [f"{place}.0", f"{place}.1"]
    assert f'makes the name "{name}.int8", and a name is up to 64 of a-z' in problems[0]


def test_a_name_that_is_there_already_is_refused(several: str, told: Tell) -> None:
    twin = several[several.index("[experiments.support]") :].replace(
        "experiments.support", 'experiments."support.int8"'
    )
    twin = twin.replace('treatments = ["int8", "int4"]', 'treatment = "int8"').replace('"support"', '"other"')

    [problem] = told(several + twin)

    said = 'would be the experiment "support.int8", and there is one of that name already'
    assert problem == f'config.toml:19  experiments.support.treatments.0 = "int8": {said}'


def test_two_groups_that_may_match_the_same_request_are_refused_once(several: str, told: Tell) -> None:
    twin = several[several.index("[experiments.support]") :].replace("experiments.support", "experiments.twin")

    [problem] = told(several + twin)

    said = 'matches requests that "support" matches too: tell them apart by path, model or a header'
    assert problem == f"config.toml:39  experiments.twin.match: {said}"


names = st.sampled_from(["a", "a.b", "b", "b.c", "c"])
tables = st.fixed_dictionaries({}, optional={"treatments": st.lists(names, max_size=3), "treatment": names})


@given(st.dictionaries(names, tables, max_size=4))
def test_every_treatment_becomes_an_experiment_or_is_told_to_clash_and_every_experiment_leads_back(document) -> None:
    made, refused = members(document), list(clashes(document))
    wanted = sum(len(set(table["treatments"])) for table in document.values() if is_group(table))
    raw = {"experiments": document}

    assert len(made) + len(refused) == wanted
    assert expand(document).keys() == made.keys() | {name for name, table in document.items() if not is_group(table)}
    for name, member in made.items():
        *_, group, key, place = in_tables(("experiments", name, "treatment"), raw)
        assert document[group][key][place] == member.treatment
        assert 0 <= member.index < member.count
