"""Train the support model: a Llama of 115,000 weights, on one CPU core, from generated queries.

    pip install '.[train]'
    python -m examples.support_model.train --steps 5000 --out support-hf

One thread, fixed seeds, and a learning rate that depends on the step alone: the same number of steps gives the same
weights to the last bit (on one kind of CPU with one version of torch). `export` makes the files that are served.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import track

from examples.support_model.data import CHAT_TEMPLATE, LANGUAGES, Sample, golden_samples, prompt, samples
from examples.support_model.errors import SupportModelError, optional

INSTALL = "pip install '.[train]'"
END = "<|end|>"

# The pre-tokenizer of Qwen 2, one token a digit: llama.cpp knows it by the name `qwen2`.
_QWEN2 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_NO_LOSS = -100
"""Label of the tokens that the model need not predict: the query and the padding."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights."""

    steps: int = 5000
    batch_size: int = 32
    peak_rate: float = 2e-3
    warmup_steps: int = 50
    vocabulary: int = 768
    tokenizer_samples: int = 8000
    hidden: int = 32
    feed_forward: int = 128
    layers: int = 4
    heads: int = 4
    context: int = 256
    weight_seed: int = 0
    data_seed: int = 1

    def rate(self, step: int) -> float:
        """Return the learning rate: a short rise, then a cosine down to a twentieth of the peak."""
        rise = min(1.0, step / self.warmup_steps)
        fall = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.peak_rate * rise * fall


def unseen_samples(seed: int) -> Iterator[Sample]:
    """Yield training queries; none is a query of the golden set (their templates are the same)."""
    held_out = {sample.query for sample in golden_samples()}
    return (sample for sample in samples(seed) if sample.query not in held_out)


def train(recipe: Recipe, out: Path) -> None:
    """Train, print how many golden answers are right, and write a Hugging Face folder."""
    torch = _torch()
    stream = unseen_samples(recipe.data_seed)
    tokenizer = train_tokenizer(recipe, itertools.islice(stream, recipe.tokenizer_samples))
    model = new_model(recipe, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.peak_rate, betas=(0.9, 0.98), weight_decay=0.05)
    for step in track(range(recipe.steps), description="training"):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        loss = _loss(model, tokenizer, list(itertools.islice(stream, recipe.batch_size)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    save(model, tokenizer, out)
    for language, share in golden_accuracy(model, tokenizer).items():
        print(f"golden, {language}: {100 * share:.1f} % exactly right")


def train_tokenizer(recipe: Recipe, corpus: Iterator[Sample]) -> Any:
    """Learn a byte-level BPE vocabulary."""
    tokenizers = optional("tokenizers", INSTALL)
    split, byte_level = tokenizers.pre_tokenizers.Split, tokenizers.pre_tokenizers.ByteLevel
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [split(tokenizers.Regex(_QWEN2), "isolated"), byte_level(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(byte_level.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((prompt(sample.query) + sample.answer for sample in corpus), trainer)
    return tokenizer


def new_model(recipe: Recipe, tokenizer: Any) -> Any:
    """Return an untrained model for this vocabulary."""
    torch, transformers = _torch(), optional("transformers", INSTALL)
    end = tokenizer.token_to_id(END)
    config = transformers.LlamaConfig(
        vocab_size=math.ceil(tokenizer.get_vocab_size() / 32) * 32,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
        attn_implementation="sdpa",
    )
    torch.manual_seed(recipe.weight_seed)
    return transformers.LlamaForCausalLM(config)


def golden_accuracy(model: Any, tokenizer: Any) -> dict[str, float]:
    """Return the share of golden answers that greedy decoding gets exactly right, by language and in all.

    Greedy decoding gives the whole answer if and only if every token of it is the likeliest after the ones before, so
    one pass over query and answer tells.
    """
    torch = _torch()
    right: dict[str, list[bool]] = {language: [] for language in LANGUAGES}
    model.eval()
    with torch.inference_mode():
        for sample in track(golden_samples(), description="checking"):
            query, answer = _encode(tokenizer, sample)
            logits = model(input_ids=torch.tensor([query + answer])).logits[0, len(query) - 1 : -1]
            right[sample.language].append(logits.argmax(-1).tolist() == answer)
    everything = list(itertools.chain.from_iterable(right.values()))
    return {name: sum(hits) / len(hits) for name, hits in [*right.items(), ("all", everything)]}


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Write the folder that `export` reads: config, weights, tokenizer with its chat template."""
    wrapped = optional("transformers", INSTALL).PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=END
    )
    wrapped.chat_template = CHAT_TEMPLATE
    model.save_pretrained(out)
    wrapped.save_pretrained(out)


def _torch() -> Any:
    torch = optional("torch", INSTALL)
    torch.set_num_threads(1)  # sums over threads are not the same in every run
    return torch


def _encode(tokenizer: Any, sample: Sample) -> tuple[list[int], list[int]]:
    """Return the tokens of the query and those of the answer with its end."""
    query: list[int] = tokenizer.encode(prompt(sample.query)).ids
    answer: list[int] = tokenizer.encode(sample.answer).ids
    return query, [*answer, tokenizer.token_to_id(END)]


def _loss(model: Any, tokenizer: Any, batch: list[Sample]) -> Any:
    """Return the cross entropy of the answers' tokens, given the queries."""
    torch, end = _torch(), tokenizer.token_to_id(END)
    pairs = [_encode(tokenizer, sample) for sample in batch]
    length = max(len(query) + len(answer) for query, answer in pairs)
    inputs = [_padded(query + answer, length, end) for query, answer in pairs]
    labels = [_padded([_NO_LOSS] * len(query) + answer, length, _NO_LOSS) for query, answer in pairs]
    logits = model(input_ids=torch.tensor(inputs)).logits[:, :-1]
    wanted = torch.tensor(labels)[:, 1:]
    flat = logits.float().reshape(-1, logits.shape[-1])
    return torch.nn.functional.cross_entropy(flat, wanted.reshape(-1), ignore_index=_NO_LOSS)


def _padded(tokens: list[int], length: int, filler: int) -> list[int]:
    return tokens + [filler] * (length - len(tokens))


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="training steps (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained model")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps is {options.steps}; it must be at least 1")
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")  # nothing is fetched
    try:
        train(Recipe(steps=options.steps), options.out)
    except SupportModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
