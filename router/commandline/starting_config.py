"""The configuration that `touchstone init` writes: a first experiment, each key with what it means. Pure."""

from __future__ import annotations

import json
from typing import NamedTuple

UNITS = "header:NAME, cookie:NAME, body:path.to.field or request"


class Answers(NamedTuple):
    """What one has to know before a first experiment."""

    control_url: str
    """Base URL of the backend that users trust."""
    treatment_url: str
    """Base URL of the cheaper one."""
    path: str = "/v1/chat/completions"
    """Which requests are compared."""
    model: str = ""
    """The `model` field of these requests; empty for all of the path."""
    unit: str = "header:x-user-id"
    """What always gets the same variant."""
    golden: str = ""
    """File with right answers, relative to the configuration; empty: the treatment is compared with the control."""
    margin: float = 0.02
    """The loss that is accepted, as a share: 0.02 is 2 points."""


_TEXT = """\
# A first experiment: is the cheaper model as good as the one that your users trust?
# `touchstone check` says what this file means, `touchstone serve` runs it; every key is in docs/configuration.md.

[router]
listen = "127.0.0.1:8080"               # where your clients send their requests, instead of to the model
admin = "127.0.0.1:8081"                # dashboard, metrics and admin API
database = "sqlite:///touchstone.db"    # what is measured and decided; PostgreSQL for several machines
journal = "journal"                     # what the proxies write before it is in the database

[backends.original]                     # the model that users trust: the control
url = {control_url}
# price = {{ input = 0.50, output = 1.50 }}   # USD per million tokens; a goal of `cost` needs it

[backends.cheaper]                      # the model that is to be judged: the treatment
url = {treatment_url}
# price = {{ input = 0.15, output = 0.45 }}

[experiments.first]
hypothesis = "The cheaper model answers as well as the original"   # shown wherever the experiment is
{match}
control = "original"                    # who serves everyone as long as nothing is proven
treatment = "cheaper"                   # who is to be judged
ramp = [5, 25, 50]                      # percent of the units that the treatment serves; each stage must earn the next
mirror_percent = 20                     # percent of requests that the other model answers too, unseen by the user
{unit}
{golden}
# slices = ["header:x-language"]        # groups that must not be harmed behind a good average

[experiments.first.guardrails]          # what must not be harmed
{quality}
errors = {{ max_relative = 1.2, margin = 0.02 }}  # failed requests: at most 1.2 times as many, 2 points more

# [experiments.first.goals]             # what must improve; without a goal, being as good is enough
# cost = {{ better_by = "30%" }}          # needs the prices above

[experiments.first.policy]
on_harm = "rollback"                    # proven harm: control serves everyone again
on_success = "promote"                  # or "notify": say so, and leave the rest to a person
min_days = 7                            # a promotion waits for a whole week of your users; a rollback never waits
max_days = 28                           # undecided by then, the experiment ends and control stays
"""


def starting_config(answers: Answers) -> str:
    """Return the configuration, whether or not what was answered makes sense: loading it tells.

    >>> starting_config(Answers("http://a", "http://b")).count("http://b")
    1
    """
    return _TEXT.format(
        control_url=quoted(answers.control_url),
        treatment_url=quoted(answers.treatment_url),
        match=_match(answers),
        unit=_commented(f"unit = {quoted(answers.unit)}", "who always gets the same model"),
        golden=_golden(answers),
        quality=_quality(answers),
    )


def quoted(text: str) -> str:
    r"""Return a text as TOML writes it.

    >>> quoted('a "b"\x7f')
    '"a \\"b\\"\\u007f"'
    """
    # JSON's strings are TOML's, but for DEL; what is no Unicode can be written by neither.
    plain = text.encode("utf-8", "replace").decode()
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")


def _match(answers: Answers) -> str:
    model = f", model = {quoted(answers.model)}" if answers.model else ""
    return _commented(f"match = {{ path = {quoted(answers.path)}{model} }}", "which requests belong to it")


def _golden(answers: Answers) -> str:
    if not answers.golden:
        return '# golden = "golden.jsonl"               # right answers, if you have some: docs/golden.md'
    return _commented(f"golden = {quoted(answers.golden)}", "right answers")


def _quality(answers: Answers) -> str:
    percent = f"{100 * answers.margin:g}"
    if answers.golden:
        return _commented(
            f'quality = {{ scorer = "exact", margin = {answers.margin!r} }}',
            f"right answers: a loss of {percent} points is accepted, no more",
        )
    return _commented(
        f'agreement = {{ scorer = "agreement", margin = {answers.margin!r} }}',
        f"the same answer as the control: {percent} points less is accepted",
    )


def _commented(line: str, comment: str) -> str:
    return f"{line:<38}  # {comment}"
