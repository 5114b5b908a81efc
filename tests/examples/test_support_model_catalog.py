from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from examples.support_model.catalog import CHECKSUMS, KINDS, MODELS, checked_path, read_checksums, write_checksums
from examples.support_model.errors import SupportModelError, optional


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_files_are_what_the_checksums_say(kind: str) -> None:
    assert checked_path(kind).read_bytes()[:4] == b"GGUF"


def test_checksums_name_exactly_the_shipped_files() -> None:
    shipped = sorted(path.name for path in MODELS.iterdir() if path.suffix == ".gguf")
    assert sorted(read_checksums(MODELS)) == shipped == sorted(f"support-{kind}.gguf" for kind in KINDS)


def test_each_copy_is_smaller_than_the_one_before() -> None:
    sizes = [checked_path(kind).stat().st_size for kind in KINDS]
    assert sizes == sorted(sizes, reverse=True)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    shutil.copytree(MODELS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "support-q4_0.gguf").write_bytes(b"GGUF of another model")
    with pytest.raises(
        SupportModelError, match=r"checksum mismatch: .*support-q4_0\.gguf has SHA-256 .*SHA256SUMS says"
    ):
        checked_path("q4_0", tmp_path)
    assert checked_path("f32", tmp_path).exists()


def test_a_missing_file_missing_checksums_and_a_missing_line_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SupportModelError, match=r"missing file: .*SHA256SUMS"):
        checked_path("f32", tmp_path)
    (tmp_path / CHECKSUMS).write_text("00  support-f32.gguf\n")
    with pytest.raises(SupportModelError, match=r"missing file: .*support-f32\.gguf"):
        checked_path("f32", tmp_path)
    with pytest.raises(SupportModelError, match=r"SHA256SUMS has no checksum for support-q4_0\.gguf"):
        checked_path("q4_0", tmp_path)


def test_a_line_that_is_no_checksum_is_named(tmp_path: Path) -> None:
    (tmp_path / CHECKSUMS).write_text("00  support-f32.gguf\nnonsense\n")
    with pytest.raises(SupportModelError, match="SHA256SUMS:2: expected"):
        read_checksums(tmp_path)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / CHECKSUMS).mkdir()
    with pytest.raises(SupportModelError, match="SHA256SUMS: Is a directory"):
        read_checksums(tmp_path)


def test_written_checksums_are_read_back(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"")
    write_checksums(tmp_path, ["a.gguf"])
    assert read_checksums(tmp_path) == {"a.gguf": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(SupportModelError, match=r"^no_such_package is not installed\. Run: pip install it$"):
        optional("no_such_package", "pip install it")
