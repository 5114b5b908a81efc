"""How many pairs a second each scorer judges, on one core.

    python -m benchmarks.scorers [--seconds 1]

Pairs are answers of a support model of 100 to 170 characters, in English, Hindi and Hinglish; `json_valid`, `label` and
`json_schema` get JSON of about that length. Each pair is another one (a number in it differs), so that nothing is
found in a cache. The bar is 2,000 pairs a second.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.golden.expectations import Expected
from experiments.scorers import Answer, Scorer
from experiments.scorers.catalogue import OURS, build

BAR_PER_S = 2_000
_PAIRS = 2_000
_SCHEMA = '{"type": "object", "required": ["intent", "order"], "properties": {"intent": {"type": "string"}}}'
_TEXTS = (
    (
        "Where is my order {n}? It was to come on Monday and I have paid for it.",
        "Your order {n} was shipped on Monday and it will reach you within three working days. Please keep the bill.",
        (
            "Your order {n} has been shipped on Monday, and will reach you in three working days. Please keep your "
            "invoice for returns; thank you for your patience with us."
        ),
    ),
    (
        "मेरा ऑर्डर {n} कब तक आएगा? मैंने सोमवार को पैसे दे दिए थे।",
        "आपका ऑर्डर {n} सोमवार को भेजा गया था, वह तीन दिन में आपके पास आ जाएगा। वापसी के लिए बिल संभाल कर रखिए।",
        (
            "आपका ऑर्डर {n} सोमवार को भेज दिया गया है और तीन दिन में आपके पास पहुँच जाएगा। वापसी के लिए बिल संभाल कर "
            "रखें, आपके धैर्य के लिए धन्यवाद।"
        ),
    ),
    (
        "mera order {n} kab tak aayega? maine somvar ko paise de diye the.",
        "Aapka order {n} somvar ko bheja gaya tha, woh teen din mein aa jayega. Return ke liye bill rakhiye.",
        (
            "Aapka order {n} somvar ko bhej diya gaya hai aur teen din mein aapke paas pahunch jayega. Return ke liye "
            "bill sambhal kar rakhiye, aapke dhairya ke liye dhanyavaad."
        ),
    ),
)
_JSON = ("json_valid", "label", "json_schema")


def pairs(name: str) -> Iterator[tuple[Answer, Answer, Expected]]:
    """Yield pairs, with what is expected of them."""
    for number in range(_PAIRS):
        prompt, one, other = (text.format(n=1_000_000 + number) for text in _TEXTS[number % 3])
        wanted = Expected(
            exact=one, reference=one, threshold=0.5, regex="[0-9]{7}", contains=(str(1_000_000 + number),)
        )
        if name in _JSON:
            one, other = (f'{{"intent": "track", "order": "{number}", "answer": "{text}"}}' for text in (one, other))
            wanted = Expected(label="track", json_schema={"type": "object", "required": ["intent"]})
        yield (
            Answer(one, ok=True, finish_reason="stop", tool_calls=0, prompt=prompt),
            Answer(other, ok=True, finish_reason="stop", tool_calls=0, prompt=prompt),
            wanted,
        )


def pairs_per_s(scorer: Scorer, name: str, seconds: float) -> float:
    """Score for so long, and say how fast."""
    asked = list(pairs(name))
    scorer.score(*asked[0])  # what is loaded at the first text is no part of the rate
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        for control, treatment, expected in asked[done % _PAIRS :][:100]:
            if scorer.score(control, treatment, expected) is None:
                raise SystemExit(f"{name} could not tell: nothing was measured")
        done += 100
    return done / took


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each scorer")
    seconds = parser.parse_args().seconds
    table = Table("scorer", "pairs/s", f"bar {BAR_PER_S}")
    with tempfile.TemporaryDirectory() as folder:
        schema = Path(folder) / "schema.json"
        schema.write_text(_SCHEMA, encoding="utf-8")
        for name in OURS:
            keys = {"label": {"label": "json:intent"}, "json_valid": {"schema_file": schema}}.get(name, {})
            rate = pairs_per_s(build(name, keys), name, seconds)
            table.add_row(name, f"{rate:,.0f}", "held" if rate >= BAR_PER_S else "missed")
    Console().print(table)


if __name__ == "__main__":
    main()
