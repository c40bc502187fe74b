"""Optimizer updates and gradient arithmetic: flat kernels over the parameter arenas.

A tile is 16 elements; a range of tiles is one piece of each array, handed to the C loop at once.
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t, uintptr_t

from .core cimport ops

cdef enum:
    SQUARES = 16384    # elements of a tile of sum_of_squares, as in optim.py


cdef void sgd(void *const *buf, const int64_t *dim, const double *attr,
              int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const double *rate = <const double *> buf[2]
    cdef const double *decay = <const double *> buf[4]
    cdef int64_t n = dim[0]
    cdef int64_t at = first * BLOCK
    # w -= rate * g
    fnn_optim(ops()).sgd(w + at, g + at, piece(n, first, last), <float> rate[0], share(decay))


cdef void momentum(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *v = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef const double *rate = <const double *> buf[3]
    cdef const double *mu = <const double *> buf[4]
    cdef const double *decay = <const double *> buf[7]
    cdef int64_t n = dim[0]
    cdef double nesterov = attr[0]
    cdef int64_t at = first * BLOCK
    # v = mu * v - rate * g
    # w += mu * v - rate * g if nesterov else v
    fnn_optim(ops()).momentum(w + at, v + at, g + at, piece(n, first, last), <float> rate[0], <float> mu[0],
                              share(decay), nesterov != 0)


cdef void momentum_outside(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *v = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef const double *rate = <const double *> buf[3]
    cdef const double *mu = <const double *> buf[4]
    cdef const double *gain = <const double *> buf[5]
    cdef const double *decay = <const double *> buf[8]
    cdef int64_t n = dim[0]
    cdef double nesterov = attr[0]
    cdef int64_t at = first * BLOCK
    # v = mu * v + gain * g
    # w -= rate * (g + mu * v if nesterov else v)
    fnn_optim(ops()).momentum_outside(w + at, v + at, g + at, piece(n, first, last), <float> rate[0], <float> mu[0],
                                      <float> gain[0], share(decay), nesterov != 0)


cdef void rmsprop(void *const *buf, const int64_t *dim, const double *attr,
                  int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *v = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef const double *rate = <const double *> buf[3]
    cdef const double *decay = <const double *> buf[6]
    cdef int64_t n = dim[0]
    cdef double rho = attr[0]
    cdef double epsilon = attr[1]
    cdef double epsilon_inside = attr[2]
    cdef int64_t at = first * BLOCK
    # v += (g * g - v) * (1 - rho)
    # w -= rate * g / (sqrt(v + epsilon) if epsilon_inside else sqrt(v) + epsilon)
    fnn_optim(ops()).rmsprop(w + at, v + at, g + at, piece(n, first, last), <float> rate[0],
                             share(decay), <float> (1.0 - rho), <float> epsilon, epsilon_inside != 0)


cdef void rmsprop_momentum(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *v = <float *> buf[1]
    cdef float *mom = <float *> buf[2]
    cdef const float *g = <const float *> buf[3]
    cdef const double *rate = <const double *> buf[4]
    cdef const double *mu = <const double *> buf[5]
    cdef const double *decay = <const double *> buf[9]
    cdef int64_t n = dim[0]
    cdef double rho = attr[0]
    cdef double epsilon = attr[1]
    cdef double epsilon_inside = attr[2]
    cdef int64_t at = first * BLOCK
    # mom = mu * mom + the step of rmsprop
    # w -= mom
    fnn_optim(ops()).rmsprop_momentum(w + at, v + at, mom + at, g + at, piece(n, first, last), <float> rate[0],
                                      <float> mu[0], share(decay), <float> (1.0 - rho), <float> epsilon, epsilon_inside != 0)


cdef void rmsprop_centered(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *v = <float *> buf[1]
    cdef float *mean = <float *> buf[2]
    cdef float *mom = <float *> buf[3]
    cdef const float *g = <const float *> buf[4]
    cdef const double *rate = <const double *> buf[5]
    cdef const double *mu = <const double *> buf[6]
    cdef const double *decay = <const double *> buf[11]
    cdef int64_t n = dim[0]
    cdef double rho = attr[0]
    cdef double epsilon = attr[1]
    cdef double epsilon_inside = attr[2]
    cdef int64_t at = first * BLOCK
    # mean += (g - mean) * (1 - rho)
    # as rmsprop_momentum, with v - mean * mean in the place of v
    fnn_optim(ops()).rmsprop_centered(w + at, v + at, mean + at, mom + at, g + at, piece(n, first, last),
                                      <float> rate[0], <float> mu[0], share(decay), <float> (1.0 - rho), <float> epsilon,
                                      epsilon_inside != 0)


cdef void adam(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef float *v = <float *> buf[2]
    cdef const float *g = <const float *> buf[3]
    cdef const double *alpha = <const double *> buf[4]
    cdef const double *epsilon = <const double *> buf[5]
    cdef int64_t n = dim[0]
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    cdef int64_t at = first * BLOCK
    # m += (g - m) * (1 - beta_1)
    # v += (g * g - v) * (1 - beta_2)
    # w -= alpha * m / (sqrt(v) + epsilon)
    fnn_optim(ops()).adam(w + at, m + at, v + at, g + at, piece(n, first, last), <float> alpha[0],
                          <float> epsilon[0], <float> (1.0 - beta_1), <float> (1.0 - beta_2))


cdef void adamw(void *const *buf, const int64_t *dim, const double *attr,
                int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef float *v = <float *> buf[2]
    cdef const float *g = <const float *> buf[3]
    cdef const double *alpha = <const double *> buf[4]
    cdef const double *epsilon = <const double *> buf[5]
    cdef const double *decay = <const double *> buf[6]
    cdef int64_t n = dim[0]
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    cdef int64_t at = first * BLOCK
    # w -= decay * w
    # m += (g - m) * (1 - beta_1)
    # v += (g * g - v) * (1 - beta_2)
    # w -= alpha * m / (sqrt(v) + epsilon)
    fnn_optim(ops()).adamw(w + at, m + at, v + at, g + at, piece(n, first, last), <float> alpha[0],
                           <float> epsilon[0], <float> decay[0], <float> (1.0 - beta_1), <float> (1.0 - beta_2))


cdef void accumulate(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *g = <float *> buf[0]
    cdef float *acc = <float *> buf[1]
    cdef const double *keep = <const double *> buf[3]
    cdef int64_t n = dim[0]
    cdef double factor = attr[0]
    cdef int64_t at = first * BLOCK
    # g = acc = keep * acc + factor * g
    fnn_optim(ops()).accumulate(g + at, acc + at, piece(n, first, last), <float> factor, keep[0] != 0)


cdef void moving_average(void *const *buf, const int64_t *dim, const double *attr,
                         int64_t first, int64_t last) noexcept nogil:
    cdef float *average = <float *> buf[0]
    cdef float *w = <float *> buf[1]
    cdef const double *mu = <const double *> buf[2]
    cdef const double *overwrite = <const double *> buf[3]
    cdef int64_t n = dim[0]
    cdef int64_t at = first * BLOCK
    # average += (w - average) * (1 - mu)
    # w = average if overwrite else w
    fnn_optim(ops()).moving_average(average + at, w + at, piece(n, first, last), <float> (1.0 - mu[0]),
                                    overwrite[0] != 0)


cdef void scale_inplace(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *g = <float *> buf[0]
    cdef const float *scale = <const float *> buf[1]
    cdef int64_t n = dim[0]
    cdef int64_t at = first * BLOCK
    # g *= scale
    fnn_optim(ops()).scale(g + at, piece(n, first, last), scale[0])


cdef void clip_inplace(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef float *g = <float *> buf[0]
    cdef int64_t n = dim[0]
    cdef double limit = attr[0]
    cdef int64_t at = first * BLOCK
    # g = np.clip(g, -limit, limit)
    fnn_optim(ops()).clip(g + at, piece(n, first, last), <float> limit)


cdef void add_inplace(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *g = <float *> buf[0]
    cdef const float *h = <const float *> buf[1]
    cdef int64_t n = dim[0]
    cdef int64_t at = first * BLOCK
    # g += h
    fnn_optim(ops()).add_scaled(g + at, h + at, piece(n, first, last), 1.0)


cdef void l2_grad_inplace(void *const *buf, const int64_t *dim, const double *attr,
                          int64_t first, int64_t last) noexcept nogil:
    cdef float *g = <float *> buf[0]
    cdef const float *w = <const float *> buf[1]
    cdef int64_t n = dim[0]
    cdef double coefficient = attr[0]
    cdef int64_t at = first * BLOCK
    # g += coefficient * w
    fnn_optim(ops()).add_scaled(g + at, w + at, piece(n, first, last), <float> coefficient)


cdef void sum_of_squares(void *const *buf, const int64_t *dim, const double *attr,
                         int64_t first, int64_t last) noexcept nogil:
    cdef float *partial = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef int64_t n = dim[0]
    cdef int64_t t, at
    for t in range(first, last):
        # partial[t] = np.sum(np.square(g[t * SQUARES:(t + 1) * SQUARES]))
        at = t * SQUARES
        partial[t] = fnn_optim(ops()).sum_of_squares(g + at, SQUARES if n - at > SQUARES else n - at)


cdef void global_norm_scale(void *const *buf, const int64_t *dim, const double *attr,
                            int64_t first, int64_t last) noexcept nogil:
    cdef float *scale = <float *> buf[0]
    cdef float *norm = <float *> buf[1]
    cdef const float *partial = <const float *> buf[2]
    cdef int64_t n = dim[0]
    cdef double limit = attr[0]
    cdef double total = 0.0
    cdef int64_t t
    if first >= last:
        return
    # norm = np.sqrt(np.sum(partial))
    for t in range(n):
        total += partial[t]
    total = sqrt(total)
    norm[0] = <float> total
    # scale = 1 if norm <= limit else limit / norm; a NaN stays NaN
    scale[0] = 1.0 if total <= limit else <float> (limit / total)


KERNELS = {
    "sgd": <uintptr_t> &sgd,
    "momentum": <uintptr_t> &momentum,
    "momentum_outside": <uintptr_t> &momentum_outside,
    "rmsprop": <uintptr_t> &rmsprop,
    "rmsprop_momentum": <uintptr_t> &rmsprop_momentum,
    "rmsprop_centered": <uintptr_t> &rmsprop_centered,
    "adam": <uintptr_t> &adam,
    "adamw": <uintptr_t> &adamw,
    "accumulate": <uintptr_t> &accumulate,
    "moving_average": <uintptr_t> &moving_average,
    "scale_inplace": <uintptr_t> &scale_inplace,
    "clip_inplace": <uintptr_t> &clip_inplace,
    "add_inplace": <uintptr_t> &add_inplace,
    "l2_grad_inplace": <uintptr_t> &l2_grad_inplace,
    "sum_of_squares": <uintptr_t> &sum_of_squares,
    "global_norm_scale": <uintptr_t> &global_norm_scale,
}
