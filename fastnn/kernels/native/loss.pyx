"""Losses per row, their gradients, weighted sums, and hits for metrics.

A tile is a group of rows (`group` of them), so that short rows come in handfuls.
"""

from libc.stdint cimport int32_t, int64_t, uintptr_t

from .core cimport fnn_ops, ops

cdef extern from "loss.h" nogil:
    ctypedef struct fnn_loss_ops:
        void (*softmax_labels)(float *losses, float *p, const float *z, const int32_t *labels, int64_t rows,
                               int64_t columns, int64_t rest) noexcept nogil
        void (*softmax_labels_grad)(float *dz, const float *g, const float *p, const int32_t *labels, int64_t rows,
                                    int64_t columns, int64_t rest) noexcept nogil
        void (*softmax_dense)(float *losses, float *p, const float *z, const float *t, int64_t rows, int64_t columns,
                              int64_t rest, float smoothing) noexcept nogil
        void (*softmax_dense_grad)(float *dz, const float *g, const float *p, const float *t, int64_t rows,
                                   int64_t columns, int64_t rest, float smoothing) noexcept nogil
        void (*labels)(float *losses, const float *p, const int32_t *labels, int64_t rows, int64_t columns,
                       int64_t rest) noexcept nogil
        void (*labels_grad)(float *dp, const float *g, const float *p, const int32_t *labels, int64_t rows,
                            int64_t columns, int64_t rest) noexcept nogil
        void (*dense)(float *losses, const float *p, const float *t, int64_t rows, int64_t columns, int64_t rest,
                      float smoothing) noexcept nogil
        void (*dense_grad)(float *dp, const float *g, const float *p, const float *t, int64_t rows, int64_t columns,
                           int64_t rest, float smoothing) noexcept nogil
        void (*sigmoid)(float *losses, float *p, const float *z, const float *t, int64_t rows, int64_t columns,
                        int64_t rest, float smoothing) noexcept nogil
        void (*sigmoid_grad)(float *dz, const float *g, const float *p, const float *t, int64_t rows, int64_t columns,
                             int64_t rest, float smoothing) noexcept nogil
        void (*binary)(float *losses, const float *p, const float *t, int64_t rows, int64_t columns, int64_t rest,
                       float smoothing) noexcept nogil
        void (*binary_grad)(float *dp, const float *g, const float *p, const float *t, int64_t rows, int64_t columns,
                            int64_t rest, float smoothing) noexcept nogil
        void (*squared)(float *losses, const float *y, const float *t, int64_t rows, int64_t columns,
                        int64_t rest) noexcept nogil
        void (*squared_grad)(float *dy, const float *g, const float *y, const float *t, int64_t rows,
                             int64_t columns) noexcept nogil
        void (*absolute)(float *losses, const float *y, const float *t, int64_t rows, int64_t columns,
                         int64_t rest) noexcept nogil
        void (*absolute_grad)(float *dy, const float *g, const float *y, const float *t, int64_t rows,
                              int64_t columns) noexcept nogil
        void (*huber)(float *losses, const float *y, const float *t, int64_t rows, int64_t columns, int64_t rest,
                      float delta) noexcept nogil
        void (*huber_grad)(float *dy, const float *g, const float *y, const float *t, int64_t rows, int64_t columns,
                           float delta) noexcept nogil
        void (*log_cosh)(float *losses, const float *y, const float *t, int64_t rows, int64_t columns,
                         int64_t rest) noexcept nogil
        void (*log_cosh_grad)(float *dy, const float *g, const float *y, const float *t, int64_t rows,
                              int64_t columns) noexcept nogil
        float (*weighted_sum)(const float *values, const float *weights, int64_t n, float scale) noexcept nogil
        int64_t (*argmax)(const float *p, int64_t columns) noexcept nogil
        void (*binary_hits)(float *hits, const float *p, const float *t, int64_t rows, int64_t columns,
                            float threshold) noexcept nogil
    const fnn_loss_ops *fnn_loss(const fnn_ops *)


