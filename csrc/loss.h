/* Losses per row, their gradients, and hits for metrics.
 *
 * Matrices are (rows, columns), C-contiguous; `losses`, `g` and `hits` have one float per row; labels
 * are class numbers. Outputs are overwritten and may not overlap inputs. Sums over a row are kept in
 * 16 lanes (element i in lane i % 16) and folded by one tree. A label outside 0..columns-1 makes its row
 * NaN; NaN in an input makes NaN of its row's loss; nothing is ever read or written out of bounds.
 * `rest` floats of the input matrices follow the given rows; they may be read (and are ignored).
 * `smoothing` s means targets t * (1 - s) + s / columns. */
#ifndef FASTNN_LOSS_H
#define FASTNN_LOSS_H

#include "fastnn.h"

struct fnn_loss_ops {
    /* p = softmax(z);  loss = -log p[label] */
    void (*softmax_labels)(float *losses, float *p, const float *z, const int32_t *labels, int64_t rows,
                           int64_t columns, int64_t rest);
    /* dz = (p - onehot(label)) * g */
    void (*softmax_labels_grad)(float *dz, const float *g, const float *p, const int32_t *labels, int64_t rows,
                                int64_t columns, int64_t rest);
    /* p = softmax(z);  loss = -sum(t * log p) */
    void (*softmax_dense)(float *losses, float *p, const float *z, const float *t, int64_t rows, int64_t columns,
                          int64_t rest, float smoothing);
    /* dz = (p * sum(t) - t) * g */
    void (*softmax_dense_grad)(float *dz, const float *g, const float *p, const float *t, int64_t rows, int64_t columns,
                               int64_t rest, float smoothing);
    /* q = clip(p / sum(p), 1e-7, 1 - 1e-7);  loss = -log q[label] */
    void (*labels)(float *losses, const float *p, const int32_t *labels, int64_t rows, int64_t columns, int64_t rest);
    void (*labels_grad)(float *dp, const float *g, const float *p, const int32_t *labels, int64_t rows, int64_t columns,
                        int64_t rest);
    /* the same q;  loss = -sum(t * log q) */
    void (*dense)(float *losses, const float *p, const float *t, int64_t rows, int64_t columns, int64_t rest,
                  float smoothing);
    void (*dense_grad)(float *dp, const float *g, const float *p, const float *t, int64_t rows, int64_t columns,
                       int64_t rest, float smoothing);
    /* p = sigmoid(z);  loss = -mean(t * log p + (1 - t) * log(1 - p)), t smoothed towards 1/2 */
    void (*sigmoid)(float *losses, float *p, const float *z, const float *t, int64_t rows, int64_t columns,
                    int64_t rest, float smoothing);
    void (*sigmoid_grad)(float *dz, const float *g, const float *p, const float *t, int64_t rows, int64_t columns,
                         int64_t rest, float smoothing);
    /* the same from probabilities, clipped to [1e-7, 1 - 1e-7] */
    void (*binary)(float *losses, const float *p, const float *t, int64_t rows, int64_t columns, int64_t rest,
                   float smoothing);
    void (*binary_grad)(float *dp, const float *g, const float *p, const float *t, int64_t rows, int64_t columns,
                        int64_t rest, float smoothing);
    /* loss = mean((y - t)**2), mean(|y - t|) */
    void (*squared)(float *losses, const float *y, const float *t, int64_t rows, int64_t columns, int64_t rest);
    void (*squared_grad)(float *dy, const float *g, const float *y, const float *t, int64_t rows, int64_t columns);
    void (*absolute)(float *losses, const float *y, const float *t, int64_t rows, int64_t columns, int64_t rest);
    void (*absolute_grad)(float *dy, const float *g, const float *y, const float *t, int64_t rows, int64_t columns);
    /* d = y - t;  loss = mean(d**2 / 2 where |d| <= delta, else delta * |d| - delta**2 / 2), mean(log cosh d) */
    void (*huber)(float *losses, const float *y, const float *t, int64_t rows, int64_t columns, int64_t rest,
                  float delta);
    void (*huber_grad)(float *dy, const float *g, const float *y, const float *t, int64_t rows, int64_t columns,
                       float delta);
    void (*log_cosh)(float *losses, const float *y, const float *t, int64_t rows, int64_t columns, int64_t rest);
    void (*log_cosh_grad)(float *dy, const float *g, const float *y, const float *t, int64_t rows, int64_t columns);
    /* scale * sum(weights * values); weights NULL: all 1 */
    float (*weighted_sum)(const float *values, const float *weights, int64_t n, float scale);
    /* first largest element of a row, NaN counting as larger than all, as np.argmax has it */
    int64_t (*argmax)(const float *p, int64_t columns);
    /* hit = mean((p > threshold) == t) */
    void (*binary_hits)(float *hits, const float *p, const float *t, int64_t rows, int64_t columns, float threshold);
};

#endif
