"""The model files: their names, where they are, and the check that they are what they should be."""

from __future__ import annotations

import hashlib
from pathlib import Path

from examples.support_model.errors import SupportModelError

MODELS = Path(__file__).with_name("models")
"""The folder of the files as they are shipped."""
CHECKSUMS = "SHA256SUMS"
KINDS = ("f32", "q8_0", "q5_0", "q4_0")
"""The original first, then its quantized copies, each smaller than the one before."""


def file_name(kind: str) -> str:
    """Return the name of a model's file.

    >>> file_name("q4_0")
    'support-q4_0.gguf'
    """
    return f"support-{kind}.gguf"


def checked_path(kind: str, folder: Path = MODELS) -> Path:
    """Return the path of a model's file after comparing it with `SHA256SUMS`.

    Raises:
        SupportModelError: The file or its checksum is missing, or the two differ.
    """
    path = folder / file_name(kind)
    wanted = read_checksums(folder).get(path.name)
    if wanted is None:
        raise SupportModelError(f"{folder / CHECKSUMS} has no checksum for {path.name}")
    found = sha256(path)
    if found != wanted:
        raise SupportModelError(f"checksum mismatch: {path} has SHA-256 {found}, {CHECKSUMS} says {wanted}")
    return path


def read_checksums(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256 of a folder's `SHA256SUMS`."""
    checksums = {}
    for number, line in enumerate(_read(folder / CHECKSUMS).decode(errors="replace").splitlines(), start=1):
        digest, separator, name = line.partition("  ")
        if not separator:
            raise SupportModelError(f"{folder / CHECKSUMS}:{number}: expected 'checksum  file name'")
        checksums[name] = digest
    return checksums


def write_checksums(folder: Path, names: list[str]) -> None:
    """Write `SHA256SUMS` for files of a folder, in the form of the command of that name."""
    lines = [f"{sha256(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(_read(path)).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SupportModelError(f"missing file: {path}") from error
    except OSError as error:
        raise SupportModelError(f"{path}: {error.strerror}") from error
