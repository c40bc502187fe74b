"""Optimizer updates by the gradients' own sizes: flat kernels over the parameter arenas, as in optim.pyx."""

from libc.stdint cimport int64_t, uintptr_t

from .core cimport ops
from .optim cimport BLOCK, piece, share


cdef void adagrad(void *const *buf, const int64_t *dim, const double *attr,
                  int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *a = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef const double *rate = <const double *> buf[3]
    cdef const double *decay = <const double *> buf[6]
    cdef int64_t n = dim[0]
    cdef double epsilon = attr[0]
    cdef double epsilon_inside = attr[1]
    cdef int64_t at = first * BLOCK
    # a += g * g
    # w -= rate * g / (sqrt(a + epsilon) if epsilon_inside else sqrt(a) + epsilon)
    fnn_moments(ops()).adagrad(w + at, a + at, g + at, piece(n, first, last), <float> rate[0], share(decay), <float>
                               epsilon, epsilon_inside != 0)


cdef void adadelta(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *v = <float *> buf[1]
    cdef float *d = <float *> buf[2]
    cdef const float *g = <const float *> buf[3]
    cdef const double *rate = <const double *> buf[4]
    cdef const double *decay = <const double *> buf[8]
    cdef int64_t n = dim[0]
    cdef double rho = attr[0]
    cdef double epsilon = attr[1]
    cdef int64_t at = first * BLOCK
    # v += (g * g - v) * (1 - rho)
    # step = sqrt(d + epsilon) / sqrt(v + epsilon) * g
    # d += (step * step - d) * (1 - rho)
    # w -= rate * step
    fnn_moments(ops()).adadelta(w + at, v + at, d + at, g + at, piece(n, first, last), <float> rate[0], share(decay),
                                <float> (1.0 - rho), <float> epsilon)


cdef void adam_amsgrad(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef float *v = <float *> buf[2]
    cdef float *top = <float *> buf[3]
    cdef const float *g = <const float *> buf[4]
    cdef const double *alpha = <const double *> buf[5]
    cdef const double *epsilon = <const double *> buf[6]
    cdef const double *decay = <const double *> buf[11]
    cdef int64_t n = dim[0]
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    cdef int64_t at = first * BLOCK
    # m, v as in adam
    # top = max(top, v)
    # w -= alpha * m / (sqrt(top) + epsilon)
    fnn_moments(ops()).adam_amsgrad(w + at, m + at, v + at, top + at, g + at, piece(n, first, last), <float> alpha[0],
                                    <float> epsilon[0], share(decay), <float> (1.0 - beta_1), <float> (1.0 - beta_2))


cdef void adamax(void *const *buf, const int64_t *dim, const double *attr,
                 int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef float *u = <float *> buf[2]
    cdef const float *g = <const float *> buf[3]
    cdef const double *alpha = <const double *> buf[4]
    cdef const double *decay = <const double *> buf[8]
    cdef int64_t n = dim[0]
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    cdef double epsilon = attr[2]
    cdef int64_t at = first * BLOCK
    # m += (g - m) * (1 - beta_1)
    # u = max(beta_2 * u, abs(g))
    # w -= alpha * m / (u + epsilon)
    fnn_moments(ops()).adamax(w + at, m + at, u + at, g + at, piece(n, first, last), <float> alpha[0], share(decay),
                              <float> (1.0 - beta_1), <float> beta_2, <float> epsilon)


cdef void nadam(void *const *buf, const int64_t *dim, const double *attr,
                int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef float *v = <float *> buf[2]
    cdef const float *g = <const float *> buf[3]
    cdef const double *alpha = <const double *> buf[4]
    cdef const double *gamma = <const double *> buf[5]
    cdef const double *epsilon = <const double *> buf[6]
    cdef const double *decay = <const double *> buf[10]
    cdef int64_t n = dim[0]
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    cdef int64_t at = first * BLOCK
    # m, v as in adam
    # w -= (alpha * m + gamma * g) / (sqrt(v) + epsilon)
    fnn_moments(ops()).nadam(w + at, m + at, v + at, g + at, piece(n, first, last), <float> alpha[0], <float>
                             gamma[0], <float> epsilon[0], share(decay), <float> (1.0 - beta_1), <float> (1.0 -
                             beta_2))


cdef void radam(void *const *buf, const int64_t *dim, const double *attr,
                int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef float *v = <float *> buf[2]
    cdef const float *g = <const float *> buf[3]
    cdef const double *alpha = <const double *> buf[4]
    cdef const double *epsilon = <const double *> buf[5]
    cdef const double *adaptive = <const double *> buf[6]
    cdef const double *decay = <const double *> buf[10]
    cdef int64_t n = dim[0]
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    cdef int64_t at = first * BLOCK
    # m, v as in adam
    # w -= alpha * m / (sqrt(v) + epsilon if adaptive else 1)
    fnn_moments(ops()).radam(w + at, m + at, v + at, g + at, piece(n, first, last), <float> alpha[0], <float>
                             epsilon[0], adaptive[0] != 0, share(decay), <float> (1.0 - beta_1), <float> (1.0 -
                             beta_2))


cdef void lion(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef const double *rate = <const double *> buf[3]
    cdef const double *decay = <const double *> buf[6]
    cdef int64_t n = dim[0]
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    cdef int64_t at = first * BLOCK
    # w -= rate * sign(m + (g - m) * (1 - beta_1))
    # m += (g - m) * (1 - beta_2)
    fnn_moments(ops()).lion(w + at, m + at, g + at, piece(n, first, last), <float> rate[0], share(decay), <float> (1.0
                            - beta_1), <float> (1.0 - beta_2))


cdef void ftrl(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *a = <float *> buf[1]
    cdef float *z = <float *> buf[2]
    cdef const float *g = <const float *> buf[3]
    cdef const double *rate = <const double *> buf[4]
    cdef const double *l2 = <const double *> buf[5]
    cdef const double *decay = <const double *> buf[9]
    cdef int64_t n = dim[0]
    cdef double power = attr[0]
    cdef double l1 = attr[1]
    cdef double shrinkage = attr[2]
    cdef int64_t at = first * BLOCK
    # new = a + g * g
    # z += g + 2 * shrinkage * w - (new**-power - a**-power) / rate * w
    # w = (clip(z, -l1, l1) - z) / (new**-power / rate + 2 * l2)
    # a = new
    fnn_moments(ops()).ftrl(w + at, a + at, z + at, g + at, piece(n, first, last), <float> (1.0 / rate[0]), <float>
                            (2.0 * l2[0]), share(decay), <float> -power, <float> l1, <float> (2.0 * shrinkage))


KERNELS = {
    "adagrad": <uintptr_t> &adagrad,
    "adadelta": <uintptr_t> &adadelta,
    "adam_amsgrad": <uintptr_t> &adam_amsgrad,
    "adamax": <uintptr_t> &adamax,
    "nadam": <uintptr_t> &nadam,
    "radam": <uintptr_t> &radam,
    "lion": <uintptr_t> &lion,
    "ftrl": <uintptr_t> &ftrl,
}
