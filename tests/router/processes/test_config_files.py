"""The files that a configuration names are watched together, and tried before anybody depends on them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from tests_history import CONFIG, write_config

from experiments.config import Config, load
from router.processes.config_files import UnusableError, check_files, signature, signatures

TEXT = (
    CONFIG.replace("[backends.int4]", '[backends.int4]\napi_key = "file:key.txt"')
    .replace("[experiments.support]", '[experiments.support]\ngolden = "golden.jsonl"')
    .replace("[backends.original]", """
[router.feedback]
token = "env:TOUCHSTONE_TEST_FEEDBACK"
[router.tls]
certificate = "tls.pem"
key = "tls.key"
[router.admin_tls]
certificate = "admin.pem"
key = "admin.key"
[backends.original.tls]
ca = "ca.pem"
[backends.original.warmup]
requests = "warmup.jsonl"
[backends.original]""")
)  # fmt: skip
NAMES = (
    "tls.pem", "tls.key", "admin.pem", "admin.key", "ca.pem", "warmup.jsonl", "golden.jsonl", "key.txt",
)  # fmt: skip


@pytest.fixture(name="config")
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration of which every file is there and good."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    for name in ("tls", "admin"):
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "warmup.jsonl").write_text('{"path": "/v1/models", "body": {}}\n')
    (tmp_path / "golden.jsonl").write_text("")
    (tmp_path / "key.txt").write_text("hush\n")
    monkeypatch.setenv("TOUCHSTONE_TEST_FEEDBACK", "hush")
    return load(write_config(tmp_path, TEXT), {})


def test_every_named_file_is_watched(config: Config, tmp_path: Path) -> None:
    assert {path.name for path in signatures(config)} == set(NAMES)
    assert None not in signatures(config).values()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", [lambda path: path.write_text("other"), Path.unlink])
def test_a_change_of_any_of_them_is_seen(
    config: Config, tmp_path: Path, name: str, change: Callable[[Path], object]
) -> None:
    before = signatures(config)
    assert signatures(config) == before

    change(tmp_path / name)

    assert {path.name for path, found in signatures(config).items() if found != before[path]} == {name}


def test_a_file_that_is_not_there_has_no_signature(tmp_path: Path) -> None:
    assert signature(tmp_path / "nothing") is None


def test_good_files_are_fine(config: Config) -> None:
    check_files(config)


@pytest.mark.parametrize(("name", "said"), [
    ("tls.pem", "cannot serve https on 127.0.0.1:0 with "), ("tls.key", "cannot serve https on 127.0.0.1:0 with "),
    ("admin.pem", "cannot serve https on 127.0.0.1:0 with "), ("ca.pem", "the certificates in "),
    ("key.txt", "the secret file:"),
])  # fmt: skip
def test_a_file_that_cannot_be_used_is_told_by_its_name(config: Config, tmp_path: Path, name: str, said: str) -> None:
    for change in (lambda path: path.write_text("two words, and no pem"), Path.unlink):
        change(tmp_path / name)
        with pytest.raises(UnusableError, match=f"^{said}") as caught:
            check_files(config)
        assert "two words" not in str(caught.value)


def test_a_key_with_a_password_is_an_error_and_no_question(config: Config, tmp_path: Path) -> None:
    key = load_pem_private_key((tmp_path / "tls.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush"))
    (tmp_path / "tls.key").write_bytes(locked)

    with pytest.raises(UnusableError, match=r"^cannot serve https on "):
        check_files(config)


def test_a_secret_that_is_not_in_the_environment_is_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOUCHSTONE_TEST_FEEDBACK")

    with pytest.raises(UnusableError, match=r"^the secret env:TOUCHSTONE_TEST_FEEDBACK is not in the environment$"):
        check_files(config)
