# cython: boundscheck=False, wraparound=False, cdivision=True
from libc.math cimport sqrtf


def adam(float[::1] w, float[::1] m, float[::1] v, const float[::1] g):
    cdef float alpha = 1e-3, epsilon = 1e-7, b1 = 1 - 0.9, b2 = 1 - 0.999
    cdef Py_ssize_t i
    for i in range(w.shape[0]):
        m[i] += (g[i] - m[i]) * b1
        v[i] += (g[i] * g[i] - v[i]) * b2
        w[i] -= alpha * m[i] / (sqrtf(v[i]) + epsilon)
