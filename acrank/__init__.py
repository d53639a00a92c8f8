"""acrank: rank pretrained checkpoints for your own images, with affine collaborative normalisation (AC-Norm).

Heavy names are loaded on first use, so that `import acrank` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

from acrank.errors import AcrankError

__version__ = "0.2.0"

_LAZY = {
    "AffineCoNorm1d": "acrank.norm",
    "AffineCoNorm2d": "acrank.norm",
    "AffineCoNorm3d": "acrank.norm",
    "convert_ac_norm": "acrank.norm",
    "revert_ac_norm": "acrank.norm",
    "affine_correlation": "acrank.norm",
    "layer_ac_corr": "acrank.norm",
    "compare": "acrank.comparison",
    "load_zoo": "acrank.zoo",
    "open_target": "acrank.targets",
    "score": "acrank.ranking.scoring",
    "finetune": "acrank.finetuning",
    "import_timm": "acrank.zoo.architectures.timm_import",
    "log_to_mlflow": "acrank.formats.trackers",
    "log_to_wandb": "acrank.formats.trackers",
    "Ranking": "acrank.records",
    "SCORES": "acrank.scores",
    "Settings": "acrank.settings",
}

__all__ = ["AcrankError", "__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'acrank' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
