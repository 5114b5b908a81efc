"""Each rule refuses at the line of the key, and says what would be right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config import load

Tell = Callable[..., list[str]]
Case = tuple[str, str, int, str]

ROUTER: list[Case] = [
    ("workers = 2", "workerz = 2", 2, "router.workerz = 2: unknown key; known here: listen, admin, workers"),
    ("workers = 2", "workerz = 2", 2, '(did you mean "workers"?)'),
    ("workers = 2", 'workers = "2"', 2, 'router.workers = "2": must be a whole number'),
    ("workers = 2", "workers = 2.5", 2, "must be a whole number"),
    ("workers = 2", "workers = 0", 2, "must be between 1 and 64"),
    ("workers = 2", "connect_timeout_s = 0", 2, "must be above 0"),
    ("workers = 2", "connect_timeout_s = inf", 2, "must be a finite number"),
    ("workers = 2", "journal = 5", 2, "must be a text in quotes"),
    ("workers = 2", "listen = 2020-01-01", 2, "router.listen = 2020-01-01: must be a text in quotes"),
    ("workers = 2", 'listen = "nowhere"', 2, 'must be "host:port" with a port from 0 to 65535'),
    ("workers = 2", 'listen = "http://x:80"', 2, 'must be "host:port"'),
    ("workers = 2", 'listen = "a:²"', 2, 'must be "host:port"'),
    ("workers = 2", 'admin = "a:65536"', 2, 'must be "host:port"'),
    ("workers = 2", 'listen = "127.0.0.1:8081"', 2, "must differ from router.admin"),
    ("workers = 2", 'admin = "127.0.0.1:8080"', 2, "must differ from router.listen"),
    ("workers = 2", 'database = "mysql://me:secret@x"', 2, '"mysql://***@x": must begin with "sqlite:///"'),
    ("workers = 2", 'database = "sqlite:///:memory:"', 2, "must name a file"),
    ("workers = 2", 'default_backend = "orignal"', 2, 'is no backend (did you mean "original"?)'),
    ("workers = 2", 'journal_fsync = "allways"', 2, 'must be "interval", "always" or "never" (did you mean "always"?)'),
    ("[router]", 'path = "x"\n[router]', 1, 'path = "x": unknown key; known here: router, backends, experiments'),
]
BACKENDS: list[Case] = [
    ('"http://127.0.0.1:9101"', '"ftp://x"', 5, 'backends.original.url = "ftp://x": must be http:// or https://'),
    ('"http://127.0.0.1:9101"', '"http://"', 5, "with a host"),
    ('"http://127.0.0.1:9101"', '"http://a b"', 5, "with a host"),
    ('"http://127.0.0.1:9101"', '"http://a:99999"', 5, "with a host"),
    ('"http://127.0.0.1:9101"', '"http://a/?q=1"', 5, "without user, query or fragment"),
    ('"http://127.0.0.1:9101"', '"http://a/#"', 5, "without user, query or fragment"),
    ('"http://127.0.0.1:9101"', "5", 5, "backends.original.url = 5: must be a text in quotes"),
    ('url = "http://127.0.0.1:9101"', 'url = "http://a"\nurls = ["http://b"]', 5, "give url or urls, not both"),
    ('url = "http://127.0.0.1:9101"', "", 4, "backends.original.url: is missing"),
    ('"http://127.0.0.1:9103"', '"http://user:secret@x"', 9, 'urls.1 = "http://***@x": must be http://'),
    ('["http://127.0.0.1:9102", "http://127.0.0.1:9103"]', "[]", 9, "must not be empty"),
    ('["http://127.0.0.1:9102", "http://127.0.0.1:9103"]', '[\n"ftp://x"]', 10, "must be http://"),
    ("input = 1,", "input = -1,", 6, "backends.original.price.input = -1: must be 0 or more"),
    ("input = 1,", "inputs = 1,", 6, '(did you mean "input"?)'),
    ("[backends.int4]", "[backends.Int4]", 8, "backends.Int4: a name is up to 64 of a-z"),
    ("[backends.int4]", '[backends.int4]\nname = "x"', 9, 'backends.int4.name = "x": unknown key'),
]
EXPERIMENT: list[Case] = [
    ("experiments.support", f"experiments.{'x' * 65}", 12, "a name is up to 64 of a-z"),
    ('path = "/v1/chat/completions", ', "", 13, "experiments.support.match.path: is missing"),
    ('path = "/v1/chat/completions"', 'path = "v1"', 13, 'match.path = "v1": must begin with "/"'),
    ('model = "support"', "headers = { X-A = 5 }", 13, "match.headers.X-A = 5: must be a text in quotes"),
    ('model = "support"', 'headers = { X-A = "1", x-a = "2" }', 13, "is there twice: capitals make no difference"),
    ('model = "support"', 'headers = { "x a" = "1" }', 13, 'match.headers."x a" = "1": is no name of a header'),
    ('control = "original"', 'control = "orginal"', 14, 'is no backend (did you mean "original"?)'),
    ('treatment = "int4"', 'treatment = "original"', 15, "must differ from the control"),
    ('urls = ["http://127.0.0.1:9102"', 'protocol = "raw"\nurls = ["http://127.0.0.1:9102"', 16, "the same protocol"),
    ("[1, 10, 50]", "[1, 110]", 16, "experiments.support.ramp.1 = 110: must be between 0 and 100"),
    ("[1, 10, 50]", "[10, 1]", 16, "must rise from stage to stage"),
    ("[1, 10, 50]", "[10, 10]", 16, "must rise from stage to stage"),
    ("[1, 10, 50]", "[]", 16, "must not be empty"),
    ("[1, 10, 50]", "10", 16, "must be a list"),
    ("[1, 10, 50]", "[10, 20]\nsplit_percent = 30", 17, "the ramp decides: remove split_percent, or put it into"),
    ("ramp = [1, 10, 50]", "split_percent = 150", 16, "support.split_percent = 150: must be between 0 and 100"),
    ("ramp = [1, 10, 50]", 'split_percent = "10"', 16, 'support.split_percent = "10": must be a number'),
    ("mirror_percent = 25", "mirror_percent = -1", 17, "must be between 0 and 100"),
    ("mirror_percent = 25", "mirror_percent = true", 17, "must be a number"),
    ("mirror_percent = 25", "mirorr_percent = 25", 17, '(did you mean "mirror_percent"?)'),
    ("header:X-User-Id", "X-User-Id", 18, 'unit = "X-User-Id": must be "header:NAME", "cookie:NAME", "body:path'),
    ('"header:X-User-Id"', '{ kind = "request" }', 18, 'must be "header:NAME"'),
    ("body:metadata.tenant", "request", 19, 'slices.1 = "request": must be "header:NAME", "cookie:NAME" or "body:'),
    ('"body:metadata.tenant"', '{ attribute = "tenant" }', 19, 'must be "header:NAME"'),
    ("body:metadata.tenant", "header:X-Language", 19, 'there is a slice attribute "x-language" already'),
    ("body:metadata.tenant", "langage", 19, 'slices.1 = "langage": must be "header:NAME", "cookie:NAME" or "body:'),
    ("body:metadata.tenant", "langage", 19, '"code_switched", or "exposed_before" (did you mean "language"?)'),
    ("body:metadata.tenant", "code-switched", 19, '(did you mean "code_switched"?)'),
    ('"body:metadata.tenant"', '"language", "header:language"', 19, 'slices.2 = "header:language": there is a slice'),
    (
        '"body:metadata.tenant"]',
        '"script"]\ncapture = "none"',
        19,
        'slices.1 = "script": needs the prompt, and capture = "none" keeps none',
    ),
    ("header:X-User-Id", "language", 18, 'unit = "language": must be "header:NAME", "cookie:NAME", "body:path'),
    ("mirror_percent = 25", "salt = 5", 17, "salt = 5: must be a text in quotes"),
    ('["tenant"]', '["tennant"]', 33, 'protected_slices.0 = "tennant": is no slice of this experiment'),
    ('["tenant"]', '["tennant"]', 33, '(did you mean "tenant"?)'),
    ('protected_slices = ["tenant"]', "min_days = 60", 33, "must not be above max_days (28)"),
    ('protected_slices = ["tenant"]', "max_days = 3", 33, "must not be below min_days (7 unless given)"),
    ('protected_slices = ["tenant"]', 'on_harm = "rolback"', 33, '(did you mean "rollback"?)'),
    ('protected_slices = ["tenant"]', "alpha_srm = 1", 33, "must be above 0 and below 1"),
    ("[experiments.support.policy]", "[experiment.support.policy]", 32, '(did you mean "experiments"?)'),
    (
        'protected_slices = ["tenant"]',
        'golden = "golden.jsonl"',
        33,
        "belongs in [experiments.support], not in its pol",
    ),
    ('"golden.jsonl"', '"none.jsonl"', 20, 'golden = "none.jsonl": cannot be used: '),
    ('"golden.jsonl"', '"none.jsonl"', 20, "No such file"),
    ('"golden.jsonl"', '"."', 20, "is no file"),
    ('"golden.jsonl"', '"a\\u0000b"', 20, "cannot be used: "),
    ('"golden.jsonl"', '"config.toml"', 20, "config.toml:1: "),
]
METRICS: list[Case] = [
    (
        "margin = 0.02",
        "margin = 0",
        23,
        "quality.margin = 0: must be above 0 and below 1: a margin is a positive share",
    ),
    ("margin = 0.02", "margin = -0.02", 23, "a margin is a positive share, 0.02 is 2 points"),
    ("margin = 0.02", "margin = 1", 23, "a margin is a positive share"),
    (", margin = 0.02", "", 23, "quality.margin: is missing: the loss that you agree to accept"),
    ("margin = 0.02", "margin = 0.02, tolerance = 0.03", 23, "tolerance = 0.03: must not be above the margin (0.02)"),
    ("margin = 0.02", "margin = 0.02, slice_margin = 0.01", 23, "must not be below the margin (0.02)"),
    ('scorer = "exact", margin', "feedback = true, margin", 23, "feedback is not paired"),
    ('scorer = "exact", margin = 0.02', "feedback = true", 23, "quality.max_relative: is missing"),
    (
        'scorer = "exact", margin = 0.02',
        "feedback = true, max_relative = 2, tolerance = 0.1",
        23,
        "needs a margin besi",
    ),
    ("margin = 0.02", "margin = 0.02, max_relative = 2", 23, "is for errors and feedback only"),
    ("margin = 0.02", "margin = 0.02, feedback = true", 23, "a metric has a scorer or feedback, not both"),
    ('scorer = "exact"', 'scorer = "exakt"', 23, 'truncated (did you mean "exact"?)'),
    ('scorer = "exact"', 'scorer = "label"', 23, 'quality.label: must be "json:path.to.field", or "regex:..."'),
    ('scorer = "exact"', 'scorer = "label", label = "json:a..b"', 23, 'must be "json:path.to.field"'),
    ('scorer = "exact"', 'scorer = "label", label = "regex:("', 23, "with exactly one group"),
    ('scorer = "exact"', 'scorer = "label", label = "regex:(a)(b)"', 23, "with exactly one group"),
    ('scorer = "exact"', 'scorer = "label", label = "regex:(?<=a)(b)"', 23, "in RE2's syntax"),
    ('scorer = "exact"', 'scorer = "exact", label = "json:a"', 23, 'is for scorer = "label" or "golden" only'),
    ('scorer = "exact", ', "", 23, "quality: needs a scorer (exact, agreement, ...: docs/scorers.md has all) or feed"),
    ('golden = "golden.jsonl"', "", 23, "name a golden set as `golden` in [experiments.support]"),
    ("quality =", '"Qu ality" =', 23, 'guardrails."Qu ality": a name is up to 64 of a-z'),
    ('{ scorer = "exact", margin = 0.02 }', "5", 23, "guardrails.quality = 5: must be a table"),
    ("max_relative = 1.5", "max_relative = 0.5", 24, "must be 1 or more"),
    ("max_relative = 1.5", 'scorer = "agreement"', 24, "is not for errors: the router counts them itself"),
    ("errors = { max_relative = 1.5", "erors = { max_relative = 1.5", 24, '(did you mean "errors"?)'),
    ('better_by = "30%"', 'better_by = "a third"', 27, 'must be a share such as "30%" or 0.3'),
    ('better_by = "30%"', 'better_by = "100%"', 27, 'must be a share such as "30%" or 0.3'),
    (
        "cost = {",
        "costs = {",
        27,
        'goals.costs: must be "latency", "ttft", "inter_token", "cost", "energy" or "carbon" (did you mean "cost"?)',
    ),
    ("price = { input = 0.5, output = 1.0 }", "", 27, 'goals.cost: needs a price on the backend "int4"'),
    ("thumbs_up = { feedback = true }", "thumbs_up = {}", 30, "needs a scorer"),
    ("thumbs_up = {", "quality = {", 30, "there is a metric of this name under guardrails already"),
    ("thumbs_up = { feedback = true }", 'a = { scorer = "exact", feedback = true }', 30, "not both"),
]
CASES = [*ROUTER, *BACKENDS, *EXPERIMENT, *METRICS]


@pytest.mark.parametrize(("old", "new", "line", "said"), CASES, ids=[f"{case[1][:40]}: {case[3]}" for case in CASES])
def test_an_impossible_value_is_refused_at_its_line_with_the_rule(
    good: str, told: Tell, old: str, new: str, line: int, said: str
) -> None:
    assert old in good

    problems = told(good.replace(old, new))

    assert any(problem.startswith(f"config.toml:{line}  ") and said in problem for problem in problems), problems
    assert not any(jargon in problem for problem in problems for jargon in ("pydantic", "Input should", "_type"))


@pytest.mark.parametrize("group", ["guardrails", "goals", "monitors"])
@pytest.mark.parametrize("value", ["5", '["quality"]'])
def test_a_group_of_metrics_is_a_table(good: str, told: Tell, group: str, value: str) -> None:
    text = good[: good.index("[experiments.support.guardrails]")] + f"{group} = {value}"

    assert told(text) == [f"config.toml:22  experiments.support.{group} = {value}: must be a table"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("workers = 2", 'listen = "127.0.0.1:0"\nadmin = "127.0.0.1:0"'),
        ("workers = 2", 'listen = "[::1]:8080"'),
        ("mirror_percent = 25", "mirror_percent = 25\nsplit_percent = 10"),
        ('scorer = "exact"', 'scorer = "label", label = "regex:([[a])"'),
        ('scorer = "exact"', 'scorer = "label", label = "json:intent.name"'),
        ("errors = { max_relative = 1.5 }", "errors = {}"),
        ("margin = 0.02", "margin = 0.02, tolerance = 0.02, slice_margin = 0.02"),
        ("quality = {", "bad_feedback = { feedback = true, max_relative = 1.2 }\nquality = {"),
        ("http://127.0.0.1:9101", "https://[::1]:8000/base/path"),
        ('protected_slices = ["tenant"]', "min_days = 28"),
        ('"body:metadata.tenant"]', '"body:metadata.tenant", "language", "script", "code_switched"]'),
        ('"body:metadata.tenant"]', '"body:metadata.tenant", "language"]\ncapture = "hashed"'),
    ],
)
def test_what_is_possible_is_not_refused(good: str, write: Callable[[str], Path], old: str, new: str) -> None:
    assert old in good
    assert load(write(good.replace(old, new)), {}).experiments


def test_nothing_to_do_is_an_error_and_a_default_backend_is_something_to_do(
    write: Callable[[str], Path], told: Tell
) -> None:
    backend = '[backends.a]\nurl = "http://a"\n'

    [problem] = told(backend)

    assert problem == (
        "config.toml:1  experiments: there is nothing to do: no experiment, and no router.default_backend"
    )
    assert load(write(backend + '[router]\ndefault_backend = "a"'), {}).experiments == {}


def _twin(good: str) -> str:
    return good[good.index("[experiments.support]") :].replace("experiments.support", "experiments.twin")


def test_two_experiments_that_may_match_the_same_request_are_refused(good: str, told: Tell) -> None:
    [problem] = told(good + _twin(good).replace(', model = "support"', ', headers = { x-a = "1" }'))

    said = 'matches requests that "support" matches too: tell them apart by path, model or a header'
    assert problem == f"config.toml:35  experiments.twin.match: {said}"


def test_two_experiments_told_apart_by_path_model_or_header_are_fine(good: str, write: Callable[[str], Path]) -> None:
    for one, other in (
        ('path = "/v1/chat/completions"', 'path = "/v1/completions"'),
        ('model = "support"', 'model = "other"'),
    ):
        assert list(load(write(good + _twin(good).replace(one, other)), {}).experiments) == ["support", "twin"]
    headers = good.replace('model = "support"', 'headers = { X-Team = "web" }')
    twin = _twin(headers).replace('X-Team = "web"', 'x-team = "app"')
    assert list(load(write(headers + twin), {}).experiments) == ["support", "twin"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('"tennant=acme" = 50', '"tennant=acme" = 50: is of no slice of this experiment; its slices: '),
        ('"tennant=acme" = 50', '(did you mean "tenant=acme"?)'),
        ('"tenant=acme" = 25', "must be above mirror_percent (25): so much is mirrored in any case"),
        ('"tenant=acme" = 101', '"tenant=acme" = 101: must be'),
        ("tenant = 50", 'tenant = 50: must be "attribute=value"'),
        ('"tenant=" = 50', 'must be "attribute=value"'),
    ],
)
def test_a_slice_that_cannot_be_mirrored_more_is_told_at_its_line(good: str, told: Tell, more: str, said: str) -> None:
    [problem] = told(good.replace("mirror_percent = 25\n", f"mirror_percent = 25\nmirror_slices = {{ {more} }}\n"))

    assert said in problem
