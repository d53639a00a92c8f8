"""Threads that compute beside others."""

from __future__ import annotations

import sys


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
