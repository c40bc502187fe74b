from libc.stdint cimport int64_t

cdef extern from "fastnn.h" nogil:
    ctypedef void (*fnn_kernel)(void *const *buf, const int64_t *dim, const double *attr,
                                int64_t first, int64_t last)
    ctypedef struct fnn_ops:
        const char *name
        int fma
    ctypedef struct fnn_call:
        fnn_kernel kernel
        void *const *buf
        const int64_t *dim
        const double *attr

# The table of micro-kernels in use: one for all modules. A family's module reaches its own with
# `fnn_<family>(ops())`, declared from fastnn.h.
cdef const fnn_ops *ops() noexcept nogil
# This thread's scratch memory, as large as the kernel's spec asked for.
cdef void *scratch() noexcept nogil
