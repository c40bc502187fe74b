# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Softmax cross-entropy and its gradient: the loops of the plain Python rung with types."""

from libc.math cimport expf, logf


def loops(float[::1] losses, float[:, ::1] p, float[:, ::1] dz, const float[:, ::1] z, const int[::1] labels,
          const float[::1] g):
    cdef Py_ssize_t i, j, k, N = z.shape[1]
    cdef float largest, total
    for i in range(z.shape[0]):
        k = labels[i]
        largest = z[i, 0]
        for j in range(1, N):
            largest = max(largest, z[i, j])
        total = 0
        for j in range(N):
            p[i, j] = expf(z[i, j] - largest)
            total += p[i, j]
        for j in range(N):
            p[i, j] /= total
            dz[i, j] = p[i, j] * g[i]
        dz[i, k] = (p[i, k] - 1) * g[i]
        losses[i] = logf(total) - (z[i, k] - largest)
