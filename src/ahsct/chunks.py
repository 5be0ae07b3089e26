"""Work in chunks, and random streams that do not depend on how the work was cut.

A chunk is a pure function of its index (and of what the caller bound into it), so a lost
worker's chunk is run again and any number of workers gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ahsct.errors import RequestError

T = TypeVar("T")


def run_chunks(
    work: Callable[[int], T], n_chunks: int, *, scheduler: str | None = None, workers: int | None = None
) -> Iterator[T]:
    """Yield `work(0)`, `work(1)` … in that order, computed in parallel.

    Parameters
    ----------
    work
        A picklable pure function of the chunk's index.
    n_chunks
        How many chunks there are (>= 0).
    scheduler
        None for a process pool on this machine; `tls://…`, or `tcp://` on a loopback address, for a
        Dask scheduler (extra `cluster`).
    workers
        Processes of the local pool; the number of processors when missing; 1 runs in this process.

    Raises
    ------
    RequestError
        The scheduler's address is not allowed, or the extra `cluster` is not installed.
    """
    if n_chunks < 0:
        raise RequestError(f"n_chunks must be >= 0, not {n_chunks}.")
    if scheduler is not None:
        yield from _on_cluster(work, n_chunks, scheduler)
        return
    workers = min(workers or os.cpu_count() or 1, max(n_chunks, 1))
    if workers == 1:
        for index in range(n_chunks):
            yield work(index)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    done = 0
    for attempt in range(3):  # a killed worker breaks the pool: what was not yet yielded runs again
        try:
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                for result in pool.map(work, range(done, n_chunks)):
                    yield result
                    done += 1
            return
        except BrokenProcessPool:
            if attempt == 2:
                raise


def random_stream(seed: int, *, stream: str, patient: int) -> Any:
    """Return numpy's generator for one patient and one named kind of chance.

    Counter-based (Philox), keyed by (seed, stream, patient): two arms share noise, and results do
    not depend on chunks or workers.

    Examples
    --------
    >>> a = random_stream(1, stream="relapse", patient=7).random()
    >>> b = random_stream(1, stream="relapse", patient=7).random()
    >>> c = random_stream(1, stream="lesion", patient=7).random()
    >>> a == b, a == c
    (True, False)
    """
    import hashlib

    from numpy.random import Generator, Philox

    digest = hashlib.sha256(f"{seed}|{stream}".encode()).digest()
    return Generator(Philox(key=int.from_bytes(digest[:16], "little"), counter=[0, 0, patient, 0]))


def _on_cluster(work: Callable[[int], T], n_chunks: int, scheduler: str) -> Iterator[T]:
    address = urlsplit(scheduler)
    is_loopback = address.hostname in ("localhost", "::1") or (address.hostname or "").startswith("127.")
    if address.scheme != "tls" and not (address.scheme == "tcp" and is_loopback):
        raise RequestError(
            f"Scheduler {scheduler!r}: only tls://, or tcp:// on a loopback address, is allowed, because "
            "unencrypted schedulers run any code sent to them."
        )
    try:
        from distributed import Client
    except ImportError as error:
        raise RequestError("A scheduler needs the extra 'cluster': pip install 'ahsct[cluster]'.") from error
    with Client(scheduler) as client:
        for future in client.map(work, range(n_chunks), pure=False, retries=3):
            yield future.result()
