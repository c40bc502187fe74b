"""Norms and updates by segment: which piece of which array; the loops stand in csrc/optim.inc and moments.inc."""

from libc.math cimport sqrt
from libc.stdint cimport int64_t, uintptr_t

from .core cimport ops, scratch
from .moments cimport fnn_moments
from .optim cimport fnn_optim, share

cdef enum:
    COLUMNS = 64  # of a tile of clip_units, as in segments.py


cdef struct Piece:
    int64_t start, stop, segment


cdef inline Piece piece_at(const int64_t *pieces, int64_t t, int64_t n, int64_t segments) noexcept nogil:
    """Row t of the pieces, brought into the arrays whatever stands there."""
    cdef Piece p
    p.start = max(0, min(pieces[3 * t], n))
    p.stop = max(p.start, min(pieces[3 * t + 1], n))
    p.segment = max(0, min(pieces[3 * t + 2], segments - 1))
    return p


cdef void piece_squares(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *partial = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const int64_t *pieces = <const int64_t *> buf[2]
    cdef int64_t n = dim[0]
    cdef int64_t t
    cdef Piece p
    for t in range(first, last):
        p = piece_at(pieces, t, n, 1)
        # partial[t] = np.sum(np.square(x[start:stop]))
        partial[t] = fnn_optim(ops()).sum_of_squares(x + p.start, p.stop - p.start)


cdef inline double total(const float *partial, const int64_t *pieces, int64_t count, int64_t segment,
                         int64_t *at) noexcept nogil:
    """The sum over a segment's pieces, which begin at `at`; moves that behind them."""
    cdef double s = 0
    while at[0] < count and pieces[3 * at[0] + 2] == segment:
        s += partial[at[0]]
        at[0] += 1
    return s


cdef void clip_ratios(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *ratio = <float *> buf[0]
    cdef const float *partial = <const float *> buf[1]
    cdef const int64_t *pieces = <const int64_t *> buf[2]
    cdef int64_t count = dim[0], segments = dim[1]
    cdef double limit = attr[0]
    cdef double norm
    cdef int64_t s, t = 0
    if first >= last:
        return
    for s in range(segments):
        # norm = np.sqrt(np.sum(partial[pieces[:, 2] == s])); ratio[s] = 1 if norm <= limit else limit / norm
        norm = sqrt(total(partial, pieces, count, s, &t))
        ratio[s] = 1 if norm <= limit else <float> (limit / norm)


cdef void trust_ratios(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef float *ratio = <float *> buf[0]
    cdef const float *u = <const float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const int64_t *pieces = <const int64_t *> buf[3]
    cdef const float *adapts = <const float *> buf[4]
    cdef int64_t count = dim[0], segments = dim[1]
    cdef double coefficient = attr[0]
    cdef double pull = attr[1]
    cdef double epsilon = attr[2]
    cdef double step, weight, value
    cdef int64_t s, t = 0, other = 0
    if first >= last:
        return
    for s in range(segments):
        # ratio = coefficient * norm(w) / (norm(u) + pull * norm(w) + epsilon), 1 where a norm is 0
        step = sqrt(total(u, pieces, count, s, &t))
        if w == NULL:
            value = 1 if step + epsilon == 0 else coefficient / (step + epsilon)
        else:
            weight = sqrt(total(w, pieces, count, s, &other))
            value = 1 if weight == 0 or step == 0 else coefficient * weight / (step + pull * weight + epsilon)
        ratio[s] = 1 if adapts != NULL and adapts[s] == 0 else <float> value


cdef void scale_segments(void *const *buf, const int64_t *dim, const double *attr,
                         int64_t first, int64_t last) noexcept nogil:
    cdef float *g = <float *> buf[0]
    cdef const float *ratio = <const float *> buf[2]
    cdef const int64_t *pieces = <const int64_t *> buf[3]
    cdef int64_t n = dim[0], segments = dim[1]
    cdef int64_t t
    cdef Piece p
    for t in range(first, last):
        p = piece_at(pieces, t, n, segments)
        # g[start:stop] *= ratio[segment]
        if ratio[p.segment] != 1:
            fnn_optim(ops()).scale(g + p.start, p.stop - p.start, ratio[p.segment])


cdef void scaled_sgd(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *ratio = <const float *> buf[2]
    cdef const int64_t *pieces = <const int64_t *> buf[3]
    cdef const double *rate = <const double *> buf[4]
    cdef const double *decay = <const double *> buf[6]
    cdef int64_t n = dim[0], segments = dim[1]
    cdef int64_t t
    cdef Piece p
    for t in range(first, last):
        p = piece_at(pieces, t, n, segments)
        # w[start:stop] -= rate * ratio[segment] * g[start:stop]
        fnn_optim(ops()).sgd(w + p.start, g + p.start, p.stop - p.start, <float> (rate[0] * ratio[p.segment]),
                             share(decay))


cdef void scaled_momentum(void *const *buf, const int64_t *dim, const double *attr,
                          int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *v = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef const float *ratio = <const float *> buf[3]
    cdef const int64_t *pieces = <const int64_t *> buf[4]
    cdef const double *rate = <const double *> buf[5]
    cdef const double *mu = <const double *> buf[6]
    cdef const double *decay = <const double *> buf[9]
    cdef double pull = attr[0]
    cdef double nesterov = attr[1]
    cdef int64_t n = dim[0], segments = dim[1]
    cdef int64_t t
    cdef Piece p
    for t in range(first, last):
        p = piece_at(pieces, t, n, segments)
        # step = rate * ratio[segment] * (g + pull * w)
        # v = mu * v + step
        # w -= mu * v + step if nesterov else v
        fnn_moments(ops()).scaled_momentum(w + p.start, v + p.start, g + p.start, p.stop - p.start,
                                           <float> (rate[0] * ratio[p.segment]), <float> mu[0], <float> pull,
                                           share(decay), nesterov != 0)


cdef void lamb(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef float *g = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef float *v = <float *> buf[2]
    cdef float *u2 = <float *> buf[3]
    cdef float *w2 = <float *> buf[4]
    cdef const int64_t *pieces = <const int64_t *> buf[6]
    cdef const double *alpha = <const double *> buf[7]
    cdef const double *epsilon = <const double *> buf[8]
    cdef const float *w = <const float *> buf[9]
    cdef const double *decay = <const double *> buf[12]
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    cdef double pull = attr[2]
    cdef double sums[2]
    cdef int64_t n = dim[0]
    cdef int64_t t
    cdef Piece p
    for t in range(first, last):
        p = piece_at(pieces, t, n, 1)
        sums[0], sums[1] = 0, 0
        # m, v as in adam
        # g = alpha * m / (sqrt(v) + epsilon) + pull * w
        # u2[t], w2[t] = np.sum(np.square(g)), np.sum(np.square(w))
        fnn_moments(ops()).lamb(g + p.start, m + p.start, v + p.start, sums, w + p.start, p.stop - p.start,
                                <float> alpha[0], <float> epsilon[0], share(decay), <float> pull,
                                <float> (1.0 - beta_1), <float> (1.0 - beta_2))
        u2[t], w2[t] = <float> sums[0], <float> sums[1]


cdef void clip_units(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *g = <float *> buf[0]
    cdef const float *w = <const float *> buf[2]
    cdef int64_t K = dim[0], N = dim[1]
    cdef double clipping = attr[0]
    cdef double epsilon = attr[1]
    cdef float *norm = <float *> scratch()
    cdef float *limit = norm + COLUMNS
    cdef int64_t t, at, n, j
    cdef double least, size
    cdef bint clips
    for t in range(first, last):
        at = t * COLUMNS
        n = COLUMNS if N - at > COLUMNS else N - at
        # norm, limit = np.square(g).sum(0), np.square(w).sum(0)
        if N == 1:
            norm[0], limit[0] = fnn_optim(ops()).sum_of_squares(g, K), fnn_optim(ops()).sum_of_squares(w, K)
        else:
            fnn_optim(ops()).column_squares(norm, g + at, N, K, n)
            fnn_optim(ops()).column_squares(limit, w + at, N, K, n)
        # limit = clipping * np.maximum(np.sqrt(limit), epsilon)
        # g *= limit / norm where norm > limit
        clips = False
        for j in range(n):
            size = sqrt(<double> norm[j])
            least = sqrt(<double> limit[j])
            least = clipping * (epsilon if least < epsilon else least)
            norm[j] = 1 if size <= least else <float> (least / size)
            clips = clips or norm[j] != 1
        if clips and N == 1:
            fnn_optim(ops()).scale(g, K, norm[0])
        elif clips:
            fnn_optim(ops()).scale_columns(g + at, norm, N, K, n)


KERNELS = {
    "piece_squares": <uintptr_t> &piece_squares,
    "clip_ratios": <uintptr_t> &clip_ratios,
    "trust_ratios": <uintptr_t> &trust_ratios,
    "scale_segments": <uintptr_t> &scale_segments,
    "scaled_sgd": <uintptr_t> &scaled_sgd,
    "scaled_momentum": <uintptr_t> &scaled_momentum,
    "lamb": <uintptr_t> &lamb,
    "clip_units": <uintptr_t> &clip_units,
}
