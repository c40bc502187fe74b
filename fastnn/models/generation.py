"""Sequences from a model of tokens: one token after another, each drawn from what the model gives for the next."""

from __future__ import annotations

import numpy as np

from .stepping import NotByStep, Steps


def generate(model, tokens, count: int, temperature: float = 1.0, top_k: int | None = None, seed=None,
             window: int | None = None, use_cache: bool | None = None) -> np.ndarray:
    """Tokens, and `count` more of them by the model's choice.

    The model sees the last tokens through a window of fixed length, filled up behind them: it must be causal, so that
    what stands behind does not count. As long as all tokens fit into the window, their keys and values are kept, and a
    token costs one step of the model: what it gives is the same to rounding. From then on each token moves the window
    on, every step stands at another place than before, and the window is read whole for each token.

    Parameters
    ----------
    model : takes (batch, window) tokens and gives logits (batch, window, vocabulary).
    tokens : the beginning: whole numbers, (n,) or (batch, n), n of at least 1.
    count : how many tokens follow.
    temperature : logits are divided by it before the softmax; 0 takes the likeliest token.
    top_k : draw among that many of the likeliest tokens alone.
    seed : int or NumPy Generator; None for numbers that differ from call to call.
    window : how many tokens the model sees; by default as many as its input has.
    use_cache : whether keys and values are kept. None: where the model allows it. It does if all its layers are known
        to work on each step by itself, or are causal attention without masks (`MultiHeadAttention`,
        `GroupQueryAttention`, `Attention`, `TransformerDecoder`) or positions; a layer of one's own says so by
        ``stepwise = True``.

    Returns
    -------
    array of int64, (n + count,) or (batch, n + count).

    Raises
    ------
    ValueError : in a sentence, for arguments out of range, models of other shapes, and with ``use_cache=True`` those
        that can't be called step by step.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> table = 10 * np.eye(3)[[1, 2, 0]]
    >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Embedding(3, 3, weights=table)])
    >>> fastnn.generate(model, [0], 5, temperature=0)  # this model counts
    array([0, 1, 2, 0, 1, 2])
    """
    given = np.asarray(tokens)
    if given.dtype.kind not in "iu" or given.ndim not in (1, 2) or given.size == 0:
        raise ValueError(f"generate: tokens are whole numbers, (n,) or (batch, n); got {given.dtype} of shape "
                         f"{given.shape}.")
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
        raise ValueError(f"generate: count is {count!r}; a whole number of 0 or more is wanted.")
    if not temperature >= 0:
        raise ValueError(f"generate: temperature is {temperature!r}; a number of 0 or more is wanted.")
    if top_k is not None and (not isinstance(top_k, int | np.integer) or top_k < 1):
        raise ValueError(f"generate: top_k is {top_k!r}; a positive whole number or None is wanted.")
    if window is None:
        shape = getattr(model, "input_shape", None)
        window = shape[1] if isinstance(shape, tuple) and len(shape) == 2 else None
        if window is None:
            raise ValueError(f"generate: model {model.name} takes tokens of any length; window must say how many it "
                             "sees.")
    elif isinstance(window, bool) or not isinstance(window, int | np.integer) or window < 1:
        raise ValueError(f"generate: window is {window!r}; a positive whole number or None is wanted.")
    if use_cache not in (None, True, False):
        raise ValueError(f"generate: use_cache is {use_cache!r}; True, False or None is wanted.")
    rng = np.random.default_rng(seed)
    out = np.atleast_2d(given).astype(np.int64)
    cached = count > 0 and _allows_cache(model, len(out), window, use_cache)
    owner = object()
    for _ in range(count):
        if cached and out.shape[1] <= window:
            logits = _steps(model, len(out), window).logits(out, owner)
        else:
            logits = _read(model, out[:, -window:], window)
        drawn = _draw(logits, temperature, top_k, rng)
        out = np.concatenate([out, drawn[:, None]], 1)
    return out[0] if given.ndim == 1 else out


def _read(model, seen: np.ndarray, window: int) -> np.ndarray:
    """What the model gives at the last of these tokens, which are read anew."""
    x = np.zeros((len(seen), window), np.float32)
    x[:, : seen.shape[1]] = seen
    logits = model.predict_on_batch(x)
    if logits.ndim != 3 or logits.shape[:2] != x.shape:
        raise ValueError(f"generate: model {model.name} gives the shape {logits.shape} for tokens {x.shape}; "
                         "(batch, window, vocabulary) is wanted.")
    return logits[:, seen.shape[1] - 1]


def _steps(model, rows: int, window: int) -> Steps:
    """The model's programs for so many sequences; a program whose variables moved in memory is made anew."""
    return model._step_programs.get(("steps", rows, window), lambda: Steps(model, rows, window))


def _allows_cache(model, rows: int, window: int, wanted: bool | None) -> bool:
    """Whether keys and values are kept; refused in a sentence where that is wanted and can't be."""
    if wanted is False:
        return False
    try:
        if not model.built:
            model.predict_on_batch(np.zeros((rows, window), np.float32))
        _steps(model, rows, window)
        return True
    except NotByStep as error:
        if wanted:
            raise ValueError(f"generate: model {model.name} can't keep keys and values: {error}") from None
        return False


def _draw(logits: np.ndarray, temperature: float, top_k: int | None, rng: np.random.Generator) -> np.ndarray:
    """A token for each row of logits."""
    z = logits.astype(np.float64)
    if temperature == 0:
        return z.argmax(1)
    if top_k is not None and top_k < z.shape[1]:
        z = np.where(z >= np.partition(z, -top_k, 1)[:, -top_k, None], z, -np.inf)
    z = z / temperature
    # the largest of logits with Gumbel noise is a draw from their softmax
    return (z + rng.gumbel(size=z.shape)).argmax(1)
