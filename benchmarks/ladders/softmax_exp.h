/* An exponential that vectorizes, for softmax, lstm and attention; docs/kernels/softmax.md explains it. */
#ifndef SOFTMAX_EXP_H
#define SOFTMAX_EXP_H

#include "ladder.h"

/* exp(x) for x <= 0, within 1 unit in the last place; 0 below -87. No branch, no call, no table.
 *   n = round(x / ln 2), r = x - n ln 2, |r| <= 0.35:  exp(x) = 2^n exp(r), and exp(r) is a polynomial.
 * Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits; shifted into the exponent of a
 * float it is 2^n. ln 2 is taken off in two parts, the first of which has few bits, so that n times it is exact.
 * The coefficients are those of csrc/math.inc. */
INLINE float exp_below_0(float x)
{
    const float magic = 12582912.0f;
    float y = x < -87.0f ? -87.0f : x;
    const float t = y * 1.44269504f + magic, n = t - magic;
    const float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    float e = 0.00138201355f;
    e = e * r + 0.00836868584f;
    e = e * r + 0.0416682735f;
    e = e * r + 0.166665211f;
    e = e * r + 0.49999994f;
    e = e * r + 1.0f;
    e = e * r + 1.0f;
    int32_t bits;
    float power;
    memcpy(&bits, &t, 4);
    bits = (int32_t)((uint32_t)bits << 23) + (127 << 23);
    memcpy(&power, &bits, 4);
    return x < -87.0f ? 0.0f : e * power;
}

#endif
