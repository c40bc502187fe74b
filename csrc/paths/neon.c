#if defined(__aarch64__)
#define FNN_PATH neon
#define FNN_FMA 1
#include "../path.h"
#endif
