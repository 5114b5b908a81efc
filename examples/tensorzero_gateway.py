"""What `touchstone convert --to tensorzero` writes, taken by TensorZero's own gateway, which then shares real requests.

    python -m venv .venv-tensorzero && .venv-tensorzero/bin/pip install tensorzero==2026.6.0     (119 MB)
    TOUCHSTONE_TENSORZERO_PYTHON=.venv-tensorzero/bin/python python -m examples.tensorzero_gateway

The gateway is the one that is embedded in TensorZero's Python client. Two simulated backends answer. An experiment that
gives 25 % to the treatment is converted, loaded by the gateway and asked 400 times; the share must be within five
standard deviations. Then the gateway's own file is converted back.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from router.fakes.backend import FakeBackend
from router.fakes.server import serving

_REQUESTS = 400
_SHARE = 0.25
_CANNOT = 2
VARIABLE = "TOUCHSTONE_TENSORZERO_PYTHON"
_CONFIG = """
[backends.original]
url = "{original}"
[backends.small]
url = "{small}"
[experiments.support]
match = {{ path = "/v1/chat/completions" }}
control = "original"
treatment = "small"
split_percent = {percent}
unit = "header:x-user-id"
"""
_ASK = """
import collections, json, sys
import tensorzero
gateway = tensorzero.TensorZeroGateway.build_embedded(config_file=sys.argv[1])
message = {"messages": [{"role": "user", "content": "hello"}]}
names = (gateway.inference(function_name="support", input=message).variant_name for _ in range(int(sys.argv[2])))
print(json.dumps(collections.Counter(names)))
"""


def main() -> int:
    """Convert, load, ask and convert back; 2 where there is no such gateway."""
    python = os.environ.get(VARIABLE, sys.executable)
    if subprocess.run([python, "-c", "import tensorzero"], capture_output=True, check=False).returncode:
        print(f"{python} has no package tensorzero==2026.6.0; {VARIABLE} names a Python that has", file=sys.stderr)
        return _CANNOT
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        urls = [stack.enter_context(serving(FakeBackend())) for _ in range(2)]
        config, there = folder / "config.toml", folder / "tensorzero.toml"
        config.write_text(_CONFIG.format(original=urls[0], small=urls[1], percent=_SHARE * 100))
        there.write_text(_convert("--to", config))
        asked = subprocess.run(
            [python, "-c", _ASK, str(there), str(_REQUESTS)], capture_output=True, text=True, check=False
        )
        if asked.returncode:
            print(f"the gateway refuses it: {asked.stderr.strip().splitlines()[-1]}")
            return 1
        counts: dict[str, int] = json.loads(asked.stdout.splitlines()[-1])
        back = _convert("--from", there)
    share = counts.get("treatment", 0) / sum(counts.values())
    far = abs(share - _SHARE) > 5 * math.sqrt(_SHARE * (1 - _SHARE) / _REQUESTS)
    if far or f"split_percent = {_SHARE * 100}" not in back:
        print(f"the gateway gave the treatment {share:.3f} of {_REQUESTS}, not {_SHARE}; converted back:\n{back}")
        return 1
    print(f"the gateway loaded it and gave the treatment {share:.3f} of {_REQUESTS} requests (configured: {_SHARE})")
    return 0


def _convert(direction: str, file: Path) -> str:
    code = "import typer; from router.commandline.convert import convert; typer.run(convert)"
    command = [sys.executable, "-c", code, direction, "tensorzero", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
