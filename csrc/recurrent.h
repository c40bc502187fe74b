/* The cells of recurrent layers: what happens to one row between two products with the recurrent matrix.
 *
 * A row has n units. z is what the input gives to its gates, p what the state before gives (h @ u), both with the gates
 * side by side. Rows don't overlap, but for what is said below. */
#ifndef FASTNN_RECURRENT_H
#define FASTNN_RECURRENT_H

#include <stdint.h>

struct fnn_recurrent_ops {
    /* h = z + p */
    void (*add)(float *h, const float *z, const float *p, int64_t n);
    /* dh = dh + dy */
    void (*add_to)(float *dh, const float *dy, int64_t n);

    /* a = z + p;  gates = i, f, g, o = sigmoid(a0), sigmoid(a1), tanh(a2), sigmoid(a3);
     * c = f * c + i * g;  h = o * tanh(c).  gates may be p. */
    void (*lstm)(float *h, float *c, float *gates, const float *z, const float *p, int64_t n);
    /* dz from dh and dc, as `lstm_grad` has it; dc becomes that of the step before. c_before may be NULL: zeros. */
    void (*lstm_back)(float *dz, float *dc, const float *dh, const float *gates, const float *c, const float *c_before,
                      int64_t n);

    /* gates[0] = update, gates[1] = r = sigmoid(z + p);  of 2 n */
    void (*gru_gates)(float *gates, const float *z, const float *p, int64_t n);
    /* inner = p[2];  gates[2] = new = tanh(z[2] + r * inner);  h = update * h + (1 - update) * new.  gates may be p;
     * inner may be NULL. */
    void (*gru_after)(float *h, float *gates, float *inner, const float *z, const float *p, int64_t n);
    /* inner = r * h */
    void (*gru_reset)(float *inner, const float *gates, const float *h, int64_t n);
    /* gates[2] = new = tanh(z[2] + p[2]);  h = update * h + (1 - update) * new.  gates may be p. */
    void (*gru_before)(float *h, float *gates, const float *z, const float *p, int64_t n);
    /* dz[0], dz[2] = the gradients of update's and new's sums;  dh = dh * update */
    void (*gru_back)(float *dz, float *dh, const float *gates, const float *h_before, int64_t n);
    /* dz[1] = dz[2] * inner * r (1 - r);  di = dz[0], dz[1], dz[2] * r */
    void (*gru_back_after)(float *di, float *dz, const float *gates, const float *inner, int64_t n);
    /* dz[1] = q * h_before * r (1 - r);  dh = dh + q * r */
    void (*gru_back_before)(float *dz, float *dh, const float *q, const float *gates, const float *h_before, int64_t n);
};

/* n floats of each row into L2, while a product runs that needs none of them: a step's part of a row lies a whole
 * sequence from the next row's, which the hardware doesn't foresee. With it a training step of an LSTM of 128 units
 * over 28 x 28 took 5 to 8 % less. */
static inline void fnn_fetch(const float *p, int64_t pitch, int64_t rows, int64_t n)
{
    for (; rows > 0; rows--, p += pitch)
        for (int64_t i = 0; i < n; i += 16)
            __builtin_prefetch(p + i, 0, 2);
}

/* The same for what will be written. */
static inline void fnn_fetch_to_write(const float *p, int64_t pitch, int64_t rows, int64_t n)
{
    for (; rows > 0; rows--, p += pitch)
        for (int64_t i = 0; i < n; i += 16)
            __builtin_prefetch(p + i, 1, 2);
}

#endif
