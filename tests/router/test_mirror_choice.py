"""What is mirrored, over real sockets: by its draw, by its slices, and in an A/A run to control itself."""

import subprocess
import sys

import aiohttp
import pytest

from experiments.assignment import unit_of
from experiments.config.records import Slice, Source
from experiments.languages.identify import slices_of
from experiments.mirroring import drawn
from experiments.model import CONTROL, TREATMENT, Phase
from experiments.protocols import protocol

CHAT = "/v1/chat/completions"
LANGUAGE = Slice(attribute="language", source=Source(kind="prompt", name="language"))
PROMPTS = ("मेरा ऑर्डर कब आएगा, कृपया बताइए", "where is my order, please?", "mera order kab aayega bhai?")
one_transport = pytest.mark.parametrize("plane", ["http1"], indirect=True)
"""What is chosen does not depend on what carries it."""


async def ask(url: str, count: int, *, prompts: tuple[str, ...] = ("hello",), **headers: str) -> None:
    """Ask so often, as a new user each time unless the headers say who it is."""
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            body = {"messages": [{"role": "user", "content": prompts[number % len(prompts)]}]}
            sent = {"x-user-id": f"u{number}", "x-language": ("en", "hi")[number % 2]} | headers
            sent = {name: value for name, value in sent.items() if value}
            async with session.post(url + CHAT, json=body, headers=sent) as response:
                assert response.status == 200


@one_transport
async def test_in_an_a_a_run_users_are_assigned_and_mirrored_as_ever_and_control_answers_them_all(plane) -> None:
    running = plane(split=50, mirror=100, fallback="both", route={"phase": Phase.GATED})

    await ask(running.url, 30)

    live, shadows = running.exchanges(30), running.exchanges(30, "shadow")
    assert {exchange.assigned for exchange in live} == {CONTROL, TREATMENT}
    assert all(exchange.served == exchange.assigned for exchange in [*live, *shadows])
    assert {exchange.propensity for exchange in live} == {0.5}
    assert {exchange.backend for exchange in [*live, *shadows]} == {"original"}
    assert {exchange.pair: exchange.assigned for exchange in shadows} == {
        exchange.id: CONTROL if exchange.assigned == TREATMENT else TREATMENT for exchange in live
    }
    assert (running.control.counts[CHAT], running.treatment.counts[CHAT]) == (60, 0)


@one_transport
async def test_in_a_retry_it_is_recorded_who_has_met_the_treatment_of_an_earlier_attempt(plane) -> None:
    running = plane(split=50, route={"salt": "support/3", "exposed": (("support", 1_000), ("support/2", 4_000))})

    await ask(running.url, 40)
    await ask(running.url, 5, **{"x-user-id": ""})

    found = {exchange.unit: exchange.slices["exposed_before"] for exchange in running.exchanges(45)}
    met = {
        unit_of("support/3", user).key: unit_of("support", user).bucket < 1_000
        or unit_of("support/2", user).bucket < 4_000
        for user in (f"u{number}".encode() for number in range(40))
    }
    assert {found[unit] for unit, was in met.items() if was} == {"yes"}
    assert {answer for unit, answer in found.items() if not met.get(unit)} == {"no"}, (
        "who gives no name has met nothing"
    )


@one_transport
async def test_a_slice_is_mirrored_more_and_the_draw_is_in_the_id(plane) -> None:
    running = plane(split=50, mirror=20, mirror_slices={"x-language=hi": 70.0})

    await ask(running.url, 120)

    live = running.exchanges(120)
    percent = {"en": 20, "hi": 70}
    expected = {e.id for e in live if drawn(e.id) < percent[e.slices["x-language"]]}
    assert {exchange.id for exchange in live if exchange.pair} == expected
    assert {e.pair for e in running.exchanges(len(expected), "shadow")} == expected


@one_transport
async def test_a_language_that_only_the_prompt_tells_is_mirrored_more_as_the_recorder_will_find_it(plane) -> None:
    more = {"language=hi": 80.0, "language=hi-Latn": 40.0}
    running = plane(split=50, mirror=5, slices=(LANGUAGE,), mirror_slices=more)

    await ask(running.url, 90, prompts=PROMPTS)

    live = running.exchanges(90)
    for exchange in live:
        prompt = protocol("openai").prompt(exchange.request_text) or ""
        percent = more.get(f"language={slices_of(prompt, ['language'])['language']}", 5)
        assert bool(exchange.pair) == (drawn(exchange.id) < percent)
    assert 10 < sum(bool(exchange.pair) for exchange in live) < 80


@one_transport
async def test_what_must_not_be_repeated_is_not_mirrored_for_its_slice_either(plane) -> None:
    running = plane(
        split=0, mirror=0.01, mirror_slices={"x-language=hi": 100.0}, mirror_exclude=("header:x-no-mirror",)
    )

    await ask(running.url, 10, **{"x-no-mirror": "1", "x-language": "hi"})
    await ask(running.url, 1, **{"x-language": "hi"})

    assert [bool(exchange.pair) for exchange in running.exchanges(11)] == [False] * 10 + [True]


def test_the_data_plane_does_not_import_the_identifier_until_an_experiment_needs_it() -> None:
    heavy = "{'experiments.languages.identify', 'py3langid', 'numpy', 'scipy'}"
    code = f"import router.app, sys; print(sorted({heavy} & {{*sys.modules}}))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
