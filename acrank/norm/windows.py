"""Which channels a row of the affine correlation keeps: a window of the sorted source, exact in spite of rounding."""

from __future__ import annotations

import torch
from torch import Tensor


def windows(ordered: Tensor, source: Tensor, target: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Per row: first member, first position at or right of y_t, and one past the last member, as indices [C].

    The own channel is one edge, its mirror image in y_t the other, but for rounding: channels may tie in the computed
    distance, or the mirror image may miss one. Where the distances contradict, bisection on the distance decides.
    """
    split = torch.searchsorted(ordered, target)
    own_left = source < target
    start = torch.searchsorted(ordered, torch.where(own_left, source, target - reach))
    stop = torch.searchsorted(ordered, torch.where(own_left, target + reach, source), right=True)
    start, stop = torch.minimum(start, split), torch.maximum(stop, split)
    near = torch.stack([distances(ordered, target, start), distances(ordered, target, stop - 1)])
    beyond = torch.stack([distances(ordered, target, start - 1), distances(ordered, target, stop)])
    empty = torch.stack([start == split, stop == split])
    if not bool((((near <= reach) | empty) & (beyond > reach)).all()):
        start, stop = bisected(ordered, target, reach, split)
    return start, split, stop


def bisected(ordered: Tensor, target: Tensor, reach: Tensor, split: Tensor) -> tuple[Tensor, Tensor]:
    """First member left of `split` and one past the last right of it: the computed distance is monotone there."""
    start, stop = torch.zeros_like(split), split
    left_end, right_end = split, torch.full_like(split, len(ordered))
    last = len(ordered) - 1
    for _ in range(len(ordered).bit_length()):
        middle = torch.stack([start + left_end, stop + right_end]) // 2
        inside = (target - ordered[middle.clamp(max=last)]).abs() <= reach
        open_left, open_right = start < left_end, stop < right_end
        left_end = torch.where(open_left & inside[0], middle[0], left_end)
        start = torch.where(open_left & ~inside[0], middle[0] + 1, start)
        stop = torch.where(open_right & inside[1], middle[1] + 1, stop)
        right_end = torch.where(open_right & ~inside[1], middle[1], right_end)
    return start, stop


def distances(ordered: Tensor, target: Tensor, index: Tensor) -> Tensor:
    """|y_t - s_index|, [C]; infinite where the index lies outside the list."""
    outside = (index < 0) | (index >= len(ordered))
    return (target - ordered[index.clamp(0, len(ordered) - 1)]).abs().masked_fill_(outside, torch.inf)
