"""AC-Norm: layers, conversion, and the affine correlation with its measure AC-Corr.

Names are loaded on first use, because all of them but `normalised_bias` need torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acrank.norm.bias import normalised_bias
    from acrank.norm.convert import ConversionWarning, ac_norm_layers, convert_ac_norm, left_alone, revert_ac_norm
    from acrank.norm.correlation import AffineOverlap, Correlation, affine_correlation, affine_overlap, layer_ac_corr
    from acrank.norm.layers import AffineCoNorm, AffineCoNorm1d, AffineCoNorm2d, AffineCoNorm3d, AffineCoNormAct2d
    from acrank.norm.per_sample import PerSampleCoNorm
    from acrank.norm.recalibration import RecalibratedAffines, hold_recalibrated

__all__ = [
    "AffineCoNorm",
    "AffineCoNorm1d",
    "AffineCoNorm2d",
    "AffineCoNorm3d",
    "AffineCoNormAct2d",
    "AffineOverlap",
    "ConversionWarning",
    "Correlation",
    "PerSampleCoNorm",
    "RecalibratedAffines",
    "ac_norm_layers",
    "affine_correlation",
    "affine_overlap",
    "convert_ac_norm",
    "hold_recalibrated",
    "layer_ac_corr",
    "left_alone",
    "normalised_bias",
    "revert_ac_norm",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for file in ("bias", "convert", "correlation", "layers", "per_sample", "recalibration"):
            module = importlib.import_module(f"acrank.norm.{file}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'acrank.norm' has no attribute {name!r}")
