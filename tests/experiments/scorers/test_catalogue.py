"""Scorers by name: ours, those of other packages, and what is told about wrong ones."""

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.config import ConfigError, load
from experiments.config.asking import Judge
from experiments.config.records import Guardrail, Monitor
from experiments.golden.sets import Expected
from experiments.scorers import Answer, Asked, Failed, PairScore, ScorerError
from experiments.scorers.catalogue import ASKING, OURS, build, factory, names, needs_reference, scorer_for

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "scorers.md").read_text(encoding="utf-8")
CONFIG = """\
[backends.original]
url = "http://127.0.0.1:9101"

[backends.int4]
url = "http://127.0.0.1:9102"

[experiments.support]
match = {{ path = "/v1/chat/completions" }}
control = "original"
treatment = "int4"

[experiments.support.monitors]
metric = {{ {metric} }}
"""
LINE = CONFIG.count("\n")
KEYS = {"label": {"label": "json:a"}}


@pytest.fixture(name="problems")
def _problems(tmp_path: Path):
    def problems(metric: str) -> list[str]:
        path = tmp_path / "config.toml"
        path.write_text(CONFIG.format(metric=metric), encoding="utf-8")
        try:
            load(path, {})
        except ConfigError as error:
            return [str(problem).replace(f"{tmp_path}/", "") for problem in error.problems]
        return []

    return problems


@pytest.fixture(name="installed")
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a package with entry points, as far as Python's import and metadata can see."""

    def installed(module: str, code: str, points: str) -> None:
        folder = tmp_path / "site"
        about = folder / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (folder / f"{module}.py").write_text(code, encoding="utf-8")
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[touchstone.scorers]\n{points}\n")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return installed


@pytest.mark.parametrize("name", OURS)
def test_each_of_ours_is_made_and_carries_its_name_as_its_version(name: str) -> None:
    scorer = build(name, KEYS.get(name, {}))

    assert scorer.version.split(" ")[0] == f"{name}/1"


answers = st.builds(
    Answer,
    st.none() | st.text(max_size=8) | st.sampled_from(["{}", "Rs 42", "mera order kab aayega", "मेरा ऑर्डर कब आएगा"]),
    st.booleans(),
    st.none() | st.sampled_from(["stop", "length", "refusal"]),
    st.none() | st.integers(0, 2),
    st.booleans(),
    st.none() | st.sampled_from(["where is my order", "मेरा ऑर्डर कब आएगा"]),
)
wants = st.none() | st.builds(Expected, exact=st.text(max_size=3), label=st.just("x"), contains=st.just(("a",)))


@pytest.mark.parametrize("name", OURS)
@settings(deadline=None)  # the first text has some of them load a model
@given(control=answers, treatment=answers, expected=wants)
def test_each_of_ours_scores_any_pair_within_bounds(name: str, control: Answer, treatment: Answer, expected) -> None:
    found = build(name, KEYS.get(name, {})).score(control, treatment, expected)

    assert found is None or all(0 <= value <= 1 for value in found)


def test_ours_say_whether_they_need_a_golden_set() -> None:
    needing = {name for name in OURS if needs_reference(name)}

    assert needing == {"exact", "label", "contains", "regex", "json_schema", "golden", "chrf_reference"}


def test_a_metrics_keys_go_to_its_scorer() -> None:
    assert scorer_for(Monitor(name="a", scorer="label", label="json:a.b")).version == "label/1 json:a.b"
    assert scorer_for(Guardrail(name="a", scorer="refusal", patterns=("x",), margin=0.1)).version != "refusal/1"
    assert scorer_for(Monitor(name="a", feedback=True)) is None


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ('scorer = "chrff"', 'scorer = "chrff": is no scorer; there are agreement, (did you mean "chrf"?)'),
        ('scorer = "rouge"', '(did you mean "rouge_l"?)'),
        ('scorer = "json"', "is no scorer"),
        ("scorer = 5", "scorer = 5: must be a text in quotes"),
        ('scorer = "chrf_reference"', "needs references: name a golden set"),
        ('scorer = "chrf", patterns = ["x"]', 'patterns = ["x"]: is for scorer = "refusal" only'),
        ('scorer = "chrf", schema_file = "x"', 'schema_file = "x": is for scorer = "json_valid" only'),
        ('scorer = "chrf", options = { n = 1 }', "is for scorers of other packages"),
        ('scorer = "chrf", pattern = "x"', 'unknown key; known here: (did you mean "patterns"?)'),
        ('scorer = "refusal", patterns = "x"', 'patterns = "x": must be a list'),
        ('scorer = "refusal", patterns = [1]', "must be a text in quotes"),
        ('scorer = "refusal", patterns = ["("]', "number 1 is no pattern that RE2 can read"),
        ('scorer = "json_valid", schema_file = "no.json"', "cannot be read: No such file"),
        ('feedback = true, patterns = ["x"]', "is for a scorer, and this metric has none"),
    ],
)
def test_a_wrong_scorer_is_refused_at_its_line(problems, metric: str, said: str) -> None:
    found = problems(metric)

    assert len(found) == 1
    assert found[0].startswith(f"config.toml:{LINE}  experiments.support.monitors.metric")
    assert all(part in found[0] for part in re.split(r"(?<=,) (?=\()|(?<=:) (?=\()", said))


