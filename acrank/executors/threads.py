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
