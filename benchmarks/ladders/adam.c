/* Adam's rungs in C. buf: w, m, v (read and written), g (read); dim: n; attr: alpha, epsilon, 1 - beta_1, 1 - beta_2. */
#include "ladder.h"

#define UNPACK \
    float *restrict w = buf[0], *restrict m = buf[1], *restrict v = buf[2]; \
    const float *restrict g = buf[3]; \
    const int64_t n = dim[0]; \
    const float alpha = (float)attr[0], epsilon = (float)attr[1], b1 = (float)attr[2], b2 = (float)attr[3]

/* Three loops, as NumPy has it: 3 + 3 + 4 arrays pass by instead of 7. */
KERNEL(adam_passes)
{
    UNPACK;
    for (int64_t i = 0; i < n; i++)
        m[i] += (g[i] - m[i]) * b1;
    for (int64_t i = 0; i < n; i++)
        v[i] += (g[i] * g[i] - v[i]) * b2;
    for (int64_t i = 0; i < n; i++)
        w[i] -= alpha * m[i] / (sqrtf(v[i]) + epsilon);
}

/* One loop: each element is loaded once, and stored once. */
KERNEL(adam_fused)
{
    UNPACK;
    for (int64_t i = 0; i < n; i++) {
        m[i] += (g[i] - m[i]) * b1;
        v[i] += (g[i] * g[i] - v[i]) * b2;
        w[i] -= alpha * m[i] / (sqrtf(v[i]) + epsilon);
    }
}

/* sqrtf of all lanes; the compiler makes one instruction of the loop. */
INLINE f16 root(f16 x)
{
    f16 r;
    for (int l = 0; l < 16; l++)
        r[l] = sqrtf(x[l]);
    return r;
}

INLINE void step(float *w, float *m, float *v, const float *g, float alpha, float epsilon, float b1, float b2)
{
    f16 G = *(const f16 *)g, M = *(f16 *)m, V = *(f16 *)v;
    M += (G - M) * b1;
    V += (G * G - V) * b2;
    *(f16 *)w -= alpha * M / (root(V) + epsilon);
    *(f16 *)m = M;
    *(f16 *)v = V;
}

enum { TILE = 4096 }; /* elements of a tile; adam.py has the same */

/* 16 elements at a time, and tiles first..last-1 alone, so that threads can share them. */
KERNEL(adam_vectors)
{
    UNPACK;
    int64_t i = first * TILE, end = least(last * TILE, n);
    for (; i + 16 <= end; i += 16)
        step(w + i, m + i, v + i, g + i, alpha, epsilon, b1, b2);
    for (; i < end; i++) {
        m[i] += (g[i] - m[i]) * b1;
        v[i] += (g[i] * g[i] - v[i]) * b2;
        w[i] -= alpha * m[i] / (sqrtf(v[i]) + epsilon);
    }
}

/* For the lesson: what one vector costs the divider, with nothing loaded or stored. dim: vectors. */
KERNEL(adam_divider)
{
    f16 x = *(const f16 *)buf[0], a = x, b = x + 1, c = x + 2, d = x + 3; /* four chains, so that none is waited for */
    for (int64_t i = 0; i < dim[0]; i += 4) {
        a = x / (root(a) + 1);
        b = x / (root(b) + 1);
        c = x / (root(c) + 1);
        d = x / (root(d) + 1);
    }
    *(f16 *)buf[0] = (a + b) + (c + d);
}

/* For the lesson: the same traffic without root and division. Not Adam any more. */
KERNEL(adam_no_divider)
{
    UNPACK;
    for (int64_t i = 0; i < n; i++) {
        m[i] += (g[i] - m[i]) * b1;
        v[i] += (g[i] * g[i] - v[i]) * b2;
        w[i] -= alpha * m[i] * (v[i] + epsilon);
    }
}
