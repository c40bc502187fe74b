# cython: boundscheck=False, wraparound=False, cdivision=True


def batch_norm(float[::1] mean, float[::1] var, const float[:, ::1] x):
    cdef Py_ssize_t r, c, rows = x.shape[0], columns = x.shape[1]
    mean[:] = 0
    var[:] = 0
    for r in range(rows):
        for c in range(columns):
            mean[c] += x[r, c]
    for c in range(columns):
        mean[c] /= rows
    for r in range(rows):
        for c in range(columns):
            var[c] += (x[r, c] - mean[c]) * (x[r, c] - mean[c])
    for c in range(columns):
        var[c] /= rows
