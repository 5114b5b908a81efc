"""Tokens are hashed at rest, shown once, taken back by taking out their line, and over when they expire."""

import hashlib
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_history import CONFIG, write_config
from typer.testing import CliRunner, Result

from router.admin.tokens import Grant, Role, TokenFile, TokenFileError, create_token
from router.cli import app

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def test_a_new_token_is_good_at_once_and_stands_nowhere(path: Path) -> None:
    token = create_token(path, "ci", Role.OPERATE)

    assert len(token) >= 43
    assert path.read_text() == f"ci operate {hashlib.sha256(token.encode()).hexdigest()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert TokenFile(path).find(token, NOW) == Grant("ci", Role.OPERATE, hashlib.sha256(token.encode()).hexdigest())


def test_permissions_are_tightened_and_lines_are_kept(path: Path) -> None:
    path.write_text("# who may\nold read " + "0" * 64)  # without an end of line, as an editor may leave it
    path.chmod(0o666)

    create_token(path, "new", Role.READ)

    first, second, third = path.read_text().splitlines()
    assert (first, second, third.split()[:2]) == ("# who may", "old read " + "0" * 64, ["new", "read"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_is_given_once(path: Path) -> None:
    token = create_token(path, "ci", Role.READ)

    with pytest.raises(TokenFileError, match=r"there is a token named 'ci' in .*/tokens already"):
        create_token(path, "ci", Role.OPERATE)
    assert TokenFile(path).find(token, NOW)


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "#a", "-a", "a" * 65, "ä"])
def test_a_name_that_would_break_the_file_is_refused(path: Path, name: str) -> None:
    with pytest.raises(TokenFileError, match="is no possible name"):
        create_token(path, name, Role.READ)
    assert not path.exists()


@given(wrong=st.text(max_size=60))
def test_nothing_but_the_token_is_good(tmp_path_factory: pytest.TempPathFactory, wrong: str) -> None:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    token = create_token(path, "ci", Role.READ)
    tokens = TokenFile(path)

    for shown in (wrong, token[:-1], token + "a", token.swapcase(), hashlib.sha256(token.encode()).hexdigest()):
        assert tokens.find(shown, NOW) is None


def test_a_line_taken_out_is_a_token_taken_back_and_a_new_one_needs_no_restart(path: Path) -> None:
    first = create_token(path, "first", Role.READ)
    tokens = TokenFile(path)
    assert tokens.find(first, NOW)

    second = create_token(path, "second", Role.READ)
    assert tokens.find(second, NOW)
    path.write_text(path.read_text().splitlines(keepends=True)[1])
    assert tokens.find(first, NOW) is None
    assert tokens.find(second, NOW)
    path.unlink()
    assert tokens.find(second, NOW) is None


@pytest.mark.parametrize(
    "expires", ["2026-01-02", "2026-01-01T00:00:01", "2026-01-01T00:00:01Z", "2026-01-01T02:00:01+02:00"]
)
def test_a_token_is_over_at_its_time_and_not_before(path: Path, expires: str) -> None:
    token = create_token(path, "ci", Role.READ)
    path.write_text(f"{path.read_text().strip()} {expires}\n")
    over = NOW + (timedelta(days=1) if expires == "2026-01-02" else timedelta(seconds=1))

    assert TokenFile(path).find(token, over - timedelta(microseconds=1))
    assert TokenFile(path).find(token, over) is None


@pytest.mark.parametrize("change", [
    lambda line: line.replace("read", "admin"), lambda line: line.replace("read", ""), lambda line: f"{line} tomorrow",
    lambda line: f"{line} 2027-01-01 more", lambda line: line[:-1], lambda line: line.upper(), lambda line: f"#{line}",
])  # fmt: skip
def test_a_bad_line_grants_nothing_and_spoils_no_other(path: Path, change) -> None:
    bad = create_token(path, "bad", Role.READ)
    line = path.read_text().strip()
    path.write_text(f"{change(line)}\n\n")
    good = create_token(path, "good", Role.READ)

    assert TokenFile(path).find(bad, NOW) is None
    assert TokenFile(path).find(good, NOW)


def test_a_file_that_everyone_may_write_to_grants_nothing(path: Path) -> None:
    token = create_token(path, "ci", Role.READ)
    tokens = TokenFile(path)
    assert tokens.find(token, NOW)

    path.chmod(0o602)
    assert tokens.find(token, NOW) is None
    path.chmod(0o600)
    assert tokens.find(token, NOW)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_grants_nothing(path: Path, content: bytes | None) -> None:
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)

    assert TokenFile(path).find("any", NOW) is None


# --- the command ------------------------------------------------------------------------------------------------------


def command(folder: Path, *arguments: str, text: str = CONFIG) -> Result:
    config = write_config(folder, text)
    return CliRunner().invoke(app, ["token", *arguments, "--config", str(config)], catch_exceptions=False)


WITH_TOKENS = CONFIG.replace("[router]", '[router]\nadmin_tokens = "tokens"')


def test_the_command_prints_the_token_alone_and_once(tmp_path: Path, path: Path) -> None:
    done = command(tmp_path, "ci", "--role", "operate", text=WITH_TOKENS)

    assert (done.exit_code, done.stderr, len(done.stdout.split())) == (0, "", 1)
    grant = TokenFile(path).find(done.stdout.strip(), datetime.now(UTC))
    assert grant is not None
    assert (grant.name, grant.role, grant.expires) == ("ci", Role.OPERATE, None)
    assert done.stdout.strip() not in path.read_text()


def test_the_command_may_limit_the_tokens_life(tmp_path: Path, path: Path) -> None:
    token = command(tmp_path, "ci", "--role", "read", "--days", "2", text=WITH_TOKENS).stdout.strip()

    assert TokenFile(path).find(token, datetime.now(UTC) + timedelta(days=1.9))
    assert TokenFile(path).find(token, datetime.now(UTC) + timedelta(days=2)) is None


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["ci", "--role", "read"], CONFIG, "the configuration names no file of tokens"),
        (["ci", "--role", "admin"], WITH_TOKENS, "'admin' is no role: read or operate"),
        (["a b", "--role", "read"], WITH_TOKENS, "'a b' is no possible name"),
        (["ci", "--role", "read", "--days", "1e12"], WITH_TOKENS, "touchstone: "),
        (["ci", "--role", "read"], WITH_TOKENS.replace('"tokens"', '"none/tokens"'), "cannot be written: No such file"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong(tmp_path: Path, arguments: list[str], text: str, said: str) -> None:
    done = command(tmp_path, *arguments, text=text)

    assert (done.exit_code, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert said in line
    assert [found.name for found in tmp_path.iterdir()] == ["config.toml"]
