# Update rules and gradient arithmetic on flat arrays, for every module that updates or measures (csrc/optim.h).
from libc.stdint cimport int64_t

from .core cimport fnn_ops

cdef extern from "optim.h" nogil:
    ctypedef struct fnn_optim_ops:
        void (*sgd)(float *w, const float *g, int64_t n, float rate, float decay) noexcept nogil
        void (*momentum)(float *w, float *v, const float *g, int64_t n, float rate, float mu, float decay,
                         int nesterov) noexcept nogil
        void (*momentum_outside)(float *w, float *v, const float *g, int64_t n, float rate, float mu, float gain,
                                 float decay, int nesterov) noexcept nogil
        void (*rmsprop)(float *w, float *v, const float *g, int64_t n, float rate, float decay, float rho_c, float epsilon,
                        int inside) noexcept nogil
        void (*rmsprop_momentum)(float *w, float *v, float *mom, const float *g, int64_t n, float rate, float mu,
                                 float decay, float rho_c, float epsilon, int inside) noexcept nogil
        void (*rmsprop_centered)(float *w, float *v, float *mean, float *mom, const float *g, int64_t n,
                                 float rate, float mu, float decay, float rho_c, float epsilon, int inside) noexcept nogil
        void (*adam)(float *w, float *m, float *v, const float *g, int64_t n, float alpha, float epsilon,
                     float beta_1c, float beta_2c) noexcept nogil
        void (*adamw)(float *w, float *m, float *v, const float *g, int64_t n, float alpha, float epsilon,
                      float decay, float beta_1c, float beta_2c) noexcept nogil
        float (*sum_of_squares)(const float *g, int64_t n) noexcept nogil
        void (*accumulate)(float *g, float *acc, int64_t n, float factor, int keep) noexcept nogil
        void (*moving_average)(float *average, float *w, int64_t n, float mu_c, int overwrite) noexcept nogil
        void (*scale)(float *g, int64_t n, float scale) noexcept nogil
        void (*clip)(float *g, int64_t n, float limit) noexcept nogil
        void (*column_squares)(float *sum, const float *x, int64_t pitch, int64_t rows, int64_t n) noexcept nogil
        void (*scale_columns)(float *g, const float *factor, int64_t pitch, int64_t rows, int64_t n) noexcept nogil
        void (*add_scaled)(float *g, const float *h, int64_t n, float factor) noexcept nogil
    const fnn_optim_ops *fnn_optim(const fnn_ops *)


cdef enum:
    BLOCK = 16         # elements of a flat tile, as in spec.py


cdef inline int64_t piece(int64_t n, int64_t first, int64_t last) noexcept nogil:
    """Elements in the flat tiles first..last-1 of n."""
    cdef int64_t end = last * BLOCK
    return (n if end > n else end) - first * BLOCK


cdef inline float share(const double *decay) noexcept nogil:
    """What of each weight decays; NULL is nothing."""
    return <float> decay[0] if decay != NULL else 0
