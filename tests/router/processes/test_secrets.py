"""A secret is read where the reference says, and shows itself nowhere."""

import logging
import traceback
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from tests_config import make_config

from experiments.config.notifications import Channel, Notifications
from experiments.config.serving import FeedbackSettings
from router.processes.secrets import SecretError, check_secrets, resolve, secret_references

VALUE = "s3cr3t-value"


def test_a_variable_of_the_environment_is_taken(tmp_path: Path) -> None:
    assert resolve("env:KEY", tmp_path, {"KEY": VALUE}).get_secret_value() == VALUE


def test_the_environment_is_the_processs_own_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_TEST_KEY", VALUE)

    assert resolve("env:TOUCHSTONE_TEST_KEY", tmp_path).get_secret_value() == VALUE


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_is_taken_without_the_end_of_its_line(tmp_path: Path, end: str) -> None:
    (tmp_path / "key").write_text(VALUE + end, newline="")

    assert resolve("file:key", tmp_path).get_secret_value() == VALUE
    assert resolve(f"file:{tmp_path}/key", Path("/elsewhere")).get_secret_value() == VALUE


@given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8))
def test_no_text_of_it_shows_the_value(value: str) -> None:
    secret = resolve("env:KEY", Path(), {"KEY": value})

    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert value not in shown


def test_a_log_line_does_not_show_the_value(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    secret = resolve("env:KEY", tmp_path, {"KEY": VALUE})

    structlog.get_logger().warning("a_secret", secret=secret, inside={"secret": secret})
    logging.getLogger("test").warning("a secret: %s", secret)

    captured = capsys.readouterr()
    assert "a_secret" in captured.out + captured.err
    assert VALUE not in captured.out + captured.err


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:MISSING", "env:MISSING is not in the environment"),
        ("file:none", "cannot be read: No such file or directory"),
        ("file:.", "cannot be read: Is a directory"),
        ("file:a\0b", "cannot be read: no possible name of a file"),
        ("file:huge", "is larger than 16384 bytes"),
        ("env:EMPTY", "must be one line of printable ASCII"),
        ("env:TWO_LINES", "must be one line of printable ASCII"),
        ("env:SPACE", "must be one line of printable ASCII"),
        ("file:binary", "must be one line of printable ASCII"),
        (VALUE, 'must be given as "env:NAME" or "file:PATH"'),
        (f"key:{VALUE}", 'must be given as "env:NAME" or "file:PATH"'),
        ("env:", 'must be given as "env:NAME" or "file:PATH"'),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_without_its_value(tmp_path: Path, reference: str, said: str) -> None:
    (tmp_path / "huge").write_text(VALUE * 2000)
    (tmp_path / "binary").write_bytes(b"\xff\x00" + VALUE.encode())
    environ = {"EMPTY": " ", "TWO_LINES": f"{VALUE}\r\nx-injected: 1", "SPACE": f"{VALUE} x"}

    with pytest.raises(SecretError) as caught:
        resolve(reference, tmp_path, environ)

    assert said in str(caught.value)
    assert VALUE not in "".join(traceback.format_exception(caught.value))


def test_all_secrets_of_a_configuration_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(tmp_path, "http://a", "http://b", settings={"feedback": FeedbackSettings(token="env:TS_ONE")})
    backend = config.backends["int4"].model_copy(update={"api_key": "file:key"})
    config = config.model_copy(update={"backends": {**config.backends, "int4": backend}})

    with pytest.raises(SecretError, match="env:TS_ONE"):
        check_secrets(config)
    monkeypatch.setenv("TS_ONE", VALUE)
    with pytest.raises(SecretError, match="/key cannot be read"):
        check_secrets(config)
    (tmp_path / "key").write_text(VALUE)
    check_secrets(config)


def test_those_of_the_channels_of_notifications_are_among_them(tmp_path: Path) -> None:
    channels = {"chat": Channel(url="env:TS_CHAT"), "hook": Channel(url="file:hook", secret="file:shared")}
    config = make_config(tmp_path, "http://a", "http://b", settings={"notifications": Notifications(channels=channels)})

    assert secret_references(config) == ["env:TS_CHAT", "file:hook", "file:shared"]
