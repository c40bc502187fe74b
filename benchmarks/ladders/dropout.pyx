# cython: boundscheck=False, wraparound=False, cdivision=True
from libc.stdint cimport uint32_t, uint64_t


cdef void one_pass(float[::1] y, const float[::1] x, uint32_t threshold, float scale, uint32_t key0, uint32_t key1,
                   uint32_t step) noexcept nogil:
    cdef uint32_t w[4]
    cdef uint32_t i, word, bits
    cdef uint64_t a, b
    cdef Py_ssize_t block, q, e, at, n = x.shape[0]
    for block in range((n + 63) // 64 * 8):
        w[0] = <uint32_t> block
        w[1] = <uint32_t> (block >> 32)
        w[2] = step
        w[3] = 0
        for i in range(10):
            a = <uint64_t> 0xD2511F53 * w[0]
            b = <uint64_t> 0xCD9E8D57 * w[2]
            w[0] = <uint32_t> (b >> 32) ^ w[1] ^ (key0 + i * <uint32_t> 0x9E3779B9)
            w[1] = <uint32_t> b
            w[2] = <uint32_t> (a >> 32) ^ w[3] ^ (key1 + i * <uint32_t> 0xBB67AE85)
            w[3] = <uint32_t> a
        for q in range(4):
            for e in range(2):
                at = block // 8 * 64 + 16 * q + block % 8 * 2 + e
                word = w[q // 2 * 2 + e]
                bits = word & 0xffff if q % 2 else word >> 16
                if at < n:
                    y[at] = x[at] * scale if bits >= threshold else 0


def dropout(float[::1] y, float[::1] dx, const float[::1] x, const float[::1] dy, uint32_t threshold, float scale,
            uint32_t key0, uint32_t key1, uint32_t step):
    one_pass(y, x, threshold, scale, key0, key1, step)
    one_pass(dx, dy, threshold, scale, key0, key1, step)
