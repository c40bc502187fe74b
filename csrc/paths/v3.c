#if defined(__x86_64__) || defined(_M_X64)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#else
#pragma GCC target("arch=x86-64-v3")
#endif
#define FNN_PATH v3
#define FNN_FMA 1
#include "../path.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
