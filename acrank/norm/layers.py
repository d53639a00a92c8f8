"""AC-Norm layers: batch normalisation whose affines are recalibrated by their correlation with the source's.

    AC-Norm(x) = BN(x; g_t, b_t) + BN(x; C g_t, C b_t) = BN(x; g_t + C g_t, b_t + C b_t)

(Zhang et al., arXiv 2307.15282). The two normalisations are one, so a layer normalises once per forward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from acrank.norm.recalibration import RecalibratedAffines


class AffineCoNorm(RecalibratedAffines):
    """AC-Norm over dimension 1 of an input of any rank; the 1d, 2d and 3d layers check the rank as PyTorch's do.

    State: `weight`, `bias` (the source's affines, constant), `weight_target`, `bias_target` (trained), and BatchNorm's
    running statistics: the authors' key layout. A BatchNorm state dict loads too; the target then starts as the source.

    In training mode the running statistics move as under the authors' two normalisations of the same batch: by
    1 - (1 - momentum)^2, or as BatchNorm's where momentum is None. No gradient flows through C or to the source.

    Args:
        num_features: C.
        eps: of the normalisation, and of y = b / (|g| + eps).
        momentum: of the running statistics; None for a cumulative average.
        track_running_stats: as in BatchNorm; without, batch statistics serve in eval mode too.
        temperature: T of the correlation, > 0.

    Raises:
        ValueError: temperature is not positive.

    Shape:
        Input and output [n, C, ...], of any floating dtype; the correlation is computed in float64, on the CPU.

    Example:
        >>> layer = AffineCoNorm(3)
        >>> layer(torch.randn(8, 3)).shape
        torch.Size([8, 3])
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        track_running_stats: bool = True,
        *,
        temperature: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, temperature=temperature, device=device, dtype=dtype)
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        track = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features, device=device, dtype=dtype) if track else None)
        self.register_buffer("running_var", torch.ones(num_features, device=device, dtype=dtype) if track else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0, device=device) if track else None)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input` [n, C, ...] with the recalibrated affines; same shape and dtype."""
        self._check_input_dim(input)
        weight, bias = self.recalibrated()
        by_batch = self.training or self.running_mean is None
        update = self.training and self.track_running_stats
        return functional.batch_norm(
            input,
            self.running_mean if update or not by_batch else None,
            self.running_var if update or not by_batch else None,
            weight,
            bias,
            by_batch,
            self._step_of_statistics() if update else 0.0,
            self.eps,
        )

    def _step_of_statistics(self) -> float:
        if self.num_batches_tracked is None:
            return 0.0
        self.num_batches_tracked.add_(1)
        if self.momentum is None:  # an average over batches: counting each batch twice changes nothing
            return 1.0 / float(self.num_batches_tracked)
        return 1.0 - (1.0 - self.momentum) ** 2

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected an input of at least 2 dimensions, not {input.dim()}")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Old BatchNorms have no batch count: it stays as it is."""
        counter = prefix + "num_batches_tracked"
        if self.num_batches_tracked is not None and prefix + "running_mean" in state_dict:
            state_dict.setdefault(counter, self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, temperature={self.temperature}"


class AffineCoNorm1d(AffineCoNorm):
    """AC-Norm for inputs [n, C] or [n, C, l]; see `AffineCoNorm`."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 3):
            raise ValueError(f"expected 2D or 3D input, not {input.dim()}D")


class AffineCoNorm2d(AffineCoNorm):
    """AC-Norm for inputs [n, C, h, w]; see `AffineCoNorm`."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 4:
            raise ValueError(f"expected 4D input, not {input.dim()}D")


class AffineCoNorm3d(AffineCoNorm):
    """AC-Norm for inputs [n, C, d, h, w]; see `AffineCoNorm`."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 5:
            raise ValueError(f"expected 5D input, not {input.dim()}D")


class AffineCoNormAct2d(AffineCoNorm2d):
    """AC-Norm followed by the dropout and activation of timm's BatchNormAct2d, under timm's names `drop` and `act`.

    Made by `convert_ac_norm`; `plain_type` is the class that `revert_ac_norm` goes back to.
    """

    drop: nn.Module
    act: nn.Module
    plain_type: type[nn.BatchNorm2d]

    def forward(self, input: Tensor) -> Tensor:
        """Normalise, drop, activate: [n, C, h, w]."""
        output: Tensor = self.act(self.drop(super().forward(input)))
        return output
