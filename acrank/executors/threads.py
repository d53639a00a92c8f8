"""CPUs that are available, and the number of threads of numeric libraries."""

from __future__ import annotations

import os
import sys

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def available_cpus() -> int:
    """Number of CPUs that this process may use; in a container that can be fewer than the machine has.

    >>> available_cpus() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(count: int) -> None:
    """Set the number of threads of this process's numeric libraries, loaded or not yet."""
    os.environ.update(dict.fromkeys(_VARIABLES, str(count)))
    torch = sys.modules.get("torch")  # reads the variables only when it is loaded
    if torch is not None:
        torch.set_num_threads(count)


def compute_alone() -> bool:
    """Let what torch computes in the calling thread run in this thread alone; other threads are as they were.

    A second thread that computes gets a pool of OpenMP threads of its own. Both pools together are more threads than
    cores, so that OpenMP lets them sleep after every operation, also when the second pool is idle: passes of networks
    with many small layers then take a third longer. What MKL computes (products of matrices) keeps its own number.

    Returns:
        Whether it was done: not before torch is loaded.
    """
    if (torch := sys.modules.get("torch")) is None:
        return False
    from threadpoolctl import threadpool_limits

    torch.get_num_threads()  # torch sets the number of a thread's threads when it is asked for it first,
    torch.zeros(1, 2).softmax(1)  # and once more at the first operation that may use several
    threadpool_limits(1, user_api="openmp")
    return True
