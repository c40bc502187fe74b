"""Dropout and random arrays: which groups of which array; the generator stands in csrc/random.inc."""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t

from .core cimport fnn_ops, ops

cdef extern from "random.h" nogil:
    enum:
        FNN_DROPOUT_GROUP, FNN_RANDOM_GROUP
    ctypedef struct fnn_stream:
        uint64_t step
        uint32_t key0, key1
    ctypedef struct fnn_random_ops:
        void (*dropout)(float *y, const float *x, int64_t n, int64_t group, fnn_stream s, uint32_t threshold,
                        float scale) noexcept nogil
        void (*uniform)(float *y, int64_t n, int64_t group, fnn_stream s, float low, float width) noexcept nogil
        void (*normal)(float *y, int64_t n, int64_t group, fnn_stream s, float mean, float stddev) noexcept nogil
        void (*words)(uint32_t *y, int64_t group, fnn_stream s) noexcept nogil
    const fnn_random_ops *fnn_random(const fnn_ops *) noexcept
cdef extern from "<math.h>" nogil:
    double nearbyint(double) noexcept


cdef inline fnn_stream stream(double step, double key0, double key1) noexcept nogil:
    cdef fnn_stream s
    s.step = <uint64_t> <int64_t> step
    s.key0 = <uint32_t> <int64_t> key0
    s.key1 = <uint32_t> <int64_t> key1
    return s


cdef void dropout(void *const *buf, const int64_t *dim, const double *attr,
                  int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const double *step = <const double *> buf[2]
    cdef int64_t N = dim[0]
    cdef double rate = attr[0], key0 = attr[1], key1 = attr[2]
    cdef int64_t start = first * FNN_DROPOUT_GROUP, stop = min(last * FNN_DROPOUT_GROUP, N)
    # y = np.where(kept(...), x / (1 - rate), 0); nearbyint rounds halves to even, as Python does
    fnn_random(ops()).dropout(y + start, x + start, stop - start, first, stream(step[0], key0, key1),
                              <uint32_t> nearbyint(rate * 65536.0), <float> (1.0 / (1.0 - rate)))


cdef void random_uniform(void *const *buf, const int64_t *dim, const double *attr,
                         int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const double *step = <const double *> buf[1]
    cdef int64_t N = dim[0]
    cdef double key0 = attr[0], key1 = attr[1], low = attr[2], high = attr[3]
    cdef int64_t start = first * FNN_RANDOM_GROUP, stop = min(last * FNN_RANDOM_GROUP, N)
    # y = low + u * (high - low)
    fnn_random(ops()).uniform(y + start, stop - start, first, stream(step[0], key0, key1), <float> low,
                              <float> (high - low))


cdef void random_normal(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const double *step = <const double *> buf[1]
    cdef int64_t N = dim[0]
    cdef double key0 = attr[0], key1 = attr[1], mean = attr[2], stddev = attr[3]
    cdef int64_t start = first * FNN_RANDOM_GROUP, stop = min(last * FNN_RANDOM_GROUP, N)
    # y = mean + stddev * z
    fnn_random(ops()).normal(y + start, stop - start, first, stream(step[0], key0, key1), <float> mean,
                             <float> stddev)


def words(int64_t group, uint64_t step, uint32_t key0, uint32_t key1):
    """The 32 words of one group of 8 blocks, A then B, as the CPU path in use makes them."""
    cdef uint32_t w[32]
    cdef fnn_stream s
    s.step, s.key0, s.key1 = step, key0, key1
    fnn_random(ops()).words(w, group, s)
    return [w[i] for i in range(32)]


KERNELS = {
    "dropout": <uintptr_t> &dropout,
    "random_uniform": <uintptr_t> &random_uniform,
    "random_normal": <uintptr_t> &random_normal,
}
