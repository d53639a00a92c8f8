"""How far the trainings of a round have come, and what of it an earlier run did."""

from __future__ import annotations

import acrank.demo
from acrank.refining.refine_progress import RefineProgress, epoch_counter
from acrank.refining.training import Contestant
from acrank.zoo import load_zoo


def test_what_an_earlier_run_trained_is_done_and_kept_from_the_beginning() -> None:
    candidates = load_zoo(acrank.demo.zoo_path()).candidates[:3]
    first, kept, last = (one.id for one in candidates)
    told: list[RefineProgress] = []
    entries = [Contestant(candidate=one, rates=(0.1, 0.03)) for one in candidates]
    on_epoch = epoch_counter(told.append, 1, entries, epochs=2, finished={kept})
    on_epoch(first, 0.1, 2)  # its first epoch is that of an interrupted run
    for model, rate, epoch in ((first, 0.03, 1), (first, 0.03, 2), (last, 0.1, 1)):
        on_epoch(model, rate, epoch)
    assert [(one.done, one.kept, one.total) for one in told] == [(6, 5, 12), (7, 5, 12), (8, 5, 12), (9, 5, 12)]
