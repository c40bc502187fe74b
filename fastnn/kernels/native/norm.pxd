# csrc/norm.h and the passes over one tile's columns, for the modules that normalise columns.
from libc.stdint cimport int64_t

from .core cimport fnn_ops

cdef extern from "norm.h" nogil:
    ctypedef struct fnn_norm_ops:
        void (*sums)(float *s, const float *x, const float *end, int64_t rows, int64_t columns,
                     int64_t stride) noexcept nogil
        void (*shifted_sums)(float *s, float *q, const float *x, const float *end, const float *shift, int64_t rows,
                             int64_t columns, int64_t stride, int64_t ahead) noexcept nogil
        void (*gradient_sums)(float *s, float *q, const float *dy, const float *x, const float *end,
                              const float *shift, int64_t rows, int64_t columns, int64_t stride,
                              int64_t ahead) noexcept nogil
        void (*affine)(float *y, const float *x, const float *end, const float *shift, const float *scale,
                       const float *offset, int64_t rows, int64_t columns, int64_t stride, int64_t ahead) noexcept nogil
        void (*backward)(float *dx, const float *dy, const float *x, const float *end, const float *shift,
                         const float *a, const float *b, const float *offset, int64_t rows, int64_t columns,
                         int64_t stride, int64_t ahead) noexcept nogil
        void (*merge)(float *mean, float *m2, float *carry, const float *s, const float *q, int64_t columns,
                      double n) noexcept nogil
        void (*finish)(float *rstd, float *moving_mean, float *moving_var, const float *mean, const float *m2,
                       int64_t columns, double n, double n_var, double epsilon, double rate) noexcept nogil
        void (*rsqrt)(float *r, const float *v, int64_t columns, double epsilon) noexcept nogil
        void (*row)(float *y, float *mean, float *rstd, const float *x, const float *gamma, const float *beta,
                    int64_t n, int centered, float share, double epsilon) noexcept nogil
        void (*row_backward)(float *dx, const float *dy, const float *x, const float *gamma, float mean, float rstd,
                             int64_t n, int centered, float share) noexcept nogil
        void (*row_parameters)(float *dgamma, float *dbeta, const float *dy, const float *x, const float *mean,
                               const float *rstd, int64_t rows, int64_t columns, int64_t stride,
                               int64_t step) noexcept nogil
    const fnn_norm_ops *fnn_norm(const fnn_ops *)

cdef enum:
    CHUNK = 256   # rows whose sums are formed at once
    WIDEST = 256  # columns of a tile at most, as in norm.py; a multiple of 16
    FAR = 1 << 19 # elements beyond which passes prefetch: 2M of them took 2.2 ms without, 0.5 with
    AHEAD = 64    # rows that they prefetch ahead


cdef inline int64_t least(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef inline int64_t prefetch(int64_t rows, int64_t columns) noexcept nogil:
    return AHEAD * columns if rows * columns > FAR else 0


# y = (x - shift) * scale + offset, of one tile's columns; rows are `stride` apart.
cdef void affine(float *y, const float *x, const float *end, const float *shift, const float *scale,
                 const float *offset, int64_t rows, int64_t columns, int64_t stride) noexcept nogil

# mean = x.mean(0); m2 = np.square(x - mean).sum(0), of one tile's columns.
cdef void moments(float *mean, float *m2, const float *x, const float *end, int64_t rows, int64_t columns,
                  int64_t stride) noexcept nogil

# dgamma = (dy * (x - mean)).sum(0) * rstd; dbeta = dy.sum(0), of one tile's columns.
cdef void gradient_sums(float *dgamma, float *dbeta, const float *dy, const float *x, const float *end,
                        const float *mean, const float *rstd, int64_t rows, int64_t columns,
                        int64_t stride) noexcept nogil
