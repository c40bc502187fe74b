"""Augmentation: matrices of samples, and which rows of which image; rows of pixels stand in csrc/augment.inc."""

from libc.math cimport floorf, rintf
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy

from .core cimport fnn_ops, ops

cdef extern from "augment.h" nogil:
    ctypedef struct fnn_augment_ops:
        void (*sample_row)(float *y, const float *x, const float *m, int64_t H, int64_t W, int64_t C, int64_t width,
                           int64_t i, int mode, int bilinear, float value) noexcept nogil
        void (*mix)(float *y, const float *a, const float *b, int64_t n, float weight, float rest) noexcept nogil
    const fnn_augment_ops *fnn_augment(const fnn_ops *)

cdef extern from "random.h" nogil:
    void fnn_sin_cos(float f, float *sine, float *cosine)

cdef enum:
    BLOCK = 16  # of spec.py
    DRAWS = 7   # of augment.py


cdef inline float scaled(float u, double low, double high) noexcept nogil:
    return <float> low + u * <float> (high - low)


cdef inline float cropped(float u, double places) noexcept nogil:
    """A whole number from 0 to `places`."""
    cdef float at = floorf(u * <float> (places + 1))
    return at if at < <float> places else <float> places


cdef void affine_matrix(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *matrix = <float *> buf[0]
    cdef const float *u = <const float *> buf[1]
    cdef const float *before = <const float *> buf[2]
    cdef int64_t N = dim[0]
    cdef double height = attr[0], width = attr[1], mirror_columns = attr[2], mirror_rows = attr[3]
    cdef double turn_low = attr[4], turn_high = attr[5], zoom_rows_low = attr[6], zoom_rows_high = attr[7]
    cdef double zoom_columns_low = attr[8], zoom_columns_high = attr[9], same_zoom = attr[10]
    cdef double shift_rows_low = attr[11], shift_rows_high = attr[12], shift_columns_low = attr[13]
    cdef double shift_columns_high = attr[14], crop_rows = attr[15], crop_columns = attr[16]
    cdef float middle = <float> ((height - 1) / 2), centre = <float> ((width - 1) / 2)
    cdef float angle, quarter, s, c, rows, columns, down, across, swap
    cdef float m[6]
    cdef const float *b
    cdef int64_t n, i, j, q
    for n in range(first * BLOCK, min(last * BLOCK, N)):
        b = u + n * DRAWS
        # q quarters of a turn, and a rest of half a quarter at most
        angle = 4.0 * scaled(b[2], turn_low, turn_high)
        quarter = rintf(angle)
        q = <int64_t> quarter & 3
        fnn_sin_cos(angle - quarter, &s, &c)
        if q & 1:
            swap = s
            s = c
            c = swap
        s = -s if q & 2 else s
        c = -c if (q + 1) & 2 else c
        rows = scaled(b[3], zoom_rows_low, zoom_rows_high)
        columns = rows if same_zoom != 0 else scaled(b[4], zoom_columns_low, zoom_columns_high)
        down = -1 if b[1] < <float> mirror_rows else 1
        across = -1 if b[0] < <float> mirror_columns else 1
        # row_in, column_in = m @ (row, column, 1), about the centre
        m[0] = rows * c * down
        m[1] = rows * s * across
        m[3] = -(columns * s) * down
        m[4] = columns * c * across
        m[2] = middle - (m[0] * middle + m[1] * centre) - scaled(b[5], shift_rows_low, shift_rows_high) * <float> height
        m[2] += cropped(b[5], crop_rows)
        m[5] = centre - (m[3] * middle + m[4] * centre)
        m[5] = m[5] - scaled(b[6], shift_columns_low, shift_columns_high) * <float> width + cropped(b[6], crop_columns)
        if before == NULL:
            memcpy(matrix + 6 * n, m, sizeof(m))
            continue
        b = before + 6 * n
        for i in range(0, 6, 3):
            for j in range(3):
                matrix[6 * n + i + j] = b[i] * m[j] + b[i + 1] * m[j + 3] + (b[i + 2] if j == 2 else 0)


cdef void affine_sample(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *matrix = <const float *> buf[2]
    cdef int64_t N = dim[0], H = dim[1], W = dim[2], C = dim[3], OH = dim[4], OW = dim[5], rows = dim[6]
    cdef double mode = attr[0], bilinear = attr[1], value = attr[2]
    cdef int64_t row, n
    # y[n, i] = the row i of x[n] through matrix[n]
    for row in range(first * rows, min(last * rows, N * OH)):
        n = row // OH
        fnn_augment(ops()).sample_row(y + row * OW * C, x + n * H * W * C, matrix + 6 * n, H, W, C, OW, row % OH,
                                      <int> mode, bilinear != 0, <float> value)


cdef inline int64_t partner(int64_t n, int64_t N, float turn) noexcept nogil:
    """The sample so many places on, from 1 to N - 1."""
    cdef int64_t places
    if N < 2:
        return n
    places = <int64_t> floorf(turn * <float> (N - 1))
    return (n + 1 + max(min(places, N - 2), 0)) % N


cdef void paste_boxes(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *box = <const float *> buf[2]
    cdef const float *other = <const float *> buf[3]
    cdef const float *turn = <const float *> buf[4]
    cdef int64_t N = dim[0], H = dim[1], W = dim[2], C = dim[3], rows = dim[4]
    cdef double value = attr[0]
    cdef int64_t row, n, r, c, k, left, right, source
    cdef const float *b
    # y = x, and in the box other[partner], or value
    for row in range(first * rows, min(last * rows, N * H)):
        n = row // H
        r = row - n * H
        b = box + 4 * n
        memcpy(y + row * W * C, x + row * W * C, W * C * sizeof(float))
        if not (b[0] <= <float> r and <float> r < b[2]):
            continue
        left = 0
        while left < W and not b[1] <= <float> left:
            left += 1
        right = left
        while right < W and <float> right < b[3]:
            right += 1
        source = partner(n, N, turn[0]) if turn != NULL else n
        if other != NULL:
            memcpy(y + (row * W + left) * C, other + ((source * H + r) * W + left) * C,
                   (right - left) * C * sizeof(float))
            continue
        for k in range((row * W + left) * C, (row * W + right) * C):
            y[k] = <float> value


cdef void mix_rows(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *weight = <const float *> buf[2]
    cdef const float *turn = <const float *> buf[3]
    cdef int64_t N = dim[0], features = dim[1], n
    # y = weight * x + (1 - weight) * x[partner]
    for n in range(first, last):
        fnn_augment(ops()).mix(y + n * features, x + n * features, x + partner(n, N, turn[0]) * features, features,
                               weight[n], <float> 1 - weight[n])


cdef void quantile(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *u = <const float *> buf[1]
    cdef const float *table = <const float *> buf[2]
    cdef int64_t N = dim[0], K = dim[1], i, low
    cdef float at
    # y = np.interp(u, np.linspace(0, 1, K), table)
    for i in range(first * BLOCK, min(last * BLOCK, N)):
        at = u[i] * <float> (K - 1)
        low = <int64_t> floorf(at) if at > 0 else 0
        low = min(low, K - 2)
        y[i] = table[low] + (at - <float> low) * (table[low + 1] - table[low])


KERNELS = {
    "affine_matrix": <uintptr_t> &affine_matrix,
    "affine_sample": <uintptr_t> &affine_sample,
    "paste_boxes": <uintptr_t> &paste_boxes,
    "mix_rows": <uintptr_t> &mix_rows,
    "quantile": <uintptr_t> &quantile,
}
