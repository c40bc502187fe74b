"""A transformer that learns to write like Shakespeare, letter by letter.

A decoder alone: learned positions, four pre-norm blocks of causal attention (4 heads) and dense layers, width 128,
64 letters of context. 2,000 steps of AdamW on 12 windows each, with 100 steps of warm-up to a rate of 1e-3, a cosine
down to 1e-4, clipping by the norm of all gradients; no decay of biases and normalisations, no dropout. Initial weights
are normal with a standard deviation of 0.02, those in front of residual additions smaller by the root of their number
(Radford et al. 2019, Language models are unsupervised multitask learners, section 2.3).

Run it, with any text of a megabyte or so; Karpathy's "tiny Shakespeare" is what the figures below are for::

    python examples/char_transformer.py input.txt [--write 500]

It ends with a loss of about 1.9 nats per letter on the last tenth of the text, which training does not see, and
writes some lines.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np

import fastnn
from fastnn import initializers, layers, losses, optimizers

CONTEXT, WIDTH, HEADS, BLOCKS = 64, 128, 4, 4


def network(vocabulary: int) -> fastnn.Model:
    """Logits of the next letter for each letter of a window."""
    small = initializers.RandomNormal(stddev=0.02)
    tokens = fastnn.Input((CONTEXT,))
    x = layers.TokenAndPositionEmbedding(vocabulary, CONTEXT, WIDTH, small)(tokens)
    for _ in range(BLOCKS):
        x = layers.TransformerDecoder(4 * WIDTH, HEADS, activation="gelu", kernel_initializer=small,
                                      normalize_first=True)(x)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    model = fastnn.Model(tokens, layers.Dense(vocabulary, use_bias=False, kernel_initializer=small)(x), name="writer")
    for v in model.trainable_variables:  # what is added to the residual stream
        if v.path.endswith(("output_kernel", "feedforward_output/kernel")):
            v.assign(v.numpy() / math.sqrt(2 * BLOCKS))
    return model


def windows(text: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows of the text, and the letters that follow each of theirs."""
    at = starts[:, None] + np.arange(CONTEXT)
    return text[at], text[at + 1]


def train(text: str, steps: int = 2000, batch: int = 12, seed: int = 1, verbose: int = 0):
    """The trained model, the letters that its tokens stand for, and the loss on the last tenth of the text."""
    fastnn.utils.set_random_seed(seed)
    letters = sorted(set(text))
    number = {letter: i for i, letter in enumerate(letters)}
    tokens = np.array([number[letter] for letter in text], np.int32)
    cut = len(tokens) * 9 // 10
    seen, unseen = tokens[:cut], tokens[cut:]
    starts = np.random.default_rng(seed).integers(0, len(seen) - CONTEXT, steps * batch)

    warmup = min(100, steps // 2)
    rate = optimizers.schedules.CosineDecay(0.0, steps - warmup, alpha=0.1, warmup_target=1e-3, warmup_steps=warmup)
    rule = optimizers.AdamW(rate, beta_2=0.99, weight_decay=0.1, global_clipnorm=1.0)
    rule.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model = network(len(letters))
    model.compile(rule, losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*windows(seen, starts), batch_size=batch, verbose=verbose, shuffle=False)
    rest = windows(unseen, np.arange(0, len(unseen) - CONTEXT, CONTEXT))
    return model, letters, model.evaluate(*rest, batch_size=64, verbose=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path, help="a text file")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--write", type=int, default=500, help="how many letters to write in the end")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    start = time.perf_counter()
    model, letters, loss = train(args.text.read_text(), args.steps, args.batch, args.seed, verbose=2)
    print(f"{model.count_params():,} weights, {args.steps} steps in {time.perf_counter() - start:.0f} s; "
          f"{loss:.3f} nats per letter on unseen text\n")
    first = letters.index("\n") if "\n" in letters else 0
    written = fastnn.generate(model, [first], args.write, temperature=0.8, seed=args.seed)
    print("".join(letters[i] for i in written))


if __name__ == "__main__":
    main()
