"""A configuration of one experiment between two backends, for tests that start a data plane of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from experiments.config.records import (
    Backend,
    Config,
    Experiment,
    Guardrail,
    Match,
    Monitor,
    RouterSettings,
    Slice,
    Source,
)

CHAT = "/v1/chat/completions"
TRANSPORT = os.environ.get("TOUCHSTONE_ROUTER_HTTP_TRANSPORT", "http1")
"""`make transports` runs what does not choose one by itself over the other one, too."""


def make_config(folder: Path, control: str, treatment: str, **changes: Any) -> Config:
    places = {"journal": folder, "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "http_transport": TRANSPORT}
    settings = RouterSettings(**(places | changes.pop("settings", {"max_body_bytes": 2**20})))
    backend = changes.pop("backend", {})
    values: dict[str, Any] = {
        "name": "support",
        "match": Match(path=CHAT),
        "control": "original",
        "treatment": "int4",
        "ramp": (50.0,),
        "salt": "support",
        "unit": Source(kind="header", name="x-user-id"),
        "slices": (Slice(attribute="x-language", source=Source(kind="header", name="x-language")),),
        "guardrails": (Guardrail(name="errors", max_relative=1.2, margin=0.01),),
        "monitors": (Monitor(name="thumbs_up", feedback=True),),
    }
    experiment = Experiment(**(values | changes))
    backends = {
        "original": Backend(name="original", urls=(control,), **backend),
        "int4": Backend(name="int4", urls=(treatment,), **backend),
    }
    return Config(path=folder / "config.toml", router=settings, backends=backends, experiments={"support": experiment})
