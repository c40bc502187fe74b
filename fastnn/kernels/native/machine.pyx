"""Kernels that measure the machine, and probes by which the tests see whether each tile ran once, and in time.

They have the kernel ABI but no spec: no program that a user makes contains them.
"""

from libc.stdint cimport int64_t, uint64_t, uintptr_t

from .core cimport fnn_call, fnn_ops, ops, scratch

cdef extern from "fastnn.h" nogil:
    const fnn_machine_ops *fnn_machine(const fnn_ops *)
cdef extern from "machine.h" nogil:
    ctypedef struct fnn_machine_ops:
        float (*fma_loop)(int64_t iterations) noexcept nogil
        int64_t flops
        void (*copy)(float *y, const float *x, int64_t n) noexcept nogil
        void (*stream)(float *y, const float *x, int64_t n) noexcept nogil


cdef void machine_fma(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef int64_t iterations = dim[0], i
    for i in range(first, last):
        y[16 * i] = fnn_machine(ops()).fma_loop(iterations)


cdef void machine_copy(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t n = dim[0], block = dim[1], repeat = dim[2], past_caches = dim[3], begin, i
    cdef int64_t end
    begin = first * block
    end = min(n, last * block)
    for i in range(repeat):
        if past_caches:
            fnn_machine(ops()).stream(y + begin, x + begin, end - begin)
        else:
            fnn_machine(ops()).copy(y + begin, x + begin, end - begin)


cdef void probe_mix(void *const *buf, const int64_t *dim, const double *attr,
                    int64_t first, int64_t last) noexcept nogil:
    """y[i] depends on two elements of x, one of them of another tile: wrong if x was not whole."""
    cdef uint64_t *y = <uint64_t *> buf[0]
    cdef const uint64_t *x = <const uint64_t *> buf[1]
    cdef const fnn_call *then = <const fnn_call *> buf[2]
    cdef int64_t n = dim[0], work = dim[1], i, j
    cdef uint64_t v
    for i in range(first, last):
        v = x[i] + 3 * x[(7 * i + 1) % n]
        for j in range(work):
            v = v * 6364136223846793005u + 1442695040888963407u
        y[i] = v
        if then != NULL:
            then.kernel(then.buf, then.dim, then.attr, i, i + 1)


cdef void probe_count(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    """y[i] += attr[0]: shows a tile that ran twice or never."""
    cdef double *y = <double *> buf[0]
    cdef double step = attr[0]
    cdef int64_t i
    for i in range(first, last):
        y[i] += step


cdef void probe_scratch(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    """y[i] = x[i], by way of the whole scratch memory of dim[0] bytes."""
    cdef uint64_t *y = <uint64_t *> buf[0]
    cdef const uint64_t *x = <const uint64_t *> buf[1]
    cdef int64_t words = dim[0] // 8, i, j
    cdef uint64_t *memory = <uint64_t *> scratch()
    for i in range(first, last):
        for j in range(words):
            memory[j] = x[i] + <uint64_t> j
        y[i] = memory[words - 1] - <uint64_t> (words - 1)


cdef void probe_nothing(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    pass


def fma_flops():
    """Floating-point operations of one iteration of ``machine_fma``, on the CPU path in use."""
    return fnn_machine(ops()).flops


KERNELS = {
    "machine_fma": <uintptr_t> &machine_fma,
    "machine_copy": <uintptr_t> &machine_copy,
    "probe_mix": <uintptr_t> &probe_mix,
    "probe_count": <uintptr_t> &probe_count,
    "probe_scratch": <uintptr_t> &probe_scratch,
    "probe_nothing": <uintptr_t> &probe_nothing,
}
