"""Second-order training through SciPy: the loss over all data as a function of one vector of all weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops, spelling
from ..extras import need
from ..program.gradient import gradients
from ..program.graph import Graph, Tensor
from .data import ArrayData, adapt
from .step import StepProgram

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

#: methods of SciPy that use gradients, and those that want products with the Hessian beside them
FIRST_ORDER = ("L-BFGS-B", "BFGS", "CG", "TNC", "SLSQP")
SECOND_ORDER = ("Newton-CG", "trust-ncg", "trust-krylov")


class ObjectiveProgram(StepProgram):
    """One step over all rows, training off: the loss with its penalties and its gradient, or products with its Hessian.

    Fetches "loss", and for trainable variable i "g<i>": its part of the gradient or, with `curvature`, of the Hessian
    times the vector whose parts are fed as "v<i>".
    """

    measures = False

    def __init__(self, model, data: ArrayData, curvature: bool = False):
        self.curvature = curvature
        super().__init__(model, data, data.n, training=False)

    def _finish(self, graph: Graph, model, loss: Tensor, training: bool) -> None:
        variables = model._training_variables()
        held = [v for v in model._regularized() if v.regularizer is not None]
        for v in held:
            if getattr(v.regularizer, "l1", None) is not None:  # others are in the loss already
                loss = loss + v.regularizer(graph.variable(v))
        found = gradients(loss, variables)
        if self.curvature:
            along = [graph.feed(f"v{i}", v.shape, v.dtype) for i, v in enumerate(variables)]
            total = None
            for g, v in zip(found, along):
                if g is not None:
                    part = ops.sum(g * v)
                    total = part if total is None else total + part
            try:
                found = [None] * len(variables) if total is None else gradients(total, variables)
            except TypeError as error:
                raise TypeError(f"Model {model.name}: second derivatives of the loss are not known. {error}") from error
        for i, g in enumerate(found):
            if g is not None:
                graph.fetch(f"g{i}", g)


class Objective:
    """The loss of a model over data, as SciPy wants it: a function of one float64 vector.

    Parameters
    ----------
    model : compiled; its trainable variables, one after the other, are the vector.
    data : targets and weights checked.
    """

    def __init__(self, model, data: ArrayData):
        self.model, self.data = model, model._check_targets(data)
        self.variables = model._training_variables()
        bound = next((v for v in self.variables if v.constraint is not None), None)
        if bound is not None:
            raise ValueError(f"Model {model.name}: minimize knows no constraints, and {bound.path} has one; fit does.")
        self.sizes = np.cumsum([0, *(v.size for v in self.variables)])
        self.best, self.least = None, np.inf
        self._programs: dict[bool, ObjectiveProgram] = {}

    def _program(self, curvature: bool) -> ObjectiveProgram:
        if curvature not in self._programs:
            self._programs[curvature] = ObjectiveProgram(self.model, self.data, curvature)
            self._programs[curvature].bind(self.data)
        return self._programs[curvature]

    def parts(self, w: np.ndarray) -> list[np.ndarray]:
        """A vector cut into arrays of the variables' shapes."""
        return [np.ascontiguousarray(w[a:b].reshape(v.shape), v.dtype)
                for v, a, b in zip(self.variables, self.sizes, self.sizes[1:])]

    def vector(self) -> np.ndarray:
        """The weights as they are."""
        return np.concatenate([v.value.ravel() for v in self.variables]).astype(np.float64)

    def assign(self, w: np.ndarray) -> None:
        for v, part in zip(self.variables, self.parts(w)):
            v.assign(part)

    def _run(self, w: np.ndarray | None, curvature: bool, **feeds: np.ndarray) -> tuple[float, np.ndarray]:
        if w is not None:
            self.assign(w)
        step = self._program(curvature)
        out = step.buffers(1)
        step.program.run(1, {"index": np.arange(self.data.n)[None], **feeds}, out)
        parts = [out[f"g{i}"][0] if f"g{i}" in out else np.zeros(v.shape) for i, v in enumerate(self.variables)]
        return float(out["loss"][0]), np.concatenate([p.ravel() for p in parts]).astype(np.float64)

    def __call__(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """(loss, gradient) at w."""
        loss, gradient = self._run(w, False)
        if self.best is None and not np.isfinite(loss):
            raise ValueError(f"Model {self.model.name}: the loss is {loss} at the first weights; nothing can be "
                             "minimized from there.")
        if loss < self.least or self.best is None:
            self.best, self.least = np.array(w), loss
        return loss, gradient

    def product(self, w: np.ndarray | None, v: np.ndarray) -> np.ndarray:
        """The Hessian at w (None: where the weights are) times v, exact but for rounding."""
        return self._run(w, True, **{f"v{i}": p[None] for i, p in enumerate(self.parts(np.asarray(v)))})[1]


class Minimizer:
    """The part of a model that trains by whole-data methods, and looks at the Hessian."""

    name: str
    _need_compiled: Callable[[str], None]

    def _objective(self, what: str, x, y, sample_weight) -> Objective:
        self._need_compiled(what)
        data = adapt(x, y, sample_weight)
        if not isinstance(data, ArrayData):
            raise ValueError(f"Model {self.name}: {what} takes arrays, not batches: every evaluation is over all rows.")
        return Objective(self, data)

    def minimize(self, x, y=None, method: str = "L-BFGS-B", *, sample_weight=None, tol: float | None = None,
                 options: dict[str, Any] | None = None, callback: Callable | None = None) -> OptimizeResult:
        """Find the weights at which the loss over all of x and y is least, by `scipy.optimize.minimize`.

        For networks and data that are small: every evaluation goes over all rows, as one native program that gives the
        loss and its gradient. Training is off: dropout does nothing, normalisation uses its moving statistics. The
        optimizer of `compile` is left alone.

        Parameters
        ----------
        x, y, sample_weight : arrays as `fit` takes them.
        method : "L-BFGS-B", "BFGS", "CG", "TNC", "SLSQP" by gradients; "Newton-CG", "trust-ncg", "trust-krylov" by
            exact products with the Hessian, too. See SciPy for what each is.
        tol, options, callback : handed on to SciPy; ``options={"maxiter": 100}`` ends after so many iterations.

        Returns
        -------
        SciPy's OptimizeResult: `fun` the loss, `nit` iterations, `nfev` evaluations, `success`, `message`, `x` all
        trainable weights in one vector. The model has those weights; after an interruption, the best ones so far.

        Notes
        -----
        The loss is computed in float32, so differences below about 1e-7 of it are noise: a line search that ends with
        ``success=False`` there has converged as far as the numbers go.

        References
        ----------
        Liu & Nocedal (1989), On the limited memory BFGS method for large scale optimization; Nocedal & Wright (2006),
        Numerical Optimization, 2nd ed., chapter 7.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> result = model.minimize(x, 3 * x + 1)
        >>> [w.round(3).tolist() for w in model.get_weights()]
        [[[3.0]], [1.0]]
        """
        known = {m.lower(): m for m in (*FIRST_ORDER, *SECOND_ORDER)}
        if not isinstance(method, str) or method.lower() not in known:
            raise spelling.unknown("method", method, list(known.values()))
        scipy = need("scipy.optimize", extra="scipy")
        objective = self._objective("minimize", x, y, sample_weight)
        second = {"hessp": objective.product} if known[method.lower()] in SECOND_ORDER else {}
        try:
            result = scipy.minimize(objective, objective.vector(), method=known[method.lower()], jac=True, tol=tol,
                                    options=options, callback=callback, **second)
            objective.best = result.x
        finally:
            if objective.best is not None:
                objective.assign(objective.best)
        return result

    def hessian_vector_product(self, x, y, v, sample_weight=None) -> np.ndarray:
        """The Hessian of the loss over all of x and y times a vector, exact but for rounding.

        The gradient of the gradient's product with v: two more passes over the network, whatever its size; no Hessian
        is formed. With ``scipy.sparse.linalg.eigsh`` it gives the largest eigenvalues.

        Parameters
        ----------
        x, y, sample_weight : arrays as `fit` takes them.
        v : array-like of as many numbers as there are trainable weights, in the order of `trainable_variables`.

        Returns
        -------
        A float64 vector of that size.

        Raises
        ------
        TypeError : a kernel of the network has no second derivative; the sentence names it.

        References
        ----------
        Pearlmutter (1994), Fast exact multiplication by the Hessian, Neural Computation 6(1).

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1, use_bias=False)])
        >>> model.compile(loss="mse")
        >>> x = np.array([[1.0, 0.0], [0.0, 2.0]])
        >>> model.hessian_vector_product(x, np.zeros((2, 1)), [1.0, 1.0])     # 2 * x.T @ x / 2
        array([1., 4.])
        """
        objective = self._objective("hessian_vector_product", x, y, sample_weight)
        v = np.asarray(v, np.float64)
        if v.shape != (objective.sizes[-1],):
            raise ValueError(f"Model {self.name} has {objective.sizes[-1]} trainable weights; v must be a vector of as "
                             f"many numbers, not of shape {v.shape}.")
        return objective.product(None, v)
