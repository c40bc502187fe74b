/* Dropout's rungs in C: y = D(x) and, later, dx = D(dy) with the same mask.
 * buf: y, dx (written), x, dy (read), and for the rungs that store it the mask, a byte each; dim: n;
 * attr: threshold, scale, key0, key1, step. An element is kept if its 16 bits are at least `threshold`.
 *
 * Philox4x32-10 (Salmon et al. 2011) makes four words of a block's number. Eight blocks serve a group of 64 elements:
 * element 16 q + p of a group takes a half of word p % 2 + q / 2 * 2 of block p / 2: the high half for even q. */
#include "ladder.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

typedef struct { uint32_t threshold, key0, key1; float scale; uint64_t step; } rule;
typedef uint64_t u64 __attribute__((vector_size(64)));
typedef int32_t i16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef int8_t b16 __attribute__((vector_size(16), aligned(1), may_alias));

#define UNPACK \
    float *y = buf[0], *dx = buf[1]; \
    const float *x = buf[2], *dy = buf[3]; \
    const int64_t n = dim[0]; \
    const rule r = {(uint32_t)attr[0], (uint32_t)attr[2], (uint32_t)attr[3], (float)attr[1], (uint64_t)attr[4]}

INLINE void philox(uint32_t w[4], uint64_t block, const rule *r)
{
    w[0] = (uint32_t)block, w[1] = (uint32_t)(block >> 32), w[2] = (uint32_t)r->step, w[3] = (uint32_t)(r->step >> 32);
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)0xD2511F53u * w[0], b = (uint64_t)0xCD9E8D57u * w[2];
        w[0] = (uint32_t)(b >> 32) ^ w[1] ^ (r->key0 + i * 0x9E3779B9u);
        w[2] = (uint32_t)(a >> 32) ^ w[3] ^ (r->key1 + i * 0xBB67AE85u);
        w[1] = (uint32_t)b, w[3] = (uint32_t)a;
    }
}

/* The eight elements of a block. If there is a mask, it is written. */
INLINE void block_pass(float *y, const float *x, uint8_t *mask, int64_t n, int64_t block, const rule *r)
{
    uint32_t w[4];
    philox(w, (uint64_t)block, r);
    for (int q = 0; q < 4; q++)
        for (int e = 0; e < 2; e++) {
            int64_t i = block / 8 * 64 + 16 * q + block % 8 * 2 + e;
            uint32_t word = w[q / 2 * 2 + e], bits = q % 2 ? word & 0xffff : word >> 16;
            if (i < n) {
                y[i] = bits >= r->threshold ? x[i] * r->scale : 0;
                if (mask)
                    mask[i] = bits >= r->threshold;
            }
        }
}

/* Numbers once, a byte stored for each; backward reads it. */
KERNEL(dropout_stored)
{
    UNPACK;
    uint8_t *mask = buf[4];
    for (int64_t block = 0; block < (n + 63) / 64 * 8; block++)
        block_pass(y, x, mask, n, block, &r);
    for (int64_t i = 0; i < n; i++)
        dx[i] = mask[i] ? dy[i] * r.scale : 0;
}

/* Numbers made twice, nothing stored. */
KERNEL(dropout_again)
{
    UNPACK;
    for (int64_t block = 0; block < (n + 63) / 64 * 8; block++)
        block_pass(y, x, NULL, n, block, &r);
    for (int64_t block = 0; block < (n + 63) / 64 * 8; block++)
        block_pass(dx, dy, NULL, n, block, &r);
}

/* ------------------------------------------------------------------ eight blocks in a vector */

/* 64-bit products of the low halves. Said in C, a compiler may not see that the high halves do not count. */
INLINE u64 product(u64 a, u64 b)
{
#if defined(PLAIN_PRODUCT) || !defined(__AVX2__)
    return (a & 0xffffffff) * (b & 0xffffffff);
#elif defined(__AVX512F__)
    return (u64)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#else
    u64 c;
    __m256i half[2][2];
    memcpy(half[0], &a, 64), memcpy(half[1], &b, 64);
    for (int i = 0; i < 2; i++)
        half[0][i] = _mm256_mul_epu32(half[0][i], half[1][i]);
    memcpy(&c, half[0], 64);
    return c;
#endif
}

#ifndef AT_ONCE
#define AT_ONCE 1 /* groups whose rounds alternate: while one's product is under way, the other's starts */
#endif