cdef inline int64_t least(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef void softmax_cross_entropy(void *const *buf, const int64_t *dim, const double *attr,
                                int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef float *p = <float *> buf[1]
    cdef const float *z = <const float *> buf[2]
    cdef const int32_t *labels = <const int32_t *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # p = softmax(z);  losses = -np.log(p[np.arange(rows), labels])
    fnn_loss(ops()).softmax_labels(losses + r, p + r * columns, z + r * columns, labels + r, n, columns, rest)


cdef void softmax_cross_entropy_grad(void *const *buf, const int64_t *dim, const double *attr,
                                     int64_t first, int64_t last) noexcept nogil:
    cdef float *dz = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *p = <const float *> buf[2]
    cdef const int32_t *labels = <const int32_t *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # dz = (p - onehot(labels)) * g[:, None]
    fnn_loss(ops()).softmax_labels_grad(dz + r * columns, g + r, p + r * columns, labels + r, n, columns, rest)


cdef void softmax_cross_entropy_dense(void *const *buf, const int64_t *dim, const double *attr,
                                      int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef float *p = <float *> buf[1]
    cdef const float *z = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double label_smoothing = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # t = t * (1 - label_smoothing) + label_smoothing / columns
    # p = softmax(z);  losses = -(t * np.log(p)).sum(1)
    fnn_loss(ops()).softmax_dense(losses + r, p + r * columns, z + r * columns, t + r * columns, n, columns,
                                  rest, <float> label_smoothing)


cdef void softmax_cross_entropy_dense_grad(void *const *buf, const int64_t *dim, const double *attr,
                                           int64_t first, int64_t last) noexcept nogil:
    cdef float *dz = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *p = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double label_smoothing = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # t = t * (1 - label_smoothing) + label_smoothing / columns
    # dz = (p * t.sum(1, keepdims=True) - t) * g[:, None]
    fnn_loss(ops()).softmax_dense_grad(dz + r * columns, g + r, p + r * columns, t + r * columns, n, columns,
                                       rest, <float> label_smoothing)


cdef void cross_entropy(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef const float *p = <const float *> buf[1]
    cdef const int32_t *labels = <const int32_t *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # q = np.clip(p / p.sum(1, keepdims=True), 1e-7, 1 - 1e-7);  losses = -np.log(q[np.arange(rows), labels])
    fnn_loss(ops()).labels(losses + r, p + r * columns, labels + r, n, columns, rest)


cdef void cross_entropy_grad(void *const *buf, const int64_t *dim, const double *attr,
                             int64_t first, int64_t last) noexcept nogil:
    cdef float *dp = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *p = <const float *> buf[2]
    cdef const int32_t *labels = <const int32_t *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # dp = (1 - onehot(labels) / q) * g[:, None] / p.sum(1, keepdims=True), 0 where q[label] is clipped
    fnn_loss(ops()).labels_grad(dp + r * columns, g + r, p + r * columns, labels + r, n, columns, rest)


cdef void cross_entropy_dense(void *const *buf, const int64_t *dim, const double *attr,
                              int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef const float *p = <const float *> buf[1]
    cdef const float *t = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double label_smoothing = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # t = t * (1 - label_smoothing) + label_smoothing / columns
    # q = np.clip(p / p.sum(1, keepdims=True), 1e-7, 1 - 1e-7);  losses = -(t * np.log(q)).sum(1)
    fnn_loss(ops()).dense(losses + r, p + r * columns, t + r * columns, n, columns, rest, <float> label_smoothing)


cdef void cross_entropy_dense_grad(void *const *buf, const int64_t *dim, const double *attr,
                                   int64_t first, int64_t last) noexcept nogil:
    cdef float *dp = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *p = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double label_smoothing = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # t = t * (1 - label_smoothing) + label_smoothing / columns
    # u = np.where(clipped, 0, t / q);  dp = ((u * q).sum(1) - u) * g[:, None] / p.sum(1, keepdims=True)
    fnn_loss(ops()).dense_grad(dp + r * columns, g + r, p + r * columns, t + r * columns, n, columns, rest,
                               <float> label_smoothing)


cdef void sigmoid_cross_entropy(void *const *buf, const int64_t *dim, const double *attr,
                                int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef float *p = <float *> buf[1]
    cdef const float *z = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double label_smoothing = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # t = t * (1 - label_smoothing) + label_smoothing / 2
    # p = sigmoid(z);  losses = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(1)
    fnn_loss(ops()).sigmoid(losses + r, p + r * columns, z + r * columns, t + r * columns, n, columns, rest,
                            <float> label_smoothing)


cdef void sigmoid_cross_entropy_grad(void *const *buf, const int64_t *dim, const double *attr,
                                     int64_t first, int64_t last) noexcept nogil:
    cdef float *dz = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *p = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double label_smoothing = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # t = t * (1 - label_smoothing) + label_smoothing / 2
    # dz = (p - t) * g[:, None] / columns
    fnn_loss(ops()).sigmoid_grad(dz + r * columns, g + r, p + r * columns, t + r * columns, n, columns, rest,
                                 <float> label_smoothing)


cdef void binary_cross_entropy(void *const *buf, const int64_t *dim, const double *attr,
                               int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef const float *p = <const float *> buf[1]
    cdef const float *t = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double label_smoothing = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # t = t * (1 - label_smoothing) + label_smoothing / 2
    # q = np.clip(p, 1e-7, 1 - 1e-7);  losses = -(t * np.log(q) + (1 - t) * np.log(1 - q)).mean(1)
    fnn_loss(ops()).binary(losses + r, p + r * columns, t + r * columns, n, columns, rest, <float> label_smoothing)


cdef void binary_cross_entropy_grad(void *const *buf, const int64_t *dim, const double *attr,
                                    int64_t first, int64_t last) noexcept nogil:
    cdef float *dp = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *p = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double label_smoothing = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # t = t * (1 - label_smoothing) + label_smoothing / 2
    # dp = (p - t) / (p * (1 - p)) * g[:, None] / columns, 0 where p is clipped
    fnn_loss(ops()).binary_grad(dp + r * columns, g + r, p + r * columns, t + r * columns, n, columns, rest,
                                <float> label_smoothing)


cdef void squared_error(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef const float *y = <const float *> buf[1]
    cdef const float *t = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # losses = np.square(y - t).mean(1)
    fnn_loss(ops()).squared(losses + r, y + r * columns, t + r * columns, n, columns, rest)


cdef void squared_error_grad(void *const *buf, const int64_t *dim, const double *attr,
                             int64_t first, int64_t last) noexcept nogil:
    cdef float *dy = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *y = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    # dy = 2 * (y - t) * g[:, None] / columns
    fnn_loss(ops()).squared_grad(dy + r * columns, g + r, y + r * columns, t + r * columns, n, columns)


cdef void absolute_error(void *const *buf, const int64_t *dim, const double *attr,
                         int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef const float *y = <const float *> buf[1]
    cdef const float *t = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # losses = np.abs(y - t).mean(1)
    fnn_loss(ops()).absolute(losses + r, y + r * columns, t + r * columns, n, columns, rest)


cdef void absolute_error_grad(void *const *buf, const int64_t *dim, const double *attr,
                              int64_t first, int64_t last) noexcept nogil:
    cdef float *dy = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *y = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    # dy = np.sign(y - t) * g[:, None] / columns
    fnn_loss(ops()).absolute_grad(dy + r * columns, g + r, y + r * columns, t + r * columns, n, columns)


cdef void binary_hits(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *hits = <float *> buf[0]
    cdef const float *p = <const float *> buf[1]
    cdef const float *t = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double threshold = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    # hits = ((p > threshold) == t).mean(1)
    fnn_loss(ops()).binary_hits(hits + r, p + r * columns, t + r * columns, n, columns, <float> threshold)


cdef void huber_error(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef const float *y = <const float *> buf[1]
    cdef const float *t = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double delta = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # near = np.minimum(np.abs(y - t), delta);  losses = (near * (np.abs(y - t) - near / 2)).mean(1)
    fnn_loss(ops()).huber(losses + r, y + r * columns, t + r * columns, n, columns, rest, <float> delta)


cdef void huber_error_grad(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *dy = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *y = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef double delta = attr[0]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    # dy = np.clip(y - t, -delta, delta) * g[:, None] / columns
    fnn_loss(ops()).huber_grad(dy + r * columns, g + r, y + r * columns, t + r * columns, n, columns, <float> delta)


cdef void log_cosh_error(void *const *buf, const int64_t *dim, const double *attr,
                         int64_t first, int64_t last) noexcept nogil:
    cdef float *losses = <float *> buf[0]
    cdef const float *y = <const float *> buf[1]
    cdef const float *t = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    cdef int64_t rest = (rows - r - n) * columns
    # losses = np.log(np.cosh(y - t)).mean(1)
    fnn_loss(ops()).log_cosh(losses + r, y + r * columns, t + r * columns, n, columns, rest)


cdef void log_cosh_error_grad(void *const *buf, const int64_t *dim, const double *attr,
                              int64_t first, int64_t last) noexcept nogil:
    cdef float *dy = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *y = <const float *> buf[2]
    cdef const float *t = <const float *> buf[3]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r = first * group
    cdef int64_t n = least(last * group, rows) - r
    # dy = np.tanh(y - t) * g[:, None] / columns
    fnn_loss(ops()).log_cosh_grad(dy + r * columns, g + r, y + r * columns, t + r * columns, n, columns)


cdef void weighted_sum(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef float *total = <float *> buf[0]
    cdef const float *values = <const float *> buf[1]
    cdef const float *weights = <const float *> buf[2]
    cdef int64_t n = dim[0]
    cdef double scale = attr[0]
    if first >= last:
        return
    # total = scale * (weights * values).sum()
    total[0] = fnn_loss(ops()).weighted_sum(values, weights, n, <float> scale)


cdef void weighted_sum_grad(void *const *buf, const int64_t *dim, const double *attr,
                            int64_t first, int64_t last) noexcept nogil:
    cdef float *dv = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *weights = <const float *> buf[2]
    cdef int64_t n = dim[0]
    cdef double scale = attr[0]
    cdef float factor = g[0] * <float> scale
    cdef int64_t i
    if first >= last:
        return
    # dv = g * scale * weights
    if weights == NULL:
        for i in range(n):
            dv[i] = factor
    else:
        for i in range(n):
            dv[i] = factor * weights[i]


cdef void sparse_categorical_hits(void *const *buf, const int64_t *dim, const double *attr,
                                  int64_t first, int64_t last) noexcept nogil:
    cdef float *hits = <float *> buf[0]
    cdef const float *p = <const float *> buf[1]
    cdef const int32_t *labels = <const int32_t *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r
    # hits = p.argmax(1) == labels
    for r in range(first * group, least(last * group, rows)):
        hits[r] = fnn_loss(ops()).argmax(p + r * columns, columns) == labels[r]


cdef void categorical_hits(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *hits = <float *> buf[0]
    cdef const float *p = <const float *> buf[1]
    cdef const float *t = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t group = dim[2]
    cdef int64_t r
    # hits = p.argmax(1) == t.argmax(1)
    for r in range(first * group, least(last * group, rows)):
        hits[r] = (fnn_loss(ops()).argmax(p + r * columns, columns) ==
                   fnn_loss(ops()).argmax(t + r * columns, columns))


KERNELS = {
    "softmax_cross_entropy": <uintptr_t> &softmax_cross_entropy,
    "softmax_cross_entropy_grad": <uintptr_t> &softmax_cross_entropy_grad,
    "softmax_cross_entropy_dense": <uintptr_t> &softmax_cross_entropy_dense,
    "softmax_cross_entropy_dense_grad": <uintptr_t> &softmax_cross_entropy_dense_grad,
    "cross_entropy": <uintptr_t> &cross_entropy,
    "cross_entropy_grad": <uintptr_t> &cross_entropy_grad,
    "cross_entropy_dense": <uintptr_t> &cross_entropy_dense,
    "cross_entropy_dense_grad": <uintptr_t> &cross_entropy_dense_grad,
    "sigmoid_cross_entropy": <uintptr_t> &sigmoid_cross_entropy,
    "sigmoid_cross_entropy_grad": <uintptr_t> &sigmoid_cross_entropy_grad,
    "binary_cross_entropy": <uintptr_t> &binary_cross_entropy,
    "binary_cross_entropy_grad": <uintptr_t> &binary_cross_entropy_grad,
    "squared_error": <uintptr_t> &squared_error,
    "squared_error_grad": <uintptr_t> &squared_error_grad,
    "absolute_error": <uintptr_t> &absolute_error,
    "absolute_error_grad": <uintptr_t> &absolute_error_grad,
    "huber_error": <uintptr_t> &huber_error,
    "huber_error_grad": <uintptr_t> &huber_error_grad,
    "log_cosh_error": <uintptr_t> &log_cosh_error,
    "log_cosh_error_grad": <uintptr_t> &log_cosh_error_grad,
    "binary_hits": <uintptr_t> &binary_hits,
    "weighted_sum": <uintptr_t> &weighted_sum,
    "weighted_sum_grad": <uintptr_t> &weighted_sum_grad,
    "sparse_categorical_hits": <uintptr_t> &sparse_categorical_hits,
    "categorical_hits": <uintptr_t> &categorical_hits,
}
