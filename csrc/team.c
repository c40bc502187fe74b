/* The thread team. */
#include "fastnn.h"

#include <stdlib.h>

static _Thread_local void *scratch;
static _Thread_local size_t scratch_bytes;

void *fnn_scratch(void) { return scratch; }

int fnn_need_scratch(size_t bytes)
{
    if (bytes <= scratch_bytes)
        return 0;
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes))
        return -1;
    free(scratch);
    scratch = p;
    scratch_bytes = bytes;
    return 0;
}
