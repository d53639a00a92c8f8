"""AC-Norm: layers, conversion, and the affine correlation with its measure AC-Corr."""

from acrank.norm.convert import ConversionWarning, ac_norm_layers, convert_ac_norm, left_alone, revert_ac_norm
from acrank.norm.correlation import (
    AffineOverlap,
    Correlation,
    ac_corr,
    affine_correlation,
    affine_overlap,
    is_untouched,
    relative_bias,
)
from acrank.norm.layers import AffineCoNorm, AffineCoNorm1d, AffineCoNorm2d, AffineCoNorm3d, AffineCoNormAct2d

__all__ = [
    "AffineCoNorm",
    "AffineCoNorm1d",
    "AffineCoNorm2d",
    "AffineCoNorm3d",
    "AffineCoNormAct2d",
    "AffineOverlap",
    "ConversionWarning",
    "Correlation",
    "ac_corr",
    "ac_norm_layers",
    "affine_correlation",
    "affine_overlap",
    "convert_ac_norm",
    "is_untouched",
    "left_alone",
    "relative_bias",
    "revert_ac_norm",
]