@pytest.mark.parametrize("name", sorted(set(OURS) - {"label"}))
def test_each_of_ours_is_accepted_by_its_name(problems, name: str, tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_text('{"id": "1", "prompt": "hi", "expected": {"exact": "hello"}}\n')
    path = tmp_path / "config.toml"
    text = CONFIG.format(metric=f'scorer = "{name}"').replace('"int4"\n', '"int4"\ngolden = "golden.jsonl"\n')
    path.write_text(text)

    assert load(path, {}).experiments["support"].monitors[0].scorer == name


def _block(kind: str, part: str) -> str:
    return next(found for found in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) if part in found)


def test_the_pages_scorer_of_another_package_is_chosen_by_name_and_scores(installed, problems) -> None:
    point = re.search(r"^politeness = \"(.*)\"$", _block("toml", "entry-points"), re.MULTILINE)
    metric = re.search(r"^polite = \{ (.*) \}$", _block("toml", 'politeness", options'), re.MULTILINE)
    assert point is not None
    assert metric is not None
    installed("touchstone_politeness", _block("python", "class Politeness"), f"politeness = {point[1]}")

    assert "politeness" in names()
    assert problems(metric[1]) == []
    scorer = scorer_for(Monitor(name="polite", scorer="politeness", options={"wanted": ["please", "thank"]}))
    said = Answer("Thank you. Please wait.", ok=True), Answer("Thanks.", ok=True)
    assert scorer.score(*said, None) == PairScore(1, 0.5)
    assert scorer.score(said[0], Answer(None, ok=False), None) == PairScore(1, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{ wanted = [] }", "options.wanted = []: must not be empty"),
        ('{ wished = ["x"] }', '"wished" is no option of scorer = "politeness"'),
        ("{}", '"wanted" is missing: scorer = "politeness" needs it'),
        ("{ wanted = 5 }", "cannot be made: TypeError"),
    ],
)
def test_wrong_options_are_refused_like_any_other_key(installed, problems, options: str, said: str) -> None:
    code = _block("python", "class Politeness")
    installed("touchstone_politeness", code, "politeness = touchstone_politeness:Politeness")

    found = problems(f'scorer = "politeness", options = {options}')

    assert len(found) == 1
    assert found[0].startswith(f"config.toml:{LINE}  ")
    assert said in found[0]


def test_a_package_that_cannot_be_loaded_or_makes_no_scorer_is_refused(installed, problems) -> None:
    code = "def none():\n    return object()\n\n\nclass Dumb:\n    version = 1\n    score = None\n"
    points = (
        "none = other_scorers:none\ndumb = other_scorers:Dumb\naway = other_scorers:Away\nchrf = other_scorers:Dumb"
    )
    installed("other_scorers", code, points)

    assert "cannot be made: AttributeError" in problems('scorer = "none"')[0]
    assert "is no scorer: it needs" in problems('scorer = "dumb"')[0]
    assert "cannot be loaded: AttributeError" in problems('scorer = "away"')[0]
    assert factory("chrf").__module__ == "experiments.scorers.chrf"  # a name of ours cannot be taken


def test_the_pages_scorer_that_asks_is_chosen_by_name_and_must_name_a_backend(installed, problems) -> None:
    code = _block("python", "class Moderated")
    installed("touchstone_moderated", code, "moderated = touchstone_moderated:Moderated")
    yes, no = Answer("yes", ok=True), Answer("no", ok=True)

    assert problems('scorer = "moderated", options = { backend = "int4" }') == []
    [problem] = problems('scorer = "moderated", options = { backend = "int5" }')
    assert 'options.backend = "int5": is no backend (did you mean "int4"?)' in problem
    scorer = scorer_for(Monitor(name="safe", scorer="moderated", options={"backend": "int4"}))
    assert [question.path for question in scorer.questions("p", yes, no)] == ["/v1/moderations"]
    replies = [b'{"results": [{"flagged": false}, {"flagged": true}]}']
    assert scorer.read("p", yes, no, replies) == Asked(PairScore(1, 0), {})
    assert isinstance(scorer.read("p", yes, no, [b"{}"]), Failed)
    assert scorer.read("p", yes, Answer(None, ok=False), []) == Asked(PairScore(1, 0), {})


def test_who_wants_a_score_at_once_gets_no_scorer_that_asks() -> None:
    with pytest.raises(ScorerError, match="asks another server"):
        build("judge", {"judge": Judge(backend="big")})


def test_the_page_names_every_scorer() -> None:
    assert [name for name in (*OURS, *ASKING) if f"`{name}`" not in PAGE] == []


def test_a_scorer_that_is_not_there_cannot_be_made() -> None:
    with pytest.raises(ScorerError, match="is no scorer; there are agreement"):
        build("nothing", {})
