"""`sweep`: many models of one make, trained side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..callbacks.progress import check_verbose
from ..models.array_data import ArrayData
from ..models.data import training_data
from ..models.order import check_shuffle, check_steps
from ..models.passes import size_of_batches
from ..models.training import _due, _epochs
from ..seeds import check_seed, undisturbed
from .grid import FOLD, Grid, for_build
from .members import Held, Member, Order, give_callbacks, group, make_models, record
from .result import Sweep
from .running import Block, epochs_at_once, run_blocks


def sweep(build: Callable, x, y=None, grid: Mapping[str, Iterable] | Iterable[Mapping[str, Any]] | None = None, *,
          epochs: int = 1, batch_size: int | None = None, seed: int = 0, validation_data=None,
          validation_split: float = 0.0, cv=None, shuffle: bool | int = True, class_weight=None, sample_weight=None,
          sampling=None, steps_per_epoch: int | None = None, validation_steps: int | None = None,
          validation_batch_size: int | None = None, validation_freq: int = 1, callbacks=None,
          verbose="auto") -> Sweep:
    """Train a model for each of many settings, all at once.

    Each replica is a member of one joined program: threads take whole replicas, so small models use all cores without
    ever waiting for one another, and nothing but the tracing is done twice. Replica k has the bits, of weights and of
    history, of a run by itself::

        fastnn.utils.set_random_seed(seed)          # the setting "seed", where the grid has it
        model = build(**settings)
        model.fit(x, y, batch_size=batch_size, epochs=epochs, seed=seed, ...)

    Parameters
    ----------
    build : function of the settings that makes a model and compiles it. Everything that is trained must be new each
        time. Replicas may differ in structure (sizes of layers, optimizers): they are grouped by it.
    x, y : arrays, as for `fit`; all replicas read the same ones.
    grid : dict from name to values, of which all combinations are trained; or a list of dicts. The settings "seed" and
        "batch_size" are the training's own; `build` gets them only if it has such parameters.
    seed : of replicas without a setting "seed".
    cv : cross-validation: a number of folds, a splitter of scikit-learn's, or pairs (rows to train on, rows to validate
        on). Each setting is trained once for each fold; the axis of the results is "fold". A number k cuts the rows in
        k equal stretches after a shuffle by `seed`.
    callbacks : `EarlyStopping`, `ReduceLROnPlateau`, `LearningRateScheduler`; each replica gets a copy, and those that
        stop leave the others to run on.
    verbose : 0 silent, 1 a bar, 2 a line at the end, "auto".

    Other arguments are those of `fit`. Data that has to be converted first (float64 in a file, say) is so as a whole.
    Generators and loaders of batches can't be read by many models at once; give arrays.

    Returns
    -------
    Sweep : curves as arrays, the models, tables and pictures.

    Notes
    -----
    All models stay in memory, with their programs while they train: weights, gradients, slots, and the workspace of a
    step, for each replica. What `random`, NumPy's global generator and the package's stream would draw next is the same
    before and after.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 32, dtype="float32")[:, None]
    >>> def build(learning_rate):
    ...     model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(8, "tanh"), fastnn.layers.Dense(1)])
    ...     model.compile(fastnn.optimizers.SGD(learning_rate), "mse")
    ...     return model
    >>> result = fastnn.sweep(build, x, x**2, {"learning_rate": [0.01, 0.1], "seed": range(3)}, epochs=5, verbose=0)
    >>> result.history["loss"].shape
    (2, 3, 5)
    >>> result.best("loss").settings["learning_rate"]
    0.1
    """
    start = time.perf_counter()
    verbose = check_verbose(verbose)
    epochs, seed = _epochs(epochs, "epochs"), check_seed(seed)
    check_steps(steps_per_epoch)
    check_steps(validation_steps, "validation_steps")
    shuffle = check_shuffle(shuffle)
    _due(1, validation_freq)
    if grid is None:
        raise TypeError("sweep needs a grid: a dict from names to lists of values, or a list of dicts.")
    train, held = training_data(x, y, sample_weight, validation_data=validation_data,
                                validation_split=validation_split, shuffle=shuffle, seed=seed)
    for what, data in (("x", train), ("validation_data", held)):
        if data is not None and not isinstance(data, ArrayData):
            raise ValueError(f"sweep: {what} must be arrays, which all replicas can read at once; got "
                             f"{type(data.source).__name__}, which gives batches.")
    train, held = _in_memory(train), _in_memory(held)
    folds = None if cv is None else _folds(cv, train, held, seed)
    grid = Grid(grid, None if folds is None else len(folds))
    names = for_build(build, grid.names)
    with undisturbed():
        members = make_models(build, grid.settings, names, seed, batch_size)
    if class_weight is not None:
        if folds is not None and isinstance(class_weight, str):
            raise ValueError(f"sweep: class_weight={class_weight!r} would differ from fold to fold: give a dict class "
                             "-> weight with cv.")
        train.weigh_classes(class_weight, members[0].model._classes(train))
    if sampling is not None:
        if folds is not None or not shuffle:
            raise ValueError("sweep: sampling draws rows at random, so it can't be given together with "
                             f"{'cv' if folds is not None else 'shuffle=False'}.")
        train.draw_by(sampling, members[0].model._classes(train),
                      held.n if held is not None and validation_data is None else 0)
    for m in members:
        if folds is not None:
            m.rows, m.held = folds[m.settings[FOLD]]
        m.batch_size = size_of_batches(m.batch_size, train.n if m.rows is None else len(m.rows), steps_per_epoch)
        m.model._check_targets(train)
        if held is not None:
            try:
                m.model._check_targets(held, "test")
            except ValueError as error:
                raise ValueError(f"Validation data: {error}") from None
    order = Order(train.n, shuffle, steps_per_epoch, train.sampler)
    validation = None
    if held is not None or folds is not None:
        validation = Held(train if held is None else held, validation_batch_size, validation_steps)
    groups, planned = group(members, train, validation, order)
    if callbacks is not None:
        give_callbacks(members, callbacks, epochs, [sum(map(len, order.runs(m, 0))) for m in members])
    curves = Curves(members, epochs)
    set_up = time.perf_counter() - start
    _train(groups, curves, epochs, order, validation, lambda epoch: _due(epoch + 1, validation_freq), verbose)
    for m in members:
        record(m, curves.of(m))
    result = Sweep(grid.axes, grid.settings, grid.shape, curves.arrays(grid.shape),
                   np.array([m.epochs for m in members]).reshape(grid.shape), [m.model for m in members],
                   {"seconds": time.perf_counter() - start, "set up": set_up, "planned": planned,
                    "groups": len(groups)})
    if verbose:
        print(result.summary())
    return result


def _in_memory(data: ArrayData | None) -> ArrayData | None:
    """Data that the gather kernel can read; what must be converted first is, whole."""
    return data if data is None or data.is_ready else data.take(np.arange(data.n))


class Curves:
    """The logs of all replicas as they come in: name -> (replica, epoch), NaN where there is nothing."""

    def __init__(self, members: list[Member], epochs: int):
        self.members, self.epochs = members, epochs
        self.values: dict[str, np.ndarray] = {}

    def add(self, members: list[Member], epoch: int, logs: dict[str, np.ndarray]) -> None:
        where = [m.number for m in members]
        for name, values in logs.items():
            shape = (len(self.members), self.epochs, *values.shape[1:])
            if name not in self.values:
                self.values[name] = np.full(shape, np.nan)
            if self.values[name].shape != shape:
                raise ValueError(f"sweep: {name!r} gives results of shape {values.shape[1:]} for one replica and "
                                 f"{self.values[name].shape[2:]} for another; give the metrics other names.")
            self.values[name][where, epoch] = values

    def of(self, m: Member) -> dict[str, list]:
        """The curves of one replica as `History` has them."""
        found = {}
        for name, values in self.values.items():
            curve = [v if np.ndim(v) else float(v) for k, v in enumerate(values[m.number, : m.epochs])
                     if (name, k) in m.logged]
            if curve:
                found[name] = curve
        return found

    def arrays(self, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        return {name: v.reshape(*shape, *v.shape[1:]) for name, v in self.values.items()}


def _train(groups, curves: Curves, epochs: int, order: Order, held: Held | None, due, verbose: int) -> None:
    """All epochs of all groups, in blocks of as many as callbacks and memory allow."""
    members = [m for g in groups for m in g]
    for m in members:
        m.model.stop_training = False
        m.logged = set()
        if m.callbacks:
            m.callbacks.on_train_begin()
    at_once = 1 if any(m.callbacks for m in members) else epochs_at_once(groups, order, held)
    first_keys: dict[tuple[bool, int], list[str]] = {}
    logs: dict[int, dict[str, Any]] = {}
    with _bar(epochs * len(members), verbose) as bar:
        for first in range(0, epochs, at_once):
            some = range(first, min(epochs, first + at_once))
            blocks = []
            for g in groups:
                active = [m for m in g if not m.model.stop_training]
                for m in active:
                    if m.callbacks:
                        m.callbacks.on_epoch_begin(first)
                active = [m for m in active if not m.model.stop_training]
                if active:
                    blocks.append(Block(g, active, some, order, held, due))
            if not blocks:
                break
            before, share = bar.n, sum(len(b.members) for b in blocks) * len(some)
            run_blocks(blocks, lambda done, before=before, share=share: bar.update(before + share * done - bar.n))
            order.forget()
            for b in blocks:
                keys = {training: _keys(b, training, first_keys) for training in (True, False)}
                for epoch, found in zip(some, b.logs(keys)):
                    curves.add(b.members, epoch, found)
                    for k, m in enumerate(b.members):
                        m.epochs = epoch + 1
                        m.logged.update((name, epoch) for name in found)
                        if m.callbacks:
                            logs[m.number] = {n: v[k] if np.ndim(v[k]) else float(v[k]) for n, v in found.items()}
                            more = {n: np.array([v]) for n, v in _call(m, epoch, logs[m.number]).items()}
                            curves.add([m], epoch, more)
                            m.logged.update((name, epoch) for name in more)
    for m in members:
        m.model.optimizer.finalize_variable_values(m.model.trainable_variables)
        if m.callbacks:
            m.callbacks.on_train_end(logs.get(m.number))


def _call(m: Member, epoch: int, logs: dict[str, Any]) -> dict[str, float]:
    """The end of an epoch for the callbacks of a replica; what they add to the logs (the rate, say)."""
    history = m.callbacks.history.history
    before = {n: len(v) for n, v in history.items()}
    m.callbacks.on_epoch_end(epoch, logs)
    return {n: float(v[-1]) for n, v in history.items() if n not in logs and len(v) > before.get(n, 0)}


def _keys(block: Block, training: bool, first: dict[tuple[bool, int], list[str]]) -> list[str]:
    """Names of results; layers that were named by counting have other names in each model, so the first's serve."""
    step = next((s for slot, s in block.members[0].steps.items() if slot[0] == training), None)
    if step is None:
        return []
    own = ["loss", *step.parts, *(key for key, *_ in step.names)]
    return first.setdefault((training, len(own)), own)