/* The words of AT_ONCE groups from `group` on: lane p of a holds word p % 2 of block p / 2, b words 2 and 3. */
INLINE void philox_groups(u16 a[AT_ONCE], u16 b[AT_ONCE], uint64_t group, const rule *r)
{
    const u64 zero = {0}, iota = {0, 1, 2, 3, 4, 5, 6, 7}, m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u;
    u64 x0[AT_ONCE], x1[AT_ONCE], x2[AT_ONCE], x3[AT_ONCE]; /* only the low halves count */
#pragma GCC unroll 4
    for (int k = 0; k < AT_ONCE; k++) {
        x0[k] = iota + 8 * (group + (uint64_t)k), x1[k] = x0[k] >> 32;
        x2[k] = zero + (r->step & 0xffffffff), x3[k] = zero + (r->step >> 32);
    }
#pragma GCC unroll 10
    for (uint32_t i = 0; i < 10; i++) {
        const u64 k0 = zero + (uint32_t)(r->key0 + i * 0x9E3779B9u), k1 = zero + (uint32_t)(r->key1 + i * 0xBB67AE85u);
#pragma GCC unroll 4
        for (int k = 0; k < AT_ONCE; k++) {
            u64 p0 = product(m0, x0[k]), p1 = product(m1, x2[k]);
            x0[k] = (p1 >> 32) ^ x1[k] ^ k0, x1[k] = p1;
            x2[k] = (p0 >> 32) ^ x3[k] ^ k1, x3[k] = p0;
        }
    }
#pragma GCC unroll 4
    for (int k = 0; k < AT_ONCE; k++) {
        a[k] = (u16)((x0[k] & 0xffffffff) | (x1[k] << 32));
        b[k] = (u16)((x2[k] & 0xffffffff) | (x3[k] << 32));
    }
}

INLINE void keep(float *y, const float *x, int8_t *mask, u16 bits, const rule *r)
{
    i16 kept = (i16)(bits >= (r->threshold << 16)); /* all ones or all zeros */
    *(i16 *)y = kept & (i16)(*(const f16 *)x * r->scale);
    if (mask)
        *(b16 *)mask = __builtin_convertvector(kept, b16);
}

INLINE void groups(float *y, const float *x, int8_t *mask, int64_t group, const rule *r)
{
    u16 a[AT_ONCE], b[AT_ONCE];
    philox_groups(a, b, (uint64_t)group, r);
#pragma GCC unroll 4
    for (int k = 0; k < AT_ONCE; k++) {
        keep(y + 64 * k, x + 64 * k, mask ? mask + 64 * k : mask, a[k], r);
        keep(y + 64 * k + 16, x + 64 * k + 16, mask ? mask + 64 * k + 16 : mask, a[k] << 16, r);
        keep(y + 64 * k + 32, x + 64 * k + 32, mask ? mask + 64 * k + 32 : mask, b[k], r);
        keep(y + 64 * k + 48, x + 64 * k + 48, mask ? mask + 64 * k + 48 : mask, b[k] << 16, r);
    }
}

/* Elements i..end-1, i a multiple of 64. */
INLINE void pass(float *y, const float *x, int8_t *mask, int64_t i, int64_t end, const rule *r)
{
    for (; i + 64 * AT_ONCE <= end; i += 64 * AT_ONCE)
        groups(y + i, x + i, mask ? mask + i : mask, i / 64, r);
    if (i < end) {
        float in[64 * AT_ONCE] = {0}, out[64 * AT_ONCE];
        int8_t kept[64 * AT_ONCE];
        memcpy(in, x + i, (size_t)(end - i) * sizeof *x);
        groups(out, in, kept, i / 64, r);
        memcpy(y + i, out, (size_t)(end - i) * sizeof *y);
        if (mask)
            memcpy(mask + i, kept, (size_t)(end - i));
    }
}

KERNEL(dropout_vectors_stored)
{
    UNPACK;
    int8_t *mask = buf[4];
    pass(y, x, mask, 0, n, &r);
    for (int64_t i = 0; i < n; i++)
        dx[i] = mask[i] ? dy[i] * r.scale : 0;
}

enum { TILE = 8192 }; /* elements of a tile; dropout.py has the same */

KERNEL(dropout_vectors)
{
    UNPACK;
    pass(y, x, NULL, first * TILE, least(last * TILE, n), &r);
    pass(dx, dy, NULL, first * TILE, least(last * TILE, n), &r);
}
