"""Where the `touchstone` command begins: quickly, and as a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_command_line_is_there_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys, router.cli; print([m for m in ('sqlalchemy', 'pydantic', 'scipy', 'aiohttp') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_as_a_process_it_has_exit_code_2_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "router", "check"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "touchstone: the configuration has errors:\nconfig.toml:1  file: cannot be read: No such file or directory\n"
    )
