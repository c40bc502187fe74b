# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""C = A @ B with typed memoryviews: the loops of the Python rungs, compiled."""


def loops_ijk(float[:, ::1] c, float[:, ::1] a, float[:, ::1] b):
    """One dot product after the other; b is read down its columns."""
    cdef Py_ssize_t i, j, k
    cdef float total
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            total = 0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


def loops_ikj(float[:, ::1] c, float[:, ::1] a, float[:, ::1] b):
    """The inner loop runs along rows of b and c."""
    cdef Py_ssize_t i, j, k
    cdef float x
    c[:, :] = 0
    for i in range(c.shape[0]):
        for k in range(a.shape[1]):
            x = a[i, k]
            for j in range(c.shape[1]):
                c[i, j] += x * b[k, j]