class _Silent:
    n = 0.0

    def update(self, n: float) -> None: ...

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def _bar(total: int, verbose: int):
    if verbose != 1:
        return _Silent()
    from tqdm.auto import tqdm

    return tqdm(total=total, unit="epoch", leave=False, bar_format="{l_bar}{bar}| {n:.0f}/{total} epochs, {remaining}")


def _folds(cv, train: ArrayData, held, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of row numbers, to train on and to validate on."""
    if held is not None:
        raise ValueError("sweep: cv validates on what each fold leaves out, so it can't be given together with "
                         "validation_data or validation_split.")
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        if not 2 <= cv <= train.n:
            raise ValueError(f"sweep: cv must be from 2 to the number of rows ({train.n}), but is {cv}.")
        rows = np.random.default_rng(seed).permutation(train.n)
        parts = [np.sort(part) for part in np.array_split(rows, cv)]
        pairs = [(np.sort(np.concatenate(parts[:k] + parts[k + 1 :])), parts[k]) for k in range(cv)]
    elif hasattr(cv, "split") and not isinstance(cv, str):
        pairs = list(cv.split(train.x[0], train.y[0] if train.y else None))
    elif hasattr(cv, "__iter__") and not isinstance(cv, str):
        pairs = list(cv)
    else:
        raise TypeError(f"sweep: cv must be a number of folds, a splitter or pairs of rows; got {cv!r}.")
    return [_fold(k, pair, train.n) for k, pair in enumerate(pairs)]


def _fold(k: int, pair, n: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        train, test = (np.asarray(rows) for rows in pair)
    except (TypeError, ValueError):
        raise TypeError(f"sweep: fold {k} of cv must be a pair of arrays of row numbers; got {pair!r}.") from None
    for rows in (train, test):
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size or rows.min() < 0 or rows.max() >= n:
            raise ValueError(f"sweep: fold {k} of cv must hold row numbers from 0 to {n - 1}, at least one to train on "
                             "and one to validate on.")
    return np.ascontiguousarray(train, np.int64), np.ascontiguousarray(test, np.int64)
