"""Harm to those who write Hinglish, which no header says: found in their prompts, rolled back, and named."""

import asyncio
import subprocess
import sys

from experiments.languages.identify import HINGLISH, slices_of
from experiments.model import Phase
from router.fakes.backend import Behaviour, echo

ENGLISH = (
    "where is my order {}, it has not come yet",
    "please cancel order {} and refund me",
    "how do I return item {}",
)
HINGLISH_TEXTS = (
    "mera order {} kab aayega",
    "order {} cancel karna hai, paise wapas chahiye",
    "{} ka refund kab milega",
)


def _prompt(number: int) -> str:
    """Ask in Hinglish once in 16, in English otherwise. The header x-language says `en` of both, or `hi`."""
    texts = HINGLISH_TEXTS if number % 16 == 0 else ENGLISH
    return texts[number % 3].format(number)


def _is_hinglish(prompt: str) -> bool:
    """Tell by the texts above, not by what is to be tested."""
    return any(prompt == text.format(number) for text in HINGLISH_TEXTS for number in _numbers_in(prompt))


def _numbers_in(prompt: str) -> list[str]:
    return [word for word in prompt.replace(",", " ").split() if word.isdecimal()]


def _wrong_in_hinglish(prompt: str) -> str:
    return "wrong" if _is_hinglish(prompt) else echo(prompt)


async def test_harm_to_hinglish_only_is_found_in_the_prompts_rolled_back_and_named(served) -> None:
    running = served(ramp="[50]", mirror=100, min_days=0, slices='["language"]')
    running.prompt = _prompt
    running.treatment.behaviour = Behaviour(answer=_wrong_in_hinglish)

    sending = asyncio.ensure_future(running.send(4_000, per_second=200))
    rolled_back = await asyncio.to_thread(running.wait_for, lambda: running.phase() == Phase.ROLLED_BACK, 20)
    sending.cancel()

    assert rolled_back, running.get("/api/v1/experiments")
    last = running.store.transitions("support")[-1]
    assert "agreement in Hinglish is worse than the tolerated" in last.reason
    command = [sys.executable, "-m", "router", "explain", "support", "--config", str(running.config)]
    told = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=True)
    assert "Some loss is certain (95 % each) in: Hinglish" in told.stdout
    assert "English" in told.stdout
    replayed = await asyncio.to_thread(subprocess.run, [*command[:3], "replay", *command[4:]], check=False, timeout=60)
    assert replayed.returncode == 0


def test_the_texts_of_this_test_are_what_they_are_taken_for() -> None:
    for number in range(48):
        prompt = _prompt(number)
        assert (slices_of(prompt, ["language"])["language"] == HINGLISH) is _is_hinglish(prompt)
