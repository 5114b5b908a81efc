"""Support queries in three languages, each with the one right answer: a line of JSON.

    python -m examples.support_model.data > examples/support_model/golden.jsonl

Every query comes from one of 66 templates (intent x language), with a random order number or random amounts, sometimes
a greeting, and in half of the queries one or two slips of the keys. No outside text went in. The generator draws its
random numbers in a fixed order, so a seed gives the same queries everywhere; the golden set depends on that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

GOLDEN = Path(__file__).with_name("golden.jsonl")
"""The golden set as it is shipped."""
GOLDEN_SEED = 987_654
GOLDEN_PER_LANGUAGE = 1000

CHAT_TEMPLATE = "{% for m in messages %}{% if m['role'] == 'user' %}Q: {{ m['content'] }}\nA:{% endif %}{% endfor %}"
"""Jinja, inside the model files: makes `prompt` of a chat request."""

LANGUAGES = ("en", "hi-Latn", "hi")
"""BCP 47: English, Hinglish (Hindi in Latin letters, mixed with English), Hindi."""

TEMPLATES: dict[str, dict[str, tuple[str, ...]]] = {
    "track": {
        "en": (
            "where is my order {order}",
            "track order {order}",
            "when will {order} arrive",
            "has order {order} been shipped yet",
        ),
        "hi-Latn": (
            "mera order {order} kahan hai",
            "{order} kab tak aayega",
            "order {order} ka status batao",
            "parcel {order} abhi tak nahi aaya",
        ),
        "hi": (
            "मेरा ऑर्डर {order} कहाँ है",
            "{order} कब तक आएगा",
            "ऑर्डर {order} की स्थिति बताओ",
            "पार्सल {order} अभी तक नहीं आया",
        ),
    },
    "cancel": {
        "en": (
            "cancel order {order}",
            "please stop order {order}",
            "I do not want {order} any more",
            "call off {order} before it ships",
        ),
        "hi-Latn": (
            "order {order} cancel kar do",
            "{order} nahi chahiye",
            "galti se order {order} ho gaya cancel karo",
            "{order} mat bhejna",
        ),
        "hi": (
            "ऑर्डर {order} रद्द कर दो",
            "{order} नहीं चाहिए",
            "गलती से ऑर्डर {order} हो गया रद्द करो",
            "{order} मत भेजना",
        ),
    },
    "refund": {
        "en": (
            "refund order {order}",
            "where is my money for {order}",
            "I returned {order} but got no refund",
            "how long for the refund of {order}",
        ),
        "hi-Latn": (
            "order {order} ka refund chahiye",
            "{order} ke paise wapas karo",
            "{order} return kiya par paise nahi mile",
            "{order} ka paisa kab aayega",
        ),
        "hi": (
            "ऑर्डर {order} का रिफंड चाहिए",
            "{order} के पैसे वापस करो",
            "{order} लौटाया पर पैसे नहीं मिले",
            "{order} का पैसा कब आएगा",
        ),
    },
    "address": {
        "en": ("change the address of order {order}", "deliver {order} to my office", "wrong address on {order}"),
        "hi-Latn": ("order {order} ka address badlo", "{order} office bhej do", "{order} par galat pata hai"),
        "hi": ("ऑर्डर {order} का पता बदलो", "{order} ऑफिस भेज दो", "{order} पर गलत पता है"),
    },
    "invoice": {
        "en": ("send the invoice for {order}", "I need the bill of order {order}", "receipt for {order} please"),
        "hi-Latn": ("{order} ka bill bhejo", "order {order} ki invoice chahiye", "{order} ki receipt do"),
        "hi": ("{order} का बिल भेजो", "ऑर्डर {order} की इनवॉइस चाहिए", "{order} की रसीद दो"),
    },
    "price": {
        "en": ("{count} items of {amount} rupees each how much", "price of {count} at {amount} each"),
        "hi-Latn": ("{count} cheez {amount} rupaye ki kitne ki", "{amount} ke hisaab se {count} ka daam"),
        "hi": ("{count} चीज़ {amount} रुपये की कितने की", "{amount} के हिसाब से {count} का दाम"),
    },
    "total": {
        "en": ("what is the total of {first} and {second} rupees", "add {first} and {second}"),
        "hi-Latn": ("{first} aur {second} rupaye ka total kitna hai", "{first} aur {second} jodo"),
        "hi": ("{first} और {second} रुपये का कुल कितना है", "{first} और {second} जोड़ो"),
    },
}
"""Intent -> language -> templates."""

INTENTS = tuple(TEMPLATES)
_DRAWN_INTENTS = (*INTENTS, "total", "total", "total", "price", "price")
"""Arithmetic is harder than copying a number, so training sees more of it."""

_OPENINGS = {
    "en": ("", "", "hello ", "please help "),
    "hi-Latn": ("", "", "bhai ", "namaste "),
    "hi": ("", "", "नमस्ते ", "कृपया "),
}
_CLOSINGS = {
    "en": ("", "", " please", " thanks"),
    "hi-Latn": ("", "", " please", " jaldi"),
    "hi": ("", "", " जल्दी", " धन्यवाद"),
}


@dataclass(frozen=True)
class Sample:
    """One query and its right answer."""

    language: str
    intent: str
    template: str
    """`intent.language.number`: queries of one template are alike, so statistics cluster by it."""
    query: str
    answer: str


def samples(seed: int) -> Iterator[Sample]:
    """Yield queries without end, language and intent drawn anew for each."""
    rng = Random(seed)
    while True:
        language = rng.choice(LANGUAGES)
        yield _sample(rng, language, rng.choice(_DRAWN_INTENTS))


def golden_samples(per_language: int = GOLDEN_PER_LANGUAGE, seed: int = GOLDEN_SEED) -> list[Sample]:
    """Return as many queries for each language, the intents in turn."""
    rng = Random(seed)
    return [
        _sample(rng, language, INTENTS[number % len(INTENTS)])
        for language in LANGUAGES
        for number in range(per_language)
    ]


def golden_lines(chosen: Iterable[Sample]) -> Iterator[str]:
    """Yield the lines of a golden set as the product reads them (see `experiments.golden.sets`)."""
    for number, sample in enumerate(chosen):
        item = {
            "id": f"t{number:03d}",
            "request": {"messages": [{"role": "user", "content": sample.query}]},
            "expected": {"exact": sample.answer},
            "tags": {"language": sample.language, "intent": sample.intent, "template": sample.template},
        }
        yield json.dumps(item, ensure_ascii=False)


def prompt(query: str) -> str:
    """Return what the model reads."""
    return f"Q: {query}\nA:"


def _sample(rng: Random, language: str, intent: str) -> Sample:
    number, template = rng.choice(tuple(enumerate(TEMPLATES[intent][language])))
    values, result = _values(rng, intent)
    text = rng.choice(_OPENINGS[language]) + template.format(**values) + rng.choice(_CLOSINGS[language])
    answer = json.dumps({"intent": intent, **result}, separators=(",", ":"))
    return Sample(language, intent, f"{intent}.{language}.{number}", _slip(rng, text), answer)


def _values(rng: Random, intent: str) -> tuple[dict[str, int | str], dict[str, int | str]]:
    """Draw what fills a template; return it with what the answer says beside the intent."""
    if intent == "total":
        first, second = rng.randint(10, 99), rng.randint(10, 99)
        return {"first": first, "second": second}, {"sum": first + second}
    if intent == "price":
        count, amount = rng.randint(2, 9), rng.randint(10, 99)
        return {"count": count, "amount": amount}, {"sum": count * amount}
    order = "".join(rng.choice("0123456789") for _ in range(rng.randint(4, 14)))
    return {"order": order}, {"order": order}


def _slip(rng: Random, text: str) -> str:
    """Let the fingers slip once or twice in half of the texts; digits stay, since the answer depends on them."""
    if rng.random() < 0.5:
        return text
    letters = list(text)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(letters) - 1)
        kind = rng.choice(("drop", "twice", "swap"))
        if letters[at].isdigit() or letters[at + 1].isdigit() or letters[at] == " ":
            continue
        if kind == "drop":
            del letters[at]
        elif kind == "twice":
            letters.insert(at, letters[at])
        else:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def main() -> None:
    """Write the golden set to standard output, in UTF-8 whatever the locale."""
    for line in golden_lines(golden_samples()):
        sys.stdout.buffer.write(f"{line}\n".encode())


if __name__ == "__main__":
    main()
