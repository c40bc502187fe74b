"""fit, evaluate, predict: Keras's training methods, each a few runs of native programs."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np

from .. import callbacks as cb
from ..seeds import seed_sequence
from ..utils.packing import pack_x_y_sample_weight
from ..warnings import FastnnWarning
from .compiling import Compiled
from .custom import Steps
from .data import ArrayData, adapt, training_data
from .minimizing import Minimizer
from .order import check_batch_size, check_steps
from .passes import Meter, Pass, Place, size_of_batches
from .plan import Planner
from .step import InferenceProgram, ShortCall, StepProgram, nested_like, shaped_like, signature

PREDICT_ROWS = 4096  # rows converted to float32 at a time for predict, of so many bytes at most:
PREDICT_BYTES = 1 << 26


class Trainer(Planner, Minimizer, Steps, Compiled):
    """The training half of a model."""

    def _warn_if_thawed(self) -> None:
        if self._compiled_frozen is None:
            return
        if {id(x) for x in self._flatten_layers() if not x.trainable} != self._compiled_frozen:
            warnings.warn(f"Model {self.name}: trainable was changed after compile, which has no effect on training "
                          "until compile is called again.", FastnnWarning, stacklevel=3)

    # ------------------------------------------------------------------ fit

    def fit(self, x=None, y=None, batch_size: int | None = None, epochs: int = 1, verbose="auto", callbacks=None,
            validation_split: float = 0.0, validation_data=None, shuffle: bool = True, class_weight=None,
            sample_weight=None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
            validation_steps: int | None = None, validation_batch_size: int | None = None,
            validation_freq: int = 1, seed=None, sampling=None):
        """Train for a number of epochs; returns the `History`.

        Parameters
        ----------
        x, y : arrays (any float or integer dtype), lists, data frames; or x a generator of batches.
        batch_size : 32 by default; a batch larger than the data gives one batch of all of it.
        validation_split : share of the last rows to validate on, taken before shuffling.
        validation_data : (x, y) or (x, y, sample_weight).
        class_weight : dict from class to weight, 1 for classes that it leaves out; or "balanced", which weighs rows by
            how rare their class is among those that are trained on. Validation is not weighted by class.
        shuffle : False to take the rows as they come; or a number of rows: they are shuffled in windows of so many,
            each made of pieces of neighbouring rows, so that data larger than memory (`numpy.memmap`) is read in long
            runs.
        sampling : "balanced": each batch draws as many rows of each class as of any other; or a dict from class to its
            share of the rows; or an array with a weight for each row. An epoch has as many rows as without: those
            of rare classes come several times, of frequent ones a part. Nothing is copied, the program gathers the
            rows that were drawn. With `validation_split` the weights are for all rows; those of the first part count.
        validation_freq : validate after each so many epochs, or a list of epochs (from 1).
        seed : for the order of the rows: int or SeedSequence, or None to take the next of the package's seeds.
        verbose : 0 silent, 1 or "auto" a progress bar, 2 a line per epoch.

        Other arguments as in Keras 3. The arrays are read where they are; nothing is written to them.
        """
        self._need_compiled("fit")
        self._warn_if_thawed()
        epochs, initial_epoch = _epochs(epochs, "epochs"), _epochs(initial_epoch, "initial_epoch")
        seed = seed_sequence(seed)
        check_steps(validation_steps, "validation_steps")
        _due(1, validation_freq)  # which refuses what is no frequency
        data, held_out = training_data(
            x, y, sample_weight, validation_data=validation_data, validation_split=validation_split,
            steps_per_epoch=steps_per_epoch, validation_steps=validation_steps, shuffle=shuffle, seed=seed)
        if class_weight is not None or sampling is not None:
            classes = self._classes(data if isinstance(data, ArrayData) else data.first())
            if class_weight is not None:
                data.weigh_classes(class_weight, classes)
            if sampling is not None:
                data.draw_by(sampling, classes, held_out.n if held_out is not None and validation_data is None else 0)
        train = Pass(self, data, batch_size, shuffle, seed, steps_per_epoch)
        if held_out is not None:
            try:
                size = train.batch_size if validation_batch_size is None else validation_batch_size
                held_out = Pass(self, held_out, size, False, seed, validation_steps, "test")
            except ValueError as error:
                raise ValueError(f"Validation data: {error}") from None
        run = cb.CallbackList(callbacks, add_history=True, add_progbar=bool(verbose), model=self, verbose=verbose,
                              epochs=epochs, steps=train.steps)
        self.stop_training = False
        logs: dict[str, float] = {}
        place = self._place = Place(run, seed, initial_epoch, data if isinstance(data, ArrayData) else None,
                                    train.batch_size)
        try:
            run.on_train_begin()
            if place.resume is not None:
                train.go_on(place, initial_epoch)
                place.take_up(begun=False)
            for epoch in range(place.epoch, 0 if self.stop_training else epochs):
                place.epoch = epoch
                run.on_epoch_begin(epoch)
                place.take_up(begun=True)
                logs = self._epoch(train, epoch, run, training=True)
                if logs is None:
                    break
                if held_out is not None and _due(epoch + 1, validation_freq):
                    found = self._epoch(held_out, 0, run, training=False)
                    logs |= {f"val_{k}": v for k, v in (found or {}).items()}
                run.on_epoch_end(epoch, logs)
                if place.keeper is not None:
                    place.keeper.epoch_done(place)
                if self.stop_training or train.ran_out:
                    break
        except BaseException as error:  # Ctrl-C above all: callbacks finish what they hold open
            place.failed = True
            with contextlib.suppress(Exception) if isinstance(error, Exception) else contextlib.nullcontext():
                run.on_train_end(logs)
            raise
        for optimizer in self._optimizers().values():
            optimizer.finalize_variable_values(optimizer.variables)
        run.on_train_end(logs)
        return self.history

    def _epoch(self, data: Pass, epoch: int, run, training: bool) -> dict[str, float] | None:
        """One pass over the data, trained on or only measured; the logs, or None if there was no batch."""
        meter, skip = Meter(self), 0
        if training:
            place = self._place
            skip, place.batch, place.meter = place.batch, 0, meter
            if skip:
                meter.set_state(place.meter_state)
        else:
            run.on_test_begin()
        for piece, rows in data.runs(epoch, skip):
            self._steps(piece, rows, meter, run, training)
            if self.stop_training and training:
                break
        logs = meter.logs() if meter.batches else None
        if training and logs is not None and not np.isfinite(logs.get("loss", 0.0)):
            warnings.warn(f"Model {self.name}: the loss of epoch {epoch + 1} is {logs['loss']}.", FastnnWarning,
                          stacklevel=3)
        if not training:
            run.on_test_end(logs)
        return logs

    def _steps(self, piece: ArrayData, rows, meter: Meter, run, training: bool) -> None:
        """Run one batch for each line of `rows`, as many at a time as the callbacks allow."""
        step = self._step_program(piece, rows.shape[1], training)
        meter.begin(step)
        one_by_one = run.wants_batches("train" if training else "test")
        keeper = self._place.keeper if training else None
        begin, end = ((run.on_train_batch_begin, run.on_train_batch_end) if training else
                      (run.on_test_batch_begin, run.on_test_batch_end))
        out, done = step.buffers(len(rows)), 0
        while done < len(rows):
            if one_by_one:
                begin(meter.batches)
            count = 1 if one_by_one else len(rows) - done
            if keeper is not None:
                count = min(count, keeper.room() or count)
            n = self._run(step, piece, count, rows, out, done, training)
            meter.add(step, out, done, done + n)
            done += n
            if one_by_one:
                end(meter.batches - 1, meter.logs())
            run.on_progress(meter.batches, meter.logs())
            if keeper is not None and not self.stop_training:
                keeper.batches_done(self._place, n)
            if training and self.stop_training:
                return

    def _run(self, step: StepProgram, piece: ArrayData, count: int, rows, out, done: int, training: bool) -> int:
        """Up to so many steps on this data; how many there were."""
        with step.program.lock:  # from binding to running: another thread may measure other data
            step.bind(piece)
            if training:
                step.program.step = self.optimizer.steps_done if step.order is None else self._own_steps
            n = step.program.run(count, {"index": rows}, out, done)
            if training and step.order is not None:
                self._own_steps += n
            return n

    def _step_program(self, piece: ArrayData, batch: int, training: bool) -> StepProgram:
        key = ("train" if training else "test", batch, tuple(piece.x_names or ()), signature(piece.x),
               signature(piece.y), signature(piece.sample_weight))
        return self._step_programs.get(key, lambda: StepProgram(self, piece, batch, training))

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict: bool = False):
        """One training step on one batch; the loss and the metrics of that batch."""
        return self._one_batch(x, y, sample_weight, class_weight, True, return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict: bool = False):
        """Loss and metrics of one batch, without training."""
        return self._one_batch(x, y, sample_weight, None, False, return_dict)

    def _one_batch(self, x, y, sample_weight, class_weight, training: bool, return_dict: bool):
        self._need_compiled("train_on_batch" if training else "test_on_batch")
        if training:
            self._warn_if_thawed()
        data = ArrayData(x, y, sample_weight)
        if class_weight is not None:
            data.weigh_classes(class_weight, self._classes(data))
        data = self._check_targets(data if data.is_ready else data.take(np.arange(data.n)),
                                   "train" if training else "test")
        meter = Meter(self)
        step = self._step_program(data, data.n, training)
        meter.begin(step)
        out = step.buffers(1)
        self._run(step, data, 1, np.arange(data.n)[None], out, 0, training)
        meter.add(step, out, 0, 1)
        return self._answer(meter.logs(), return_dict)

    @staticmethod
    def _answer(logs: dict[str, float], return_dict: bool):
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    # ------------------------------------------------------------------ evaluate, predict

    def evaluate(self, x=None, y=None, batch_size: int | None = None, verbose="auto", sample_weight=None,
                 steps: int | None = None, callbacks=None, return_dict: bool = False):
        """Loss and metrics over data, training off; a list in the order of `metrics_names`, or a dict."""
        self._need_compiled("evaluate")
        data = Pass(self, adapt(x, y, sample_weight, steps=steps), batch_size, False, 0, steps, "test")
        run = cb.CallbackList(callbacks, add_progbar=bool(verbose), model=self, verbose=verbose, steps=data.steps)
        logs = self._epoch(data, 0, run, training=False)
        if logs is None:
            raise ValueError(f"Model {self.name}: evaluate got no batch.")
        return self._answer(logs, return_dict)

    def predict(self, x, batch_size: int | None = None, verbose="auto", steps: int | None = None, callbacks=None,
                mc: int | None = None):
        """Outputs for all rows of x, as NumPy, computed a batch at a time with training off.

        A bar is shown if `verbose` is 1 or 2.

        Parameters
        ----------
        mc : draw so many samples of each output with dropout (and other noise) on, all else as in inference:
            Monte-Carlo dropout (Gal & Ghahramani 2016, arXiv:1506.02142). What comes back has an axis for the samples
            in front; their mean is the prediction, their spread says how sure it is.

        Other arguments as in Keras 3.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dropout(0.5), fastnn.layers.Dense(2)])
        >>> samples = model.predict(np.ones((3, 4)), mc=100)
        >>> samples.shape, samples.mean(0).shape
        ((100, 3, 2), (3, 2))
        """
        cb.check_verbose(verbose)
        if mc is not None:
            return self._sample(x, batch_size, steps, check_steps(mc, "mc"))
        data, steps = adapt(x, steps=steps), check_steps(steps, "steps")
        if isinstance(data, ArrayData):
            size = size_of_batches(batch_size, data.n, steps)
            data = data if steps is None else data.rows(0, min(data.n, steps * size))
            pieces, count = [data], -(-data.n // size)
        else:
            size = check_batch_size(batch_size)
            pieces, count = data.epoch(0), data.num_batches
        run = cb.CallbackList(callbacks, add_progbar=verbose in (1, 2) and verbose is not True, model=self,
                              verbose=0 if verbose == "auto" else verbose, steps=count)
        run.on_predict_begin()
        parts, done = [], 0
        for piece in pieces:
            rows = size if isinstance(data, ArrayData) else piece.n
            parts.append(self._predict_piece(piece, min(rows, piece.n), run, done))
            done += -(-piece.n // rows)
        run.on_predict_end()
        if not parts:
            raise ValueError(f"Model {self.name}: predict got no batch.")
        arrays = [np.concatenate(a) if len(a) > 1 else a[0] for a in zip(*(p[1] for p in parts))]
        return nested_like(parts[0][0], arrays)

    def _sample(self, x, batch_size, steps, mc: int):
        """`predict` with noise, so many times."""
        data = adapt(x, steps=steps)
        if not isinstance(data, ArrayData):
            raise ValueError(f"Model {self.name}: predict with mc goes over the data again and again, so x must be "
                             "arrays, not a generator or loader.")
        size = size_of_batches(batch_size, data.n, steps)
        data = data if steps is None else data.rows(0, min(data.n, steps * size))
        drawn = [self._predict_piece(data, min(size, data.n), sampling=True) for _ in range(mc)]
        return nested_like(drawn[0][0], [np.stack(a) for a in zip(*(arrays for _, arrays in drawn))])

    def _predict_piece(self, piece: ArrayData, batch: int, run=None, batches: int = 0, sampling: bool = False):
        """(nest of outputs, their arrays) for all rows of a piece."""
        self._arrange_inputs(piece)
        n, outputs, nest = piece.n, None, None
        one_by_one = run is not None and run.wants_batches("predict")
        most = min(PREDICT_ROWS, PREDICT_BYTES // (4 * sum(a[0].size for a in piece.x)))
        chunk = batch if one_by_one else max(batch, most // batch * batch)
        for start in range(0, n, chunk):
            stop = min(n, start + chunk)
            rows = [np.ascontiguousarray(a[start:stop], np.float32) for a in piece.x]
            if one_by_one:
                run.on_predict_batch_begin(batches)
            at = 0
            while at < stop - start:
                size = min(batch, stop - start - at)
                inference = self._inference(tuple((size, *a.shape[1:]) for a in rows), piece.x_names, sampling)
                if outputs is None:
                    outputs = self._room(inference, n, size)
                    nest = inference.nest
                steps = (stop - start - at) // size
                feeds = {f"x{i}": a[at : at + steps * size].reshape(steps, size, *a.shape[1:])
                         for i, a in enumerate(rows)}
                outs = {f"y{i}": o[start + at : start + at + steps * size].reshape(steps, size, *o.shape[1:])
                        for i, o in enumerate(outputs)}
                done = 0
                with inference.program.lock if sampling else contextlib.nullcontext():
                    if sampling:  # no two batches draw the same numbers, whatever their sizes
                        inference.program.step, self._samples = self._samples, self._samples + steps
                    while done < steps:
                        done += inference.program.run(steps - done, feeds, outs, done)
                at += steps * size
                batches += steps
            if one_by_one:
                run.on_predict_batch_end(batches - 1, {"outputs": nested_like(nest, [o[start:stop] for o in outputs])})
            if run is not None:
                run.on_progress(batches)
        return nest, outputs

    def _room(self, inference: InferenceProgram, n: int, size: int) -> list[np.ndarray]:
        for shape, _ in inference.shapes:
            if shape[:1] != (size,):
                raise ValueError(f"Model {self.name} gives an output of shape {shape} for {size} rows: predict wants "
                                 "outputs with a row for each row of x.")
        return [np.empty((n, *s[1:]), d) for s, d in inference.shapes]

    def _inference(self, shapes: tuple, names: list[str] | None = None, sampling: bool = False) -> InferenceProgram:
        return self._step_programs.get(("predict", sampling, tuple(names or ()), shapes), lambda: InferenceProgram(
            lambda tensors: self.predict_step(pack_x_y_sample_weight(shaped_like(names, tensors))), shapes,
            [np.float32] * len(shapes), self.name, sampling=sampling))

    def predict_on_batch(self, x):
        """Outputs for one batch, as NumPy: the quick way to predict a row."""
        short = self._short_call
        if short is not None and short.takes(x):
            y = short(x)
            if y is not None:
                return y
        data = ArrayData(x)
        nest, arrays = self._predict_piece(data, data.n)
        inference = self._inference(tuple((data.n, *a.shape[1:]) for a in data.x), data.x_names)
        self._short_call = ShortCall(inference) if ShortCall.fits(inference) else None
        return nested_like(nest, arrays)

    # ------------------------------------------------------------------ looking

    def training_program(self, x, y, batch_size: int = 32, sample_weight=None):
        """The `Program` of a training step for data of this kind, bound to it."""
        self._need_compiled("training_program")
        data = self._check_targets(ArrayData(x, y, sample_weight))
        step = self._step_program(data, min(batch_size, data.n), True)
        step.bind(data)
        return step.program


def _epochs(value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ValueError(f"{name} must be an integer of at least 0, but is {value!r}.")
    return int(value)


def _due(epoch: int, frequency) -> bool:
    """Whether epoch (from 1) is validated: each so many, or those listed."""
    if isinstance(frequency, list | tuple | set | range):
        if not frequency or min(frequency) < 1:
            raise ValueError(f"validation_freq must be an integer or a list of epochs, counted from 1, but is "
                             f"{frequency!r}.")
        return epoch in frequency
    return epoch % (check_steps(frequency, "validation_freq") or 1) == 0
