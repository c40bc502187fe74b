/* Which CPU path runs: a list of what this build holds, baseline first, and what this CPU can. */
#include "fastnn.h"

#include <string.h>

#if defined(__x86_64__) || defined(_M_X64)
extern const fnn_ops fnn_ops_v2, fnn_ops_v3, fnn_ops_v4;
static const fnn_ops *const built[] = {&fnn_ops_v2, &fnn_ops_v3, &fnn_ops_v4};

static int runs(int i)
{
    __builtin_cpu_init();
    if (i == 0)
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    if (i == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    return runs(1) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#elif defined(__aarch64__)
extern const fnn_ops fnn_ops_neon;
static const fnn_ops *const built[] = {&fnn_ops_neon};

static int runs(int i) { return i == 0; }
#else
#error "fastnn has no C path for this CPU; build with FASTNN_NO_EXTENSIONS=1 to run on NumPy"
#endif

#define BUILT ((int)(sizeof built / sizeof *built))

const fnn_ops *fnn; /* set when the core module is imported */

const char *fnn_path_name(int i)
{
    for (int j = 0; j < BUILT; j++)
        if (runs(j) && i-- == 0)
            return built[j]->name;
    return NULL;
}

int fnn_select_path(const char *name)
{
    int known = 0, best = -1;
    for (int i = 0; i < BUILT; i++) {
        int match = !name || strcmp(name, built[i]->name) == 0;
        known |= match;
        if (match && runs(i))
            best = i;
    }
    if (best >= 0)
        fnn = built[best];
    return best >= 0 ? 0 : known ? -2 : -1;
}
