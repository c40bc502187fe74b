# csrc/elementwise.h, for the modules whose loops it serves.
from libc.stdint cimport int64_t, uint32_t

from .core cimport fnn_ops

cdef enum:
    BLOCK = 16  # elements of one tile of a flat kernel: BLOCK of spec.py

cdef extern from "elementwise.h" nogil:
    ctypedef struct fnn_elementwise_ops:
        void (*activation)(int kind, float *y, const float *x, int64_t n, float alpha) noexcept nogil
        void (*activation_grad)(int kind, float *dx, const float *dy, const float *x, const float *y, int64_t n,
                                float alpha) noexcept nogil
        void (*ramp)(float *y, const float *x, int64_t n, float threshold, float slope, float top,
                     float value) noexcept nogil
        void (*ramp_grad)(float *dx, const float *dy, const float *x, int64_t n, float threshold, float slope,
                          float top) noexcept nogil
        void (*prelu)(float *y, const float *x, const float *alpha, int64_t n) noexcept nogil
        void (*prelu_grad)(float *dx, float *dz, const float *dy, const float *x, const float *alpha,
                           int64_t n) noexcept nogil
        void (*glu)(float *y, const float *a, const float *b, int64_t n) noexcept nogil
        void (*glu_grad)(float *da, float *db, const float *dy, const float *a, const float *b,
                         int64_t n) noexcept nogil
        void (*softmax)(float *y, const float *x, int64_t n) noexcept nogil
        void (*softmax_grad)(float *dx, const float *dy, const float *y, int64_t n) noexcept nogil
        void (*log_softmax)(float *y, const float *x, int64_t n) noexcept nogil
        void (*log_softmax_grad)(float *dx, const float *dy, const float *y, int64_t n) noexcept nogil
        void (*sparsemax)(float *y, const float *x, int64_t n) noexcept nogil
        void (*sparsemax_grad)(float *dx, const float *dy, const float *y, int64_t n) noexcept nogil
        void (*unary)(int op, float *y, const float *x, int64_t n) noexcept nogil
        void (*binary)(int op, float *y, const float *a, int64_t sa, const float *b, int64_t sb,
                       int64_t n) noexcept nogil
        void (*where)(float *y, const float *c, int64_t sc, const float *a, int64_t sa, const float *b, int64_t sb,
                      int64_t n) noexcept nogil
        void (*affine)(float *y, const float *x, int64_t n, float scale, float offset) noexcept nogil
        void (*clip)(float *y, const float *x, int64_t n, float low, float high) noexcept nogil
        void (*clip_grad)(float *dx, const float *dy, const float *x, int64_t n, float low, float high) noexcept nogil
        float (*sum_row)(const float *x, int64_t n) noexcept nogil
        float (*max_row)(const float *x, int64_t n) noexcept nogil
        void (*sum_rows)(float *y, const float *x, int64_t rows, int64_t ld, int64_t n) noexcept nogil
        void (*max_rows)(float *y, const float *x, int64_t rows, int64_t ld, int64_t n) noexcept nogil
        void (*transpose)(uint32_t *y, int64_t ldy, const uint32_t *x, int64_t ldx, int64_t m,
                          int64_t n) noexcept nogil
    const fnn_elementwise_ops *fnn_elementwise(const fnn_ops *) noexcept
    enum:
        FNN_NEGATIVE, FNN_EXP, FNN_LOG, FNN_SQRT, FNN_SQUARE, FNN_ABSOLUTE, FNN_SIGN, FNN_RECIPROCAL, FNN_LOG1P
        FNN_EXPM1, FNN_ERF
        FNN_ADD, FNN_SUBTRACT, FNN_MULTIPLY, FNN_DIVIDE, FNN_MAXIMUM, FNN_MINIMUM, FNN_POWER, FNN_GREATER
