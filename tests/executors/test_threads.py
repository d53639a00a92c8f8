"""A thread that computes beside others takes no threads of its own, and leaves theirs as they are."""

from __future__ import annotations

import threading
from pathlib import Path

import torch

from acrank.executors.threads import compute_alone


def tasks() -> int:
    """Threads of this process, as the kernel counts them."""
    return len([*Path("/proc/self/task").iterdir()])


def test_no_second_pool_begins_and_the_first_stays() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        work = torch.randn(4, 64, 64, 64)
        torch.relu(work).exp().sum()  # the pool of this thread
        counts: list[int] = []

        def compute() -> None:
            assert compute_alone()
            counts.append(torch.get_num_threads())
            held = tasks()
            torch.nn.functional.interpolate(work.half().float(), scale_factor=2, mode="bilinear", antialias=True)
            torch.nn.functional.batch_norm(torch.relu(work), None, None, training=True)
            counts.append(tasks() - held)

        thread = threading.Thread(target=compute)
        thread.start()
        thread.join()
        assert counts == [1, 0]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
