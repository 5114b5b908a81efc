"""What Touchstone is measured beside: each peer in front of the same two backends, splitting by the same header.

A peer that is not installed is left out, and it is said. LiteLLM and Portkey want folders of their own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from benchmarks.processes import free_port, python, running, tree

_NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log access.log; keepalive_requests 1000000;
  split_clients "$http_x_user_id" $pool {{ 50% small; * original; }}
  upstream original {{ server 127.0.0.1:{a}; keepalive 64; keepalive_requests 1000000; keepalive_timeout 2s; }}
  upstream small {{ server 127.0.0.1:{b}; keepalive 64; keepalive_requests 1000000; keepalive_timeout 2s; }}
  server {{ listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://$pool; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


_HAPROXY = """
global
  nbthread 1
  log 127.0.0.1:{log} local0
defaults
  mode http
  log global
  option httplog
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:{port}
  use_backend small if {{ hdr(x-user-id),crc32(6),mod(100) lt 50 }}
  default_backend original
backend original
  server a 127.0.0.1:{a}
backend small
  server b 127.0.0.1:{b}
"""

_LITELLM = """
model_list:
  - model_name: support
    litellm_params: {{ model: openai/support, api_base: "http://127.0.0.1:{a}/v1", api_key: none }}
  - model_name: support
    litellm_params: {{ model: openai/support, api_base: "http://127.0.0.1:{b}/v1", api_key: none }}
# As all others here: open to everyone on loopback.
general_settings: {{ dangerously_permit_weak_or_unset_master_key: true }}
"""


@dataclass
class Target:
    """Something that answers, and the processes whose CPU counts."""

    name: str
    port: int
    pids: list[int] = field(default_factory=list)
    aside: list[int] = field(default_factory=list)
    """Processes that are metered but not counted: the controller."""
    slowness: int = 1
    """A peer that is so many times slower gets as many times fewer requests."""
    headers: dict[str, str] = field(default_factory=dict)
    """That its clients have to send."""
    folder: Path = Path()
    """Where it runs."""


@contextmanager
def bare(folder: Path, a: int) -> Iterator[Target]:
    """A forwarder that does nothing else, in Python: the floor."""
    port = free_port()
    with running(
        python(str(Path(__file__).with_name("bare_forwarder.py")), str(port), str(a)), port, folder
    ) as process:
        yield Target("bare forwarder", port, [process.pid])


@contextmanager
def portkey(folder: Path, a: int, _: int) -> Iterator[Target]:
    """Portkey's gateway in front of one backend, which each request must name."""
    port = free_port()
    start = Path(os.environ["TOUCHSTONE_PORTKEY"]) / "node_modules/@portkey-ai/gateway/build/start-server.js"
    host = f"http://127.0.0.1:{a}/v1"
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": host, "authorization": "none"}
    with running(["node", str(start), f"--port={port}", "--headless"], port, folder) as process:
        yield Target("portkey", port, tree(process.pid), slowness=5, headers=headers)


@contextmanager
def nginx(folder: Path, a: int, b: int) -> Iterator[Target]:
    """Nginx in front of the two backends."""
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(a=a, b=b, port=port))
    command = [shutil.which("nginx") or "nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    with running(command, port, folder) as process:
        yield Target("nginx", port, tree(process.pid))


@contextmanager
def haproxy(folder: Path, a: int, b: int) -> Iterator[Target]:
    """HAProxy in front of the two backends, with one thread; it sends its log to a port at which nobody listens."""
    port = free_port()
    (folder / "haproxy.cfg").write_text(_HAPROXY.format(a=a, b=b, port=port, log=free_port()))
    command = [shutil.which("haproxy") or "haproxy", "-db", "-f", str(folder / "haproxy.cfg")]
    with running(command, port, folder) as process:
        yield Target("haproxy", port, tree(process.pid))


@contextmanager
def litellm(folder: Path, a: int, b: int) -> Iterator[Target]:
    """LiteLLM's proxy in front of the two backends, with one worker."""
    port = free_port()
    (folder / "litellm.yaml").write_text(_LITELLM.format(a=a, b=b))
    command = [_litellm_command() or "litellm", "--config", str(folder / "litellm.yaml"), "--port", str(port)]
    with running([*command, "--host", "127.0.0.1", "--num_workers", "1"], port, folder, timeout_s=120) as process:
        yield Target("litellm", port, tree(process.pid), slowness=20)


def _litellm_command() -> str | None:
    """Return LiteLLM's command: TOUCHSTONE_LITELLM, as it wants an environment of its own, or the one on the path."""
    return os.environ.get("TOUCHSTONE_LITELLM") or shutil.which("litellm")


def peers(stack: ExitStack, folder: Path, a: int, b: int, out: Console, only: Collection[str] = ()) -> list[Target]:
    """Start the peers that are installed; only these, if any are named."""
    known = {
        "nginx": (nginx, shutil.which("nginx"), "Debian: nginx-light"),
        "haproxy": (haproxy, shutil.which("haproxy"), "Debian: haproxy"),
        "litellm": (
            litellm,
            _litellm_command(),
            "pip install 'litellm[proxy]' in a folder of its own; TOUCHSTONE_LITELLM",
        ),
        "portkey": (
            portkey,
            os.environ.get("TOUCHSTONE_PORTKEY"),
            "npm install @portkey-ai/gateway in a folder of its own; TOUCHSTONE_PORTKEY=FOLDER",
        ),
    }
    found = [stack.enter_context(bare(folder, a))]
    for name, (start, command, how) in known.items():
        if only and name not in only:
            continue
        if command:
            found.append(stack.enter_context(start(folder, a, b)))
        else:
            out.print(f"{name} is not installed ({how}): it is left out.")
    return found
