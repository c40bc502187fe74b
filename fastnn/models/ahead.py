"""Work that is done ahead: batches are read and converted while the program trains on those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator


def in_threads(calls: Iterator[Callable], threads: int, ahead: int) -> Iterator:
    """What the calls return, in their order; threads run them while those before are used."""
    from concurrent.futures import ThreadPoolExecutor  # 5 ms of the package's import

    pool = ThreadPoolExecutor(threads, thread_name_prefix="fastnn-loader")
    try:
        waiting: deque = deque()
        for call in calls:
            waiting.append(pool.submit(call))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
