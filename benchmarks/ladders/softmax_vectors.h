/* What softmax and attention do with 16 floats at a time. */
#ifndef SOFTMAX_VECTORS_H
#define SOFTMAX_VECTORS_H

#include "softmax_exp.h"

enum { LANES = 16 };

INLINE f16 larger(f16 a, f16 b)
{
    const u16 less = (u16)(a < b);   /* all bits of a lane, or none */
    return (f16)(((u16)b & less) | ((u16)a & ~less));
}

INLINE f16 exp_of(f16 x)
{
    for (int l = 0; l < LANES; l++)
        x[l] = exp_below_0(x[l]);
    return x;
}

INLINE float largest_lane(f16 v)
{
    float m = v[0];
    for (int l = 1; l < LANES; l++)
        m = m < v[l] ? v[l] : m;
    return m;
}

INLINE float sum_of_lanes(f16 v)
{
    float s = 0;
    for (int l = 0; l < LANES; l++)
        s += v[l];
    return s;
}

#endif
