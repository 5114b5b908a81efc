"""A good configuration, and what is told about a changed one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from experiments.config import ConfigError, load

GOOD = """\
[router]
workers = 2

[backends.original]
url = "http://127.0.0.1:9101"
price = { input = 1, output = 2.5 }

[backends.int4]
urls = ["http://127.0.0.1:9102", "http://127.0.0.1:9103"]
price = { input = 0.5, output = 1.0 }

[experiments.support]
match = { path = "/v1/chat/completions", model = "support" }
control = "original"
treatment = "int4"
ramp = [1, 10, 50]
mirror_percent = 25
unit = "header:X-User-Id"
slices = ["header:x-language", "body:metadata.tenant"]
golden = "golden.jsonl"

[experiments.support.guardrails]
quality = { scorer = "exact", margin = 0.02 }
errors = { max_relative = 1.5 }

[experiments.support.goals]
cost = { better_by = "30%" }

[experiments.support.monitors]
thumbs_up = { feedback = true }

[experiments.support.policy]
protected_slices = ["tenant"]
"""

Write = Callable[[str], Path]
Tell = Callable[..., list[str]]


@pytest.fixture(name="good")
def _good() -> str:
    return GOOD


@pytest.fixture(name="write")
def _write(tmp_path: Path) -> Write:
    line = '{"id": "1", "request": {"prompt": "hi"}, "expected": {"exact": "hello"}}\n'
    (tmp_path / "golden.jsonl").write_text(line)

    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        return path

    return write


@pytest.fixture(name="told")
def _told(tmp_path: Path, write: Write) -> Tell:
    """The problems of a text, a line each, without the folder."""

    def told(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(write(text), environ or {})
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return told
