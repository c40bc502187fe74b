"""The native core: choice of CPU path, single kernel calls for tests and races, and the executor of programs."""

import os

from cpython.buffer cimport (PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer)
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from "fastnn.h" nogil:
    const fnn_ops *fnn
    int fnn_select_path(const char *name)
    const char *fnn_path_name(int i)
    void *fnn_scratch()
cdef extern from "team.h" nogil:
    ctypedef struct fnn_line:
        fnn_call call
        int64_t tiles, grain
        double cost_ns
        const double *gate
    ctypedef struct fnn_team_counts:
        int64_t workers, levels, wakes, waits, stalls
    int FNN_MAX_THREADS
    int fnn_need_scratch(size_t bytes)
    void fnn_team_count(fnn_team_counts *counts)
cdef extern from "run.h" nogil:
    int fnn_finite(const float *x, int64_t n)
    ctypedef struct fnn_level:
        int64_t first, count
    ctypedef struct fnn_copy:
        void *buffer
        int64_t bytes
    ctypedef struct fnn_program:
        fnn_line *lines
        fnn_level *levels
        fnn_copy *feeds
        fnn_copy *fetches
        int64_t line_count, level_count, feed_count, fetch_count
        size_t scratch
        int64_t *min_ns
        int64_t *total_ns
    int FNN_NO_MEMORY, FNN_BUSY
    int64_t fnn_run(fnn_program *program, int64_t steps, char **rows, int64_t offset, int threads, double budget)
    int64_t fnn_profile(fnn_program *program, int64_t steps, char **rows, int64_t offset, int threads)
    int64_t fnn_set_costs(fnn_program *program, const double *ns)
    int64_t fnn_run_line(fnn_program *program, int64_t line, int threads)
cdef extern from "joined.h" nogil:
    ctypedef struct fnn_stretch:
        fnn_program *program
        int64_t steps
        char **rows
    ctypedef struct fnn_member:
        const fnn_stretch *stretches
        int64_t count, at, done
    ctypedef struct fnn_joined:
        fnn_member *members
        int64_t count
        size_t scratch
    int64_t fnn_run_joined(fnn_joined *joined, int threads, double budget)
cdef extern from "os.h" nogil:
    void *os_alloc(size_t bytes)
    void os_free(void *p)


cdef const fnn_ops *ops() noexcept nogil:
    return fnn


cdef void *scratch() noexcept nogil:
    return fnn_scratch()


def paths():
    """Names of the CPU paths that this build holds and this CPU can run, best last."""
    found, i = [], 0
    while fnn_path_name(i) != NULL:
        found.append(fnn_path_name(i).decode())
        i += 1
    return found


def select_path(name=None):
    """Choose the CPU path by name, or the best one for None."""
    cdef bytes encoded
    cdef int status
    if name is None:
        status = fnn_select_path(NULL)
    else:
        encoded = name.encode()
        status = fnn_select_path(encoded)
    if status:
        why = "this CPU or this build does not have it" if status == -2 else "there is no such path"
        raise ValueError(f"CPU path {name!r} can't be used: {why}; this machine can run {', '.join(paths())}.")


def path():
    """Name of the CPU path in use."""
    return fnn.name.decode()


def call(uintptr_t kernel, list addresses, list dims, list attrs, int64_t first, int64_t last, size_t need=0):
    """Run tiles first..last-1 of one kernel; addresses of the arrays as integers, 0 for NULL."""
    cdef size_t n = len(addresses), nd = len(dims), na = len(attrs), i
    cdef void **buf = <void **> malloc((n + 1) * sizeof(void *))
    cdef int64_t *dim = <int64_t *> malloc((nd + 1) * sizeof(int64_t))
    cdef double *attr = <double *> malloc((na + 1) * sizeof(double))
    try:
        if buf == NULL or dim == NULL or attr == NULL or fnn_need_scratch(need):
            raise MemoryError
        for i in range(n):
            buf[i] = <void *> <uintptr_t> addresses[i]
        for i in range(nd):
            dim[i] = dims[i]
        for i in range(na):
            attr[i] = attrs[i]
        with nogil:
            (<fnn_kernel> kernel)(buf, dim, attr, first, last)
    finally:
        free(buf)
        free(dim)
        free(attr)


