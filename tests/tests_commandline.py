"""The `touchstone` command in this process, as a person would run it."""

from pathlib import Path

from typer.testing import CliRunner, Result

from router.commandline.app import app


def touchstone(*arguments: object) -> Result:
    """Run the command; what it does not catch itself is raised here."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def one_line(result: Result) -> str:
    """What was said on standard error, which is one line, with exit code 2 and nothing else."""
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("touchstone: ")
    return line.removeprefix("touchstone: ")


def write_traffic(folder: Path, more: str = "") -> Path:
    """Write a file of expectations, and return its path."""
    path = folder / "traffic.toml"
    path.write_text(f"requests_per_day = 2000\nunits_per_day = 1000\n{more}", encoding="utf-8")
    return path
