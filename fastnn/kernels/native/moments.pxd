# Update rules by the sizes of past gradients (csrc/moments.h).
from libc.stdint cimport int64_t

from .core cimport fnn_ops

cdef extern from "moments.h" nogil:
    ctypedef struct fnn_moments_ops:
        void (*adagrad)(float *w, float *a, const float *g, int64_t n, float rate, float decay, float epsilon, int
                        inside) noexcept nogil
        void (*adadelta)(float *w, float *v, float *d, const float *g, int64_t n, float rate, float decay, float
                         rho_c, float epsilon) noexcept nogil
        void (*adam_amsgrad)(float *w, float *m, float *v, float *top, const float *g, int64_t n, float alpha, float
                             epsilon, float decay, float beta_1c, float beta_2c) noexcept nogil
        void (*adamax)(float *w, float *m, float *u, const float *g, int64_t n, float alpha, float decay, float
                       beta_1c, float beta_2, float epsilon) noexcept nogil
        void (*nadam)(float *w, float *m, float *v, const float *g, int64_t n, float alpha, float gamma, float
                      epsilon, float decay, float beta_1c, float beta_2c) noexcept nogil
        void (*radam)(float *w, float *m, float *v, const float *g, int64_t n, float alpha, float epsilon, int
                      adaptive, float decay, float beta_1c, float beta_2c) noexcept nogil
        void (*lion)(float *w, float *m, const float *g, int64_t n, float rate, float decay, float beta_1c, float
                     beta_2c) noexcept nogil
        void (*ftrl)(float *w, float *a, float *z, const float *g, int64_t n, float per_rate, float l2, float decay,
                     float power, float l1, float shrinkage) noexcept nogil
        void (*lamb)(float *g, float *m, float *v, double *sums, const float *w, int64_t n, float alpha, float epsilon,
                     float decay, float pull, float beta_1c, float beta_2c) noexcept nogil
        void (*scaled_momentum)(float *w, float *v, const float *g, int64_t n, float rate, float mu, float pull, float
                                decay, int nesterov) noexcept nogil
        float (*factored_squares)(const float *g, const float *column, float row, int64_t n) noexcept nogil
        void (*factored_sgd)(float *w, const float *g, const float *column, float row, float decay,
                             int64_t n) noexcept nogil
        void (*adafactor)(float *v, float *u, const float *g, int64_t n, float epsilon, float c) noexcept nogil
    const fnn_moments_ops *fnn_moments(const fnn_ops *)
