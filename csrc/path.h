/* Included once per CPU path by paths/<path>.c, after FNN_PATH is defined and the target is set. */
#define FNN_JOIN_(a, b) a##_##b
#define FNN_JOIN(a, b) FNN_JOIN_(a, b)
#define FNN_NAME(name) FNN_JOIN(fnn_##name, FNN_PATH)   /* fnn_gemm_v3 */
#define FNN_STRING_(x) #x
#define FNN_STRING(x) FNN_STRING_(x)

#include <math.h>
#include <string.h>

#include "fastnn.h"

#include "simd.h"
#include "math.inc"
#include "elementwise.inc"
#include "gemm.inc"
#include "norm.inc"
#include "pool.inc"
#include "winograd.inc"
#include "winograd_grad.inc"
#include "loss.inc"
#include "optim.inc"
#include "moments.inc"
#include "random.inc"
#include "data.inc"
#include "attention.inc"
#include "embedding.inc"
#include "conv.inc"
#include "recurrent.inc"
#include "augment.inc"
#include "machine.inc"

const fnn_ops FNN_NAME(ops) = {
    .name = FNN_STRING(FNN_PATH),
    .fma = FNN_FMA,
#define X(family) .family = &FNN_NAME(family##_ops),
    FNN_FAMILIES(X)
#undef X
};
