"""`touchstone init`: writes a configuration that loads, or nothing; asks a person, and nobody else."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests_commandline import one_line, touchstone

URLS = ("--control-url", "http://127.0.0.1:9101", "--treatment-url", "http://127.0.0.1:9102")
ROOT = Path(__file__).parents[3]


def test_what_it_writes_passes_check(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"

    done = touchstone("init", *URLS, "--model", "support", "--margin", 0.05, "-c", path)

    assert (done.exit_code, done.stderr) == (0, "")
    checked = touchstone("check", "-c", path)
    assert checked.exit_code == 0
    assert "first: cheaper against original" in checked.stdout
    assert "agreement (margin 5 points)" in checked.stdout


def test_a_file_that_is_there_stays_as_it_is_unless_one_insists(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("mine")

    refused = one_line(touchstone("init", *URLS, "-c", path))

    assert refused == f"{path} is there already: --force overwrites it"
    assert path.read_text() == "mine"
    assert touchstone("init", *URLS, "--force", "-c", path).exit_code == 0
    assert "[experiments.first]" in path.read_text()


def test_nobody_is_asked_where_nobody_can_answer(tmp_path: Path) -> None:
    said = one_line(touchstone("init", "-c", tmp_path / "config.toml"))

    assert said == "--control-url and --treatment-url are needed where nobody can be asked"


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert "cannot be written: No such file" in one_line(touchstone("init", *URLS, "-c", tmp_path / "no" / "x.toml"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    control=st.text(min_size=1, max_size=20),
    model=st.text(max_size=10),
    unit=st.text(max_size=10),
    margin=st.floats(allow_nan=True, allow_infinity=True),
)
def test_whatever_is_given_the_file_loads_or_nothing_is_written(
    tmp_path: Path, control: str, model: str, unit: str, margin: float
) -> None:
    path = tmp_path / "any.toml"
    path.unlink(missing_ok=True)
    flags = [f"--control-url={control}", "--treatment-url=http://b", f"--model={model}", f"--unit={unit}"]

    done = touchstone("init", *flags, f"--margin={margin!r}", "-c", path)

    assert done.exit_code == (0 if path.exists() else 2)
    if path.exists():
        assert touchstone("check", "-c", path).exit_code == 0
    else:
        assert done.stderr.startswith("touchstone: nothing is written")
    assert not [*tmp_path.glob("*.part")]


def test_a_person_is_asked_question_by_question(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "router", "init", "-c", str(tmp_path / "config.toml")]
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.write(ours, b"http://127.0.0.1:1\nhttp://127.0.0.1:2\n\nsupport\n\n\n0.03\n")
        said, _ = process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == 0
    assert "Base URL of the cheaper model" in said
    assert 'model = "support"' in (tmp_path / "config.toml").read_text()
    assert "margin = 0.03" in (tmp_path / "config.toml").read_text()
