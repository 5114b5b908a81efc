"""How requests are served: each rule refuses at the line of the key, says what would be right, and shows no secret."""

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config import load

Tell = Callable[..., list[str]]
Write = Callable[[str], Path]
URL = 'url = "http://127.0.0.1:9101"'
SPLIT = "mirror_percent = 25"
LINK_LOCAL = "is link-local, where clouds keep credentials"

REFUSED = [
    ("workers = 2", 'admin = "0.0.0.0:8081"', 2, "is not on loopback: name a file of tokens as router.admin_tokens"),
    ("workers = 2", 'admin = "[::]:8081"', 2, "is not on loopback"),
    ("workers = 2", 'admin = "touchstone.example:8081"', 2, "is not on loopback"),
    ("workers = 2", 'feedback = { token = "opensesame" }', 2, 'router.feedback: token must be "env:NAME" or "file:PA'),
    ("workers = 2", 'tls = { certificate = "golden.jsonl", key = "none.pem" }', 2, "router.tls.key = "),
    ("workers = 2", 'tls = { certificate = "none.pem", key = "golden.jsonl" }', 2, "router.tls.certificate = "),
    ("workers = 2", 'tls = { certificate = ".", key = "golden.jsonl" }', 2, "there is no such file"),
    ("workers = 2", f'admin_tls = {{ certificate = "{"a" * 300}", key = "golden.jsonl" }}', 2, "there is no such file"),
    ("workers = 2", 'tracing = { endpoint = "localhost:4318" }', 2, "must be a URL that begins with http:// or https"),
    ("workers = 2", 'tracing = { endpoint = "http://user:secret@x" }', 2, '"http://***@x": must be a URL'),
    (URL, f'{URL}\napi_key = "opensesame"', 4, 'backends.original: api_key must be "env:NAME" or "file:PATH", never'),
    (URL, f'{URL}\napi_key = "env:"', 4, "api_key must be"),
    (URL, f'{URL}\napi_key = "env:A B"', 4, "api_key must be"),
    (URL, f'{URL}\napi_key = "ENV:A"', 4, "api_key must be"),
    (URL, f'{URL}\ndrain_notice_url = "169.254.169.254"', 6, 'drain_notice_url = "169.254.169.254": must be a URL'),
    (URL, f'{URL}\ndrain_notice_url = "http:///x"', 6, "must be a URL"),
    (URL, f'{URL}\ndrain_notice_url = "http://a:99999"', 6, "must be a URL"),
    (URL, f'{URL}\nhealth = {{ path = "health" }}', 6, 'backends.original.health.path = "health": must begin with "/"'),
    (URL, f'{URL}\nwarmup = {{ requests = "none.jsonl" }}', 6, 'requests = "none.jsonl": there is no such file'),
    (URL, f'{URL}\ntls = {{ ca = "none.pem" }}', 6, 'tls.ca = "none.pem": there is no such file'),
    (URL, 'url = "http://169.254.169.254/latest"', 5, f'url = "http://169.254.169.254/latest": {LINK_LOCAL}'),
    (URL, 'url = "http://2852039166"', 5, LINK_LOCAL),
    (URL, 'url = "http://0xa9fea9fe:80"', 5, LINK_LOCAL),
    (URL, 'url = "http://0251.0376.0251.0376"', 5, LINK_LOCAL),
    (URL, 'url = "http://[fe80::1%25eth0]:8000"', 5, LINK_LOCAL),
    (URL, 'url = "http://[::ffff:169.254.169.254]"', 5, LINK_LOCAL),
    (URL, 'url = "http://Metadata.Google.Internal."', 5, LINK_LOCAL),
    ('"http://127.0.0.1:9103"', '"http://169.254.1.1"', 9, f'int4.urls.1 = "http://169.254.1.1": {LINK_LOCAL}'),
    (SPLIT, f'{SPLIT}\nmirror_exclude = ["tool"]', 18, 'mirror_exclude.0 = "tool": must be "tools", "stateful"'),
    (SPLIT, f'{SPLIT}\nmirror_exclude = ["tools", "statefull"]', 18, '(did you mean "stateful"?)'),
    (SPLIT, f'{SPLIT}\nmirror_exclude = ["header:a b"]', 18, 'or "header:NAME"'),
    (SPLIT, f'{SPLIT}\ncapture = "none"', 24, 'quality.scorer = "exact": compares texts, and capture = "none" keeps'),
    (SPLIT, f"{SPLIT}\nredact = ['[6-9]\\d{{9}}', '(']", 18, 'redact.1 = "(": is no pattern of RE2: missing )'),
    (SPLIT, f"{SPLIT}\nredact = ['(a)\\1']", 18, "is no pattern of RE2: invalid escape sequence"),
    (SPLIT, f"{SPLIT}\nredact = ['x*']", 18, 'redact.0 = "x*": matches the empty text'),
    (SPLIT, f"{SPLIT}\nredact = ['\\b']", 18, "matches the empty text"),
    ("workers = 2", "capture_bytes = 0", 23, 'quality.scorer = "exact": needs the answers, and router.capture_bytes'),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "said"), REFUSED, ids=[case[1][-40:] for case in REFUSED])
