"""Convolutions as products: which rows of images meet which rows of the kernel (fastnn/kernels/conv.py).

`product_of_runs` sums over the taps of the kernel, each a run of terms; here is where the runs begin. Where neighbouring
taps of a row of the kernel are neighbours in the image too (no dilation, no groups), they are one run.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

from .core cimport ops, scratch
from .elementwise cimport FNN_ADD, fnn_elementwise
from .gemm cimport FNN_LINEAR, Edge, ceil_div, fnn_gemm, fnn_gemm_ops, fnn_runs, product_of_runs, smaller
from .windows cimport (
    Geometry,
    Pixels,
    copy_pixels,
    floor_div,
    fnn_conv,
    fnn_conv_ops,
    larger,
    modulo,
    pixel,
    pixels,
    run_starts,
    strip,
    unpack,
)
from .winograd cimport fnn_winograd_layer, winograd

cdef enum:
    NEAR = 1 << 16      # floats of the kernel that a panel of columns may have for L2; more are cut into blocks of runs


# c[rows, pixels, columns] = sums over the runs, then the edge: rows of pixels, a_row and c_row floats apart. Where the
# kernel is larger than half of L2, columns go outside, in panels, and the runs in blocks.
cdef void rows_of_pixels(float *c, int64_t c_row, int64_t c_pitch, const float *a, int64_t a_row, int64_t a_pitch,
                         const float *b, int64_t b_pitch, int64_t rows, int64_t count, int64_t columns, int64_t depth,
                         const fnn_runs *runs, const Edge *edge) noexcept nogil:
    cdef int64_t every = smaller(runs.count, larger(1, NEAR // (64 * larger(depth, 1)))), panel = columns, i, j, r
    cdef fnn_runs part
    cdef Edge one
    cdef Edge plain = edge[0]
    plain.bias, plain.activation, plain.y = NULL, FNN_LINEAR, NULL
    if columns * depth * runs.count > 2 * NEAR:
        panel = 64
    else:
        every = runs.count
    j = 0
    while j < columns:
        r = 0
        while True:
            part.count, part.a, part.b = smaller(every, runs.count - r), runs.a + r, runs.b + r
            one = edge[0] if r + part.count == runs.count else plain
            if one.bias != NULL:
                one.bias = one.bias + j
            for i in range(rows):
                if one.y != NULL:
                    one.y = edge.y + i * c_row + j
                product_of_runs(c + i * c_row + j, c_pitch, a + i * a_row, a_pitch, False, b + j, b_pitch, count,
                                smaller(panel, columns - j), depth, &part, r > 0, &one)
            r += part.count
            if r >= runs.count:
                break
        j += panel


cdef void conv(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const float *b = <const float *> buf[3]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    cdef Geometry g = unpack(dim)
    cdef int64_t down = ceil_div(g.OH, g.rows), depth = g.C // g.groups, filters = g.F // g.groups
    cdef bint joined = g.dilation_w == 1 and g.groups == 1
    cdef int64_t *at = run_starts()
    cdef int64_t t, n, i, rows, kh, kw, group, width = (g.OW - 1) * g.stride_w + (g.KW - 1) * g.dilation_w + 1, width_of = 0
    cdef Pixels p
    cdef fnn_runs runs
    cdef Edge edge
    cdef fnn_winograd_layer size
    if dim[18] > 0:
        size.H, size.W, size.C, size.OH, size.OW, size.F = g.H, g.W, g.C, g.OH, g.OW, g.F
        size.top, size.left, size.bias = g.top, g.left, b
        winograd(y, x, w, &size, NULL, NULL, activation, alpha, g.rows, dim[18], first, last)
        return
    edge.activation, edge.alpha, edge.y = activation, alpha, NULL
    runs.count, runs.a, runs.b = g.KH if joined else g.KH * g.KW, at, at + g.runs
    for t in range(first, last):
        n, i = t // down, t % down * g.rows
        rows = smaller(g.rows, g.OH - i)
        p = pixels(strip(g.runs), x + n * g.H * g.W * g.C, g.H, g.W, g.C, i * g.stride_h - g.top,
                   (rows - 1) * g.stride_h + (g.KH - 1) * g.dilation_h + 1, -g.left, width)
        if p.width != width_of:
            width_of = p.width
            for kh in range(g.KH):
                for kw in range(1 if joined else g.KW):
                    n = kh if joined else kh * g.KW + kw
                    at[n] = (kh * g.dilation_h * p.width + kw * g.dilation_w) * g.C
                    at[g.runs + n] = (kh * g.KW + kw) * depth * g.F
            n = t // down
        # y[n, i:i+rows, j] = activation(sum over kh, kw of x[n, i * stride + kh, j * stride + kw] @ w[kh, kw] + b)
        for group in range(g.groups):
            edge.bias = b + group * filters if b != NULL else NULL
            rows_of_pixels(y + (n * g.OH + i) * g.OW * g.F + group * filters, g.OW * g.F, g.F,
                           pixel(&p, i * g.stride_h - g.top, -g.left) + group * depth, g.stride_h * p.width * g.C,
                           g.stride_w * g.C, w + group * filters, g.F, rows, g.OW, filters,
                           depth * g.KW if joined else depth, &runs, &edge)


# What `conv` does, transposed: x[N,H,W,C] from z[N,OH,OW,F] and the kernel turned around, phase by phase of the stride.
cdef void transposed(float *x, const float *z, const float *turned, const float *bias, const float *y, int64_t activation,
                     float alpha, const Geometry *g, int64_t first, int64_t last) noexcept nogil:
    cdef int64_t down = ceil_div(g.H, g.rows), depth = g.F // g.groups, channels = g.C // g.groups
    cdef bint joined = g.dilation_w == 1 and g.groups == 1 and g.stride_w == 1
    # Pixels that windows step over are zero: all at once takes 0.17 ms where sums of no terms took 0.24 (28x28x16, batch
    # 64, 1x1 with a stride of 2).
    cdef bint blank = bias == NULL and y == NULL and activation == FNN_LINEAR
    blank = blank and (g.KH < g.stride_h or g.KW < g.stride_w)
    cdef int64_t *at = run_starts()
    cdef int64_t t, n, i, rows, kh, kw, group, h, w, here, low, high, left, right, up, across, count, at_c
    cdef Pixels p
    cdef fnn_runs runs
    cdef Edge edge
    edge.activation, edge.alpha = activation, alpha
    left = floor_div(g.left - (g.KW - 1) * g.dilation_w, g.stride_w)
    right = floor_div(g.W - 1 + g.left, g.stride_w)
    runs.a, runs.b = at, at + g.runs
    for t in range(first, last):
        n, i = t // down, t % down * g.rows
        rows = smaller(g.rows, g.H - i)
        low = floor_div(i + g.top - (g.KH - 1) * g.dilation_h, g.stride_h)
        high = floor_div(i + rows - 1 + g.top, g.stride_h)
        p = pixels(strip(g.runs), z + n * g.OH * g.OW * g.F, g.OH, g.OW, g.F, low, high - low + 1, left, right - left + 1)
        if blank:
            memset(x + (n * g.H + i) * g.W * g.C, 0, rows * g.W * g.C * sizeof(float))
        for up in range(smaller(g.stride_h, rows)):
            h = i + up
            for w in range(smaller(g.stride_w, g.W)):
                # the taps that meet the pixels (h, w), (h, w + stride) ... (h + stride, w) ...
                runs.count = 0
                for kh in range(g.KH - 1, -1, -1):
                    if modulo(h + g.top - kh * g.dilation_h, g.stride_h) != 0:
                        continue
                    for kw in range(g.KW - 1, -1, -1):
                        if modulo(w + g.left - kw * g.dilation_w, g.stride_w) != 0:
                            continue
                        at[runs.count] = pixel(&p, floor_div(h + g.top - kh * g.dilation_h, g.stride_h),
                                               floor_div(w + g.left - kw * g.dilation_w, g.stride_w)) - p.at
                        at[g.runs + runs.count] = ((g.KH - 1 - kh) * g.KW + g.KW - 1 - kw) * g.F * channels
                        runs.count += 1
                        if joined:
                            break
                if blank and runs.count == 0:
                    continue
                count = ceil_div(g.W - w, g.stride_w)
                for group in range(g.groups):
                    at_c = ((n * g.H + h) * g.W + w) * g.C + group * channels
                    edge.bias = bias + group * channels if bias != NULL else NULL
                    edge.y = y + at_c if y != NULL else NULL
                    rows_of_pixels(x + at_c, g.stride_h * g.W * g.C, g.stride_w * g.C, p.at + group * depth,
                                   p.width * g.F, g.F, turned + group * depth * channels, channels,
                                   ceil_div(rows - up, g.stride_h), count, channels,
                                   depth * g.KW if joined else depth, &runs, &edge)


# The same by Winograd's algorithm: a convolution with the kernel turned around, + plus before the derivative.
cdef void transposed_winograd(float *x, const float *z, const float *turned, const float *bias, const float *plus,
                              const float *y, int64_t activation, float alpha, const Geometry *g, int64_t together,
                              int64_t first, int64_t last) noexcept nogil:
    cdef fnn_winograd_layer size
    size.H, size.W, size.C, size.OH, size.OW, size.F = g.OH, g.OW, g.F, g.H, g.W, g.C
    size.top, size.left, size.bias = 2 - g.top, 2 - g.left, bias
    winograd(x, z, turned, &size, plus, y, activation, alpha, g.rows, together, first, last)


cdef void conv_grad_input(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                          int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dz = <const float *> buf[1]
    cdef const float *turned = <const float *> buf[2]
    cdef const float *y = <const float *> buf[3]
    cdef const float *plus = <const float *> buf[4]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    cdef Geometry g = unpack(dim)
    cdef int64_t t, i, at, n, down = ceil_div(g.H, g.rows)
    if y == NULL or activation == FNN_LINEAR:
        activation, y = FNN_LINEAR, NULL
    if dim[18] > 0:
        transposed_winograd(dx, dz, turned, NULL, plus, y, activation, alpha, &g, dim[18], first, last)
        return
    # dx[n,h,w] = sum over taps of dz[n, (h + top - kh) / stride, (w + left - kw) / stride] @ w[kh, kw].T
    if plus == NULL:
        transposed(dx, dz, turned, NULL, y, activation, alpha, &g, first, last)
        return
    # and before the derivative + plus[n,h,w], tile by tile, while a tile is in cache
    for t in range(first, last):
        transposed(dx, dz, turned, NULL, NULL, FNN_LINEAR, alpha, &g, t, t + 1)
        i = t % down * g.rows
        at, n = (t // down * g.H + i) * g.W * g.C, smaller(g.rows, g.H - i) * g.W * g.C
        fnn_elementwise(ops()).binary(FNN_ADD, dx + at, dx + at, 1, plus + at, 1, n)
        if y != NULL:
            fnn_elementwise(ops()).activation_grad(<int> activation, dx + at, dx + at, NULL, y + at, n, alpha)


cdef void conv_transpose(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                         int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *turned = <const float *> buf[2]
    cdef const float *b = <const float *> buf[3]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    cdef Geometry g = unpack(dim)
    if dim[18] > 0:
        transposed_winograd(y, x, turned, b, NULL, NULL, activation, alpha, &g, dim[18], first, last)
        return
    # y[n,h,w] = activation(sum over taps of x[n, (h + top - kh) / stride, (w + left - kw) / stride] @ w[kh, kw].T + b)
    transposed(y, x, turned, b, NULL, activation, alpha, &g, first, last)


# A pitch for n floats: whole lines, and an odd number of them where rows would else share few sets of L1.
cdef inline int64_t roomy(int64_t n) noexcept nogil:
    n = ceil_div(n, 16) * 16
    return n + 16 if n % 256 == 0 else n


# Rows of pixels, of the images of H rows that lie one after the other, in front of this row of tiles.
cdef inline int64_t rows_before(int64_t line, int64_t down, int64_t H) noexcept nogil:
    return line // down * H + smaller(H, 2 * (line % down))


# The same by tiles of 2 x 2 pixels of dz (csrc/winograd_grad.inc), `block` of them at a time; cuts are those of filters.
cdef void grad_of_tiles(float *dw, float *db, const float *x, const float *dz, const Geometry *g, int64_t images,
                        int64_t cuts, int64_t block, int64_t first, int64_t last) noexcept nogil:
    cdef const fnn_conv_ops *c = fnn_conv(ops())
    cdef const fnn_gemm_ops *near = fnn_gemm(ops())
    cdef int64_t down = ceil_div(g.OH, 2), across = ceil_div(g.OW, 2), width = ceil_div(ceil_div(g.F, cuts), 16) * 16
    cdef int64_t v_pitch = roomy(g.C), z_pitch = roomy(width), v_point = block * v_pitch + 16
    cdef int64_t z_point = block * z_pitch + 16, u_point = g.C * z_pitch + 16
    cdef float *v = <float *> scratch()
    cdef float *z = v + 16 * v_point
    cdef float *u = z + 16 * z_point
    cdef int64_t x_row = g.W * g.C, z_row = g.OW * g.F, origin = 0
    cdef int64_t t, part, cut, f, filters, n, end, total, count, b, start, size, line, column, done, m, p, ahead, rows, k
    cdef const float *xs
    cdef const float *zs
    cdef fnn_runs one
    cdef Edge edge
    edge.bias, edge.activation, edge.alpha, edge.y = NULL, FNN_LINEAR, 0, NULL
    one.count, one.a, one.b = 1, &origin, &origin
    for t in range(first, last):
        part, cut = t // cuts, t % cuts
        n, end = part * images, smaller((part + 1) * images, g.N)
        f, filters = cut * width, smaller(width, g.F - cut * width)
        if filters <= 0:
            continue
        xs, zs = x + n * g.H * x_row, dz + n * g.OH * z_row
        total = (end - n) * down * across
        count, start = ceil_div(total, block), 0
        if cut == 0:
            memset(db + part * g.F, 0, g.F * sizeof(float))
        for b in range(count):
            size = total // count + (b < total % count)
            line, column, done = start // across, start % across, 0
            rows = rows_before(line, down, g.OH)
            # v[p, tiles, C], z[p, tiles, F] = the points p of these tiles of x and dz
            while done < size:
                m = smaller(across - column, size - done)
                c.winograd_grad_patches(v + done * v_pitch, v_pitch, v_point, xs + line // down * g.H * x_row, g.H, g.W,
                                        g.C, line % down * 2 - g.top, column * 2 - g.left, m)
                c.winograd_grad_squares(z + done * z_pitch, z_pitch, z_point, zs + line // down * g.OH * z_row + f,
                                        g.OH, g.OW, g.F, filters, line % down * 2, column * 2, m)
                done += m
                column += m
                if column == across:
                    line, column = line + 1, 0
            start += size
            # u[p] += v[p].T @ z[p];  what the next tiles will read comes meanwhile
            ahead = smaller(line + ceil_div(size, across) + 1, (g.N - n) * down)
            for p in range(16):
                k = (rows_before(ahead, down, g.H) - rows_before(line, down, g.H)) * x_row // 16
                near.fetch(xs + rows_before(line, down, g.H) * x_row + p * k, 0, 1, k)
                k = (rows_before(ahead, down, g.OH) - rows_before(line, down, g.OH)) * z_row // 16 if cuts == 1 else 0
                near.fetch(zs + rows_before(line, down, g.OH) * z_row + p * k, 0, 1, k)
                product_of_runs(u + p * u_point, z_pitch, v + p * v_point, v_pitch, True, z + p * z_point, z_pitch, g.C,
                                filters, size, &one, b > 0, &edge)
            if cut == 0:
                c.add_rows(db + part * g.F, zs + rows * z_row, g.F, (rows_before(line, down, g.OH) - rows) * g.OW, g.F)
        # dw[part] = G.T @ u @ G
        c.winograd_grad_window(dw + part * 9 * g.C * g.F + f, g.C * g.F, g.F, u, u_point, z_pitch, g.C, filters)


cdef void conv_grad_weight(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                           int64_t last) noexcept nogil:
    cdef float *dw = <float *> buf[0]
    cdef float *db = <float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef const float *dz = <const float *> buf[3]
    cdef int64_t images = dim[18], block = dim[19], cuts = dim[20], squares = dim[21]
    cdef Geometry g = unpack(dim)
    cdef int64_t depth = g.C // g.groups, filters = g.F // g.groups, size = g.KH * g.KW * depth * g.F
    cdef bint joined = g.dilation_w == 1 and g.groups == 1
    cdef int64_t *at = run_starts()
    cdef int64_t t, part, cut, n, end, i, rows, m, k, r, kh, kw, group, width, row
    cdef Pixels p
    cdef fnn_runs runs
    cdef Edge edge
    cdef bint add
    edge.bias, edge.activation, edge.alpha, edge.y = NULL, FNN_LINEAR, 0, NULL
    width = (g.OW - 1) * g.stride_w + (g.KW - 1) * g.dilation_w + 1
    runs.a, runs.b = at, at + g.runs
    if squares > 0:
        grad_of_tiles(dw, db, x, dz, &g, images, cuts, squares, first, last)
        return
    for t in range(first, last):
        part, cut = t // cuts, t % cuts
        n, end, add = part * images, smaller((part + 1) * images, g.N), False
        if cut == 0:
            memset(db + part * g.F, 0, g.F * sizeof(float))
        if n == end:
            memset(dw + part * size, 0, size * sizeof(float))
        while n < end:
            m = smaller(block, end - n)
            i = 0
            while i < g.OH:
                rows = smaller(g.rows, g.OH - i)
                # several images are neighbours in the scratch memory, as they are where they stand
                row = i * g.stride_h - g.top
                k = (rows - 1) * g.stride_h + (g.KH - 1) * g.dilation_h + 1
                p = pixels(strip(g.runs), x + n * g.H * g.W * g.C, g.H, g.W, g.C, row, k, -g.left, width)
                for r in range(1, m if p.copied else 0):
                    copy_pixels(strip(g.runs) + r * k * width * g.C, x + (n + r) * g.H * g.W * g.C, g.H, g.W, g.C, row, k,
                                -g.left, width)
                if not p.copied:
                    k = g.H
                runs.count = m * rows
                for r in range(runs.count):
                    at[r] = (r // rows * k + r % rows * g.stride_h) * p.width * g.C
                    at[g.runs + r] = (r // rows * g.OH + r % rows) * g.OW * g.F
                # dw[part, kh, kw] += x[n:n+m, pixels].T @ dz[n:n+m, i:i+rows];  db[part] += dz[...].sum()
                for kh in range(g.KH):
                    if cuts > 1 and kh != cut:
                        continue
                    for kw in range(1 if joined else g.KW):
                        for group in range(g.groups):
                            product_of_runs(
                                dw + part * size + (kh * g.KW + kw) * depth * g.F + group * filters, g.F,
                                pixel(&p, row + kh * g.dilation_h, -g.left + kw * g.dilation_w) + group * depth,
                                g.stride_w * g.C, True, dz + (n * g.OH + i) * g.OW * g.F + group * filters, g.F,
                                depth * g.KW if joined else depth, filters, g.OW, &runs, add, &edge)
                if cut == 0:
                    for r in range(m):
                        fnn_conv(ops()).add_rows(db + part * g.F, dz + ((n + r) * g.OH + i) * g.OW * g.F, g.F,
                                                 rows * g.OW, g.F)
                add = True
                i += rows
            n += m


cdef void turn_kernel(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *w = <const float *> buf[1]
    cdef int64_t KH = dim[0], KW = dim[1], C = dim[2], F = dim[3], t
    for t in range(first, last):
        # y[KH-1-i, KW-1-j] = w[i, j].T
        fnn_gemm(ops()).transpose(y + (KH * KW - 1 - t) * C * F, C, w + t * C * F, F, C, F)


KERNELS = {
    "conv": <uintptr_t> &conv,
    "conv_grad_input": <uintptr_t> &conv_grad_input,
    "conv_grad_weight": <uintptr_t> &conv_grad_weight,
    "conv_transpose": <uintptr_t> &conv_transpose,
    "turn_kernel": <uintptr_t> &turn_kernel,
}
