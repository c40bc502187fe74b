# The matrix product for every family of kernels that is made of products.
from libc.stdint cimport int8_t, int64_t

from .core cimport fnn_ops

cdef extern from "fastnn.h" nogil:
    pass
cdef extern from "gemm.h" nogil:
    enum:
        FNN_GEMM_STRIPE
        FNN_GEMM_DEPTH
        FNN_GEMM_ADD
        FNN_GEMM_RELU
        FNN_GEMM_ROWS
        FNN_LINEAR
        FNN_RELU
    ctypedef void (*fnn_gemm_tile)(const float *a, int64_t a_step, const float *b, int64_t b_step, float *c,
                                   int64_t c_step, int64_t k, int64_t lanes, const float *bias,
                                   int64_t mode) noexcept nogil
    ctypedef void (*fnn_gemm_tile_and_keep)(float *keep, const float *a, int64_t a_step, const float *b, int64_t b_step,
                                            float *c, int64_t c_step, int64_t k, int64_t lanes, const float *bias,
                                            int64_t mode) noexcept nogil
    ctypedef struct fnn_runs:
        int64_t count
        const int64_t *a
        const int64_t *b
    ctypedef void (*fnn_gemm_runs_tile)(const float *a, int64_t a_step, const float *b, int64_t b_step, float *c,
                                        int64_t c_step, int64_t k, const fnn_runs *runs, int64_t lanes,
                                        const float *bias, int64_t mode) noexcept nogil
    ctypedef struct fnn_gemm_ops:
        int64_t lanes
        int64_t width
        int8_t widest[7]
        fnn_gemm_tile row_form[7][9]
        fnn_gemm_tile column_form[7][9]
        fnn_gemm_tile_and_keep row_form_and_keep
        fnn_gemm_tile_and_keep column_form_and_keep
        fnn_gemm_runs_tile row_runs[7][9]
        fnn_gemm_runs_tile column_runs[7][9]
        void (*pack)(float *to, const float *src, int64_t pitch, int64_t depth, int64_t columns) noexcept nogil
        void (*pack_columns)(float *to, const float *src, int64_t pitch, int64_t depth, int64_t columns) noexcept nogil
        void (*fetch)(const float *src, int64_t pitch, int64_t rows, int64_t columns) noexcept nogil
        void (*transpose)(float *to, int64_t to_pitch, const float *src, int64_t pitch, int64_t rows,
                        int64_t columns) noexcept nogil
        void (*activate)(int64_t activation, float alpha, float *c, int64_t cs, int64_t rows,
                         int64_t columns) noexcept nogil
        void (*derive)(int64_t activation, float alpha, float *c, const float *y, int64_t cs, int64_t rows,
                       int64_t columns) noexcept nogil
        void (*sum_rows)(float *sum, const float *src, int64_t pitch, int64_t rows, int64_t columns) noexcept nogil
        void (*normalize)(float *to, const float *x, int64_t pitch, const float *mean, const float *rstd, int64_t rows,
                          int64_t columns) noexcept nogil
        void (*scale_back)(float *g, float *dgamma, float *dbeta, const float *w, const float *db, float gamma,
                           float beta, int64_t n) noexcept nogil
    const fnn_gemm_ops *fnn_gemm(const fnn_ops *table)


cdef struct Edge:       # what happens to a tile of C when its sums are complete
    const float *bias   # added to each row, or NULL
    int64_t activation  # applied then
    const float *y      # or, where given: multiply by the activation's derivative, told from its output
    float alpha


cdef inline int64_t ceil_div(int64_t a, int64_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline int64_t smaller(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


# C[rows, columns] = A @ B (+ C where add), then the edge.
#   A[i,k] = a[i * a_pitch + k], or a[k * a_pitch + i] if a_columns
#   B[k,j] = b[k * b_pitch + j], or b[j * b_pitch + k] if b_columns
# It uses the first SCRATCH bytes of the thread's scratch memory (fastnn/kernels/dense.py); at most 256 columns.
cdef void product(float *c, int64_t c_pitch, const float *a, int64_t a_pitch, bint a_columns, const float *b,
                  int64_t b_pitch, bint b_columns, int64_t rows, int64_t columns, int64_t depth, bint add,
                  const Edge *edge) noexcept nogil

# The same where k goes over several runs of `depth` terms each (csrc/gemm.h), with neither copies nor blocks of k: A and
# B are read where they are. It uses no scratch memory; any number of columns.
cdef void product_of_runs(float *c, int64_t c_pitch, const float *a, int64_t a_pitch, bint a_columns, const float *b,
                          int64_t b_pitch, int64_t rows, int64_t columns, int64_t depth, const fnn_runs *runs, bint add,
                          const Edge *edge) noexcept nogil