def test_what_cannot_be_served_is_refused_at_its_line(
    good: str, told: Tell, old: str, new: str, line: int, said: str
) -> None:
    assert old in good

    [problem] = told(good.replace(old, new))

    assert problem.startswith(f"config.toml:{line}  ")
    assert said in problem
    assert "opensesame" not in problem
    assert "secret@" not in problem


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("workers = 2", 'admin = "0.0.0.0:8081"\nadmin_tokens = "made later by touchstone token"'),
        ("workers = 2", 'admin = "127.9.9.9:8081"'),
        ("workers = 2", 'admin = "localhost:8081"'),
        ("workers = 2", 'feedback = { token = "env:FEEDBACK_TOKEN" }'),
        ("workers = 2", 'tls = { certificate = "golden.jsonl", key = "golden.jsonl" }'),
        ("workers = 2", 'tracing = { endpoint = "http://127.0.0.1:4318/v1/traces" }'),
        (URL, f'{URL}\napi_key = "file:/run/secrets/key"'),
        (URL, f'{URL}\ndrain_notice_url = "http://169.254.169.254/latest/meta-data/spot/instance-action?x=1"'),
        (URL, 'url = "http://169.254.7.7:8000"\nallow_link_local = true'),
        (URL, f'{URL}\nwarmup = {{ requests = "golden.jsonl" }}'),
        (SPLIT, f'{SPLIT}\nmirror_exclude = ["tools", "stateful", "not_idempotent", "header:X-Tools"]'),
        (SPLIT, f'{SPLIT}\ncapture = "hashed"'),
        (SPLIT, f"{SPLIT}\nredact = ['[6-9]\\d{{9}}', '(?i)aadhaar']"),
    ],
)
def test_what_can_be_served_is_not_refused(good: str, write: Write, old: str, new: str) -> None:
    assert old in good
    assert load(write(good.replace(old, new)), {}).experiments


def test_a_wrong_key_is_told_once_and_not_by_the_rules_that_rest_upon_it(good: str, told: Tell) -> None:
    changed = good.replace("workers = 2", 'admin = "0.0.0.0:8081"\nadmin_tokens = 5').replace(
        URL, 'url = "http://169.254.7.7"\nallow_link_local = "yes"'
    )

    problems = told(changed)

    assert [problem.partition("  ")[2].partition(" = ")[0] for problem in problems] == [
        "router.admin_tokens",
        "backends.original.allow_link_local",
    ]


def test_an_admin_port_opened_by_the_environment_needs_tokens_too(good: str, told: Tell) -> None:
    [problem] = told(good, {"TOUCHSTONE_ROUTER_ADMIN": "0.0.0.0:8081"})

    assert problem.startswith('environment  TOUCHSTONE_ROUTER_ADMIN = "0.0.0.0:8081": is not on loopback')


@pytest.mark.parametrize("scorer", ["truncated", "tool_calls", "empty"])
def test_figures_are_scored_where_no_text_is_kept_and_nothing_is_left_to_redact(
    good: str, write: Write, told: Tell, scorer: str
) -> None:
    kept = good.replace(SPLIT, f'{SPLIT}\ncapture = "none"').replace('scorer = "exact"', f'scorer = "{scorer}"')
    assert load(write(kept), {}).experiments

    [problem] = told(kept.replace(SPLIT, f"{SPLIT}\nredact = ['secret']"))

    assert problem.endswith('is pointless: capture = "none" keeps no text')


def test_a_slice_of_the_prompt_needs_recorded_bytes(good: str, told: Tell) -> None:
    changed = good.replace("workers = 2", "capture_bytes = 0").replace('"body:metadata.tenant"', '"script"')

    problems = told(changed)

    assert any('"script": needs the prompt, and router.capture_bytes = 0' in problem for problem in problems)
