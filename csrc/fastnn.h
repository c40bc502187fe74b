/* What all C code of fastnn shares: the kernel ABI and the table of micro-kernels.
 *
 * Nothing here includes a Python header: a kernel can be read, compiled and stepped through alone.
 */
#ifndef FASTNN_H
#define FASTNN_H

#include <stddef.h>
#include <stdint.h>

/* The one kernel type.  A kernel computes tiles first..last-1 of its output and knows nothing of
 * threads; how many tiles there are depends on `dim` alone.
 *   buf   outputs first, then inputs, in the order that the kernel's spec declares; an optional
 *         input that is absent is NULL; an updated array stands in both places
 *   dim   sizes, in the spec's order
 *   attr  numbers, in the spec's order
 */
typedef void (*fnn_kernel)(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last);

/* One family of micro-kernels is one struct of function pointers, declared in <family>.h, defined
 * in <family>.inc, and compiled once per CPU path by the ten-line files in paths/. */
#define FNN_FAMILIES(X) \
    X(gemm) X(elementwise) X(norm) X(loss) X(optim) X(moments) X(random) X(data) X(attention) X(embedding) \
    X(conv) X(recurrent) X(pool) X(augment) X(winograd) X(machine)

#define X(family) typedef struct fnn_##family##_ops fnn_##family##_ops;
FNN_FAMILIES(X)
#undef X

typedef struct fnn_ops {
    const char *name;   /* "v2", "v3", "v4", "neon" */
    int fma;            /* 0: rounds products before adding them, so its bits differ */
#define X(family) const fnn_##family##_ops *family;
    FNN_FAMILIES(X)
#undef X
} fnn_ops;

/* fnn_gemm(ops): the family's table, for Cython. */
#define X(family) \
    static inline const fnn_##family##_ops *fnn_##family(const fnn_ops *ops) { return ops->family; }
FNN_FAMILIES(X)
#undef X

/* The micro-kernels in use; never NULL after fnn_select_path(NULL). */
extern const fnn_ops *fnn;

/* Choose a path by name, or the best that this CPU supports for NULL.  0, or -1: unknown name,
 * -2: this CPU or this build does not have it (then nothing changes). */
int fnn_select_path(const char *name);

/* Paths this build holds and this CPU can run, best last: i = 0, 1, ... until NULL. */
const char *fnn_path_name(int i);

/* This thread's scratch memory, 64-byte aligned, as large as the running program asked for in its
 * specs' `scratch` (per thread, bytes).  Contents are undefined at the start of every call. */
void *fnn_scratch(void);

/* A kernel call that another call runs on its own tile while that is still in cache: the optimizer
 * after a weight gradient.  Passed in a `buf` slot. */
typedef struct fnn_call {
    fnn_kernel kernel;
    void *const *buf;
    const int64_t *dim;
    const double *attr;
} fnn_call;

#endif
