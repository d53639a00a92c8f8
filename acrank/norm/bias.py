"""The quantity that AC-Norm compares, of arrays and of tensors; needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

Numbers = TypeVar("Numbers", "Tensor", "npt.NDArray[np.float64]")


def normalised_bias(weight: Numbers, bias: Numbers, eps: Numbers | float) -> Numbers:
    """y = b / (|g| + eps), elementwise: where a channel's activation sits, in units of its own scale.

    Example:
        >>> import numpy as np
        >>> normalised_bias(np.array([2.0]), np.array([-1.0]), eps=0.0)
        array([-0.5])
    """
    return bias / (abs(weight) + eps)