cdef class Executor:
    """A program in the form that runs: everything it needs lies in one piece of C memory.

    Parameters
    ----------
    calls : list of (kernel address, [buffer addresses], [dims], [attrs], tiles, grain, level, scratch bytes,
        estimated seconds, then, and, if there is one, the address of a gate: a float64 that is 0 in the steps that leave
        the call out). Sorted by level; calls of one level do not depend on one another. `grain` is the
        least number of tiles that a thread takes at once. `then` is None, or (kernel address, [buffer addresses],
        [dims], [attrs]) of the call that the kernel runs on its own tiles: the last buffer slot is set to it.
    feeds : list of (address of the buffer, bytes): what is copied in before each step.
    fetches : list of (address of the buffer, bytes): what is copied out after each step.

    The memory behind all these addresses belongs to the caller, who keeps it alive.
    """

    cdef fnn_program *p
    cdef void *memory

    def __cinit__(self, list calls, list feeds=[], list fetches=[]):
        cdef size_t count = len(calls), need, numbers = 0
        cdef int64_t level = 0, levels = 0
        for i, (kernel, buffers, dims, attrs, tiles, grain, at, need, seconds, then, *_) in enumerate(calls):
            if at < level or not kernel or tiles < 0 or grain < 1 or need < 0 or then is not None and not buffers:
                raise ValueError(f"Call {i} of the program is not well formed: level {at} after {level}, kernel "
                                 f"{kernel}, {tiles} tiles, grain {grain}, {need} bytes of scratch memory.")
            levels += levels == 0 or at > level
            level = at
            numbers += len(buffers) + len(dims) + len(attrs)
            if then is not None:
                numbers += sizeof(fnn_call) // 8 + len(then[1]) + len(then[2]) + len(then[3])
        for _, size in [*feeds, *fetches]:
            if size < 0:
                raise ValueError(f"A feed or fetch of {size} bytes.")
        # Every part is a whole number of 8-byte words, so all stay aligned one after another.
        need = (sizeof(fnn_program) + count * (sizeof(fnn_line) + 16) + levels * sizeof(fnn_level)
                + (len(feeds) + len(fetches)) * sizeof(fnn_copy) + 8 * numbers + 64)
        self.memory = os_alloc(need)
        if self.memory == NULL:
            raise MemoryError(f"No memory for a program of {count} calls ({need} bytes).")
        memset(self.memory, 0, need)
        self.p = <fnn_program *> self.memory
        cdef char *at_byte = <char *> self.memory + (sizeof(fnn_program) + 7) // 8 * 8
        self.p.lines = <fnn_line *> carve(&at_byte, count * sizeof(fnn_line))
        self.p.levels = <fnn_level *> carve(&at_byte, levels * sizeof(fnn_level))
        self.p.feeds = <fnn_copy *> carve(&at_byte, len(feeds) * sizeof(fnn_copy))
        self.p.fetches = <fnn_copy *> carve(&at_byte, len(fetches) * sizeof(fnn_copy))
        self.p.min_ns = <int64_t *> carve(&at_byte, count * 8)
        self.p.total_ns = <int64_t *> carve(&at_byte, count * 8)
        self.p.line_count = count
        cdef fnn_line *line = self.p.lines
        cdef fnn_level *here = self.p.levels - 1
        cdef fnn_call *follow
        level = -1
        for kernel, buffers, dims, attrs, tiles, grain, at, need, seconds, then, *gate in calls:
            if at > level:
                here += 1
                here.first = line - self.p.lines
                level = at
            here.count += 1
            fill(&line.call, &at_byte, kernel, buffers, dims, attrs)
            if then is not None:
                follow = <fnn_call *> carve(&at_byte, sizeof(fnn_call))
                fill(follow, &at_byte, then[0], then[1], then[2], then[3])
                (<void **> line.call.buf)[len(buffers) - 1] = follow
            line.gate = <const double *> <uintptr_t> (gate[0] if gate else 0)
            line.tiles = tiles
            line.grain = grain
            line.cost_ns = nanoseconds(seconds)
            self.p.scratch = max(self.p.scratch, <size_t> need)
            line += 1
        self.p.level_count = levels
        for i, (address, size) in enumerate(feeds):
            self.p.feeds[i].buffer = <void *> <uintptr_t> address
            self.p.feeds[i].bytes = size
        self.p.feed_count = len(feeds)
        for i, (address, size) in enumerate(fetches):
            self.p.fetches[i].buffer = <void *> <uintptr_t> address
            self.p.fetches[i].bytes = size
        self.p.fetch_count = len(fetches)

    def __dealloc__(self):
        os_free(self.memory)

    def __len__(self):
        return self.p.line_count

    def run(self, int64_t steps, list feed_addresses, list fetch_addresses, int threads, double budget_seconds,
            int64_t offset=0):
        """Execute up to `steps` steps without the GIL; returns how many were done.

        Before step s, feed i is filled from ``feed_addresses[i] + (offset + s) * bytes``, and after it fetch i is
        copied to ``fetch_addresses[i] + (offset + s) * bytes``. Returns after the step in which the budget of seconds
        has passed. The result is the same to the bit for any number of threads.
        """
        cdef int64_t done
        if steps < 1:
            return 0
        cdef char **rows = self._rows(feed_addresses, fetch_addresses)
        with nogil:
            done = fnn_run(self.p, steps, rows, offset, threads, budget_seconds)
        free(rows)
        return self._checked(done)

    def profile(self, int64_t steps, list feed_addresses, list fetch_addresses, int threads, int64_t offset=0):
        """Execute the steps with a clock around each call; returns [(shortest ns, total ns)] over the calls.

        Calls run one after another, each with its tiles over the threads. Reading the clock adds some 20 to 30 ns
        to each time.
        """
        cdef int64_t done
        if steps < 1:
            return []
        cdef char **rows = self._rows(feed_addresses, fetch_addresses)
        with nogil:
            done = fnn_profile(self.p, steps, rows, offset, threads)
        free(rows)
        self._checked(done)
        return [(self.p.min_ns[i], self.p.total_ns[i]) for i in range(self.p.line_count)]

    def set_costs(self, list seconds):
        """Put other estimates (or measured times) in place of the calls' `estimated seconds`, one per call.

        They decide which levels the threads share and how those are cut; results do not depend on them.
        """
        cdef int64_t done
        if len(seconds) != self.p.line_count:
            raise ValueError(f"This program has {self.p.line_count} calls; {len(seconds)} costs came.")
        cdef list values = [nanoseconds(s) for s in seconds]
        cdef double *ns = <double *> malloc((len(values) + 1) * sizeof(double))
        if ns == NULL:
            raise MemoryError
        for i in range(self.p.line_count):
            ns[i] = values[i]
        done = fnn_set_costs(self.p, ns)
        free(ns)
        self._checked(done)

    def step_call(self, int64_t i, int threads=1):
        """Run call i once and nothing else: for looking at a program call by call."""
        cdef int64_t done
        if not 0 <= i < self.p.line_count:
            raise IndexError(f"This program has {self.p.line_count} calls; there is no call {i}.")
        with nogil:
            done = fnn_run_line(self.p, i, threads)
        self._checked(done)

    def set_buffer(self, int64_t call, int64_t slot, uintptr_t address):
        """Point slot `slot` of call `call` at other memory, for data that is bound anew for each run."""
        if not 0 <= call < self.p.line_count or slot < 0:
            raise IndexError(f"This program has {self.p.line_count} calls; there is no call {call}.")
        (<void **> self.p.lines[call].call.buf)[slot] = <void *> address

    def once(self, object source, object target, int threads):
        """Execute one step with the buffer `source` as the last feed and `target` as the last fetch.

        The short way for inference on one array of float32: no lists, no addresses. Both are C-contiguous buffers of
        the very sizes of that feed and fetch; all other feeds and fetches are left as they are. False, and nothing
        done, if the source holds NaN or infinity.
        """
        cdef Py_buffer here, there
        cdef char *rows[16]
        cdef int64_t done, feeds = self.p.feed_count, fetches = self.p.fetch_count
        if feeds < 1 or fetches < 1 or feeds + fetches > 16:
            raise ValueError("once needs a program with feeds and fetches, at most 16 of them.")
        memset(rows, 0, sizeof(rows))
        PyObject_GetBuffer(source, &here, PyBUF_C_CONTIGUOUS)
        try:
            PyObject_GetBuffer(target, &there, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
            try:
                if here.len != self.p.feeds[feeds - 1].bytes or there.len != self.p.fetches[fetches - 1].bytes:
                    raise ValueError(f"This program takes {self.p.feeds[feeds - 1].bytes} bytes and gives "
                                     f"{self.p.fetches[fetches - 1].bytes}; got room for {here.len} and {there.len}.")
                if not fnn_finite(<const float *> here.buf, here.len // 4):
                    return False
                rows[feeds - 1] = <char *> here.buf
                rows[feeds + fetches - 1] = <char *> there.buf
                with nogil:
                    done = fnn_run(self.p, 1, rows, 0, threads, 1e9)
            finally:
                PyBuffer_Release(&there)
        finally:
            PyBuffer_Release(&here)
        self._checked(done)
        return True

    cdef char **_rows(self, list feeds, list fetches) except NULL:
        if len(feeds) != self.p.feed_count or len(fetches) != self.p.fetch_count:
            raise ValueError(f"This program has {self.p.feed_count} feeds and {self.p.fetch_count} fetches; "
                             f"{len(feeds)} and {len(fetches)} addresses came.")
        cdef list addresses = [int(a) for a in feeds + fetches]
        cdef char **rows = <char **> malloc((len(addresses) + 1) * sizeof(char *))
        if rows == NULL:
            raise MemoryError
        cdef size_t i
        for i in range(<size_t> len(addresses)):
            rows[i] = <char *> <uintptr_t> addresses[i]
        return rows

    cdef int64_t _checked(self, int64_t done) except -1:
        return checked(done, self.p.scratch)


cdef int64_t checked(int64_t done, size_t scratch) except -1:
    if done == FNN_BUSY:
        raise RuntimeError("This program is running in another thread; a program can run once at a time.")
    if done == FNN_NO_MEMORY:
        raise MemoryError(f"No memory for the {scratch} bytes of scratch memory that a thread needs.")
    return done


cdef class Joined:
    """Programs that have nothing to do with one another, run side by side: each by one thread at a time.

    A member is a list of stretches, so many steps of a program each, that are run one after another. Threads take
    members as they get free, a few milliseconds each, so they never wait for one another.

    Parameters
    ----------
    executors : the programs.
    stretches : int64 array (n, 3), the members' stretches one member after another: which of the executors, how many
        steps, and where in `addresses` those of its feeds and then of its fetches begin.
    counts : int64 array, how many of the stretches are each member's.
    addresses : int64 array; of each feed and fetch the row of the stretch's first step, 0 for one left as it is.

    Whoever makes this sees to it that no two members write what the other reads or writes, and keeps all memory behind
    the addresses alive.
    """

    cdef fnn_joined j
    cdef void *memory
    cdef object kept
    cdef bint busy

    def __cinit__(self, list executors, int64_t[:, ::1] stretches, int64_t[::1] counts, int64_t[::1] addresses):
        cdef int64_t n = stretches.shape[0], i, first, width, total = 0
        cdef Executor executor
        cdef char *at
        if stretches.shape[1] != 3:
            raise ValueError(f"stretches must have 3 columns; got {stretches.shape[1]}.")
        for i in range(counts.shape[0]):
            if counts[i] < 0:
                raise ValueError(f"Member {i} can't have {counts[i]} stretches.")
            total += counts[i]
        if total != n:
            raise ValueError(f"The members have {total} stretches, but {n} came.")
        cdef size_t need = counts.shape[0] * sizeof(fnn_member) + n * sizeof(fnn_stretch) + 64
        self.memory = os_alloc(need)
        if self.memory == NULL:
            raise MemoryError(f"No memory for {n} stretches ({need} bytes).")
        memset(self.memory, 0, need)
        at = <char *> self.memory
        cdef fnn_stretch *all = <fnn_stretch *> carve(&at, n * sizeof(fnn_stretch))
        self.j.members = <fnn_member *> carve(&at, counts.shape[0] * sizeof(fnn_member))
        self.j.count = counts.shape[0]
        self.kept = (executors, addresses)
        for i in range(n):
            if not 0 <= stretches[i, 0] < len(executors) or stretches[i, 1] < 1:
                raise ValueError(f"Stretch {i} is not well formed: {stretches[i, 1]} steps of program "
                                 f"{stretches[i, 0]}, of which there are {len(executors)}.")
            executor = executors[stretches[i, 0]]
            first, width = stretches[i, 2], executor.p.feed_count + executor.p.fetch_count
            if not 0 <= first <= addresses.shape[0] - width:
                raise ValueError(f"Stretch {i} needs {width} addresses from number {first} on, but there are "
                                 f"{addresses.shape[0]}.")
            all[i].program, all[i].steps = executor.p, stretches[i, 1]
            all[i].rows = <char **> &addresses[0] + first if width else NULL
            self.j.scratch = max(self.j.scratch, executor.p.scratch)
        first = 0
        for i in range(self.j.count):
            self.j.members[i].stretches, self.j.members[i].count = all + first, counts[i]
            first += counts[i]

    def __dealloc__(self):
        os_free(self.memory)

    def __len__(self):
        return self.j.count

    def run(self, int threads, double budget_seconds):
        """Go on for about so long, without the GIL; returns how many members have not come to their end.

        The result is the same to the bit for any number of threads.
        """
        cdef int64_t left
        if self.busy:
            raise RuntimeError("These programs are running in another thread; they can run once at a time.")
        self.busy = True
        with nogil:
            left = fnn_run_joined(&self.j, threads, budget_seconds)
        self.busy = False
        return checked(left, self.j.scratch)

    def done(self):
        """The number of steps that each member has done."""
        cdef int64_t i, k, steps
        found = []
        for i in range(self.j.count):
            steps = self.j.members[i].done
            for k in range(self.j.members[i].at):
                steps += self.j.members[i].stretches[k].steps
            found.append(steps)
        return found


cdef double nanoseconds(seconds) except -1:
    """At most a quarter of an hour, whatever the estimate was; NaN counts as 0."""
    return min(1e12, seconds * 1e9) if seconds > 0 else 0.0


cdef void *carve(char **at, size_t bytes) noexcept:
    """The next part of the one allocation."""
    cdef void *part = at[0]
    at[0] += bytes
    return part


cdef int fill(fnn_call *call, char **at, uintptr_t kernel, list buffers, list dims, list attrs) except -1:
    cdef void **buf = <void **> carve(at, len(buffers) * sizeof(void *))
    cdef int64_t *dim = <int64_t *> carve(at, len(dims) * sizeof(int64_t))
    cdef double *attr = <double *> carve(at, len(attrs) * sizeof(double))
    for i, address in enumerate(buffers):
        buf[i] = <void *> <uintptr_t> address
    for i, size in enumerate(dims):
        dim[i] = size
    for i, number in enumerate(attrs):
        attr[i] = number
    call.kernel = <fnn_kernel> kernel
    call.buf = <void *const *> buf
    call.dim = dim
    call.attr = attr
    return 0


def team_counts():
    """What the thread team has done since the process began, for tests and tuning.

    A dict: ``workers`` that exist beside the caller, ``levels`` handed out, ``wakes`` of sleepers, ``waits`` in which
    the caller slept, ``stalls`` (waits for a worker that had lost its core; after each the caller works alone for some
    milliseconds).
    """
    cdef fnn_team_counts c
    fnn_team_count(&c)
    return dict(workers=c.workers, levels=c.levels, wakes=c.wakes, waits=c.waits, stalls=c.stalls)


MAX_THREADS = FNN_MAX_THREADS

#: address of ``void *fnn_scratch(void)``, for kernels compiled elsewhere
SCRATCH_FUNCTION = <uintptr_t> <void *> fnn_scratch

if fnn_path_name(0) == NULL:
    raise ImportError("This CPU is older than every CPU path of the compiled modules; fastnn runs on NumPy here.")
select_path(os.environ.get("FASTNN_CPU") or None)
