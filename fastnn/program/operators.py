"""The Python operators of tensors and variables: each is a function of `fastnn.ops`."""

from __future__ import annotations


class Operators:
    """Arithmetic, comparison, ``@`` and basic indexing for `Tensor` and `Variable`."""

    __slots__ = ()

    def __add__(self, other):
        return _ops().add(self, other)

    def __radd__(self, other):
        return _ops().add(other, self)

    def __sub__(self, other):
        return _ops().subtract(self, other)

    def __rsub__(self, other):
        return _ops().subtract(other, self)

    def __mul__(self, other):
        return _ops().multiply(self, other)

    def __rmul__(self, other):
        return _ops().multiply(other, self)

    def __truediv__(self, other):
        return _ops().divide(self, other)

    def __rtruediv__(self, other):
        return _ops().divide(other, self)

    def __pow__(self, other):
        return _ops().power(self, other)

    def __rpow__(self, other):
        return _ops().power(other, self)

    def __matmul__(self, other):
        return _ops().matmul(self, other)

    def __rmatmul__(self, other):
        return _ops().matmul(other, self)

    def __neg__(self):
        return _ops().negative(self)

    def __pos__(self):
        return self

    def __abs__(self):
        return _ops().absolute(self)

    def __gt__(self, other):
        return _ops().greater(self, other)

    def __lt__(self, other):
        return _ops().less(self, other)

    def __getitem__(self, index):
        return _ops().take_slice(self, index)

    def __iter__(self):
        if not self.shape:
            raise TypeError("A value without axes can't be iterated over.")
        return (self[i] for i in range(self.shape[0]))

    @property
    def T(self):  # noqa: N802
        return _ops().transpose(self)


def _ops():
    from .. import ops  # here: ops knows tensors

    return ops
