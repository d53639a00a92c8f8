"""What the outputs of normalisation layers tell apart: Gram matrices, read in the pass that is run anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acrank.observation.dense_features import PixelReader
from acrank.observation.layer_hooks import Watch

#: A Gram matrix is of so many rows at most.
ROWS = 512
#: A layer's output [n, C, ...] -> rows [m, C], or None where its first dimension is not of the images. Tokens that were
#: folded into it are taken to lie image by image, as flattening [n, T, C] leaves them.
RowsOf = Callable[[Tensor], Tensor | None]


class LayerOutputs(Watch):
    """Keeps a few rows of what each layer put out last, rectified.

    Args:
        layers: by name.
        rows_of: what makes rows of an output.
    """

    def __init__(self, layers: Mapping[str, nn.Module], rows_of: RowsOf) -> None:
        super().__init__(layers)
        self._rows: dict[str, Tensor] = {}
        self._rows_of = rows_of

    def saw(self, name: str, output: Tensor) -> None:
        """Keep what tells something."""
        if (rows := self._rows_of(output.detach())) is not None:
            self._rows[name] = rows

    def gram(self, names: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """The mean over some layers of the Gram matrix of their standardised channels over C, [m, m]; None of none."""
        found = [_gram(rows) for name in names if (rows := self._rows.get(name)) is not None]
        return np.mean(found, axis=0).astype(np.float32) if found else None


def rows_of_images(count: int) -> tuple[RowsOf, Tensor]:
    """How outputs for so many images become rows, averaged over positions; and which images these are, int64 [m]."""
    stride = -(-count // ROWS)

    def rows(output: Tensor) -> Tensor | None:
        if len(output) % count:
            return None
        # an image's tokens may have been folded into the first dimension
        each = output.unflatten(0, (count, -1))[::stride].relu()
        return each.mean([1, *range(3, each.ndim)])

    return rows, torch.arange(0, count, stride)


def rows_of_positions(positions: Tensor, size: tuple[int, ...]) -> tuple[RowsOf, Tensor]:
    """How outputs for patches become rows, at some of their labelled positions [n, p]; and which labels these are."""
    count, each = positions.shape
    stride = -(-count // ROWS)
    kept = slice(None, None, stride), slice(None, None, -(-each // (ROWS // -(-count // stride))))

    def rows(output: Tensor) -> Tensor | None:
        if len(output) != count or output.ndim != 2 + len(size):
            return None
        return PixelReader(positions[kept].to(output.device), size).rows(output[kept[0]]).relu()

    return rows, torch.arange(count * each).view(count, each)[kept].flatten()


def last_third(names: Sequence[str]) -> list[str]:
    """The later layers, at least one.

    >>> last_third(["a", "b", "c", "d", "e", "f", "g"])
    ['f', 'g']
    """
    return list(names[-max(1, len(names) // 3) :])


def _gram(rows: Tensor) -> npt.NDArray[np.float64]:
    x = rows.float().cpu().numpy().astype(np.float64)
    x -= x.mean(0)
    spread = x.std(0)
    x /= np.where(spread > 1e-6, spread, 1.0)
    return x @ x.T / x.shape[1]
