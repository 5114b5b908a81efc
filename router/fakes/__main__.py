"""`python -m router.fakes --port 9101`: a fake backend on a port of its own. Says that its answers are simulated."""

from __future__ import annotations

import argparse

import uvicorn

from router.fakes.backend import Behaviour, FakeBackend, echo, sometimes_wrong


class _Forgetful(list[dict[str, object]]):
    """Keeps nothing: a benchmark's millions of requests need no memory."""

    def append(self, _: dict[str, object]) -> None:
        """Drop the item."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--chunk-delay-ms", type=float, default=0.0)
    parser.add_argument("--wrong-share", type=float, default=0.0, help="share of the prompts that are answered wrongly")
    parser.add_argument(
        "--fail-share", type=float, default=0.0, help="share of the requests that are answered with 500"
    )
    parser.add_argument("--cold-start-ms", type=float, default=0.0, help="what the first request waits longer")
    parser.add_argument("--hang", action="store_true", help="accept every request and never answer")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    answer = sometimes_wrong(options.wrong_share, options.seed) if options.wrong_share else echo
    behaviour = Behaviour(
        answer,
        delay_ms=options.delay_ms,
        chunk_delay_ms=options.chunk_delay_ms,
        cold_start_ms=options.cold_start_ms,
        hang=options.hang,
        fail_share=options.fail_share,
    )
    print(f"fake backend on port {options.port}: answers are SIMULATED", flush=True)
    app = FakeBackend(behaviour, received=_Forgetful())
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False, ws="none")


main()
