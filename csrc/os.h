/* The few things that operating systems and CPUs call by different names: sleeping on a word, the
 * clock, a pause in a spin, aligned memory, the rounding mode.  All static, no state of its own
 * except the one lock of systems without a futex. */
#ifndef FASTNN_OS_H
#define FASTNN_OS_H

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getcpu, cpu_set_t; include this header first */
#endif

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef _Atomic uint32_t fnn_word;

#if defined(__linux__) && !defined(FNN_NO_FUTEX) /* the other branch can be tested here too */

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleep while *word == seen; may also return for no reason. */
static inline void os_wait(fnn_word *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

/* Wake whoever sleeps on this word; call it after the word was changed. */
static inline void os_wake(fnn_word *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

static inline void os_sleep_reset(void) {}

/* The CPU that this thread is on, or -1. */
static inline int os_cpu(void) { return sched_getcpu(); }

/* Go to another CPU than this one, if at least `cpus` are allowed, and stay free to go anywhere. */
static inline void os_avoid_cpu(int cpu, int cpus)
{
    cpu_set_t allowed, others;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) || CPU_COUNT(&allowed) < cpus)
        return;
    others = allowed;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) && !sched_setaffinity(0, sizeof others, &others))
        sched_setaffinity(0, sizeof allowed, &allowed);
}

#else

static inline int os_cpu(void) { return -1; }
static inline void os_avoid_cpu(int cpu, int cpus) { (void)cpu, (void)cpus; }

/* One lock for all words: sleeping is rare, so sharing it costs nothing that anyone would notice. */
static pthread_mutex_t os_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t os_changed = PTHREAD_COND_INITIALIZER;

static inline void os_wait(fnn_word *word, uint32_t seen)
{
    pthread_mutex_lock(&os_mutex);
    while (atomic_load(word) == seen)
        pthread_cond_wait(&os_changed, &os_mutex);
    pthread_mutex_unlock(&os_mutex);
}

static inline void os_wake(fnn_word *word)
{
    (void)word;
    /* Taking the lock puts this after a waiter's look at its word or before it, never between that
     * look and its sleep. */
    pthread_mutex_lock(&os_mutex);
    pthread_cond_broadcast(&os_changed);
    pthread_mutex_unlock(&os_mutex);
}

/* In the child of a fork: another thread of the parent may have held the lock. */
static inline void os_sleep_reset(void)
{
    os_mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    os_changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

#endif

static inline int64_t os_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void os_pause(void)
{
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` is a no-op on most cores; isb waits some tens of ns */
#endif
}

#if defined(_WIN32)
#include <malloc.h>
static inline void *os_alloc(size_t bytes) { return _aligned_malloc(bytes ? bytes : 1, 64); }
static inline void os_free(void *p) { _aligned_free(p); }
#else
/* 64-byte aligned, or NULL. */
static inline void *os_alloc(size_t bytes)
{
    void *p = NULL;
    return posix_memalign(&p, 64, bytes ? bytes : 1) ? NULL : p;
}
static inline void os_free(void *p) { free(p); }
#endif

/* Rounding to nearest, no flushing of denormals, no traps: set in every thread that computes, or the
 * bits of a result would depend on which thread computed it (a library that was linked with
 * -ffast-math may have set flushing in the calling thread, and a new thread inherits it). */
#if defined(__x86_64__) || defined(_M_X64)
typedef unsigned os_float_mode;
static inline os_float_mode os_float_default(void)
{
    unsigned before = __builtin_ia32_stmxcsr();
    if ((before & ~0x3fu) != 0x1f80) /* the low six bits only say what has happened */
        __builtin_ia32_ldmxcsr(0x1f80);
    return before;
}
static inline void os_float_restore(os_float_mode before)
{
    if ((before & ~0x3fu) != 0x1f80)
        __builtin_ia32_ldmxcsr(before);
}
#elif defined(__aarch64__)
typedef uint64_t os_float_mode;
static inline os_float_mode os_float_default(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    if (before)
        __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)0));
    return before;
}
static inline void os_float_restore(os_float_mode before)
{
    if (before)
        __asm__ volatile("msr fpcr, %0" ::"r"(before));
}
#else
typedef int os_float_mode;
static inline os_float_mode os_float_default(void) { return 0; }
static inline void os_float_restore(os_float_mode before) { (void)before; }
#endif

#endif
