"""The native core: choice of CPU path, and single kernel calls for tests and races."""

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc

cdef extern from "fastnn.h" nogil:
    const fnn_ops *fnn
    int fnn_select_path(const char *name)
    const char *fnn_path_name(int i)
    void *fnn_scratch()
cdef extern from * nogil:
    "int fnn_need_scratch(size_t bytes);"
    int fnn_need_scratch(size_t bytes)


cdef const fnn_ops *ops() noexcept nogil:
    return fnn


cdef void *scratch() noexcept nogil:
    return fnn_scratch()


def paths():
    """Names of the CPU paths that this build holds and this CPU can run, best last."""
    found, i = [], 0
    while fnn_path_name(i) != NULL:
        found.append(fnn_path_name(i).decode())
        i += 1
    return found


def select_path(name=None):
    """Choose the CPU path by name, or the best one for None."""
    cdef bytes encoded
    cdef int status
    if name is None:
        status = fnn_select_path(NULL)
    else:
        encoded = name.encode()
        status = fnn_select_path(encoded)
    if status:
        why = "this CPU or this build does not have it" if status == -2 else "there is no such path"
        raise ValueError(f"CPU path {name!r} can't be used: {why}; this machine can run {', '.join(paths())}.")


def path():
    """Name of the CPU path in use."""
    return fnn.name.decode()


def call(uintptr_t kernel, list addresses, list dims, list attrs, int64_t first, int64_t last, size_t need=0):
    """Run tiles first..last-1 of one kernel; addresses of the arrays as integers, 0 for NULL."""
    cdef size_t n = len(addresses), nd = len(dims), na = len(attrs), i
    cdef void **buf = <void **> malloc((n + 1) * sizeof(void *))
    cdef int64_t *dim = <int64_t *> malloc((nd + 1) * sizeof(int64_t))
    cdef double *attr = <double *> malloc((na + 1) * sizeof(double))
    try:
        if buf == NULL or dim == NULL or attr == NULL or fnn_need_scratch(need):
            raise MemoryError
        for i in range(n):
            buf[i] = <void *> <uintptr_t> addresses[i]
        for i in range(nd):
            dim[i] = dims[i]
        for i in range(na):
            attr[i] = attrs[i]
        with nogil:
            (<fnn_kernel> kernel)(buf, dim, attr, first, last)
    finally:
        free(buf)
        free(dim)
        free(attr)


select_path()
